/**
 * Bad input: every kind is refused with an error that names the value, and the heap is as it was.
 */

import { AllocError, type Handle, type Heap } from '@shmalloc/allocator-api';
import { type Bench, type Check, expect, expectBlock, expectEmpty } from './bench.ts';

/** Wrong arguments are made on purpose here. */
type Wrong = never;

/** A value, how it must read in the message, and the error that it is. */
type BadValue = readonly [value: unknown, shown: string, error: typeof TypeError | typeof RangeError];

/** What is no size and no address. */
const NO_INTEGERS: readonly BadValue[] = [
  [-1, '-1', RangeError],
  [1.5, '1.5', RangeError],
  [Number.NaN, 'NaN', RangeError],
  [Number.POSITIVE_INFINITY, 'Infinity', RangeError],
  ['8', '8', TypeError],
  [undefined, 'undefined', TypeError],
  [null, 'null', TypeError],
  [8n, '8n', TypeError],
  [{}, 'object', TypeError],
];

/** What is no alignment, beyond the above. */
const NO_ALIGNMENTS = [0, 3, 24, 4097, 2 ** 32];

const MEMORY_BYTES = 1 << 20;

/** Every kind of bad input. */
export function badInputChecks(bench: Bench): Check[] {
  const locks: Check[] =
    bench.locks === false ? [] : [{ title: 'an unknown lock is refused', run: unknownLock }];
  return [
    { title: 'a size that is no non-negative integer is refused by name', run: badSizes },
    { title: 'an alignment that is no power of two is refused by name', run: badAlignments },
    { title: 'an address that is no non-negative integer is refused by name', run: badAddresses },
    { title: 'a region that does not fit is refused', run: badRegions },
    { title: 'memory that threads cannot share is refused', run: badMemory },
    ...locks,
    { title: 'attach refuses what is no handle, and a handle of another algorithm', run: badHandles },
    { title: 'attach refuses a foreign buffer, a wrong magic and a wrong version', run: badHeaders },
    { title: 'a heap cannot be used after detach; others go on', run: detached },
    {
      title: 'debug: a free of what was never handed out is reported and changes nothing',
      run: freeOfUnknown,
    },
    { title: 'debug: a free inside a block is reported and changes nothing', run: freeInside },
    { title: 'debug: a second free is reported and changes nothing', run: freeTwice },
    {
      title: 'debug: a free of a block from before init is reported and changes nothing',
      run: freeForgotten,
    },
  ];
}

/** Demands that a call throws this error, and that its message names the value (in letters of any case). */
export function expectRefusal(
  what: string,
  call: () => unknown,
  kind: typeof TypeError | typeof RangeError | typeof AllocError,
  shown: string,
): void {
  let result: unknown;
  try {
    result = call();
  } catch (error) {
    const found = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    expect(error instanceof kind, `${what} threw ${found}, not ${kind.name}`);
    const named = error.message.toLowerCase().includes(shown.toLowerCase());
    expect(named, `${what} threw "${found}", which does not name ${shown}`);
    return;
  }
  throw new Error(`${what} gave ${result} instead of ${kind.name}`);
}

/** Demands an AllocError `InvalidParam`, or another. */
function expectInvalid(what: string, call: () => unknown, shown = '', wanted = 'InvalidParam'): void {
  expectRefusal(what, call, AllocError, shown);
  try {
    call();
  } catch (error) {
    const { code } = error as AllocError;
    expect(code === wanted, `${what} threw an AllocError ${code}, not ${wanted}`);
  }
}

/** Runs calls that must all be refused, on a heap that must not notice. */
function onUntouchedHeap(bench: Bench, run: (heap: Heap, block: number) => void): void {
  const watched = bench.watch(bench.small());
  const { heap, checked } = watched;
  const before = heap.usedBytes();
  const block = expectBlock(checked.malloc(100), 'malloc(100)');
  const used = heap.usedBytes();
  run(heap, block);
  expect(heap.usedBytes() === used, 'calls that were refused changed the bytes in use');
  checked.free(block, 100);
  expectEmpty(watched, before);
}

export function badSizes(bench: Bench): void {
  onUntouchedHeap(bench, (heap, block) => {
    for (const [value, shown, kind] of NO_INTEGERS) {
      const size = value as Wrong;
      expectRefusal(`malloc(${shown})`, () => heap.malloc(size), kind, shown);
      expectRefusal(`calloc(${shown}, 1)`, () => heap.calloc(size, 1), kind, shown);
      expectRefusal(`calloc(1, ${shown})`, () => heap.calloc(1, size), kind, shown);
      expectRefusal(`realloc(0, ${shown})`, () => heap.realloc(0, size), kind, shown);
      expectRefusal(`realloc(block, ${shown})`, () => heap.realloc(block, size), kind, shown);
      expectRefusal(`alignedAlloc(16, ${shown})`, () => heap.alignedAlloc(16, size), kind, shown);
      expectRefusal(`alignedAlloc(64, ${shown})`, () => heap.alignedAlloc(64, size), kind, shown);
      expectRefusal(`alloc(${shown}, 16)`, () => heap.alloc(size, 16), kind, shown);
      expectRefusal(`dealloc(block, ${shown}, 16)`, () => heap.dealloc(block, size, 16), kind, shown);
    }
    // Large is not wrong: no memory has so much.
    for (const size of [2 ** 53, Number.MAX_VALUE])
      expect(heap.malloc(size) === 0, `malloc(${size}) gave a block`);
  });
}

export function badAlignments(bench: Bench): void {
  onUntouchedHeap(bench, (heap, block) => {
    for (const align of NO_ALIGNMENTS) {
      expectInvalid(`alignedAlloc(${align}, 64)`, () => heap.alignedAlloc(align, 64), String(align));
      expectInvalid(`alloc(64, ${align})`, () => heap.alloc(64, align), String(align));
      expectInvalid(`dealloc(block, 100, ${align})`, () => heap.dealloc(block, 100, align), String(align));
    }
    for (const [value, shown, kind] of NO_INTEGERS) {
      const align = value as Wrong;
      expectRefusal(`alignedAlloc(${shown}, 64)`, () => heap.alignedAlloc(align, 64), kind, shown);
      expectRefusal(`alloc(64, ${shown})`, () => heap.alloc(64, align), kind, shown);
    }
  });
}

export function badAddresses(bench: Bench): void {
  onUntouchedHeap(bench, (heap) => {
    for (const [value, shown, kind] of NO_INTEGERS) {
      const address = value as Wrong;
      expectRefusal(`free(${shown})`, () => heap.free(address), kind, shown);
      expectRefusal(`realloc(${shown}, 8)`, () => heap.realloc(address, 8), kind, shown);
      expectRefusal(`usableSize(${shown})`, () => heap.usableSize(address), kind, shown);
      expectRefusal(`dealloc(${shown}, 8, 8)`, () => heap.dealloc(address, 8, 8), kind, shown);
      expectRefusal(`addMemory(${shown}, 4096)`, () => heap.addMemory(address, 4096), kind, shown);
      expectRefusal(`init(4096, ${shown})`, () => heap.init(4096, address), kind, shown);
    }
  });
}

export function badRegions(bench: Bench): void {
  const memory = new SharedArrayBuffer(MEMORY_BYTES);
  const create =
    (options: object): (() => Heap) =>
    () =>
      bench.create(options as Wrong);
  expectInvalid(
    'an end behind the memory',
    create({ memory, end: MEMORY_BYTES + 4096 }),
    String(MEMORY_BYTES + 4096),
  );
  expectInvalid('a start behind the end', create({ memory, start: 8192, end: 4096 }), '8192');
  expectInvalid(
    'a start behind the memory',
    create({ memory, start: 2 * MEMORY_BYTES }),
    String(2 * MEMORY_BYTES),
  );
  expectInvalid('a region of 16 bytes', create({ memory, end: 16 }), '16', 'RegionTooSmall');
  expectInvalid('an empty region', create({ memory, start: 4096, end: 4096 }), '4096', 'RegionTooSmall');
  expectInvalid('bytes beside memory', create({ memory, bytes: MEMORY_BYTES }), 'bytes');
  expectInvalid('bytes of 8 GiB', create({ bytes: 2 ** 33 }), String(2 ** 33));
  for (const [value, shown, kind] of NO_INTEGERS) {
    if (value === undefined || value === null) continue;
    expectRefusal(`bytes: ${shown}`, create({ bytes: value }), kind, shown);
    expectRefusal(`start: ${shown}`, create({ memory, start: value }), kind, shown);
    expectRefusal(`end: ${shown}`, create({ memory, end: value }), kind, shown);
  }
}

export function badMemory(bench: Bench): void {
  const unshared = new WebAssembly.Memory({ initial: 16, maximum: 16 });
  for (const [what, memory] of [
    ['an ArrayBuffer', new ArrayBuffer(MEMORY_BYTES)],
    ['an unshared WebAssembly.Memory', unshared],
    ['a Uint8Array', new Uint8Array(16)],
    ['a number', 7],
  ] as const) {
    expectRefusal(
      `${what} as memory`,
      () => bench.create({ memory: memory as unknown as Wrong }),
      TypeError,
      'memory',
    );
  }
}

export function unknownLock(bench: Bench): void {
  expectInvalid(
    "lock: 'none of these'",
    () => bench.small({ lock: 'none of these' as Wrong }),
    'none of these',
  );
  expectRefusal('lock: 7', () => bench.small({ lock: 7 as unknown as Wrong }), TypeError, '7');
}

export function badHandles(bench: Bench): void {
  const { algorithm: allocator } = bench.subject;
  for (const [value, shown] of [
    [undefined, 'Undefined'],
    [null, 'Null'],
    [42, 'Number'],
    [{}, 'Object'],
    ['heap', 'String'],
  ] as const) {
    expectRefusal(`attach(${shown})`, () => allocator.attach(value as unknown as Wrong), TypeError, shown);
  }
  const handle: Handle = { ...bench.small().share(), algorithm: 'another one' };
  expectInvalid('attach to a handle of another algorithm', () => allocator.attach(handle), 'another one');
}

export function badHeaders(bench: Bench): void {
  const { algorithm: allocator } = bench.subject;
  const heap = bench.small();
  const handle = heap.share();
  const foreign = new SharedArrayBuffer(bench.heapBytes);
  expectInvalid('attach to memory without a heap', () => allocator.attach({ ...handle, memory: foreign }));
  expectInvalid('attach beside the heap', () => allocator.attach({ ...handle, start: handle.start + 4096 }));
  expectInvalid('attach behind the memory', () => allocator.attach({ ...handle, start: bench.heapBytes }));

  const magic = heap.memory.i32;
  const word = handle.start / 4;
  const refused: number[] = [];
  for (let field = 0; field < 4; field++) {
    const old = magic[word + field];
    magic[word + field] = old + 1;
    try {
      allocator.attach(handle);
    } catch (error) {
      refused.push(field);
      expect(error instanceof AllocError, `attach to a damaged header threw ${error}`);
    }
    magic[word + field] = old;
  }
  expect(refused.includes(0), 'attach took a header with a wrong magic (its first word)');
  expect(refused.length > 1, 'attach took a header whatever its second to fourth word, and so any version');
  allocator.attach(handle).detach();
}

export function detached(bench: Bench): void {
  const heap = bench.small();
  const other = bench.subject.algorithm.attach(heap.share());
  const block = expectBlock(heap.malloc(100), 'malloc(100)');
  const disposed = bench.subject.algorithm.attach(heap.share());
  heap.detach();
  disposed[Symbol.dispose]();
  for (const gone of [heap, disposed]) {
    for (const [what, call] of [
      ['malloc', () => gone.malloc(8)],
      ['calloc', () => gone.calloc(1, 8)],
      ['realloc', () => gone.realloc(block, 8)],
      ['alignedAlloc', () => gone.alignedAlloc(64, 8)],
      ['free', () => gone.free(block)],
      ['alloc', () => gone.alloc(8, 8)],
      ['usableSize', () => gone.usableSize(block)],
      ['usedBytes', () => gone.usedBytes()],
      ['validate', () => gone.validate()],
    ] as const) {
      expectRefusal(`${what} after detach`, call, AllocError, 'detach');
    }
  }
  expect(other.usableSize(block) >= 100, 'a detach took away a block of another thread');
  other.free(block);
  other.validate();
}

/** Frees what is not handed out; demands one report for each, and that nothing has changed. */
function expectReported(heap: Heap, wrong: readonly number[]): void {
  const errors: AllocError[] = [];
  heap.registerError((error) => errors.push(error));
  for (const address of wrong) {
    const used = heap.usedBytes();
    const reported = errors.length;
    heap.free(address);
    expect(errors.length === reported + 1, `free(${address}) was reported ${errors.length - reported} times`);
    const { code, message } = errors[reported];
    expect(code === 'NotAllocated' || code === 'DoubleFree', `free(${address}) was reported as ${code}`);
    expect(message.includes(String(address)), `the report "${message}" does not name ${address}`);
    expectRefusal(`dealloc(${address})`, () => heap.dealloc(address, 8, 8), AllocError, String(address));
    expect(heap.usedBytes() === used, `free(${address}) changed the bytes in use`);
    heap.validate();
  }
}

/** The same on a heap with `debug` and some blocks, which can still be freed properly afterwards. */
function expectReports(bench: Bench, wrong: (heap: Heap, blocks: readonly number[]) => number[]): void {
  const watched = bench.watch(bench.small({ debug: true }));
  const { heap, checked } = watched;
  const before = heap.usedBytes();
  const blocks = Array.from({ length: 8 }, () => expectBlock(checked.malloc(120), 'malloc(120)'));
  expectReported(heap, wrong(heap, blocks));
  let reported = 0;
  heap.registerError(() => reported++);
  for (const block of blocks) checked.free(block, 120);
  expect(reported === 0, 'a proper free was reported');
  expectEmpty(watched, before);
}

export function freeOfUnknown(bench: Bench): void {
  expectReports(bench, (heap, blocks) => {
    const end = heap.memory.end;
    const free = Math.floor((Math.max(...blocks) + end) / 2 / 64) * 64;
    return [8, 64, 4, free, free + 16, free + 24, end - 16, end, end + 4096, 2 ** 31, 2 ** 32 - 16, 2 ** 40];
  });
}

export function freeInside(bench: Bench): void {
  const inside = [4, 8, 16, 24, 32, 48, 64, 112];
  expectReports(bench, (_heap, blocks) => inside.map((offset) => blocks[3] + offset));
  // What stands before a block may be its header: copied into another block it must not make a block of that.
  const bait = bench.small({ debug: true });
  let errors = 0;
  bait.registerError(() => errors++);
  const [block, other] = [expectBlock(bait.malloc(120), 'malloc'), expectBlock(bait.malloc(120), 'malloc')];
  bait.memory.u8.copyWithin(block, other - 16, other + 32);
  const used = bait.usedBytes();
  for (const offset of [8, 16, 24, 32]) bait.free(block + offset);
  expect(errors === 4, `${4 - errors} frees behind something that looks like a header were not reported`);
  expect(
    bait.usedBytes() === used,
    'a free behind something that looks like a header changed the bytes in use',
  );
  bait.validate();
}

export function freeTwice(bench: Bench): void {
  expectReports(bench, (heap) => {
    // Alone, beside a free block on the left, on the right, and on both sides.
    const row = Array.from({ length: 7 }, () => expectBlock(heap.malloc(64), 'malloc(64)'));
    const gone = [row[1], row[3], row[2], row[5], row[4], row[0], row[6]];
    for (const block of gone) heap.free(block);
    return gone;
  });
}

export function freeForgotten(bench: Bench): void {
  const heap = bench.small({ debug: true });
  const size = Math.floor(bench.heapBytes / 8) * 4;
  const start = heap.memory.end - size;
  heap.init(start, size);
  const forgotten = [8, 64, 200, 1000].map((bytes) => expectBlock(heap.malloc(bytes), `malloc(${bytes})`));
  heap.init(start, size);
  expectReported(heap, forgotten);
}
