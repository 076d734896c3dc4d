import { scaled } from '@shmalloc/alloc-test';
import { CheckedAllocator, Oracle } from '@shmalloc/alloc-test/oracle';
import { AllocError, type GlobalAllocator, SharedMemory } from '@shmalloc/allocator-api';
import { AccountingOs, type MiHeap, MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { recordOf } from '../support/inside.ts';
import { firstDamaged, random, SMALL, validatedHeap, write } from '../support/validated.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
/** Blocks of one size. */
const MOST = scaled(2000, 12_500);

/** Memory of which the first part is the region, so that the rest can be added as arenas. */
function withRoom(region: number, rest: number): MiMalloc {
  const memory = new SharedArrayBuffer(region + rest);
  const heap = MiMalloc.create({ memory, end: region, grow: false });
  heap.registerError((error) => {
    throw error;
  });
  return heap;
}

/** What the oracle's witness wants of an allocator. */
function witness(part: MiHeap, memory: SharedMemory): GlobalAllocator & { memory: SharedMemory } {
  return {
    memory,
    malloc: (size) => part.malloc(size),
    calloc: (count, size) => part.calloc(count, size),
    realloc: (address, size) => part.realloc(address, size),
    alignedAlloc: (align, size) => part.alignedAlloc(align, size),
    free: (address) => part.free(address),
    usableSize: (address) => part.usableSize(address),
  };
}

test('a heap has blocks of its own', (t) => {
  const { heap } = validatedHeap();
  const part = heap.heapNew({ tag: 7 });
  t.is(part.tag, 7);
  t.is(part.arena, 0);
  const mine = part.malloc(100);
  const other = heap.malloc(100);
  t.true(part.contains(mine));
  t.false(part.contains(other));
  t.false(part.contains(0));
  t.false(part.contains(mine + 8));
  t.is(recordOf(heap.heapOf(mine) as MiHeap), recordOf(part));
  t.is(heap.heapOf(other), null);
  t.is(heap.heapOf(12), null);
  heap.free(mine);
  part.free(other);
  heap.collect(true);
  t.is(heap.usedBytes(), 0);
});

test('a heap has the whole family', (t) => {
  const { heap } = validatedHeap();
  const part = heap.heapNew();
  const blocks = [
    part.malloc(0),
    part.malloc(3000),
    part.malloc(100 * KIB),
    part.zalloc(40),
    part.calloc(3, 40),
    part.mallocSmall(40),
    part.realloc(part.malloc(10), 5000),
    part.rezalloc(part.zalloc(10), 500),
    part.mallocAligned(100, 4096),
    part.mallocAlignedAt(100, 64, 8),
    part.alignedAlloc(64 * KIB, 10),
    part.posixMemalign(32, 100).address,
    part.strdup('a heap'),
    part.strndup('a heap', 3),
    part.reallocAligned(part.malloc(100), 200, 1024),
    part.mallocAs('f64', 10)?.byteOffset ?? 0,
  ];
  for (const block of blocks) {
    t.true(block > 0 && (part.contains(block) || block % 64 === 56), `${block}`);
    t.is(recordOf(heap.heapOf(block) as MiHeap), recordOf(part));
  }
  t.is(part.malloc(heap.totalBytes() * 2), 0);
  t.is(part.malloc(2 ** 40), 0);
  t.throws(() => part.malloc('8' as never), { instanceOf: TypeError });
  t.throws(() => part.malloc(-8), { instanceOf: RangeError });
  part.destroy();
  heap.collect(true);
  t.is(heap.usedBytes(), 0);
});

test('the blocks of a deleted heap live on, and are freed like others', (t) => {
  const { heap, errors } = validatedHeap();
  const part = heap.heapNew();
  // Pages that are full, half full, single, and empty.
  const blocks: [address: number, size: number][] = [];
  for (const size of [8, 64, 1000, 5000, 70 * KIB]) {
    for (let index = 0; index < Math.min(100_000 / size, MOST); index++)
      blocks.push([part.malloc(size), size]);
  }
  const empty = part.malloc(300);
  part.free(empty);
  for (const [address, size] of blocks) write(heap, address, 0, Math.min(size, 64));
  part.delete();
  for (const [address, size] of blocks) {
    t.is(firstDamaged(heap, address, 0, Math.min(size, 64)), -1);
    t.is(heap.heapOf(address), null);
    heap.free(address);
  }
  heap.collect(true);
  t.is(heap.usedBytes(), 0);
  t.deepEqual(errors, []);
});

test('pages of a deleted heap serve the thread that it was of', (t) => {
  const { heap } = validatedHeap();
  const part = heap.heapNew();
  const first = part.malloc(500);
  part.delete();
  const second = heap.malloc(500);
  const page = heap
    .inspect()
    .segments.flatMap(({ pages }) => pages)
    .find(({ address }) => address === first);
  t.is(page?.used, 2);
  t.true(second > first && second < first + 4096);
});

test('destroy frees all blocks of a heap and no others', (t) => {
  const { heap } = validatedHeap();
  const kept = Array.from({ length: 100 }, (_, index) => heap.malloc(index * 10));
  const used = heap.usedBytes();
  const part = heap.heapNew();
  for (const size of [8, 64, 1000, 5000, 70 * KIB]) {
    for (let index = 0; index < Math.min(100_000 / size, MOST); index++) t.not(part.malloc(size), 0);
  }
  t.true(heap.usedBytes() > used + 300_000);
  part.destroy();
  t.is(heap.usedBytes(), used);
  for (const block of kept) t.true(heap.containsBlock(block));
});

test('a page that was retired before its heap was deleted is given back after it', (t) => {
  const { heap } = validatedHeap();
  const part = heap.heapNew();
  const first = part.malloc(300);
  part.free(first);
  const block = part.malloc(300);
  part.delete();
  heap.free(block);
  for (let index = 0; index < 600; index++) heap.malloc(512);
  const pages = heap.inspect().segments.flatMap((segment) => segment.pages);
  t.false(pages.some(({ used }) => used === 0));
});

test('a heap without blocks keeps no segment', (t) => {
  const { heap } = validatedHeap();
  const part = heap.heapNew();
  t.is(heap.stats().segments, 0);
  part.free(part.malloc(8));
  part.destroy();
  t.is(heap.stats().segments, 0);
});

test('a heap that has ended says so, and ends once', (t) => {
  const { heap } = validatedHeap();
  for (const end of [
    (part: MiHeap) => part.delete(),
    (part: MiHeap) => part.destroy(),
    (part: MiHeap) => part[Symbol.dispose](),
    (part: MiHeap) => heap.heapDelete(part),
    (part: MiHeap) => heap.heapDestroy(part),
  ]) {
    const part = heap.heapNew();
    const block = part.malloc(8);
    end(part);
    // Another heap may have the record by now.
    const next = heap.heapNew();
    for (const use of [
      () => part.malloc(8),
      () => part.malloc(5000),
      () => part.zalloc(8),
      () => part.realloc(0, 8),
      () => part.mallocAligned(8, 64),
      () => part.strdup('a'),
      () => part.collect(),
      () => part.contains(block),
      () => part.visitBlocks(() => true),
      () => heap.heapCollect(part),
      () => heap.visitBlocks(() => true, { heap: part }),
    ]) {
      t.throws(use, { instanceOf: AllocError, message: 'this heap has been deleted' });
    }
    part.delete();
    part.destroy();
    t.not(next.malloc(8), 0);
    next.destroy();
  }
});

test('a heap belongs to the thread that made it', (t) => {
  const heap = MiMalloc.create(SMALL);
  const other = MiMalloc.attach(heap.share());
  const part = heap.heapNew();
  const block = part.malloc(100);
  const says = {
    instanceOf: AllocError,
    message: `this heap belongs to thread ${heap.threadId}, and cannot be used by thread ${other.threadId}`,
  };
  t.throws(() => other.heapDelete(part), says);
  t.throws(() => other.heapDestroy(part), says);
  t.throws(() => other.heapCollect(part), says);
  t.throws(() => other.visitBlocks(() => true, { heap: part }), says);
  t.is(other.heapOf(block), null);
  t.throws(() => heap.heapDelete({} as MiHeap), {
    instanceOf: TypeError,
    message: /heap must be what heapNew returned/,
  });
  other.free(block);
  heap.heapCollect(part, true);
  t.is(heap.usedBytes(), 0);
});

test('options of a heap are checked', (t) => {
  const { heap } = validatedHeap();
  t.throws(() => heap.heapNew({ tag: 256 }), { message: 'tag must lie between 0 and 255, got 256' });
  t.throws(() => heap.heapNew({ tag: -1 }), { instanceOf: RangeError });
  t.throws(() => heap.heapNew({ arena: 1 }), { message: 'arena must be what addArena returned, got 1' });
  t.is(heap.heapNew({ tag: 255 }).tag, 255);
});

test('several hundred heaps fit into 16 MiB, thousands into 256 MiB, and their records serve again', (t) => {
  for (const [bytes, count] of [
    [16 * MIB, 400],
    [256 * MIB, 3000],
  ]) {
    const heap = MiMalloc.create({ bytes, grow: false });
    const round = (): void => {
      const parts = Array.from({ length: count }, (_, index) => heap.heapNew({ tag: index % 256 }));
      const blocks = parts.map((part) => part.malloc(64));
      t.false(blocks.includes(0));
      heap.validate({ quiet: true });
      t.is(heap.stats().heaps, count + 1);
      for (const [index, part] of parts.entries()) {
        if (index % 2 === 0) part.destroy();
        else {
          part.delete();
          heap.free(blocks[index]);
        }
      }
      heap.collect(true);
      heap.validate({ quiet: true });
    };
    round();
    const total = heap.totalBytes();
    round();
    t.is(heap.totalBytes(), total, 'no more memory for records');
    t.is(heap.stats().heaps, 1);
  }
});

test('without memory for a record there is no heap, and nothing else is wrong', (t) => {
  const { heap } = validatedHeap();
  const blocks: number[] = [];
  for (const size of [64 * KIB, 4 * KIB, 8]) {
    for (let block = heap.malloc(size); block !== 0; block = heap.malloc(size)) blocks.push(block);
  }
  const parts: MiHeap[] = [];
  const error = t.throws(
    () => {
      for (;;) parts.push(heap.heapNew());
    },
    { instanceOf: AllocError, message: 'no memory for another heap' },
  );
  t.is((error as AllocError).code, 'NoMemory');
  for (const part of parts) t.is(part.malloc(100), 0);
  for (const block of blocks) heap.free(block);
  heap.collect(true);
  t.not(heap.heapNew().malloc(100), 0);
});

test('when nobody gives memory for a record there is no heap, and nothing else is wrong', (t) => {
  let frames = Number.POSITIVE_INFINITY;
  class Poor extends AccountingOs {
    override commit(): boolean {
      return --frames >= 0;
    }
  }
  const memory = new SharedArrayBuffer(MIB);
  const heap = MiMalloc.create({ memory, os: new Poor(SharedMemory.from(memory), false) });
  heap.malloc(8);
  frames = 0;
  const before = heap.stats();
  t.throws(() => heap.heapNew(), { code: 'NoMemory' });
  heap.validate({ quiet: true });
  const after = heap.stats();
  t.is(after.totalBytes, before.totalBytes);
  t.is(after.pages, before.pages);
  frames = 100;
  t.not(heap.heapNew().malloc(8), 0);
  heap.validate({ quiet: true });
});

test('memory of heap records cannot be freed, cannot be added again, and is no block', (t) => {
  const { heap, errors } = validatedHeap();
  const total = heap.totalBytes();
  const part = heap.heapNew();
  const { sliceBytes } = heap.inspect().region;
  t.is(heap.totalBytes(), total - sliceBytes);
  const record = recordOf(part) * 4;
  const slice = record - (record % sliceBytes);
  for (const address of [slice, record, record + 64, slice + sliceBytes - 8]) {
    t.false(heap.containsBlock(address));
    t.false(heap.checkOwned(address));
    errors.length = 0;
    heap.free(address);
    t.is(heap.usableSize(address), 0);
    t.is(errors.length, 2);
  }
  t.throws(() => heap.addMemory(slice, sliceBytes), { instanceOf: AllocError, code: 'MemoryOverlap' });
  t.not(part.malloc(8), 0);
});

test('a segment that gave a slice for records comes back and is used without it', (t) => {
  const { heap } = validatedHeap();
  const parts = Array.from({ length: 50 }, () => heap.heapNew());
  for (const part of parts) part.malloc(8);
  for (const part of parts) part.destroy();
  heap.collect(true);
  const used: number[] = [];
  for (let block = heap.malloc(4 * KIB); block !== 0; block = heap.malloc(4 * KIB)) {
    heap.memory.u8.fill(0xff, block, block + heap.usableSize(block));
    used.push(block);
  }
  t.true(used.length * 4 * KIB > heap.totalBytes() * 0.9);
  for (const block of used) heap.free(block);
  t.is(heap.stats().heaps, 1);
});

test('heaps and their thread keep out of each other’s blocks under the oracle', (t) => {
  const heap = MiMalloc.create({ bytes: 4 * MIB, grow: false });
  const oracle = Oracle.create({ bytes: heap.memory.byteLength });
  const next = random(77);
  type Member = { part: MiHeap | null; checked: CheckedAllocator; blocks: [number, number][] };
  const member = (part: MiHeap | null): Member => ({
    part,
    checked: new CheckedAllocator(part === null ? heap : witness(part, heap.memory), oracle, 0),
    blocks: [],
  });
  const members = [member(null), ...Array.from({ length: 5 }, () => member(heap.heapNew()))];
  for (let turn = 0; turn < 6000; turn++) {
    const who = members[next(members.length)];
    const { part, checked, blocks } = who;
    const choice = next(100);
    if (choice < 50 || blocks.length === 0) {
      const size = next(20) === 0 ? next(100_000) : next(1000);
      const align = 1 << next(9);
      const address = next(3) === 0 ? checked.alignedAlloc(align, size) : checked.malloc(size);
      if (address !== 0) blocks.push([address, size]);
    } else if (choice < 60) {
      const at = next(blocks.length);
      const [address, size] = blocks[at];
      const wanted = next(2000);
      const moved = checked.realloc(address, size, 8, wanted);
      if (moved !== 0) blocks[at] = [moved, wanted];
    } else if (choice < 99) {
      const [[address, size]] = blocks.splice(next(blocks.length), 1);
      // Any heap's `free` will do.
      members[next(members.length)].checked.free(address, size);
    } else if (part !== null) {
      // The thread inherits what is left.
      part.delete();
      members[0].blocks.push(...blocks);
      members[members.indexOf(who)] = member(heap.heapNew());
    }
    if (turn % 50 === 0) heap.validate({ quiet: true });
  }
  for (const { checked, blocks } of members)
    for (const [address, size] of blocks) checked.free(address, size);
  heap.collect(true);
  heap.validate({ quiet: true });
  t.deepEqual(oracle.violations(), []);
  t.is(heap.usedBytes(), 0);
});

// ── Arenas ──

test('an exclusive arena serves the heaps that are made for it and nobody else', (t) => {
  const heap = withRoom(MIB, 2 * MIB);
  const arena = heap.addArena(MIB, MIB);
  const second = heap.addArena(2 * MIB, MIB);
  t.deepEqual([arena, second], [1, 2]);
  const part = heap.heapNew({ arena, tag: 3 });
  const inside = (block: number): boolean => block >= MIB && block < 2 * MIB;
  const mine: number[] = [];
  for (const size of [100, 5000, 100 * KIB]) {
    for (let block = part.malloc(size); block !== 0; block = part.malloc(size)) mine.push(block);
  }
  t.true(mine.length > 0 && mine.every(inside), 'it takes nothing from elsewhere, and all that there is');
  heap.validate({ quiet: true });
  const plain = heap.heapNew();
  const others: number[] = [];
  for (let block = heap.malloc(5000); block !== 0; block = heap.malloc(5000)) others.push(block);
  t.is(plain.malloc(5000), 0);
  t.true(others.every((block) => block < MIB));
  for (const block of mine) heap.free(block);
  heap.collect(true);
  t.is(heap.malloc(5000), 0, 'free memory of the arena stays the arena’s');
  t.is(heap.malloc(200 * KIB), 0);
  t.true(inside(part.malloc(200 * KIB)));
  t.deepEqual(
    heap.inspect().arenas.map(({ id, bytes }) => [id, bytes > MIB * 0.9]),
    [
      [1, true],
      [2, true],
    ],
  );
});

test('what a deleted heap of an arena leaves there stays there, and its memory comes back to the arena', (t) => {
  const heap = withRoom(MIB, MIB);
  const arena = heap.addArena(MIB, MIB);
  const part = heap.heapNew({ arena });
  const left = Array.from({ length: 100 }, () => part.malloc(500));
  part.delete();
  heap.validate({ quiet: true });
  // The thread's own heap must not have got the half-empty page of the arena.
  for (let index = 0; index < 200; index++) t.true(heap.malloc(500) < MIB);
  const next = heap.heapNew({ arena });
  t.true(next.malloc(500) >= MIB);
  next.destroy();
  for (const block of left) t.true(heap.containsBlock(block), 'destroying another heap does not free them');
  for (const block of left) heap.free(block);
  heap.collect(true);
  heap.validate({ quiet: true });
  const whole = heap.heapNew({ arena });
  t.not(whole.malloc(700 * KIB), 0);
});

test('an arena takes whole segments, once', (t) => {
  const heap = withRoom(MIB, 2 * MIB);
  const { segmentBytes } = heap.inspect().region;
  t.throws(() => heap.addArena(MIB + 8, segmentBytes), {
    code: 'RegionTooSmall',
    message: `[${MIB + 8}, ${MIB + 8 + segmentBytes}) holds no whole segment of ${segmentBytes} bytes`,
  });
  t.throws(() => heap.addArena(MIB, 3 * MIB), { code: 'InvalidParam', message: /does not fit/ });
  t.throws(() => heap.addArena(0, MIB), { code: 'MemoryOverlap' });
  t.is(heap.addArena(MIB + 8, MIB), 1);
  t.throws(() => heap.addArena(MIB, MIB), { code: 'MemoryOverlap' });
  t.throws(() => heap.addMemory(MIB + segmentBytes, MIB), { code: 'MemoryOverlap' });
  t.is(heap.addArena(2 * MIB, MIB), 2);
  heap.validate({ quiet: true });
});

test('arena heaps of a thread that has ended are adopted by those of another, and only by those', (t) => {
  const heap = withRoom(MIB, MIB);
  const arena = heap.addArena(MIB, MIB);
  const other = MiMalloc.attach(heap.share());
  const blocks = Array.from({ length: 300 }, () => 0);
  const part = other.heapNew({ arena });
  for (const index of blocks.keys()) blocks[index] = part.malloc(1000);
  // The pages have room, which the thread's own heap must not use.
  for (let index = 0; index < blocks.length; index += 3) other.free(blocks.splice(index, 1)[0]);
  other.detach();
  heap.collect(true);
  heap.validate({ quiet: true });
  for (let index = 0; index < 500; index++) {
    const block = heap.malloc(1000);
    t.true(block < MIB);
  }
  for (const block of blocks) heap.free(block);
  const mine = heap.heapNew({ arena });
  t.true(mine.malloc(1000) >= MIB);
  heap.collect(true);
  heap.validate({ quiet: true });
  t.not(mine.malloc(600 * KIB), 0, 'all of the arena is there again');
});

// ── Threads ──

test('a thread that detaches leaves the blocks of its heaps, and gives the records back', (t) => {
  const heap = MiMalloc.create(SMALL);
  const other = MiMalloc.attach(heap.share());
  const parts = Array.from({ length: 5 }, () => other.heapNew());
  const blocks = parts.flatMap((part) => Array.from({ length: 200 }, () => part.malloc(100)));
  t.is(heap.stats().heaps, 7);
  const total = heap.totalBytes();
  other.detach();
  t.is(heap.stats().heaps, 1);
  for (let index = 0; index < 5; index++) heap.heapNew();
  t.is(heap.totalBytes(), total, 'the same records');
  heap.collect(true);
  heap.validate({ quiet: true });
  for (const block of blocks) heap.free(block);
  heap.collect(true);
  t.is(heap.usedBytes(), 0);
  heap.validate({ quiet: true });
});

test('init forgets heaps like blocks', (t) => {
  const heap = withRoom(MIB, MIB);
  const part = heap.heapNew();
  part.malloc(8);
  heap.init(MIB, MIB);
  t.throws(() => part.malloc(8), { message: 'this heap has been deleted' });
  part.destroy();
  heap.validate({ quiet: true });
  t.is(heap.stats().heaps, 1);
  const next = heap.heapNew();
  next.malloc(8);
  heap.init(MIB, MIB);
  // What was the heap's record is blocks now, full of what looks like pages with blocks.
  for (let block = heap.malloc(4096); block !== 0; block = heap.malloc(4096)) {
    heap.memory.i32.fill(block / 4, block / 4, block / 4 + 1024);
  }
  t.throws(() => next.malloc(8), { message: 'this heap has been deleted' });
  heap.validate({ quiet: true });
});
