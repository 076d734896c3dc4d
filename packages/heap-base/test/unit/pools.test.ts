import { AllocError, type AllocErrorCode, SharedMemory } from '@shmalloc/allocator-api';
import test from 'ava';
import { StackHeap } from '../support/stack-heap.js';

const KIB = 1024;

/** A heap over `[0, 64 KiB)` of a memory of 1 MiB: the rest can be added. */
function heapInLargeMemory(options = {}): StackHeap {
  const memory = SharedMemory.create({ bytes: 1024 * KIB }).source;
  return StackHeap.create({ memory, end: 64 * KIB, ...options });
}

/** The heap as the list of its blocks. */
function blocksOf(heap: StackHeap): [number, number, boolean][] {
  const blocks: [number, number, boolean][] = [];
  heap.walk((address, bytes, used) => blocks.push([address, bytes, used]));
  return blocks;
}

test('a new heap is one free block that fills its region', (t) => {
  const heap = StackHeap.create({ bytes: 64 * KIB });
  const [block, ...others] = blocksOf(heap);
  t.deepEqual(others, []);
  t.false(block[2]);
  t.is(block[1] + 4, heap.totalBytes());
  t.true(heap.totalBytes() > 64 * KIB - 512);
  heap.validate();
});

test('memory behind the pool becomes part of it, and a block may span the seam', (t) => {
  const heap = heapInLargeMemory();
  const before = heap.totalBytes();
  heap.addMemory(64 * KIB, 64 * KIB);
  heap.validate();
  t.is(heap.stats().pools, 1);
  t.is(heap.totalBytes(), before + 64 * KIB);
  const block = heap.malloc(100 * KIB);
  t.not(block, 0);
  heap.free(block);
  heap.validate();
  t.is(blocksOf(heap).length, 1);
});

test('memory in front of a pool becomes part of it', (t) => {
  const heap = heapInLargeMemory();
  heap.addMemory(512 * KIB, 64 * KIB);
  t.is(heap.stats().pools, 2);
  const far = heap.totalBytes();
  heap.addMemory(448 * KIB, 64 * KIB);
  heap.validate();
  t.is(heap.stats().pools, 2);
  t.is(heap.totalBytes(), far + 64 * KIB);
  t.not(heap.malloc(120 * KIB), 0);
  heap.validate();
});

test('memory between two pools makes them one', (t) => {
  for (const full of [false, true]) {
    const heap = heapInLargeMemory();
    heap.addMemory(128 * KIB, 64 * KIB);
    const held = full ? [heap.malloc(60 * KIB), heap.malloc(60 * KIB)] : [];
    t.is(heap.stats().pools, 2);
    heap.addMemory(64 * KIB, 64 * KIB);
    heap.validate();
    t.is(heap.stats().pools, 1);
    for (const block of held) heap.free(block);
    heap.validate();
    t.is(blocksOf(heap).length, 1);
    t.is(heap.usedBytes(), 0);
    t.not(heap.malloc(180 * KIB), 0);
  }
});

test('pools that touch nothing stay apart, and both are used', (t) => {
  const heap = heapInLargeMemory();
  heap.addMemory(256 * KIB, 64 * KIB);
  t.is(heap.stats().pools, 2);
  t.is(heap.malloc(70 * KIB), 0);
  const blocks = [heap.malloc(60 * KIB), heap.malloc(60 * KIB)].sort((a, b) => a - b);
  t.true(blocks[0] > 0 && blocks[0] < 64 * KIB);
  t.true(blocks[1] >= 256 * KIB);
  t.is(heap.realloc(blocks[0], 1 * KIB), blocks[0]);
  for (const block of blocks) heap.free(block);
  heap.validate();
  t.is(heap.usedBytes(), 0);
});

test('memory that is managed already, that is the state, that is outside or too small is refused by name', (t) => {
  const heap = heapInLargeMemory();
  const refused = (start: number, size: number, code: AllocErrorCode, message: RegExp): void => {
    const total = heap.totalBytes();
    const error = t.throws(() => heap.addMemory(start, size), { instanceOf: AllocError, message });
    t.is((error as AllocError).code, code);
    t.is(heap.totalBytes(), total);
    heap.validate();
  };
  refused(60 * KIB, 64 * KIB, 'MemoryOverlap', /overlaps the pool/);
  // The zone of NULL belongs to the state; so does each byte of it, and of the header behind it.
  refused(0, 64, 'MemoryOverlap', /overlaps the heap's own state \[0, 320\)/);
  refused(16, 48, 'MemoryOverlap', /overlaps the heap's own state \[0, 320\)/);
  refused(128, 64, 'MemoryOverlap', /overlaps the heap's own state \[0, 320\)/);
  refused(
    1000 * KIB,
    64 * KIB,
    'InvalidParam',
    /\[1024000, 1089536\) does not fit into memory of 1048576 bytes/,
  );
  refused(64 * KIB, 28, 'RegionTooSmall', /too small for a pool/);
  t.throws(() => heap.addMemory(-1, 32), { instanceOf: RangeError, message: /start .*-1/ });
  t.throws(() => heap.addMemory(64 * KIB, 1.5), { instanceOf: RangeError, message: /size .*1\.5/ });
});

test('a region that is too small is refused by name, and nothing in it has changed', (t) => {
  // 64 bytes of NULL, 256 of header and state, and the smallest pool.
  for (const bytes of [64, 128, 320, 380]) {
    const memory = new SharedArrayBuffer(bytes);
    new Uint8Array(memory).fill(0xaa);
    t.throws(() => StackHeap.create({ memory }), {
      instanceOf: AllocError,
      message: /too small: stack needs \d+ bytes/,
    });
    t.true(
      new Uint8Array(memory).every((byte) => byte === 0xaa),
      `${bytes}`,
    );
  }
  StackHeap.create({ bytes: 384, backing: 'sab' }).validate();
  // A region that starts elsewhere has no NULL in front.
  StackHeap.create({ memory: new SharedArrayBuffer(384), start: 64 }).validate();
});

test('init forgets everything and manages the new range alone', (t) => {
  for (const debug of [false, true]) {
    const heap = heapInLargeMemory({ debug });
    const old = heap.malloc(1000);
    heap.init(512 * KIB, 256 * KIB);
    heap.validate();
    t.is(heap.stats().pools, 1);
    t.is(heap.usedBytes(), 0);
    t.true(heap.malloc(10) >= 512 * KIB);
    const errors: string[] = [];
    heap.registerError((error) => errors.push(error.code));
    heap.free(old);
    t.deepEqual(errors, ['NotAllocated']);
    heap.validate();
  }
});

test('memory that grew in one instance is used and freed through another', (t) => {
  for (const backing of ['wasm', 'sab'] as const) {
    const heap = StackHeap.create({ bytes: 64 * KIB, maxBytes: 256 * KIB, backing, lock: 'spin' });
    const other = StackHeap.attach(heap.share());
    t.is(other.malloc(100 * KIB), 0);
    const grown = heap.memory.grow(128 * KIB);
    heap.addMemory(grown, 128 * KIB);
    const block = other.malloc(150 * KIB);
    t.not(block, 0);
    t.is(other.usableSize(block) >= 150 * KIB, true);
    other.memory.u8[block + 150 * KIB - 1] = 7;
    t.is(heap.memory.u8[block + 150 * KIB - 1], 7);
    heap.free(block);
    other.validate();
    t.is(other.usedBytes(), 0);
  }
});

test('the footprint is what was ever handed out, whatever was freed since', (t) => {
  const heap = StackHeap.create({ bytes: 1024 * KIB });
  const empty = heap.footprintBytes();
  t.true(empty < KIB);
  const block = heap.malloc(100 * KIB);
  t.true(heap.footprintBytes() >= empty + 100 * KIB && heap.footprintBytes() < empty + 101 * KIB);
  heap.free(block);
  const peak = heap.footprintBytes();
  for (let round = 0; round < 100; round++) heap.free(heap.malloc(50 * KIB));
  t.is(heap.footprintBytes(), peak);
  heap.malloc(200 * KIB);
  t.true(heap.footprintBytes() > peak);
});

test('the larger of two tails is the top, and the other is an ordinary free block', (t) => {
  const heap = heapInLargeMemory();
  heap.addMemory(256 * KIB, 128 * KIB);
  heap.validate();
  // The larger pool's tail is cut only when nothing else fits.
  t.true(heap.malloc(10 * KIB) < 64 * KIB);
  t.true(heap.malloc(60 * KIB) >= 256 * KIB);
  heap.addMemory(512 * KIB, 16 * KIB);
  heap.validate();
  t.true(heap.malloc(15 * KIB) >= 512 * KIB);
  heap.validate();
});

test('an aligned request is cut from the top, and the gap before it is free', (t) => {
  const heap = StackHeap.create({ bytes: 64 * KIB });
  heap.malloc(10);
  const block = heap.alignedAlloc(4096, 100);
  t.is(block % 4096, 0);
  heap.validate();
  t.true(heap.malloc(1000) < block);
  t.is(heap.alignedAlloc(32 * KIB, 40 * KIB), 0);
  heap.validate();
});

test('a block before the top grows into it and shrinks back', (t) => {
  const heap = StackHeap.create({ bytes: 64 * KIB });
  const block = heap.malloc(100);
  t.is(heap.realloc(block, 10 * KIB), block);
  t.is(heap.realloc(block, 60 * KIB), block);
  t.is(heap.realloc(block, 65 * KIB), 0);
  t.is(heap.realloc(block, 100), block);
  heap.validate();
  t.is(blocksOf(heap).length, 2);
});

test('memory that joins the pool of the top with the pool behind it moves the top to the new end', (t) => {
  const heap = StackHeap.create({ memory: SharedMemory.create({ bytes: 512 * KIB }).source, end: 128 * KIB });
  heap.addMemory(192 * KIB, 16 * KIB);
  heap.addMemory(128 * KIB, 64 * KIB);
  heap.validate();
  t.is(heap.stats().pools, 1);
  const blocks = [100, 20, 60].map((size) => heap.malloc(size * KIB));
  t.false(blocks.includes(0));
  for (const block of blocks) heap.free(block);
  heap.validate();
  t.is(blocksOf(heap).length, 1);
});

test('a pool may start at address 0, which is still handed to nobody', (t) => {
  const heap = StackHeap.create({
    memory: SharedMemory.create({ bytes: 256 * KIB }).source,
    start: 128 * KIB,
  });
  heap.init(0, 64 * KIB);
  const block = heap.malloc(100);
  t.true(block > 0 && block < 64 * KIB);
  heap.free(block);
  heap.validate();
  t.is(heap.usedBytes(), 0);
});

test('an init that is refused leaves the heap as it was', (t) => {
  const heap = heapInLargeMemory();
  const block = heap.malloc(100);
  t.throws(() => heap.init(128 * KIB, 16), { message: /too small for a pool/ });
  t.throws(() => heap.init(1000 * KIB, 64 * KIB), { message: /does not fit/ });
  heap.validate();
  t.true(heap.usableSize(block) >= 100);
});

test('debug is true or false, nothing else', (t) => {
  t.throws(() => StackHeap.create({ debug: 1 as never }), { instanceOf: TypeError, message: /debug .*1/ });
});
