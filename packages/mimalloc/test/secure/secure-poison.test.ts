import { AllocError } from '@shmalloc/allocator-api';
import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { pageOf } from '../../dist/layout/lookup.js';
import { Page } from '../../dist/layout/page.js';
import { tldOf } from '../support/inside.ts';
import { areIntact, blocksOf, secureHeap, watch } from '../support/secure-heap.js';

const SIZE = 200;

/** Takes blocks until this one has come back. */
function again(heap: MiMalloc, block: number, size: number): number[] {
  const taken: number[] = [];
  while (taken.at(-1) !== block && taken.length < 5000) taken.push(...blocksOf(heap, 1, size));
  return taken;
}

test('freed memory is filled, all but the link', (t) => {
  const { heap } = secureHeap(4, { sampleRate: 0 });
  for (const size of [8, 24, SIZE, 5000]) {
    const [block] = blocksOf(heap, 2, size);
    heap.free(block);
    t.true(heap.memory.u8.subarray(block + 4, block + size).every((byte) => byte === 0xdf));
  }
});

test('a write after free is reported with its address when the block is handed out again', (t) => {
  for (const size of [24, SIZE, 5000]) {
    for (const offset of [4, 7, 11, size - 1]) {
      const { heap, errors, told } = secureHeap(4, { sampleRate: 0 });
      const blocks = blocksOf(heap, 8, size);
      const block = blocks[3];
      heap.free(block);
      heap.memory.u8[block + offset] ^= 1;
      const taken = again(heap, block, size);
      t.is(taken.at(-1), block);
      t.is(errors.length, 1);
      t.is(errors[0].code, 'InvalidParam');
      t.deepEqual(told(), [
        `malloc: the free block at ${block} was written to after it was freed, at ${block + offset}`,
      ]);
      heap.validate({ quiet: true });
      t.true(areIntact(heap, blocks, size, [block]));
      for (const each of [...blocks.filter((other) => other !== block), ...taken]) heap.free(each);
      heap.collect(true);
      t.is(heap.usedBytes(), 0);
      t.deepEqual(told(), []);
    }
  }
});

test('a write into memory that was never handed out is reported as well', (t) => {
  const { heap, told } = secureHeap(4, { sampleRate: 0 });
  const blocks = blocksOf(heap, 3, SIZE);
  const free = tldOf(heap).i32[pageOf(tldOf(heap), blocks[0] >>> 2) + Page.free] * 4;
  heap.memory.u8[free + 100] = 0;
  again(heap, free, SIZE);
  t.is(told().length, 1);
  heap.validate({ quiet: true });
});

test('collect finds a write after free, tells it once, and validate throws it', (t) => {
  const { heap, told } = secureHeap(4, { sampleRate: 0 });
  const blocks = blocksOf(heap, 8, SIZE);
  for (const block of [blocks[2], blocks[5]]) heap.free(block);
  for (const block of [blocks[2], blocks[5]]) heap.memory.u8[block + 50] = 0;
  t.throws(() => heap.validate({ quiet: true }), {
    instanceOf: AllocError,
    message: /written to after it was freed/,
  });
  heap.collect();
  const messages = told();
  t.is(messages.length, 2);
  t.true(
    messages.join().includes(`at ${blocks[2] + 50}`) && messages.join().includes(`at ${blocks[5] + 50}`),
  );
  heap.validate({ quiet: true });
  heap.collect(true);
  blocksOf(heap, 100, SIZE);
  t.deepEqual(told(), []);
});

test('a write after a free by another thread is found by the owner', (t) => {
  const { heap, told } = secureHeap(4, { sampleRate: 0 });
  const other = MiMalloc.attach(heap.share());
  const blocks = blocksOf(heap, 8, SIZE);
  other.free(blocks[1]);
  heap.memory.u8[blocks[1] + 100] = 1;
  again(heap, blocks[1], SIZE);
  t.regex(told().join(), new RegExp(`at ${blocks[1] + 100}$`));
});

test('a level below, a write after free goes unnoticed', (t) => {
  const { heap, told } = secureHeap(3);
  const blocks = blocksOf(heap, 8, SIZE);
  heap.free(blocks[3]);
  heap.memory.u8[blocks[3] + 100] ^= 1;
  again(heap, blocks[3], SIZE);
  heap.collect();
  heap.validate({ quiet: true });
  t.deepEqual(told(), []);
});

// ── Zones ──

test('a guarded block has 256 bytes in front and the rest of its OS page behind', (t) => {
  const { heap, told } = secureHeap(4, { sampleRate: 1 });
  for (const size of [0, 1, 100, 3832, 3833, 10_000]) {
    const block = heap.malloc(size);
    t.is(block % 4096, 256);
    t.is(heap.usableSize(block), size);
    heap.memory.u8.fill(1, block, block + size);
    heap.free(block);
  }
  // An OS page is small to a request that gets a page of its own anyway.
  const large = heap.malloc(tldOf(heap).mediumMax);
  t.is(large % 4096, 0);
  t.is(heap.usableSize(large), tldOf(heap).mediumMax);
  heap.collect(true);
  heap.validate({ quiet: true });
  t.deepEqual(told(), []);
});

test('one allocation in SAMPLE_RATE is guarded, and none with 0', (t) => {
  for (const [sampleRate, least, most] of [
    [0, 0, 0],
    [10, 60, 140],
    [100, 4, 20],
  ]) {
    const { heap, told } = secureHeap(4, { sampleRate });
    const guarded = blocksOf(heap, 1000, 40).filter((block) => block % 4096 === 256 && isZoned(heap, block));
    t.true(guarded.length >= least && guarded.length <= most, `${guarded.length} with rate ${sampleRate}`);
    t.deepEqual(told(), []);
  }
});

/** Blocks of 40 bytes have no whole OS pages but for the zones. */
function isZoned(heap: MiMalloc, block: number): boolean {
  return tldOf(heap).i32[pageOf(tldOf(heap), block >>> 2) + Page.blockWords] === 1024;
}

test('writes all around a guarded block are found when it is freed', (t) => {
  for (const [offset, place] of [
    [-1, 'in front of its start, at byte -1'],
    [-250, 'in front of its start, at byte -250'],
    [100, 'past its end at byte 100'],
    [200, 'past its end at byte 200'],
    [3831, 'past its end at byte 3831'],
  ] as const) {
    const { heap, errors, told } = secureHeap(4, { sampleRate: 1 });
    const blocks = blocksOf(heap, 4, 100);
    const block = blocks[2];
    heap.memory.u8[block + offset] ^= 1;
    heap.free(block);
    t.is(errors[0].code, 'InvalidParam');
    t.deepEqual(told(), [`free(${block}): the block of 100 bytes was written ${place}`]);
    heap.validate({ quiet: true });
    t.true(areIntact(heap, blocks, 100, [block]));
    heap.free(block);
    t.regex(told().join(), /freed twice/);
    for (const each of blocks) if (each !== block) heap.free(each);
    heap.collect(true);
    t.is(heap.usedBytes(), 0);
    t.deepEqual(told(), []);
  }
});

test('writes around a guarded block are found by collect, once, and by validate; a free by another thread is none', (t) => {
  const { heap, told } = secureHeap(4, { sampleRate: 1 });
  const other = watch(MiMalloc.attach(heap.share()));
  const blocks = blocksOf(heap, 6, 100);
  other.heap.free(blocks[4]);
  heap.collect();
  heap.validate({ quiet: true });
  t.deepEqual(told(), []);
  heap.memory.u8[blocks[1] - 3] ^= 1;
  heap.memory.u8[blocks[3] + 1000] ^= 1;
  // One that does not have the page leaves it to one that has.
  other.heap.collect();
  t.deepEqual(other.told(), []);
  t.throws(() => heap.validate({ quiet: true }), { instanceOf: AllocError, message: /was written/ });
  heap.collect();
  const messages = told().sort();
  t.is(messages.length, 2);
  t.true(messages[0].includes(`in front of its start, at byte -3, at ${blocks[1] - 3}`));
  t.true(messages[1].includes(`past its end at byte 1000, at ${blocks[3] + 1000}`));
  heap.collect(true);
  t.deepEqual(told(), []);
  // A thread that frees one is told as well.
  other.heap.free(blocks[1]);
  t.regex(other.told().join(), /at byte -3$/);
  heap.free(blocks[3]);
  t.regex(told().join(), /at byte 1000$/);
  heap.collect(true);
  heap.validate({ quiet: true });
  t.is(heap.usedBytes(), 3 * 4096);
  t.true(areIntact(heap, blocks, 100, [blocks[1], blocks[3], blocks[4]]));
  // What says where the block lies, and the last word, are looked at as well.
  heap.memory.u8[blocks[0] - 256]++;
  heap.memory.u8[blocks[2] - 256 + 4095]++;
  heap.collect();
  t.regex(told().sort().join(), /far in front of its start.*last bytes of the block were overwritten/s);
  heap.memory.u8[blocks[0] - 256]--;
  heap.memory.u8[blocks[2] - 256 + 4095]--;
  // Another block in the same place starts again.
  const more = blocksOf(heap, 3, 100);
  for (const block of more) heap.memory.u8[block + 500] ^= 1;
  heap.collect();
  t.is(told().length, 3);
});

test('a thread that detaches looks at its guarded blocks a last time', (t) => {
  const { heap, told } = secureHeap(4, { sampleRate: 1 });
  const [block] = blocksOf(heap, 1, 100);
  heap.memory.u8[block - 1] ^= 1;
  heap.detach();
  t.is(told().length, 1);
});

test('guarded blocks are moved by realloc, and refuse wrong addresses', (t) => {
  const { heap, told } = secureHeap(4, { sampleRate: 1 });
  let block = heap.malloc(100);
  heap.memory.u8.fill(3, block, block + 100);
  for (const size of [100, 90, 5000, 50]) {
    block = heap.realloc(block, size);
    t.is(heap.usableSize(block), size);
    t.true(heap.memory.u8.subarray(block, block + 50).every((byte) => byte === 3));
  }
  heap.validate({ quiet: true });
  t.deepEqual(told(), []);
  for (const wrong of [block - 256, block - 8, block + 8]) {
    heap.free(wrong);
    t.regex(
      told().join(),
      new RegExp(`(inside|in front of) the block at ${block} of 50 bytes`),
      `${wrong - block}`,
    );
  }
  heap.free(block);
  t.deepEqual(told(), []);
});

test('when there is no room for guards, a block comes without', (t) => {
  const { heap, told } = secureHeap(4, { sampleRate: 2, bytes: 1 << 20 });
  const blocks: number[] = [];
  for (let block = heap.malloc(40); block !== 0; block = heap.malloc(40)) blocks.push(block);
  t.true(blocks.some((block) => isZoned(heap, block)));
  t.false(blocks.slice(-10).some((block) => isZoned(heap, block)));
  t.deepEqual(told(), []);
  heap.validate({ quiet: true });
});

test('a level below, nothing is guarded', (t) => {
  const { heap, told } = secureHeap(3, { sampleRate: 1 });
  const [block] = blocksOf(heap, 1, 100);
  t.not(block % 4096, 256);
  heap.collect();
  t.deepEqual(told(), []);
});
