/**
 * What holds for the region of every locked heap: one that may use it, NULL, growth by other threads, damage.
 * Each package on `heap-base` runs it on its own.
 */

import {
  AllocError,
  type AllocErrorCode,
  type HeapAlgorithm,
  type HeapOptions,
} from '@shmalloc/allocator-api';
import type { LockedHeap } from '@shmalloc/heap-base';
import type { TestFn } from 'ava';

const MIB = 2 ** 20;

/** What each heap has reported, by code. */
function watch(heap: LockedHeap): AllocErrorCode[] {
  const codes: AllocErrorCode[] = [];
  heap.registerError(({ code }) => codes.push(code));
  return codes;
}

/**
 * Registers the tests.
 * @param test - ava's
 * @param variants - options that choose another algorithm of the same class
 */
export function regionTests(
  test: TestFn,
  Algorithm: HeapAlgorithm<LockedHeap>,
  variants: readonly (HeapOptions & { readonly policy?: string })[] = [{}],
): void {
  // ── Sharing ──

  test('a heap has a spin lock unless it is asked for without, and can be shared', (t) => {
    const heap = Algorithm.create({ bytes: MIB });
    t.is(heap.stats().lock, 'spin');
    t.is(Algorithm.attach(heap.share()).stats().lock, 'spin');
    for (const lock of ['spin', 'mutex'] as const)
      t.is(Algorithm.attach(Algorithm.create({ bytes: MIB, lock }).share(), { lock }).stats().lock, lock);
  });

  test("a heap with lock 'none' refuses to be shared, and says what to do", (t) => {
    const heap = Algorithm.create({ bytes: MIB, lock: 'none' });
    t.is(heap.stats().lock, 'none');
    const message = /made with lock: 'none', for one thread.*'spin' or 'mutex'.*'outside'/;
    t.is(t.throws<AllocError>(() => heap.share(), { instanceOf: AllocError, message })?.code, 'Unsupported');
    // Nor can a handle that was put together by hand be used.
    const { algorithm } = Algorithm.create({ bytes: MIB }).share();
    const handle = { algorithm, memory: heap.memory.source, start: 1024 };
    t.is(t.throws<AllocError>(() => Algorithm.attach(handle), { message })?.code, 'Unsupported');
    t.not(heap.malloc(100), 0);
  });

  test("a heap with lock 'outside' is shared with those that ask for it", (t) => {
    const heap = Algorithm.create({ bytes: MIB, lock: 'outside' });
    const handle = heap.share();
    const refused = (call: () => unknown, message: RegExp): void => {
      t.is(t.throws<AllocError>(call, { instanceOf: AllocError, message })?.code, 'InvalidParam');
    };
    refused(
      () => Algorithm.attach(handle),
      /something else has to guard it. attach\(handle, \{ lock: 'outside' \}\)/,
    );
    refused(() => Algorithm.attach(handle, { lock: 'spin' }), /has lock: 'outside'/);
    const other = Algorithm.attach(handle, { lock: 'outside' });
    t.is(other.stats().lock, 'outside');
    other.free(heap.malloc(100));
    const locked = Algorithm.create({ bytes: MIB }).share();
    for (const lock of ['outside', 'none', 'mutex'] as const)
      refused(() => Algorithm.attach(locked, { lock }), new RegExp(`has lock: 'spin', not '${lock}'`));
    t.throws(() => Algorithm.attach(locked, { lock: 'string' as never }), {
      message: /lock must be one of .*"string"/,
    });
  });

  test('an unknown option is refused by create and by attach, which list those that are known', (t) => {
    const options = { bytes: MIB, lokc: 'mutex' };
    const message = /unknown option lokc; known are bytes, maxBytes.*lock, debug/;
    t.is(t.throws<AllocError>(() => Algorithm.create(options), { message })?.code, 'InvalidParam');
    const handle = Algorithm.create({ bytes: MIB }).share();
    t.throws(() => Algorithm.attach(handle, options as never), { message: /unknown option lokc; known are/ });
    t.throws(() => Algorithm.create(null as never), { instanceOf: TypeError });
  });

  // ── NULL ──

  /** A heap with blocks that have contents, which must not change. */
  function filled(bytes: number): { heap: LockedHeap; codes: AllocErrorCode[]; intact: () => boolean } {
    const heap = Algorithm.create({ bytes, backing: 'sab' });
    const codes = watch(heap);
    const blocks = [10, 100, 1000].map((size) => heap.malloc(size));
    blocks.push(heap.malloc(100));
    heap.free(blocks.pop() as number);
    for (const block of blocks) heap.memory.u8.fill(block & 0xff, block, block + heap.usableSize(block));
    const { u8 } = heap.memory;
    const contents = blocks.map((block) => u8.slice(block, block + heap.usableSize(block)));
    const intact = (): boolean =>
      blocks.every((block, nth) => contents[nth].every((byte, at) => u8[block + at] === byte));
    return { heap, codes, intact };
  }

  for (const [what, bytes, zone] of [
    ['the first KiB', MIB, 1024],
    ['the first 64 bytes of a small heap', 65536, 64],
  ] as const) {
    test(`a write through NULL to ${what} harms nothing, and each slow path tells it once`, (t) => {
      const { heap, codes, intact } = filled(bytes);
      const write = (): void => void heap.memory.u8.fill(1, 0, zone);
      const told = (call: () => unknown, expected: AllocErrorCode[]): void => {
        write();
        t.notThrows(call);
        t.deepEqual(codes.splice(0), expected);
        heap.validate();
        t.true(intact());
      };
      write();
      t.not(heap.malloc(100), 0);
      heap.free(heap.malloc(50));
      const other = Algorithm.attach(heap.share());
      other.free(other.malloc(100));
      t.deepEqual(codes, []);
      const found = t.throws<AllocError>(() => heap.validate(), {
        message: /the word at address 0 was written to \(0x1010101\): a write through NULL/,
      });
      t.is(found?.code, 'Corrupted');
      told(() => t.is(heap.malloc(2 * bytes), 0), ['Corrupted']);
      told(() => heap.free(8 * 1000 + 4), ['NotAllocated', 'Corrupted']);
      write();
      heap.detach();
      t.deepEqual(codes, ['Corrupted']);
      other.validate();
      t.true(intact());
    });
  }

  test('a single word written through NULL is told by init and addMemory too; a last one by detach', (t) => {
    const memory = new SharedArrayBuffer(4 * MIB);
    const heap = Algorithm.create({ memory, end: MIB });
    const codes = watch(heap);
    for (const [call, word] of [
      [() => heap.addMemory(2 * MIB, 65536), 0],
      [() => heap.init(3 * MIB, 65536), 100],
      [() => heap.detach(), 255],
    ] as const) {
      heap.memory.i32[word] = 0;
      call();
      t.deepEqual(codes.splice(0), ['Corrupted']);
    }
  });

  test('a view at NULL is refused by name, and no pool may lie there', (t) => {
    const heap = Algorithm.create({ bytes: MIB });
    t.throws(() => heap.memory.view('f64', heap.malloc(2 ** 26), 128), { message: /address 0 is NULL/ });
    for (const [start, size] of [
      [0, 1024],
      [16, 512],
      [512, 4096],
    ])
      t.is(t.throws<AllocError>(() => heap.addMemory(start, size))?.code, 'MemoryOverlap');
    heap.validate();
  });

  // ── Memory that other threads add ──

  for (const backing of ['wasm', 'sab'] as const) {
    test(`what lies in memory that another thread has added is read and written like any other (${backing})`, (t) => {
      const heap = Algorithm.create({ bytes: 131_072, maxBytes: 4 * MIB, backing });
      // An instance has views of its own: these two stand for two threads.
      const other = Algorithm.attach(heap.share());
      const codes = [watch(heap), watch(other)];
      const part = 524_288;
      const grow = (by: LockedHeap): number => {
        const start = by.memory.grow(part);
        by.addMemory(start, part);
        return start;
      };
      const old = other.malloc(1000);
      const behind = other.malloc(16); // so that what grows has to move
      other.memory.u8.fill(7, old, old + 1000);

      const first = grow(heap);
      const dirty = heap.malloc(200_000);
      t.true(dirty + 200_000 > first);
      heap.memory.u8.fill(0xff, dirty, dirty + 200_000);
      // Handed over, and known there, before that thread has done anything else.
      t.true(other.usableSize(dirty) >= 200_000);
      heap.free(dirty);

      grow(heap);
      const moved = other.realloc(old, 150_000);
      t.true(moved !== old && moved + 150_000 > first);
      t.true(heap.memory.u8.subarray(moved, moved + 1000).every((byte) => byte === 7));

      const last = grow(heap);
      // Whatever `calloc` is given was written to.
      const held: number[] = [];
      for (let block = heap.malloc(100_000); block !== 0; block = heap.malloc(100_000)) held.push(block);
      for (const block of held) heap.memory.u8.fill(0xee, block, block + 100_000);
      for (const block of held) heap.free(block);
      const zeroed = other.calloc(100_000, 1);
      t.not(zeroed, 0);
      t.true(heap.memory.u8.subarray(zeroed, zeroed + 100_000).every((byte) => byte === 0));
      // Both grow in turn, and see each other's.
      const theirs = grow(other);
      t.is(theirs, last + part);
      const there = other.alignedAlloc(4096, 250_000);
      t.true(heap.usableSize(there) >= 250_000);
      heap.free(there);
      other.free(moved);
      heap.free(zeroed);
      heap.free(behind);
      t.is(heap.usedBytes(), 0);
      t.is(other.usedBytes(), 0);
      t.deepEqual(heap.stats().totalBytes, other.stats().totalBytes);
      heap.validate();
      other.validate();
      t.deepEqual(codes, [[], []]);
    });
  }

  // ── Damage ──

  test('a write into a freed block is reported, and malloc comes back', (t) => {
    for (const options of variants) {
      const heap = Algorithm.create({ bytes: 8 * MIB, ...options });
      const codes = watch(heap);
      for (let nth = 0; nth < 40; nth++) heap.malloc(100);
      const block = heap.malloc(100);
      heap.malloc(100);
      heap.free(block);
      heap.memory.u8.fill(0x41, block, block + 8);
      for (let nth = 0; nth < 300; nth++) heap.malloc(100);
      t.true(codes.includes('Corrupted'));
      t.is(t.throws<AllocError>(() => heap.validate())?.code, 'Corrupted');
      // The lock was given back each time.
      t.is(heap.memory.i32[heap.share().start / 4 + 16], 0);
    }
  });
}
