/** NULL is no place: a write there hits nothing, and is named. */
import { Slab } from '@shmalloc/slab';
import test from 'ava';
import { allClear, fill, pair, small, watch } from '../support/harness.ts';

const CORRUPTED = {
  name: 'AllocError',
  code: 'Corrupted',
  message: /address 40 was written to \(0x2a\): a write through NULL/,
};

/** What names a write near NULL. */
const PATHS: readonly [name: string, run: (heap: Slab, block: number) => unknown][] = [
  ['a page that is taken', (heap) => heap.malloc(2000)],
  ['a large block', (heap) => heap.malloc(20_000)],
  ['a request that cannot be met', (heap) => heap.malloc(2 ** 31)],
  ['a request that no memory could meet', (heap) => heap.malloc(2 ** 40)],
  ['a wrong free', (heap, block) => heap.free(block + 8)],
  ['a second free', (heap, block) => [heap.free(block), heap.free(block)]],
  ['a wrong usableSize', (heap) => heap.usableSize(64)],
  ['a wrong realloc', (heap) => heap.realloc(64, 100)],
  ['collect', (heap) => heap.collect()],
  ['detach', (heap) => heap.detach()],
];

for (const [name, run] of PATHS) {
  test(`a write through NULL is named by ${name}, once`, (t) => {
    const { a, b } = pair();
    const errors = watch(a);
    const block = a.malloc(100);
    a.memory.u8[40] = 42;
    a.memory.u8.fill(0, 41, 44);
    run(a, block);
    const told = errors.filter(({ code }) => code === 'Corrupted');
    t.is(told.length, 1);
    t.regex(told[0].message, CORRUPTED.message);
    if (!a.closed) a.collect();
    t.is(errors.filter(({ code }) => code === 'Corrupted').length, 1);
    b.collect(true);
    b.validate();
  });
}

test('validate throws for a write through NULL, and leaves it to be reported', (t) => {
  const heap = small();
  const errors = watch(heap);
  heap.memory.i32[10] = 42;
  for (const options of [{}, { quiet: true }]) t.throws(() => heap.validate(options), CORRUPTED);
  heap.collect();
  t.is(errors.length, 1);
  heap.validate();
});

test('a program that fills what it was not given destroys nothing', (t) => {
  for (const bytes of [1 << 17, 1 << 20]) {
    const heap = Slab.create({ bytes, backing: 'sab' });
    const errors = watch(heap);
    const blocks = fill(heap, 100, 20);
    const zone = heap.header * 4;
    t.true(zone >= (bytes < 1 << 18 ? 64 : 1024));
    t.is(heap.malloc(1 << 26), 0);
    t.throws(() => heap.memory.view('f64', 0, 8), { name: 'RangeError', message: /address 0 is NULL/ });
    heap.memory.u8.fill(1, 0, bytes < 1 << 18 ? 64 : 1024);
    blocks.push(...fill(heap, 3000, 5));
    Slab.attach(heap.share()).detach();
    t.is(errors.length, 1);
    for (const block of blocks) heap.free(block);
    allClear(t, heap);
  }
});

test('init and addMemory refuse what overlaps NULL', (t) => {
  const heap = small();
  for (const [start, size] of [
    [0, 64],
    [0, 1 << 19],
    [512, 1 << 19],
    [1020, 8],
  ]) {
    t.throws(() => heap.addMemory(start, size), { code: 'MemoryOverlap', message: /own state \[0, / });
    t.throws(() => heap.init(start, size), { code: 'MemoryOverlap', message: /own state \[0, / });
  }
  heap.validate();
});
