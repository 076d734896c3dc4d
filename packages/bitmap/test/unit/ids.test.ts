import { BitmapIds } from '@shmalloc/bitmap';
import test from 'ava';
import { refused } from '../support/tools.js';

test('ids go from the first, 0 included, and come back', (t) => {
  const ids = BitmapIds.create({ ids: 100 });
  t.deepEqual([ids.size(), ids.used(), ids.available()], [100, 0, 100]);
  t.deepEqual(
    [0, 1, 2].map(() => ids.allocId(1, 1)),
    [0, 1, 2],
  );
  ids.deallocId(1, 1);
  t.false(ids.isAllocated(1));
  t.true(ids.isAllocated(2));
  t.is(ids.allocId(1, 1), 1);
  t.is(ids.allocId(10, 16), 16);
  t.is(ids.used(), 13);
  ids.validate();
  t.deepEqual([BitmapIds.create().size(), BitmapIds.create({ first: 1 }).allocId(1, 1)], [65536, 1]);
});

test('an id of the caller’s choice', (t) => {
  const ids = BitmapIds.create({ first: 10, ids: 20 });
  ids.allocFixedId(15);
  refused(t, 'NoMemory', () => ids.allocFixedId(15), '15');
  refused(t, 'NoMemory', () => ids.allocFixedId(9));
  refused(t, 'NoMemory', () => ids.allocFixedId(30));
  t.is(ids.allocId(5, 1), 10);
  refused(t, 'NoMemory', () => ids.allocId(15, 1));
  t.is(ids.allocId(14, 1), 16);
  refused(t, 'NoMemory', () => ids.allocId(1, 1));
  refused(t, 'NoMemory', () => ids.allocId(100, 1));
});

test('what is not taken, or only in part, is NotAllocated and nothing changes', (t) => {
  const ids = BitmapIds.create({ ids: 1000 });
  ids.allocId(100, 1);
  ids.deallocId(40, 2);
  for (const [first, count] of [
    [40, 1],
    [0, 100],
    [39, 2],
    [99, 2],
    [500, 1],
    [1000, 1],
    [2 ** 40, 1],
  ])
    refused(t, 'NotAllocated', () => ids.deallocId(first, count), String(first));
  t.is(ids.used(), 98);
  ids.validate();
});

test('ranges of ids are added up to the limit, with holes', (t) => {
  const ids = BitmapIds.create({ ids: 10, limit: 100 });
  ids.addMemory(50, 10);
  refused(t, 'MemoryOverlap', () => ids.addMemory(59, 2), '59');
  refused(t, 'InvalidParam', () => ids.addMemory(99, 2), '100');
  refused(t, 'InvalidParam', () => ids.addMemory(20, 0));
  refused(t, 'InvalidParam', () => ids.init(0, 101));
  t.is(ids.size(), 20);
  t.is(ids.allocId(10, 2), 0);
  t.is(ids.allocId(10, 2), 50);
  ids.init(20, 7);
  t.deepEqual([ids.size(), ids.used()], [7, 0]);
});

test('shared between instances; its memory may be given', (t) => {
  const memory = new SharedArrayBuffer(65536);
  const ids = BitmapIds.create({ memory, start: 100, ids: 5000, crossings: 'js' });
  const other = BitmapIds.attach(ids.share());
  ids.allocId(4000, 1);
  t.is(other.used(), 4000);
  t.is(other.stats().algorithm, 'bitmap-ids');
  t.is(BitmapIds.create({ ids: 64, start: 8192 }).share().start, 8192);
  refused(t, 'RegionTooSmall', () => BitmapIds.create({ memory, ids: 2 ** 24 }), 'too small');
});

test('bad input is refused by name', (t) => {
  const ids = BitmapIds.create({ ids: 64 });
  t.throws(() => ids.allocId(-1, 1), { instanceOf: RangeError, message: /-1/ });
  t.throws(() => ids.allocId(1, '2' as never), { instanceOf: TypeError, message: /"2"/ });
  t.throws(() => ids.allocFixedId(1.5), { instanceOf: RangeError, message: /1\.5/ });
  t.throws(() => ids.deallocId(Number.NaN, 1), { instanceOf: RangeError, message: /NaN/ });
  t.throws(() => ids.isAllocated(null as never), { instanceOf: TypeError });
  refused(t, 'InvalidParam', () => ids.allocId(0, 1));
  refused(t, 'InvalidParam', () => ids.allocId(1, 3), '3');
  refused(t, 'InvalidParam', () => BitmapIds.create({ ids: 0 }));
  refused(t, 'InvalidParam', () => BitmapIds.create({ ids: 10, limit: 9 }), '9');
  refused(t, 'InvalidParam', () => BitmapIds.create({ ids: 2 ** 31 }));
  t.throws(() => BitmapIds.create({ ids: '5' as never }), { instanceOf: TypeError });
});
