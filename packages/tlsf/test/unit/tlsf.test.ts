import { Tlsf } from '@shmalloc/tlsf';
import test from 'ava';

test('alignments up to 2^19 and beyond are met', (t) => {
  const heap = Tlsf.create({ bytes: 16 << 20 });
  const blocks: number[] = [];
  for (let align = 1; align <= 2 ** 22; align *= 2) {
    const block = heap.alignedAlloc(align, 100);
    t.not(block, 0, `${align}`);
    t.is(block % align, 0);
    blocks.push(block);
    heap.validate();
  }
  for (const block of blocks) heap.free(block);
  heap.validate();
  t.is(heap.usedBytes(), 0);
});

test('realloc grows into the free block behind and shrinks where it is', (t) => {
  const heap = Tlsf.create({ bytes: 1 << 20 });
  const block = heap.malloc(100);
  const behind = heap.malloc(10_000);
  t.not(heap.realloc(block, 5000), block);
  const grown = heap.malloc(100);
  heap.malloc(16);
  heap.free(behind);
  t.is(heap.realloc(grown, 1000), grown);
  t.is(heap.realloc(grown, 10), grown);
  t.true(heap.usableSize(grown) < 32);
  heap.validate();
});

test('a request may take the whole of the only free block', (t) => {
  const heap = Tlsf.create({ bytes: 1 << 20 });
  const all = heap.availableBytes() - 4;
  const block = heap.malloc(all);
  t.not(block, 0);
  t.is(heap.availableBytes(), 0);
  t.is(heap.malloc(1), 0);
  heap.free(block);
  t.is(heap.malloc(all), block);
  heap.validate();
});

test('in a full heap a request takes the one hole that fits, and none of the same list that is 16 bytes too small', (t) => {
  // Blocks of 1024 and 1040 bytes, headers included, are kept in one list.
  for (const [hole, answered] of [
    [1036, true],
    [1020, false],
  ] as const) {
    const heap = Tlsf.create({ bytes: 1 << 16 });
    const block = heap.malloc(hole);
    heap.malloc(heap.availableBytes() - 4);
    t.is(heap.availableBytes(), 0);
    heap.free(block);
    t.is(heap.malloc(1036), answered ? block : 0);
    heap.validate();
  }
});

test('walk visits every block in order', (t) => {
  const heap = Tlsf.create({ bytes: 1 << 16 });
  const [first, second] = [heap.malloc(100), heap.malloc(200)];
  heap.free(first);
  const seen: [number, boolean][] = [];
  let bytes = 0;
  heap.walk((address, size, used) => {
    seen.push([address, used]);
    bytes += size + 4;
  });
  t.deepEqual(seen.slice(0, 2), [
    [first, false],
    [second, true],
  ]);
  t.is(seen.length, 3);
  t.is(bytes, heap.totalBytes());
});

test('check names a list or a bitmap that is broken', (t) => {
  const plant = (
    message: RegExp,
    breakIt: (words: Int32Array, state: number, free: number) => void,
  ): void => {
    const heap = Tlsf.create({ bytes: 1 << 16 });
    const [hole] = [heap.malloc(100), heap.malloc(100)];
    heap.free(hole);
    t.is(heap.check(), null);
    breakIt(heap.memory.i32, heap.share().start / 4 + 52, hole / 4 - 1);
    t.regex(heap.check() ?? 'nothing found', message);
  };
  const list = 7; // the hole is 28 words: 7 granules
  plant(/the bitmap and the head of list 7 differ/, (words, state) => (words[state + 1] = 0));
  plant(/the bitmap and the head of list 8 differ/, (words, state) => (words[state + 1] |= 1 << 8));
  plant(/bitmaps of first level 0 differ/, (words, state) => (words[state] &= ~1));
  plant(/which is no free block/, (words, state) => (words[state + 25 + list] += 1));
  plant(/a block of 28 words stands in list 9/, (words, state) => {
    words[state + 25 + 9] = words[state + 25 + list];
    words[state + 25 + list] = 0;
    words[state + 1] = 1 << 9;
  });
  plant(/links of list 7 differ/, (words, _, free) => (words[free + 2] = 99));
  plant(/more than the 1 free blocks|links/, (words, _, free) => {
    words[free + 1] = free;
  });
  plant(/hold 0 of 1 free blocks/, (words, state) => {
    words[state + 25 + list] = 0;
    words[state + 1] = 0;
    words[state] &= ~1;
  });
});
