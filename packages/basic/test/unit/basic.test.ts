import { Basic, type Policy } from '@shmalloc/basic';
import test from 'ava';

/**
 * A heap with holes of these sizes in this order, each behind a block that stays; and where the holes are.
 */
function heapWithHoles(policy: Policy, sizes: number[]): { heap: Basic; holes: number[] } {
  const heap = Basic.create({ bytes: 1 << 16, policy });
  const holes = sizes.map((size) => {
    const hole = heap.malloc(size);
    heap.malloc(16);
    return hole;
  });
  // What is left behind the last hole goes too, so that only the holes are free.
  heap.malloc(heap.availableBytes() - 4);
  for (const hole of holes) heap.free(hole);
  heap.validate();
  return { heap, holes };
}

test('first fit takes the lowest, best fit the smallest, worst fit the largest hole that is large enough', (t) => {
  const sizes = [100, 500, 300, 2000, 310];
  const chosen = (policy: Policy): number => {
    const { heap, holes } = heapWithHoles(policy, sizes);
    t.is(heap.policy, policy);
    const index = holes.indexOf(heap.malloc(280));
    heap.validate();
    return sizes[index];
  };
  t.is(chosen('first'), 500);
  t.is(chosen('best'), 300);
  t.is(chosen('worst'), 2000);
});

test('each policy finds the one hole in which an aligned request fits', (t) => {
  for (const policy of ['first', 'best', 'worst'] as const) {
    const heap = Basic.create({ bytes: 1 << 16, policy });
    const page = heap.alignedAlloc(4096, 4096);
    t.is(page % 4096, 0);
    heap.malloc(heap.availableBytes() / 2);
    while (heap.malloc(16) !== 0);
    t.is(heap.alignedAlloc(4096, 4096), 0);
    heap.free(page);
    t.is(heap.alignedAlloc(4096, 4096), page, policy);
    heap.validate();
  }
});

test('worst fit takes a hole in which an aligned request fits when the larger top has no room for it', (t) => {
  // The region ends in the middle of a page, so that a top of little more than a page holds no aligned one.
  const heap = Basic.create({
    memory: new SharedArrayBuffer(1 << 16),
    end: (1 << 16) - 512,
    policy: 'worst',
  });
  let first = 0;
  heap.walk((address) => (first = address));
  heap.malloc(4096 - first - 4);
  const page = heap.malloc(4000);
  t.is(page, 4096);
  heap.malloc(16);
  heap.malloc(heap.availableBytes() - 4 - 4400);
  t.is(heap.alignedAlloc(4096, 4000), 0);
  heap.free(page);
  t.true(heap.availableBytes() - 4000 > 4100);
  t.is(heap.alignedAlloc(4096, 4000), page);
  heap.validate();
});

test('the list stays in the order of addresses in whatever order blocks are freed', (t) => {
  const orders = [
    [0, 1, 2, 3, 4, 5, 6, 7],
    [7, 6, 5, 4, 3, 2, 1, 0],
    [0, 2, 4, 6, 1, 3, 5, 7],
    [6, 0, 4, 2, 7, 1, 5, 3],
    [3, 1, 7, 5, 0, 2, 6, 4],
  ];
  for (const order of orders) {
    const heap = Basic.create({ bytes: 1 << 14 });
    const blocks = order.map(() => heap.malloc(100));
    for (const index of order) {
      heap.free(blocks[index]);
      heap.validate();
    }
    t.is(heap.usedBytes(), 0);
  }
});

test('a block has a header of 4 bytes', (t) => {
  const heap = Basic.create({ bytes: 1 << 16 });
  const [a, b] = [heap.malloc(28), heap.malloc(28)];
  t.is(b - a, 32);
  t.is(heap.usableSize(a), 28);
});

test('an unknown policy is refused by name', (t) => {
  t.throws(() => Basic.create({ policy: 'next' as never }), {
    message: 'policy must be one of first, best, worst; got "next"',
  });
});

test('init keeps the policy, and an attached heap has it', (t) => {
  const heap = Basic.create({ bytes: 1 << 16, policy: 'worst' });
  heap.init(8192, 8192);
  t.is(heap.policy, 'worst');
  t.is(Basic.attach(heap.share()).policy, 'worst');
});

test('check names a list that is broken', (t) => {
  const plant = (message: RegExp, breakIt: (words: Int32Array, head: number, hole: number) => void): void => {
    const { heap, holes } = heapWithHoles('first', [100, 200, 300]);
    breakIt(heap.memory.i32, heap.share().start / 4 + 53, holes[0] / 4 - 1);
    t.regex(heap.check() ?? 'nothing found', message);
  };
  plant(/which is no free block/, (words, head) => (words[head] += 4));
  plant(/hold[s]? 0 of 3 free blocks/, (words, head) => (words[head] = 0));
  plant(/links differ/, (words, _, hole) => (words[hole + 2] = 99));
  plant(/behind word/, (words, _, hole) => (words[hole + 1] = hole));
});
