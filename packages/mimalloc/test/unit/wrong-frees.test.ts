/** Wrong programs, without secure mode: what can be told cheaply is reported by name and changes nothing. */
import type { AllocError } from '@shmalloc/allocator-api';
import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { Heap } from '../../dist/layout/heap.js';
import { Page } from '../../dist/layout/page.js';
import {
  emptyOut,
  fill,
  headerField,
  pageAt,
  randomOf,
  seedOf,
  segmentBytes,
  sliceBytes,
  small,
  watch,
} from '../support/harness.ts';
import { tldOf } from '../support/inside.ts';

const GIB = 2 ** 30;

/** Demands that every operation that takes an address reports this one, by name, and that nothing changes. */
function refusesEverywhere(
  t: {
    is(a: unknown, b: unknown, m?: string): unknown;
    regex(a: string, b: RegExp, m?: string): unknown;
    throws(f: () => void): unknown;
  },
  heap: MiMalloc,
  errors: AllocError[],
  address: number,
  where: string,
): void {
  const used = heap.usedBytes();
  const before = errors.length;
  heap.free(address);
  t.is(heap.realloc(address, 10), 0, where);
  t.is(heap.usableSize(address), 0, where);
  t.is(errors.length, before + 3, `${where} (${address})`);
  for (const [index, name] of ['free', 'realloc', 'usableSize'].entries()) {
    t.is(errors[before + index].code, 'NotAllocated');
    t.regex(
      errors[before + index].message,
      new RegExp(`${name}\\(${address}\\): no such block is handed out`),
    );
  }
  const thrown = t.throws(() => heap.dealloc(address, 1, 1)) as AllocError;
  t.is(thrown.code, 'NotAllocated');
  t.is(heap.usedBytes(), used, where);
  heap.validate({ quiet: true });
}

test('addresses all over the region that no block has are reported by every operation', (t) => {
  const { heap, errors } = watch(small({ bytes: 1 << 22 }));
  const blocks = [8, 100, 1000, 5000, 50_000, 500_000].map((size) => heap.malloc(size));
  heap.free(heap.malloc(40)); // a retired page
  const retired = heap.malloc(40);
  heap.free(retired);
  const end = heap.memory.end;
  const places: [number, string][] = [
    [8, 'the header'],
    [tldOf(heap).header * 4 + 64, 'the header'],
    [tldOf(heap).root * 4, 'the root'],
    [tldOf(heap).emptyPage * 4, 'the empty page'],
    [headerField(heap, 'heaps') * 4, 'the thread table'],
    [headerField(heap, 'homeTables') * 4, 'the page map'],
    [pageAt(heap, blocks[0]) * 4, 'a page’s descriptor'],
    [end - 8, 'free memory at the end'],
    [end - segmentBytes(heap), 'a free segment'],
    [blocks[1] + sliceBytes(heap) * 20, 'free slices'],
    [retired, 'a retired page'],
    [end, 'the end'],
    [end + 8, 'beyond the end'],
    [2 ** 31, 'beyond the end'],
    [2 ** 32 - 8, 'beyond the end'],
    [2 ** 32, 'beyond every memory'],
    [2 ** 40, 'beyond every memory'],
    [2 ** 53, 'beyond every memory'],
    [1, 'no multiple of 8'],
    [blocks[1] + 1, 'no multiple of 8'],
    [blocks[1] + 4, 'no multiple of 8'],
    [blocks[4] + 8, 'inside a large block'],
    [blocks[4] + 4096, 'inside a large block'],
    [blocks[4] + 40_000, 'inside a large block'],
    [blocks[5] + 16, 'inside a huge block'],
    [blocks[5] + 490_000, 'inside a huge block'],
  ];
  for (const [address, where] of places) refusesEverywhere(t, heap, errors, address, where);
  for (const block of blocks) t.true(heap.usableSize(block) > 0);
  t.is(headerField(heap, 'errors'), errors.length);
  emptyOut(t, heap, blocks);
});

test('every address of an empty region is refused', (t) => {
  const { heap, errors } = watch(small({ bytes: 256 * 1024 }));
  for (let address = 8; address < 256 * 1024 + 4096; address += 8) {
    const before = errors.length;
    heap.free(address);
    if (errors.length !== before + 1) return t.fail(`free(${address}) was not reported`);
  }
  heap.validate({ quiet: true });
  t.is(heap.usedBytes(), 0);
  emptyOut(t, heap, fill(heap, 100));
});

test('random addresses of 4 GiB are refused, with other blocks alive and memory in far places', (t) => {
  const random = randomOf(seedOf(t));
  const memory = new SharedArrayBuffer(4 * GIB);
  const { heap, errors } = watch(small({ memory, start: GIB, end: GIB + (1 << 20) }));
  heap.addMemory(3 * GIB, 1 << 20);
  heap.addMemory(4096, 1 << 19);
  for (let times = 0; times < 20_000; times++) {
    const place = random(4);
    const base = [random(4 * GIB), GIB, 3 * GIB, 0][place];
    heap.free((base + random(1 << 20)) % 2 ** 32 || 8);
  }
  t.is(errors.length, 20_000);
  heap.validate({ quiet: true });
  const block = heap.malloc(100);
  heap.validate({ quiet: true });
  emptyOut(t, heap, [block]);
});

test('a block that is freed twice in a row is reported, in a page in use, in a full page and in an empty one', (t) => {
  for (const [count, what] of [
    [1, 'the only block of its page'],
    [2, 'another block is live'],
    [2000, 'its page is full'],
  ] as const) {
    for (const size of [8, 100, 1000]) {
      const { heap, errors } = watch(small({ bytes: 1 << 22 }));
      const blocks = fill(heap, size, count);
      heap.free(blocks[0]);
      heap.validate({ quiet: true });
      heap.free(blocks[0]);
      t.is(errors.length, 1, `${size}: ${what}`);
      t.regex(errors[0].message, new RegExp(`free\\(${blocks[0]}\\)`));
      heap.validate({ quiet: true });
      emptyOut(t, heap, blocks.slice(1));
    }
  }
});

test('what is freed into a page whose blocks are all free is reported, the empty page is kept or not', (t) => {
  for (const retireCycles of [0, 16]) {
    const { heap, errors } = watch(small({ retireCycles }));
    const blocks = fill(heap, 100, 10);
    for (const block of blocks) heap.free(block);
    for (const block of blocks) heap.free(block);
    t.is(errors.length, 10);
    heap.validate({ quiet: true });
    t.is(heap.usedBytes(), 0);
    for (const block of blocks) t.is(heap.usableSize(block), 0);
    emptyOut(t, heap, fill(heap, 100, 50));
  }
});

test('a page that was given back and serves another size refuses the old blocks that are none of the new size', (t) => {
  const { heap, errors } = watch(small({ bytes: 1 << 22, retireCycles: 0 }));
  const old = fill(heap, 48, 60);
  for (const block of old) heap.free(block);
  const large = heap.malloc(3 * sliceBytes(heap) + 100);
  t.is(large, old[0], 'the same slices');
  for (const block of old.slice(1)) heap.free(block);
  t.is(errors.length, old.length - 1);
  heap.validate({ quiet: true });
  emptyOut(t, heap, [large]);
});

test('a block that its page has not linked yet was never handed out', (t) => {
  const a = small({ bytes: 1 << 24 });
  const { heap: b, errors } = watch(MiMalloc.attach(a.share()));
  const block = a.malloc(1024);
  const page = pageAt(a, block);
  const next = tldOf(a).i32[page + Page.start] * 4 + tldOf(a).i32[page + Page.capacity] * 1024;
  t.is(pageAt(a, next), page, 'the page has room for it');
  refusesEverywhere(t, b, errors, next, 'not linked yet');
  emptyOut(t, a, [block]);
});

test('a block of another heap is refused', (t) => {
  const one = watch(small());
  const other = small({ memory: new SharedArrayBuffer(4 << 20), start: 2 << 20 });
  const block = other.malloc(100);
  refusesEverywhere(t, one.heap, one.errors, block, 'another heap');
  t.true(other.usableSize(block) >= 100);
});

test('dealloc with a size or an alignment that the block cannot have is refused by name', (t) => {
  const { heap, errors } = watch(small());
  const block = heap.alloc(100, 64);
  for (const [size, align, message] of [
    [1000, 64, /dealloc\(\d+\): the block of 128 usable bytes was not allocated with size 1000, align 64/],
    [100, 2 ** 20, /size 100, align 1048576/],
  ] as const) {
    const error = t.throws(() => heap.dealloc(block, size, align), { message }) as AllocError;
    t.is(error.code, 'InvalidParam');
    heap.validate({ quiet: true });
  }
  t.throws(() => heap.dealloc(block, 100, 3), { message: /align.*3/ });
  heap.dealloc(block, 100, 64);
  t.throws(() => heap.dealloc(block, 100, 64), { message: /dealloc\(\d+\): no such block is handed out/ });
  t.throws(() => heap.alloc(2 ** 33, 64), { message: /no 8589934592 bytes aligned to 64 are free/ });
  t.deepEqual(errors, [], 'what is thrown is not reported besides');
  heap.validate({ quiet: true });
});

test('without a hook of its own a wrong free is printed where the output goes', (t) => {
  const heap = small();
  const lines: string[] = [];
  heap.registerOutput((text) => lines.push(text));
  heap.free(4096);
  t.is(lines.length, 1);
  t.regex(lines[0], /^AllocError.*: free\(4096\): no such block is handed out\n$/);
});

test('without any hook a wrong free is printed on the console', (t) => {
  const heap = small();
  const { error } = console;
  const printed: unknown[] = [];
  console.error = (line: unknown) => printed.push(line);
  try {
    heap.free(4096);
  } finally {
    console.error = error;
  }
  t.is(printed.length, 1);
  t.regex(String(printed[0]), /^AllocError.*: free\(4096\): no such block is handed out$/);
});

test('the error hook may use the heap, and may throw', (t) => {
  const heap = small();
  let block = 0;
  heap.registerError(() => {
    block = heap.malloc(10);
    heap.validate({ quiet: true });
  });
  heap.free(4096);
  t.not(block, 0);
  heap.registerError((error) => {
    throw error;
  });
  t.throws(() => heap.free(4096), { message: /free\(4096\)/ });
  t.throws(() => heap.realloc(4096, 1), { message: /realloc\(4096\)/ });
  heap.validate({ quiet: true });
  emptyOut(t, heap, [block]);
});

test('a second thread refuses the same addresses, and frees of it change nothing', (t) => {
  const a = small();
  const { heap: b, errors } = watch(MiMalloc.attach(a.share()));
  const block = a.malloc(100);
  const large = a.malloc(50_000);
  for (const [address, where] of [
    [64, 'the header'],
    [large + 8, 'inside a large block'],
    [block + 4, 'no multiple of 8'],
    [block + 8, 'inside a small block'],
    [b.memory.end - 8, 'free memory'],
  ] as const) {
    refusesEverywhere(t, b, errors, address, where);
  }
  a.validate({ quiet: true });
  t.is(tldOf(a).i32[tldOf(a).heap + Heap.delayedFree], 0);
  emptyOut(t, a, [block, large]);
});
