import { AllocError } from '@shmalloc/allocator-api';
import { BitmapIds, BitmapPages } from '@shmalloc/bitmap';
import test from 'ava';
import { MAPS, PAGE, RETREATS, refused } from '../support/tools.js';

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** What an allocator may find in memory that it is given. */
function dirty(bytes: number): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(bytes);
  new Uint8Array(memory).fill(0xa5);
  return memory;
}

const small = (): BitmapPages => BitmapPages.create({ memory: dirty(MIB) });

/** Everything that can be seen of an allocator. */
function seen(pages: BitmapPages): unknown {
  pages.validate();
  const { start } = pages.share();
  // Whatever lies in front of the header belongs to it as well: the zone of NULL.
  const words = pages.memory.i32.slice(0, (start + pages.stats().stateBytes) / 4);
  return { ...pages.stats(), map: words.join() };
}

test('a new allocator manages every whole page behind its maps', (t) => {
  const pages = small();
  t.is(pages.pageSize, 4096);
  t.is(pages.totalPages(), 255);
  t.is(pages.availablePages(), 255);
  t.is(pages.usedPages(), 0);
  t.true(pages.stats().stateBytes < 512);
  pages.validate();
});

test('every page is handed out once, and then there is NoMemory', (t) => {
  for (const crossings of ['js', 'wasm'] as const) {
    const pages = BitmapPages.create({ bytes: MIB, crossings });
    t.is(pages.stats().crossings, crossings);
    const got = Array.from({ length: 255 }, () => pages.allocPages(1, PAGE));
    t.is(new Set(got).size, 255);
    t.true(got.every((address) => address % PAGE === 0 && address >= PAGE && address < MIB));
    refused(t, 'NoMemory', () => pages.allocPages(1, PAGE));
    refused(t, 'NoMemory', () => pages.allocPages(2, PAGE));
    pages.validate();
    t.is(pages.availablePages(), 0);
    for (const address of got) pages.deallocPages(address, 1);
    t.is(pages.availablePages(), 255);
    t.is(pages.stats().hiddenWords, 0);
    t.is(pages.allocPages(255, PAGE), PAGE);
  }
});

test('a run lies in a row, at a multiple of its alignment', (t) => {
  const pages = BitmapPages.create({ bytes: 16 * MIB });
  for (const count of [1, 2, 7, 31, 32, 33, 62, 63, 64, 100, 512]) {
    for (let align = PAGE; align <= 4 * MIB; align *= 2) {
      const address = pages.allocPages(count, align);
      t.is(address % align, 0, `${count} by ${align}`);
      for (let page = 0; page < count; page++) t.true(pages.isAllocated(address + page * PAGE));
      t.is(pages.usedPages(), count);
      pages.deallocPages(address, count);
    }
  }
  t.is(pages.usedPages(), 0);
  pages.validate();
});

test('alignments up to 1 GiB are met, also when the region starts above 2 GiB', (t) => {
  const memory = new SharedArrayBuffer(4 * GIB);
  const pages = BitmapPages.create({ memory });
  t.is(pages.totalPages(), 2 ** 20 - Math.ceil(pages.stats().stateBytes / PAGE));
  t.deepEqual(
    [1, 2, 3].map(() => pages.allocPages(512, GIB)),
    [GIB, 2 * GIB, 3 * GIB],
  );
  refused(t, 'NoMemory', () => pages.allocPages(1, GIB));
  const upper = BitmapPages.create({ memory, start: 2 * GIB + 5 * MIB + 12345, end: 4 * GIB });
  t.true(upper.stats().stateBytes < 300_000);
  t.is(upper.allocPages(2 ** 18, GIB), 3 * GIB);
  t.is(upper.allocPages(64, 64 * MIB), 2 * GIB + 64 * MIB);
  upper.deallocPages(3 * GIB, 2 ** 18);
  t.is(upper.allocPagesAt(4 * GIB - PAGE, 1, PAGE), 4 * GIB - PAGE);
  upper.validate();
});

test('the only free page of 2^20 is found, wherever the search begins', (t) => {
  const pages = BitmapPages.create({ memory: new SharedArrayBuffer(4 * GIB) });
  const first = pages.allocPages(pages.totalPages(), PAGE);
  for (const page of [first, 3 * GIB, 4 * GIB - PAGE, GIB + 77 * PAGE]) {
    pages.deallocPages(page, 1);
    const other = BitmapPages.attach(pages.share());
    t.is(other.allocPages(1, PAGE), page);
    refused(t, 'NoMemory', () => other.allocPages(1, PAGE));
    pages.deallocPages(page, 1);
    t.is(pages.allocPages(1, PAGE), page);
  }
});

test('allocPagesAt takes these pages or none', (t) => {
  const pages = small();
  t.is(pages.allocPagesAt(64 * PAGE, 70, PAGE), 64 * PAGE);
  const before = seen(pages);
  refused(t, 'NoMemory', () => pages.allocPagesAt(133 * PAGE, 1, PAGE), `${133 * PAGE}`);
  refused(t, 'NoMemory', () => pages.allocPagesAt(20 * PAGE, 50, PAGE));
  refused(t, 'NoMemory', () => pages.allocPagesAt(255 * PAGE, 2, PAGE));
  refused(t, 'NoMemory', () => pages.allocPagesAt(0, 1, PAGE));
  refused(t, 'NoMemory', () => pages.allocPagesAt(2 ** 40, 1, PAGE));
  refused(t, 'InvalidParam', () => pages.allocPagesAt(3 * PAGE, 1, 2 * PAGE), `${3 * PAGE}`);
  // The claim across words was given back, and that is counted; nothing else has changed.
  const { retreats } = pages.stats();
  pages.memory.i32[pages.share().start / 4 + RETREATS] = 0;
  t.true(retreats > 0);
  t.deepEqual(seen(pages), before);
  t.is(pages.allocPagesAt(20 * PAGE, 44, PAGE), 20 * PAGE);
});

test('what is not handed out, or only in part, is NotAllocated and nothing changes', (t) => {
  const pages = small();
  const run = pages.allocPages(100, PAGE);
  pages.deallocPages(run + 50 * PAGE, 1);
  const before = seen(pages);
  for (const [address, count] of [
    [run + 50 * PAGE, 1],
    [run + 50 * PAGE, 2],
    [run, 100],
    [run + 49 * PAGE, 2],
    [run - PAGE, 2],
    [run + 99 * PAGE, 2],
    [run + 120 * PAGE, 1],
    [run + 1, 1],
    [0, 1],
    [MIB, 1],
    [MIB - PAGE, 2],
    [2 ** 32, 1],
    [2 ** 45, 2 ** 30],
  ])
    refused(t, 'NotAllocated', () => pages.deallocPages(address, count), String(address));
  t.deepEqual(seen(pages), before);
  // Any part of a run may come back by itself.
  pages.deallocPages(run, 50);
  pages.deallocPages(run + 51 * PAGE, 49);
  t.is(pages.usedPages(), 0);
});

test('regions with holes between them: runs lie in one, ranges are refused when they overlap', (t) => {
  const memory = dirty(4 * MIB);
  const pages = BitmapPages.create({ memory, end: MIB, limit: 4 * MIB });
  pages.init(MIB / 2, MIB / 4);
  t.is(pages.totalPages(), 64);
  pages.addMemory(2 * MIB, MIB / 2);
  pages.addMemory(3 * MIB + 100, MIB / 2);
  t.is(pages.totalPages(), 64 + 128 + 127);
  t.is(pages.allocPages(128, PAGE), 2 * MIB);
  refused(t, 'NoMemory', () => pages.allocPages(128, PAGE));
  const before = seen(pages);
  refused(t, 'MemoryOverlap', () => pages.addMemory(2 * MIB, PAGE), String(2 * MIB));
  refused(t, 'MemoryOverlap', () => pages.addMemory(2 * MIB - 10 * PAGE, 11 * PAGE));
  refused(t, 'MemoryOverlap', () => pages.addMemory(2 * MIB + MIB / 2 - PAGE, MIB / 4));
  refused(t, 'MemoryOverlap', () => pages.addMemory(0, PAGE * 2), "the allocator's own state");
  refused(t, 'InvalidParam', () => pages.addMemory(4 * MIB - PAGE, 2 * PAGE));
  refused(t, 'RegionTooSmall', () => pages.addMemory(2 * MIB - PAGE + 1, PAGE));
  refused(t, 'InvalidParam', () => pages.init(4 * MIB, PAGE));
  pages.memory.i32[pages.share().start / 4 + RETREATS] = 0;
  t.deepEqual(seen(pages), before);
  // The hole is filled: runs go across.
  pages.addMemory(2 * MIB + MIB / 2, MIB / 2 + PAGE);
  pages.deallocPages(2 * MIB, 128);
  t.is(pages.allocPages(128 + 128 + 1 + 127, PAGE), 2 * MIB);
  pages.init(MIB, MIB);
  t.is(pages.availablePages(), 256);
  t.is(pages.usedPages(), 0);
});

test('memory that grows can be added, up to the limit', (t) => {
  const pages = BitmapPages.create({ bytes: MIB, maxBytes: 4 * MIB });
  const other = BitmapPages.attach(pages.share());
  const start = pages.memory.grow(MIB);
  pages.addMemory(start, MIB);
  t.is(other.totalPages(), 255 + 256);
  t.is(other.allocPages(256, MIB), MIB);
  const fixed = BitmapPages.create({ bytes: MIB, maxBytes: 4 * MIB, limit: 2 * MIB });
  fixed.memory.grow(2 * MIB);
  refused(t, 'InvalidParam', () => fixed.addMemory(2 * MIB, MIB), 'limit');
  fixed.addMemory(MIB, MIB);
});

test('page 0 is never handed out, since its address is NULL', (t) => {
  const pages = BitmapPages.create({ memory: dirty(MIB), start: 0 });
  const elsewhere = BitmapPages.create({ memory: dirty(MIB), start: 0, limit: MIB });
  t.is(elsewhere.allocPages(1, MIB / 2), MIB / 2);
  const high = BitmapPages.create({ memory: dirty(MIB), start: 10 * PAGE });
  high.init(0, 8 * PAGE);
  t.is(high.totalPages(), 7);
  t.is(high.allocPages(7, PAGE), PAGE);
  t.true(pages.allocPages(1, PAGE) > 0);
});

test('pages of other sizes', (t) => {
  for (const pageSize of [16, 256, 65536]) {
    const pages = BitmapPages.create({ bytes: MIB, pageSize });
    t.is(pages.allocPages(2, pageSize * 2) % (pageSize * 2), 0);
    t.true(pages.totalPages() > (MIB / pageSize) * 0.9);
    t.is(BitmapPages.attach(pages.share()).pageSize, pageSize);
    pages.validate();
  }
});

test('a region in the middle of memory leaves the bytes outside alone', (t) => {
  const memory = dirty(2 * MIB);
  const pages = BitmapPages.create({ memory, start: 4099, end: MIB + 5 });
  t.is(pages.allocPages(pages.totalPages(), PAGE), 2 * PAGE);
  const u8 = new Uint8Array(memory);
  t.true(u8.subarray(0, 4099).every((byte) => byte === 0xa5));
  t.true(u8.subarray(2 * PAGE).every((byte) => byte === 0xa5));
});

test('bad input of the page allocator is refused by name', (t) => {
  const pages = small();
  const before = seen(pages);
  for (const [value, shown, kind] of [
    [-1, '-1', RangeError],
    [1.5, '1.5', RangeError],
    [Number.NaN, 'NaN', RangeError],
    ['8', '8', TypeError],
    [undefined, 'undefined', TypeError],
    [8n, '8n', TypeError],
  ] as const) {
    const wrong = value as never;
    const calls = [
      () => pages.allocPages(wrong, PAGE),
      () => pages.allocPages(1, wrong),
      () => pages.allocPagesAt(wrong, 1, PAGE),
      () => pages.allocPagesAt(PAGE, wrong, PAGE),
      () => pages.allocPagesAt(PAGE, 1, wrong),
      () => pages.deallocPages(wrong, 1),
      () => pages.deallocPages(PAGE, wrong),
      () => pages.isAllocated(wrong),
      () => pages.init(wrong, PAGE),
      () => pages.addMemory(PAGE, wrong),
    ];
    for (const call of calls) t.true(t.throws(call, { instanceOf: kind })?.message.includes(shown));
    if (value !== undefined)
      t.throws(() => BitmapPages.create({ bytes: MIB, pageSize: wrong }), { instanceOf: kind });
  }
  for (const align of [1, 2048, 0, 3, 4097, 2 ** 32])
    refused(t, 'InvalidParam', () => pages.allocPages(1, align), String(align));
  refused(t, 'InvalidParam', () => pages.allocPages(0, PAGE), '0');
  refused(t, 'InvalidParam', () => pages.deallocPages(PAGE, 0), '0');
  refused(t, 'NoMemory', () => pages.allocPages(2 ** 50, PAGE));
  t.deepEqual(seen(pages), before);
  for (const pageSize of [0, 8, 4095])
    refused(t, 'InvalidParam', () => BitmapPages.create({ bytes: MIB, pageSize }), String(pageSize));
  refused(t, 'InvalidParam', () => BitmapPages.create({ memory: dirty(MIB), limit: PAGE }), 'limit');
  refused(t, 'InvalidParam', () => BitmapPages.create({ memory: dirty(MIB), limit: 2 ** 33 }), 'limit');
  refused(
    t,
    'InvalidParam',
    () => BitmapPages.create({ memory: dirty(MIB), crossings: 'none' as never }),
    'none',
  );
});

test('a region without room for a page is refused before a byte is written', (t) => {
  for (const [start, end] of [
    [0, PAGE],
    [0, 1024],
    [100, 2 * PAGE - 1],
    [4096, 4096],
  ]) {
    const memory = dirty(MIB);
    refused(t, 'RegionTooSmall', () => BitmapPages.create({ memory, start, end }), 'too small');
    t.true(new Uint8Array(memory).every((byte) => byte === 0xa5));
  }
});

test('attach refuses what is no page allocator', (t) => {
  const pages = small();
  const handle = pages.share();
  t.throws(() => BitmapPages.attach(undefined as never), { instanceOf: TypeError });
  refused(t, 'InvalidParam', () => BitmapIds.attach(handle), 'bitmap-pages');
  refused(t, 'InvalidParam', () => BitmapPages.attach({ ...handle, memory: dirty(MIB) }), 'magic');
  refused(t, 'InvalidParam', () => BitmapPages.attach({ ...handle, start: 4 }), '4');
  refused(t, 'InvalidParam', () => BitmapPages.attach({ ...handle, start: MIB }));
  const header = handle.start / 4;
  for (const [word, what] of [
    [1, 'algorithm'],
    [2, 'version'],
    [3, 'geometry'],
    [4, 'geometry'],
    [5, 'geometry'],
    [6, 'geometry'],
    [7, 'zone of NULL'],
  ] as const) {
    const before = pages.memory.i32[header + word];
    // Each of them makes a geometry that cannot be, whichever word it is.
    for (const wrong of [before + 65536 + 1, -1, 0x7fffffff]) {
      pages.memory.i32[header + word] = wrong;
      refused(t, 'InvalidParam', () => BitmapPages.attach(handle), what);
    }
    pages.memory.i32[header + word] = before;
  }
  BitmapPages.attach(handle, { crossings: 'js' }).validate();
});

test('an instance cannot be used after detach; others go on', (t) => {
  const pages = small();
  const other = BitmapPages.attach(pages.share());
  const page = pages.allocPages(1, PAGE);
  pages.detach();
  for (const call of [
    () => pages.allocPages(1, PAGE),
    () => pages.allocPagesAt(PAGE, 1, PAGE),
    () => pages.deallocPages(page, 1),
    () => pages.usedPages(),
    () => pages.addMemory(PAGE, PAGE),
    () => pages.validate(),
  ])
    refused(t, 'InvalidParam', call, 'detached');
  other.deallocPages(page, 1);
  other[Symbol.dispose]();
  t.throws(() => other.stats(), { instanceOf: AllocError });
});

test('validate names a unit in two states; repair finds those in none', (t) => {
  const pages = small();
  const { i32 } = pages.memory;
  const page = pages.allocPages(1, PAGE) / PAGE;
  const word = pages.share().start / 4 + MAPS + (page >>> 5); // the map of free pages
  i32[word] |= 1 << page;
  t.throws(() => pages.validate(), { message: `bitmap is broken: unit ${page} is free and used` });
  i32[word] &= ~(1 << page);
  pages.validate();
  i32[word] &= ~(1 << (page + 1));
  t.is(pages.stats().inTransit, 1);
  pages.validate(); // it may be changing hands
  const lost = `bitmap is broken: unit ${page + 1} is neither free, used nor absent`;
  t.throws(() => pages.validate({ quiet: true }), { instanceOf: AllocError, message: lost });
  t.is(pages.repair(), 1);
  t.is(pages.stats().inTransit, 0);
  t.is(pages.repair(), 0);
  pages.validate({ quiet: true });
});
