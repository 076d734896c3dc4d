import type { AllocError } from '@shmalloc/allocator-api';
import { Buddy } from '@shmalloc/buddy';
import test from 'ava';
import { randomOf, refused, seedOf } from '../support/tools.js';

const MIB = 2 ** 20;

/** Sizes and states of all blocks in order, and the invariants. */
function blocks(heap: Buddy): string {
  heap.validate();
  const found: string[] = [];
  heap.walk((address, bytes, used) => found.push(`${address}:${bytes}${used ? '!' : ''}`));
  return found.join(' ');
}

test('a block has the next power of two of bytes and lies at a multiple of them', (t) => {
  const heap = Buddy.create({ bytes: 8 * MIB });
  for (const size of [
    0,
    1,
    8,
    16,
    17,
    32,
    33,
    100,
    1000,
    2048,
    2049,
    4096,
    4097,
    60_000,
    65_536,
    MIB,
    MIB + 1,
  ]) {
    const block = heap.malloc(size);
    const bytes = Math.max(16, 2 ** Math.ceil(Math.log2(Math.max(1, size))));
    t.is(heap.usableSize(block), bytes, `${size}`);
    t.is(block % bytes, 0, `${size}`);
    heap.validate();
  }
});

test('what is split is whole again when both halves are free, in whatever order they come back', (t) => {
  const seed = seedOf(t);
  const random = randomOf(seed);
  for (const order of ['first in first out', 'last in first out', 'random']) {
    const heap = Buddy.create({ bytes: MIB });
    const before = blocks(heap);
    const held: number[] = [];
    for (let block = heap.malloc(16); block !== 0; block = heap.malloc(16 + random(3000))) held.push(block);
    t.true(held.length > 100);
    if (order === 'last in first out') held.reverse();
    if (order === 'random') held.sort(() => random(3) - 1);
    for (const block of held) heap.free(block);
    t.is(blocks(heap), before, order);
    t.is(heap.usedBytes(), 0);
  }
});

test('a pool of any size and place is used but for its tables', (t) => {
  const random = randomOf(seedOf(t));
  const memory = new SharedArrayBuffer(4 * MIB);
  for (let turn = 0; turn < 200; turn++) {
    const start = 65_536 + random(MIB);
    const size = 2000 + random(2 ** (12 + random(10)));
    new Uint8Array(memory).fill(0xff, start, start + size);
    const heap = Buddy.create({ memory, end: 65_536 });
    heap.init(start, size);
    heap.validate();
    const { totalBytes, footprintBytes } = heap.stats();
    // 262 bytes for each page of blocks and up to one page at either end.
    t.true(
      totalBytes <= size && totalBytes > size - 262 * (size / 4096 + 2) - 100,
      `${size} gave ${totalBytes}`,
    );
    t.true(footprintBytes < 65_536 + size + 8192);
    let bytes = 0;
    for (let block = heap.malloc(16); block !== 0; block = heap.malloc(16)) bytes += 16;
    t.is(bytes, totalBytes);
    heap.validate();
  }
});

test('the smallest pool is taken, and what is smaller refused before a byte is written', (t) => {
  const memory = new SharedArrayBuffer(MIB);
  const heap = Buddy.create({ memory, end: 65_536 });
  for (let start = 65_536; start < 65_536 + 2 * 4096; start += 52)
    heap.init(start, Buddy.layout.smallestPool as number);
  refused(t, 'RegionTooSmall', () => heap.init(65_536, 256), '[65536, 65792)');
  refused(t, 'RegionTooSmall', () => Buddy.create({ memory: new SharedArrayBuffer(900) }), 'too small');
  const others = new SharedArrayBuffer(700);
  t.throws(() => Buddy.create({ memory: others }));
  t.true(new Uint8Array(others).every((byte) => byte === 0));
});

test('the statistics tell what rounding up costs at this moment', (t) => {
  const heap = Buddy.create({ bytes: MIB });
  const wasted = (): number[] => [heap.stats().requestedBytes, heap.stats().wastedBytes];
  t.deepEqual(wasted(), [0, 0]);
  const one = heap.malloc(1025);
  t.deepEqual(wasted(), [1025, 1023]);
  const other = heap.malloc(64);
  t.deepEqual(wasted(), [1089, 1023]);
  t.is(heap.realloc(one, 2000), one);
  t.deepEqual(wasted(), [2064, 48]);
  const large = heap.malloc(70_000);
  t.deepEqual(wasted(), [72_064, 48 + 131_072 - 70_000]);
  const none = heap.malloc(0);
  t.deepEqual(wasted(), [72_064, 64 + 131_072 - 70_000]);
  const aligned = heap.alignedAlloc(4096, 100);
  t.is(heap.usableSize(aligned), 128);
  for (const block of [one, other, large, none, aligned]) heap.free(block);
  t.deepEqual(wasted(), [0, 0]);
});

test('every slack of every order is remembered', (t) => {
  for (const debug of [false, true]) {
    const heap = Buddy.create({ bytes: MIB, debug });
    for (let size = 0; size <= 5000; size++) {
      const block = heap.malloc(size);
      if (heap.stats().requestedBytes !== size) return t.fail(`${size}: ${heap.stats().requestedBytes}`);
      if (debug && heap.usableSize(block) !== Math.ceil(size / 4) * 4) return t.fail(`${size}`);
      heap.free(block);
      if (heap.stats().requestedBytes !== 0) return t.fail(`${size}: not forgotten`);
    }
  }
  t.pass();
});

test('realloc grows over free buddies and shrinks where it is', (t) => {
  const heap = Buddy.create({ bytes: MIB });
  const block = heap.alignedAlloc(262_144, 16);
  for (const size of [17, 100, 2048, 4096, 4097, 100_000, 262_144]) {
    t.is(heap.realloc(block, size), block, `${size}`);
    t.true(heap.usableSize(block) >= size);
    heap.validate();
  }
  for (const size of [140_000, 100_000, 5000, 4096, 2048, 100, 1]) {
    t.is(heap.realloc(block, size), block, `${size}`);
    t.true(heap.usableSize(block) < Math.max(17, 2 * size));
    heap.validate();
  }
  const behind = heap.malloc(16);
  t.is(behind, block + 16);
  t.not(heap.realloc(block, 32), block);
  // A block that is the upper half of its parent cannot grow downwards.
  const upper = heap.malloc(16);
  t.is(upper % 32, 0);
  heap.free(upper);
  t.not(heap.realloc(behind, 32), behind);
  heap.validate();
  t.is(heap.realloc(heap.malloc(100), 2 ** 31 + 1), 0);
});

test('an aligned block takes no more than its own size', (t) => {
  const heap = Buddy.create({ bytes: 4 * MIB });
  for (let align = 16; align <= 2 * MIB; align *= 2) {
    const used = heap.usedBytes();
    const block = heap.alignedAlloc(align, 40);
    t.is(block % align, 0);
    t.is(heap.usedBytes() - used, 64);
    heap.free(block);
    heap.validate();
  }
  t.is(heap.alignedAlloc(2 ** 31, 1), 0);
});

test('a region of 4 GiB: a block of 2 GiB, at 2 GiB', (t) => {
  const heap = Buddy.create({ memory: new SharedArrayBuffer(2 ** 32) });
  t.true(heap.stats().footprintBytes < 8 * MIB);
  const block = heap.malloc(2 ** 31 - 5);
  t.is(block, 2 ** 31);
  t.is(heap.usableSize(block), 2 ** 31);
  t.is(heap.malloc(2 ** 31), 0);
  t.is(heap.malloc(2 ** 31 + 1), 0);
  heap.validate();
  heap.free(block);
  const top = heap.frames().allocPagesAt(2 ** 32 - 4096, 1, 4096);
  t.is(top, 2 ** 32 - 4096);
  heap.frames().deallocPages(top, 1);
  heap.validate();
});

test('the footprint counts pages that were handed out, and tags of those that were cut up', (t) => {
  const heap = Buddy.create({ bytes: 16 * MIB });
  const footprint = (): number => heap.footprintBytes();
  const large = heap.malloc(4 * MIB);
  const before = footprint();
  t.true(before > 4 * MIB && before < 4.3 * MIB);
  heap.free(large);
  heap.free(heap.malloc(4 * MIB));
  t.is(footprint(), before);
  for (let index = 0; index < 4096; index++) heap.malloc(16);
  t.true(footprint() - before < 16 * 4096 + 4096 * 20);
});

// ── Wrong frees ──

for (const debug of [false, true]) {
  test(`wrong and double frees are always reported and change nothing${debug ? ' (debug)' : ''}`, (t) => {
    const heap = Buddy.create({ bytes: MIB, debug });
    const errors: AllocError[] = [];
    heap.registerError((error) => errors.push(error));
    const held = [10, 100, 1000, 5000, 100_000].map((size) => heap.malloc(size));
    const frame = heap.frames().allocPages(3, 4096);
    const gone = [16, 3000, 50_000].map((size) => heap.malloc(size));
    for (const block of gone) heap.free(block);
    const before = blocks(heap);
    const wrong = [
      ...gone,
      ...held.flatMap((block) => [block + 8, block + 4]),
      ...held.slice(1).map((block) => block + 16),
      held[3] + 4096,
      held[4] + 65_536,
      frame,
      frame + 4096,
      heap.share().start + 64,
      MIB - 16,
      MIB,
      2 ** 31,
      2 ** 32 - 16,
      2 ** 40,
    ];
    for (const [nth, address] of wrong.entries()) {
      t.is(errors.length, 3 * nth, `${address}`);
      heap.free(address);
      t.is(heap.realloc(address, 10), 0, `${address}`);
      t.is(heap.usableSize(address), 0);
      const code = errors[3 * nth].code;
      t.true(
        code === 'NotAllocated' || (code === 'DoubleFree' && gone.includes(address)),
        `${address}: ${code}`,
      );
      refused(t, code, () => heap.dealloc(address, 1, 1), String(address));
    }
    t.is(errors.length, 3 * wrong.length);
    t.true(errors.some(({ code }) => code === 'DoubleFree'));
    t.is(blocks(heap), before);
    for (const block of held) heap.free(block);
    t.is(errors.length, 3 * wrong.length);
  });
}

test('in debug a single byte written past what was asked for is found, at the free and by validate', (t) => {
  for (const size of [4, 12, 60, 100, 2000, 4092, 8000]) {
    const heap = Buddy.create({ bytes: MIB, debug: true });
    const errors: AllocError[] = [];
    heap.registerError((error) => errors.push(error));
    const block = heap.malloc(size);
    heap.memory.u8[block + size - 1] ^= 1;
    heap.validate();
    heap.memory.u8[block + size] ^= 1;
    t.throws(() => heap.validate(), { message: /written past its end/ });
    heap.free(block);
    t.regex(errors[0].message, /written past its end/);
    heap.memory.u8[block + size] ^= 1;
    heap.free(block);
    t.is(errors.length, 1);
    t.is(heap.usedBytes(), 0);
  }
});

// ── Rescue ──

test('a rescue is asked once, may add memory, and the request is tried again', (t) => {
  const asked: number[][] = [];
  const heap = Buddy.create({
    bytes: 65_536,
    maxBytes: 16 * MIB,
    rescue: (grown, size, align) => {
      asked.push([size, align]);
      const bytes = Buddy.poolBytesFor(Math.max(size, align));
      grown.addMemory(grown.memory.grow(bytes), bytes);
      return true;
    },
  });
  const small = heap.malloc(100);
  t.deepEqual(asked, []);
  const large = heap.malloc(300_000);
  t.not(large, 0);
  t.deepEqual(asked, [[300_000, 0]]);
  t.is(heap.alignedAlloc(MIB, 10) % MIB, 0);
  t.is(asked.length, 2);
  t.is(heap.stats().failures, 0);
  const address = heap.realloc(small, 1_500_000);
  t.not(address, 0);
  t.is(heap.frames().allocPages(512, 4096) % 4096, 0);
  t.true(heap.stats().pools > 2);
  heap.validate();
});

test('a rescue that has nothing leaves an answer of 0; what it asks for itself is not rescued', (t) => {
  let calls = 0;
  const heap = Buddy.create({ bytes: 65_536 });
  heap.registerRescue((same) => {
    calls++;
    t.is(same, heap);
    t.is(same.malloc(MIB), 0);
    return calls > 1;
  });
  t.is(heap.malloc(MIB), 0);
  t.is(calls, 1);
  t.is(heap.malloc(MIB), 0);
  t.is(calls, 2);
  t.is(heap.alignedAlloc(64, MIB), 0);
  t.is(heap.calloc(10, MIB), 0);
  t.is(heap.realloc(heap.malloc(10), MIB), 0);
  t.throws(() => heap.alloc(MIB, 16), { message: /no 1048576 bytes/ });
  t.is(calls, 6);
  t.is(heap.stats().failures, 12);
  heap.registerRescue(null);
  t.is(heap.malloc(MIB), 0);
  t.is(calls, 6);
  heap.registerRescue(() => {
    throw new Error('no');
  });
  t.throws(() => heap.malloc(MIB), { message: 'no' });
  t.not(heap.malloc(16), 0);
  heap.validate();
  t.throws(() => heap.registerRescue(7 as never), { instanceOf: TypeError, message: /7/ });
  t.throws(() => Buddy.create({ rescue: 'x' as never }), { instanceOf: TypeError, message: /x/ });
});

test('what poolBytesFor says is enough wherever the pool lies', (t) => {
  const random = randomOf(seedOf(t));
  const memory = new SharedArrayBuffer(8 * MIB);
  for (let turn = 0; turn < 300; turn++) {
    const size = 1 + random(2 ** (4 + random(17)));
    const heap = Buddy.create({ memory, end: 65_536 });
    heap.init(65_536 + random(3 * MIB), Buddy.poolBytesFor(size));
    t.not(heap.malloc(size), 0, `${size}`);
  }
});

test('running out in the middle of a life of splits and growth leaves everything consistent', (t) => {
  const random = randomOf(seedOf(t));
  for (let turn = 0; turn < 40; turn++) {
    const heap = Buddy.create({ bytes: 65_536 + random(65_536), debug: turn % 2 === 1 });
    const empty = blocks(heap);
    const held: number[] = [];
    let failures = 0;
    for (let step = 0; step < 300; step++) {
      const size = random(2 ** random(16));
      const before = heap.availableBytes();
      const at = random(held.length);
      const kind = random(3);
      const block =
        kind === 0
          ? heap.malloc(size)
          : kind === 1
            ? heap.alignedAlloc(2 ** random(14), size)
            : heap.realloc(held[at] ?? 0, size);
      if (block === 0) {
        failures++;
        t.is(heap.availableBytes(), before);
      } else if (kind === 2 && at < held.length) held[at] = block;
      else held.push(block);
      heap.validate();
      if (held.length > 0 && random(3) === 0) heap.free(held.splice(random(held.length), 1)[0]);
    }
    for (const block of held) heap.free(block);
    t.is(blocks(heap), empty);
    t.true(failures > 0);
  }
});
