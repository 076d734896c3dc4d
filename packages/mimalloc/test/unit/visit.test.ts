import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { fill } from '../support/harness.ts';
import { random, SMALL, validatedHeap } from '../support/validated.ts';

/** All that is visited. */
function visited(heap: Pick<MiMalloc, 'visitBlocks'>): Map<number, { size: number; tag: number }> {
  const found = new Map<number, { size: number; tag: number }>();
  heap.visitBlocks((address, size, tag) => {
    found.set(address, { size, tag });
  });
  return found;
}

test('every live block is visited once, with its size and its heap’s tag, and no other', (t) => {
  const { heap } = validatedHeap({ bytes: 2 << 20, grow: false });
  const next = random(99);
  const parts = [heap.heapNew({ tag: 5 }), heap.heapNew({ tag: 9 })];
  const live = new Map<number, number>();
  for (let turn = 0; turn < 600; turn++) {
    if (next(3) > 0 || live.size === 0) {
      const which = next(3);
      const size = next(10) === 0 ? next(60_000) : next(500);
      const block = which === 2 ? heap.malloc(size) : parts[which].malloc(size);
      if (block !== 0) live.set(block, which === 2 ? 0 : parts[which].tag);
    } else {
      const block = [...live.keys()][next(live.size)];
      heap.free(block);
      live.delete(block);
    }
  }
  const found = visited(heap);
  t.deepEqual(
    [...found.keys()].sort((a, b) => a - b),
    [...live.keys()].sort((a, b) => a - b),
  );
  for (const [block, { size, tag }] of found) {
    t.is(size, heap.usableSize(block));
    t.is(tag, live.get(block) ?? -1);
  }
});

test('one heap shows its own blocks', (t) => {
  const { heap } = validatedHeap();
  const part = heap.heapNew({ tag: 1 });
  const mine = [part.malloc(10), part.malloc(5000), part.malloc(100_000)];
  const other = heap.malloc(10);
  const sorted = [...mine].sort((a, b) => a - b);
  const found: number[] = [];
  t.true(heap.visitBlocks((address) => found.push(address), { heap: part }));
  t.deepEqual(
    found.sort((a, b) => a - b),
    sorted,
  );
  t.deepEqual(
    [...visited(part).keys()].sort((a, b) => a - b),
    sorted,
  );
  t.false(found.includes(other));
});

test('a visitor that returns false sees no more', (t) => {
  const { heap } = validatedHeap({ bytes: 8 << 20, grow: false });
  const part = heap.heapNew();
  for (let index = 0; index < 50; index++) (index % 2 === 0 ? heap : part).malloc(index * 100);
  let seen = 0;
  t.false(heap.visitBlocks(() => ++seen < 30));
  t.is(seen, 30);
  t.true(heap.visitBlocks(() => ++seen));
  t.is(seen, 80);
});

test('a visitor may free what it is shown, and allocate', (t) => {
  const { heap } = validatedHeap({ bytes: 8 << 20, grow: false });
  const part = heap.heapNew();
  for (let index = 0; index < 300; index++) (index % 2 === 0 ? heap : part).malloc((index * 37) % 3000);
  let freed = 0;
  heap.visitBlocks((address) => {
    heap.free(address);
    freed++;
    if (freed % 10 === 0) heap.free(heap.malloc(700));
  });
  t.is(freed, 300);
  heap.collect(true);
  t.is(heap.usedBytes(), 0);
});

test('what another thread has freed is not visited, on whichever list it waits', (t) => {
  const heap = MiMalloc.create(SMALL);
  const other = MiMalloc.attach(heap.share());
  const blocks = Array.from({ length: 1000 }, () => heap.malloc(200));
  const gone = blocks.filter((_, index) => index % 3 === 0);
  for (const block of gone) other.free(block);
  const found = visited(heap);
  t.is(found.size, blocks.length - gone.length);
  for (const block of gone) t.false(found.has(block));
  const addresses = (of: Map<number, unknown>): number[] => [...of.keys()].sort((a, b) => a - b);
  t.deepEqual(addresses(visited(other)), addresses(found), 'any thread sees the same');
  other.visitBlocks(() => t.fail('it has none of its own'), { threadId: other.threadId });
  const mine = new Set<number>();
  other.visitBlocks((address, _size, _tag, threadId) => mine.add(address + threadId), {
    threadId: heap.threadId,
  });
  t.is(mine.size, found.size);
  for (const address of found.keys()) t.true(mine.has(address + heap.threadId));
  heap.validate({ quiet: true });
});

test('a block that was handed out by an address inside it is visited by its start', (t) => {
  const { heap } = validatedHeap();
  const inside = heap.mallocAlignedAt(100, 64, 8);
  const [[start, { size }]] = [...visited(heap)];
  t.true(start <= inside && inside + 100 <= start + size);
  heap.free(inside);
  t.is(visited(heap).size, 0);
});

test('an empty heap shows nothing', (t) => {
  const { heap } = validatedHeap();
  t.is(visited(heap).size, 0);
  t.true(heap.visitBlocks(() => false));
});

test('the visitor may let the memory grow, and go on: the blocks behind are shown all the same', (t) => {
  const heap = MiMalloc.create({ bytes: 1 << 20, maxBytes: 64 << 20 });
  const blocks = [...fill(heap, 100, 200), ...fill(heap, 3000, 40)];
  const before = heap.memory.byteLength;
  const seen = new Set<number>();
  const made: number[] = [];
  heap.visitBlocks((address, size) => {
    t.true(size >= 100);
    seen.add(address);
    if (made.length < 4) made.push(heap.malloc(2 << 20));
    // A block in memory that has just come is freed and allocated.
    if (seen.size % 50 === 0) heap.free(heap.malloc(100));
    return true;
  });
  t.true(heap.memory.byteLength > before);
  for (const block of blocks) t.true(seen.has(block), `${block}`);
  for (const block of [...made, ...blocks]) heap.free(block);
  heap.collect(true);
  heap.validate({ quiet: true });
});
