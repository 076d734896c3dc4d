/** NULL is no place: what a program writes at address 0 and a little above destroys nothing, and is told. */

import type { AllocError } from '@shmalloc/allocator-api';
import { BitmapIds, BitmapPages } from '@shmalloc/bitmap';
import test, { type ExecutionContext } from 'ava';
import { PAGE, refused } from '../support/tools.js';

const MIB = 2 ** 20;
const PATTERN = 0x4c4c554e;

/** Both kinds over a region that starts at 0, and the bytes of its zone: a small region has a small one. */
const KINDS = {
  pages: () => BitmapPages.create({ bytes: MIB }),
  'pages of 16 bytes': () => BitmapPages.create({ memory: new SharedArrayBuffer(65536), pageSize: 16 }),
  ids: () => BitmapIds.create({ memory: new SharedArrayBuffer(MIB) }),
  'a few ids': () => BitmapIds.create({ ids: 64, backing: 'sab' }),
};
const ZONES: Record<string, number> = { pages: 1024, 'pages of 16 bytes': 64, ids: 1024, 'a few ids': 64 };

function zoneHoldsThePattern(t: ExecutionContext, { i32 }: BitmapPages['memory'], bytes: number): void {
  t.true(i32.subarray(0, bytes / 4).every((word) => word === PATTERN));
}

for (const [name, make] of Object.entries(KINDS)) {
  test(`${name}: the zone of NULL holds the pattern and nothing else, whatever is done`, (t) => {
    const map = make();
    const bytes = ZONES[name];
    t.is(map.share().start, bytes);
    zoneHoldsThePattern(t, map.memory, bytes);
    if (map instanceof BitmapPages) {
      const all = map.allocPages(map.totalPages(), map.pageSize);
      t.true(all >= bytes && all >= map.pageSize);
      map.memory.u8.fill(0xff, all, all + map.totalPages() * map.pageSize);
      map.deallocPages(all, map.totalPages());
      const { length } = map.memory.u8;
      map.init(length / 2, length / 2);
    } else {
      map.deallocId(map.allocId(50, 1), 50);
      map.init(0, 7);
    }
    map.validate({ quiet: true });
    zoneHoldsThePattern(t, map.memory, bytes);
  });

  test(`${name}: a write through NULL is thrown by validate and told once by detach, with its address`, (t) => {
    const map = make();
    const told: AllocError[] = [];
    map.registerError((error) => void told.push(error));
    map.memory.u8[21] = 7;
    refused(t, 'Corrupted', () => map.validate(), 'address 20');
    t.deepEqual(told, []);
    map.detach();
    map.detach();
    t.is(told.length, 1);
    t.is(told[0].code, 'Corrupted');
    t.regex(told[0].message, /address 20 .*write through NULL/);
    zoneHoldsThePattern(t, map.memory, ZONES[name]);
  });
}

test('a write through NULL is told by the next call that finds no room, or adds memory', (t) => {
  const told: string[] = [];
  const onError = (error: AllocError): void => void told.push(error.message);
  const pages = BitmapPages.create({ bytes: MIB, maxBytes: 4 * MIB, onError });
  const other = BitmapPages.attach(pages.share(), { onError });
  pages.memory.i32[3] = 0;
  other.allocPages(1, PAGE);
  t.deepEqual(told, [], 'a quick call looks at nothing');
  refused(t, 'NoMemory', () => other.allocPages(1000, PAGE));
  t.is(told.length, 1);
  pages.memory.i32[4] = 0;
  pages.addMemory(pages.memory.grow(MIB), MIB);
  t.is(told.length, 2);
  t.regex(told[1], /address 16 /);
  pages.validate();
  const ids = BitmapIds.create({ memory: new SharedArrayBuffer(MIB), ids: 10, limit: 20, onError });
  ids.memory.i32[5] = 0;
  refused(t, 'NoMemory', () => ids.allocId(11, 1));
  ids.memory.i32[6] = 0;
  ids.addMemory(10, 5);
  t.is(told.length, 4);
});

test('pages of the zone are never managed, however small they are', (t) => {
  const pages = BitmapPages.create({ memory: new SharedArrayBuffer(MIB), pageSize: 16 });
  // In front of the header lies the zone alone: there is no page in it.
  refused(t, 'RegionTooSmall', () => pages.addMemory(16, 512));
  refused(t, 'RegionTooSmall', () => pages.init(0, 1024));
  refused(t, 'NoMemory', () => pages.allocPagesAt(16, 1, 16));
  zoneHoldsThePattern(t, pages.memory, 1024);
});

test('a region that starts elsewhere has no such zone, and leaves the bytes at 0 alone', (t) => {
  const memory = new SharedArrayBuffer(MIB);
  const pages = BitmapPages.create({ memory, start: 64 });
  t.is(pages.share().start, 64);
  new Int32Array(memory)[0] = 5;
  pages.validate({ quiet: true });
  t.is(pages.takeNullWrite(), null);
  pages.detach();
  t.is(new Int32Array(memory)[0], 5);
});

test('a view at NULL is refused by name', (t) => {
  const pages = BitmapPages.create({ bytes: MIB });
  t.throws(() => pages.memory.view('u8', 0, 10), { instanceOf: RangeError, message: /NULL/ });
});
