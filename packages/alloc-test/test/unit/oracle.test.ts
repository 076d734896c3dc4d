import { CheckedAllocator, Oracle, type ViolationKind } from '@shmalloc/alloc-test/oracle';
import { SharedMemory } from '@shmalloc/allocator-api';
import test from 'ava';
import { FAULTS } from '../support/faults.js';
import { Reference } from '../support/reference.js';

const BYTES = 1 << 20;

/** A heap of this class with an oracle beside it. */
function watch<H extends Reference>(heapClass: { create(options: object): H }) {
  const heap = heapClass.create({ bytes: BYTES });
  const oracle = Oracle.create({ bytes: BYTES });
  return { heap, oracle, checked: new CheckedAllocator(heap, oracle, 0) };
}

/** A little of everything. */
function exercise(checked: CheckedAllocator): void {
  const blocks: [number, number][] = [];
  for (let size = 1; size < 400; size += 7) {
    blocks.push([checked.malloc(size), size]);
    blocks.push([checked.calloc(size, 2), 2 * size]);
    blocks.push([checked.alignedAlloc(64, size), size]);
    const [address, old] = blocks[blocks.length - 3];
    blocks[blocks.length - 3] = [checked.realloc(address, old, 16, size * 3), size * 3];
    if (size % 3 === 0) for (const [block, bytes] of blocks.splice(0, 5)) checked.free(block, bytes);
  }
  for (const [block, bytes] of blocks) checked.free(block, bytes);
}

test('a correct allocator causes no violation', (t) => {
  const { oracle, checked } = watch(Reference);
  exercise(checked);
  t.deepEqual(oracle.violations(), []);
  t.is(oracle.violationCount, 0);
  t.deepEqual([...oracle.liveBlocks()], []);
});

test('a block in memory that has come since a thread looked is verified when that thread frees it', (t) => {
  const mine = SharedMemory.create({ bytes: 1 << 16, maxBytes: 1 << 18, backing: 'wasm' });
  const oracle = Oracle.create({ bytes: 1 << 18 });
  const over = (memory: SharedMemory, thread: number): CheckedAllocator => {
    const give = (): number => 1 << 16;
    const rest = { calloc: give, realloc: give, alignedAlloc: give, usableSize: () => 100, free: () => {} };
    return new CheckedAllocator({ memory, malloc: give, ...rest }, oracle, thread);
  };
  const theirs = SharedMemory.from(mine.source);
  mine.grow(1 << 16);
  const block = over(mine, 0).malloc(100);
  over(theirs, 1).free(block, 100);
  t.deepEqual(oracle.violations(), []);
  over(mine, 0).malloc(100);
  mine.u8[block + 7] ^= 1;
  over(SharedMemory.from(mine.source), 1).free(block, 100);
  t.is(oracle.violations()[0].kind, 'contents');
});

const NAMED: [fault: keyof typeof FAULTS, kind: ViolationKind, message: RegExp][] = [
  ['Overlapping', 'overlap', /thread 0: \w+ gave \[\d+, \d+\), which overlaps \[\d+, \d+\) of thread 0/],
  ['Unaligned', 'misaligned', /gave \d+, which is no multiple of 64/],
  ['Crooked', 'misaligned', /which is no multiple of (8|16)/],
  ['Overmerging', 'overlap', /which overlaps/],
  [
    'Forgetful',
    'contents',
    /realloc: byte 0 of the block \[\d+, \d+\) is 0x[0-9a-f]{2}, it was 0x[0-9a-f]{2}/,
  ],
  ['Unclean', 'not-zeroed', /calloc: byte \d+ of the block \[\d+, \d+\) is 0x[0-9a-f]{2}, not 0/],
  ['Understating', 'usable', /of \d+ bytes gave \d+, and usableSize says \d+ there/],
  ['Straying', 'outside', /gave \[1048568, \d+\), which is not inside the region \[0, 1048576\)/],
  ['Senseless', 'outside', /gave \[NaN, NaN\)/],
  ['Scribbling', 'contents', /: byte 2 of the block/],
];

for (const [fault, kind, message] of NAMED) {
  test(`${fault.toLowerCase()}: the oracle names '${kind}'`, (t) => {
    const { oracle, checked } = watch(FAULTS[fault] as typeof Reference);
    exercise(checked);
    t.true(oracle.violationCount > 0);
    const found = oracle.violations().find((each) => each.kind === kind);
    t.truthy(found, JSON.stringify(oracle.violations().slice(0, 3)));
    t.regex(found!.message, message);
  });
}

test('an overlap names both owners', (t) => {
  const { heap, oracle, checked } = watch(Reference);
  const block = checked.malloc(100);
  const other = new CheckedAllocator({ ...stub(heap.memory), malloc: () => block + 32 }, oracle, 7);
  other.malloc(50);
  const [violation] = oracle.violations();
  t.like(violation, { kind: 'overlap', thread: 7, address: block + 32, size: 50 });
  t.deepEqual(violation.other, { thread: 0, address: block, size: 100 });
  t.is(
    violation.message,
    `thread 7: malloc gave [${block + 32}, ${block + 82}), which overlaps [${block}, ${block + 100}) of thread 0`,
  );
});

test('an overlap inside a block of many MiB names its owner', (t) => {
  const memory = SharedMemory.create({ bytes: 1 << 25 });
  const oracle = Oracle.create({ bytes: 1 << 25 });
  const size = 20 << 20;
  new CheckedAllocator({ ...stub(memory), alignedAlloc: () => 4088 }, oracle, 3).alignedAlloc(8, size);
  const late = (address: number, thread: number) =>
    new CheckedAllocator({ ...stub(memory), malloc: () => address }, oracle, thread).malloc(64);
  late(4096 * 1000, 4);
  late(4088 + size - 8, 5);
  late(4088 + size + 56, 6);
  t.deepEqual(
    oracle.violations().map(({ thread, other }) => [thread, other]),
    [4, 5].map((thread) => [thread, { thread: 3, address: 4088, size }]),
  );
  // A block over all of it, whose pages are partly and wholly taken.
  new CheckedAllocator({ ...stub(memory), malloc: () => 4096 }, oracle, 8).malloc(1 << 20);
  new CheckedAllocator({ ...stub(memory), malloc: () => (4096 * 5200) & ~4095 }, oracle, 9).malloc(4096 * 8);
  t.is(oracle.violationCount, 3);
});

test('a page that is to be taken whole knows the block on a part of it', (t) => {
  const memory = SharedMemory.create({ bytes: 1 << 20 });
  const oracle = Oracle.create({ bytes: 1 << 20 });
  new CheckedAllocator({ ...stub(memory), malloc: () => 8192 + 4000 }, oracle, 1).malloc(50);
  new CheckedAllocator({ ...stub(memory), malloc: () => 4096 }, oracle, 2).malloc(16_384);
  t.deepEqual(oracle.violations()[0].other, { thread: 1, address: 12_192, size: 50 });
});

test('a write into a live block is named by its first wrong byte', (t) => {
  for (const [size, byte] of [
    [10, 9],
    [100, 0],
    [100, 50],
    [1000, 999],
    [5000, 255],
    [5000, 4096],
    [5000, 4999],
    [100_000, 81_922],
  ]) {
    const { heap, oracle, checked } = watch(Reference);
    const address = checked.malloc(size);
    const was = heap.memory.u8[address + byte];
    heap.memory.u8[address + byte] = was ^ 0xff;
    checked.free(address, size);
    const hex = (value: number) => `0x${value.toString(16).padStart(2, '0')}`;
    const [{ kind, message }] = oracle.violations();
    t.is(kind, 'contents');
    t.true(
      message.includes(`byte ${byte} of`) && message.endsWith(`is ${hex(was ^ 0xff)}, it was ${hex(was)}`),
      message,
    );
  }
});

test('a block of another thread is verified in memory that has come since this thread looked', (t) => {
  const theirs = SharedMemory.create({ bytes: 65536, maxBytes: BYTES });
  const ours = SharedMemory.from(theirs.source);
  const oracle = Oracle.create({ bytes: BYTES });
  const block = theirs.grow(65536);
  const other = new CheckedAllocator({ ...stub(theirs), malloc: () => block }, oracle, 1);
  const checked = new CheckedAllocator(stub(ours), oracle, 2);
  t.is(other.malloc(100), block);
  t.is(ours.byteLength, 65536);
  checked.free(block, 100);
  t.deepEqual(oracle.violations(), []);
});

test('a calloc block is looked at in all its parts', (t) => {
  for (const [size, byte] of [
    [3, 2],
    [100, 57],
    [60_000, 31_234],
    [200_000, 100],
    [200_000, 4096 + 64 * 100],
    [200_001, 200_000],
  ]) {
    const memory = SharedMemory.create({ bytes: BYTES });
    const oracle = Oracle.create({ bytes: BYTES });
    memory.u8[64 + byte] = 1;
    new CheckedAllocator({ ...stub(memory), calloc: () => 64 }, oracle, 0).calloc(1, size);
    t.is(
      oracle.violations()[0]?.message,
      `thread 0: calloc: byte ${byte} of the block [64, ${64 + size}) is 0x01, not 0`,
    );
  }
});

test('a block that is not live cannot be given back', (t) => {
  const { oracle, checked } = watch(Reference);
  const address = checked.malloc(100);
  checked.free(address, 99);
  checked.free(4096, 8);
  t.deepEqual(
    oracle.violations().map(({ kind }) => kind),
    ['not-live', 'not-live'],
  );
  t.regex(oracle.violations()[1].message, /free of 4096 with 8 bytes: no such block is live/);
});

test('a free beside a live block is named, and the block stays live', (t) => {
  const { oracle, checked } = watch(Reference);
  const block = checked.malloc(100);
  for (const wrong of [block + 4, block + 8, block + 2 ** 32]) checked.free(wrong, 100);
  t.deepEqual(
    oracle.violations().map(({ kind }) => kind),
    ['not-live', 'not-live', 'not-live'],
  );
  checked.free(block, 100);
  t.is(oracle.violationCount, 3);
});

test('memory outside the region counts as outside, unless it is said to be the allocator’s', (t) => {
  const memory = SharedMemory.create({ bytes: 1 << 20 });
  const region = SharedMemory.from(memory.source, 65536, 131072);
  for (const [address, range, outside] of [
    [65536, {}, false],
    [65528, {}, true],
    [131064, {}, true],
    [65528, { start: 0 }, false],
    [131064, { end: 1 << 20 }, false],
    [131064, { start: 0 }, true],
    [(1 << 20) - 8, { end: 1 << 21 }, true],
  ] as const) {
    const oracle = Oracle.create({ bytes: 1 << 20 });
    new CheckedAllocator({ ...stub(region), malloc: () => address }, oracle, 0, range).malloc(15);
    const kinds = oracle.violations().map(({ kind }) => kind);
    t.deepEqual(kinds, outside ? ['outside'] : [], `${address} ${JSON.stringify(range)}`);
  }
});

test('a block of 0 bytes has an address inside the region too', (t) => {
  const memory = SharedMemory.create({ bytes: 65536 });
  const oracle = Oracle.create({ bytes: 65536 });
  new CheckedAllocator({ ...stub(memory), malloc: () => 65528 }, oracle, 0).malloc(0);
  t.is(oracle.violationCount, 0);
  new CheckedAllocator({ ...stub(memory), malloc: () => 65536 }, oracle, 0).malloc(0);
  t.is(oracle.violations()[0].kind, 'outside');
});

test('a usable size of one byte less than asked for, or of nothing, is named', (t) => {
  const memory = SharedMemory.create({ bytes: 65536 });
  for (const usable of [99, 0, Number.NaN, undefined]) {
    const oracle = Oracle.create({ bytes: 65536 });
    const usableSize = () => usable as number;
    new CheckedAllocator({ ...stub(memory), malloc: () => 64, usableSize }, oracle, 0).malloc(100);
    t.is(oracle.violations()[0].kind, 'usable', `${usable}`);
  }
});

test('a block beyond what the oracle was made for is outside, and the message says how far that is', (t) => {
  const memory = SharedMemory.create({ bytes: 1 << 17 });
  const oracle = Oracle.create({ bytes: 1 << 16 });
  new CheckedAllocator({ ...stub(memory), malloc: () => 1 << 16 }, oracle, 0).malloc(8);
  t.regex(
    oracle.violations()[0].message,
    /gave \[65536, 65544\), which is not inside the region \[0, 65536\)/,
  );
});

test('a block that was refused is not reported again when it is freed', (t) => {
  const { heap, oracle, checked } = watch(Reference);
  const block = checked.malloc(100);
  const other = new CheckedAllocator({ ...stub(heap.memory), malloc: () => block + 16 }, oracle, 1);
  other.free(other.malloc(40), 40);
  checked.free(block, 100);
  t.is(oracle.violationCount, 1);
});

test('the list of violations is bounded, their count is exact', (t) => {
  const memory = SharedMemory.create({ bytes: BYTES });
  const oracle = Oracle.create({ bytes: BYTES, maxViolations: 3 });
  const checked = new CheckedAllocator({ ...stub(memory), malloc: () => 4100 }, oracle, 0);
  for (let turn = 0; turn < 10; turn++) checked.malloc(16);
  t.is(oracle.violationCount, 10);
  t.is(oracle.violations().length, 3);
});

test('what one thread finds another reads', (t) => {
  const { heap, oracle, checked } = watch(Reference);
  const block = checked.malloc(64);
  const there = Oracle.attach(structuredClone(oracle.share()));
  new CheckedAllocator({ ...stub(heap.memory), malloc: () => block }, there, 1).malloc(8);
  t.is(oracle.violationCount, 1);
  t.deepEqual(oracle.violations(), there.violations());
  t.deepEqual([...there.liveBlocks()], [{ thread: 0, address: block, size: 64 }]);
});

test('a realloc that fails leaves the old block live and intact', (t) => {
  const { heap, oracle, checked } = watch(Reference);
  const block = checked.malloc(64);
  t.is(checked.realloc(block, 64, 16, 2 ** 31), 0);
  t.deepEqual([...oracle.liveBlocks()], [{ thread: 0, address: block, size: 64 }]);
  t.is(oracle.violationCount, 0);
  const realloc = (): number => {
    heap.memory.u8[block + 3] ^= 1;
    return 0;
  };
  const spoiling = new CheckedAllocator({ ...stub(heap.memory), realloc }, oracle, 0);
  spoiling.realloc(block, 64, 16, 128);
  t.regex(oracle.violations()[0].message, /realloc: byte 3 of/);
});

test('what the allocator throws is counted and thrown on', (t) => {
  const { oracle, checked } = watch(FAULTS.Throwing);
  const block = checked.malloc(8);
  const calls = [
    () => [1, 2, 3].map(() => checked.malloc(8)),
    () => checked.calloc(1, 8),
    () => checked.alignedAlloc(64, 8),
    () => checked.realloc(block, 8, 8, 16),
    () => checked.free(0, 0),
  ];
  for (const call of calls) t.throws(call, { message: 'out of patience' });
  t.deepEqual(
    oracle.violations().map(({ message }) => message.replace(/ of \d+ bytes/, '')),
    ['malloc', 'calloc', 'alignedAlloc', 'realloc', 'free'].map(
      (operation) => `thread 0: ${operation} threw an error`,
    ),
  );
});

test('an oracle takes sensible numbers only', (t) => {
  t.throws(() => Oracle.create({ bytes: -1 }), { instanceOf: RangeError });
  t.throws(() => Oracle.create({ bytes: 2 ** 32 + 1 }), { message: /4294967297/ });
  t.throws(() => Oracle.create({ bytes: 8, maxViolations: 1.5 }), { instanceOf: RangeError });
  const { heap, oracle } = watch(Reference);
  t.throws(() => new CheckedAllocator(heap, oracle, 4095), { message: /4095/ });
});

test('a region of 4 GiB is watched up to its last byte', (t) => {
  const memory = SharedMemory.create({ memory: new SharedArrayBuffer(2 ** 32) });
  const oracle = Oracle.create({ bytes: 2 ** 32 });
  const at = 2 ** 32 - 65_536;
  const checked = new CheckedAllocator({ ...stub(memory), malloc: () => at }, oracle, 0);
  checked.malloc(65_536);
  t.deepEqual([...oracle.liveBlocks()], [{ thread: 0, address: at, size: 65_536 }]);
  checked.free(at, 65_536);
  checked.malloc(65_537);
  t.deepEqual(
    oracle.violations().map(({ kind }) => kind),
    ['outside'],
  );
});

/** An allocator that can do nothing, to be overridden. */
function stub(memory: SharedMemory) {
  const nothing = (): number => 0;
  return {
    memory,
    malloc: nothing,
    calloc: nothing,
    realloc: nothing,
    alignedAlloc: nothing,
    free: () => {},
    usableSize: () => 2 ** 32,
  };
}
