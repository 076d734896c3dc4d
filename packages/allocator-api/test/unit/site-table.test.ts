import {
  AllocError,
  findSites,
  laySites,
  noteSites,
  SiteTable,
  siteTableBytes,
} from '@shmalloc/allocator-api';
import test from 'ava';
import { stackAbove } from '../../dist/site-table.js';

const WORDS = 1 << 12;

function newTable(): { sites: SiteTable; other: SiteTable; i32: Int32Array } {
  const buffer = new SharedArrayBuffer(1 << 15);
  const i32 = new Int32Array(buffer);
  const place = { table: 64, words: WORDS };
  laySites(i32, place);
  return { sites: new SiteTable(buffer, place), other: new SiteTable(buffer, place), i32 };
}

test('a stack begins with the caller of the function that is named', (t) => {
  const inner = (): string => stackAbove(inner);
  function outer(): string {
    return inner();
  }
  const [first, ...more] = outer().split('\n');
  t.regex(first, /^at outer .*site-table\.test/);
  t.true(more.length > 0 && more.length < 8);
  t.is(Error.stackTraceLimit, 10, 'the limit is as before');
});

test('an engine that cannot leave calls out gives the whole stack', (t) => {
  const { captureStackTrace } = Error;
  Reflect.set(Error, 'captureStackTrace', undefined);
  try {
    t.regex(stackAbove(null), /site-table/);
  } finally {
    Reflect.set(Error, 'captureStackTrace', captureStackTrace);
  }
});

test('what one object has noted another reads; the same place is kept once', (t) => {
  const { sites, other, i32 } = newTable();
  const note = (address: number): void => sites.note(address, note);
  for (const address of [16, 32, 2 ** 32 - 16]) note(address);
  t.regex(other.of(2 ** 32 - 16)?.site ?? '', /^at .*site-table\.test/);
  t.deepEqual(
    [16, 32, 2 ** 32 - 16].map((address) => other.of(address)?.number),
    [0, 1, 2],
  );
  t.is(other.number, 3);
  const room = [sites, other, sites, other].map((each) => {
    each.note(48, null);
    return i32[64 + 3];
  });
  t.deepEqual(room, new Array(4).fill(room[0]), 'the text of another thread is found');
  t.is(other.of(64), null);
  t.deepEqual(sites.take(16)?.number, 0);
  t.is(other.of(16), null);
  t.is(other.take(16), null);
});

test('blocks beyond the room have no site; there is room again when others are freed', (t) => {
  const { sites } = newTable();
  const note = (address: number): void => sites.note(address, note);
  const addresses = Array.from({ length: 4000 }, (_, index) => 16 * (index + 1));
  addresses.forEach(note);
  const known = addresses.filter((address) => sites.of(address) !== null);
  t.true(known.length > 300 && known.length < 700, `${known.length} of some 650 entries are in use`);
  for (const address of addresses) sites.take(address);
  for (let round = 0; round < 5; round++) {
    for (let address = 16; address <= 1600; address += 16) note(address);
    for (let address = 16; address <= 1600; address += 16) t.truthy(sites.take(address)?.site);
  }
});

test('texts beyond the room are none, and nothing outside the table changes', (t) => {
  const { sites, i32 } = newTable();
  i32.fill(7, 0, 64);
  i32.fill(7, 64 + WORDS);
  for (let round = 0; round < 200; round++) {
    const named = { [`f${round}`]: () => sites.note(16 * round + 16, null) }[`f${round}`];
    named();
  }
  t.truthy(sites.of(16)?.site);
  t.is(sites.of(16 * 200)?.site, null);
  t.true(i32.every((word, index) => (index >= 64 && index < 64 + WORDS) || word === 7));
});

test('a table that was written over is none, or reads as one without texts', (t) => {
  const { sites, i32 } = newTable();
  const note = (address: number): void => sites.note(address, note);
  note(16);
  for (const word of [-1, 0x7fffffff, 5, 64 + WORDS - 1]) {
    for (let at = 64 + 4; at < 64 + WORDS; at++) i32[at] = word;
    t.notThrows(() => {
      note(16);
      sites.of(16);
      sites.take(16);
    });
  }
  t.deepEqual(findSites(i32, 64), { table: 64, words: WORDS });
  for (const words of [-1, 0, 100, 1 << 20]) {
    i32[64 + 1] = words;
    t.is(findSites(i32, 64), null);
  }
  t.is(findSites(i32, 0), null);
  t.is(findSites(i32, 1 << 20), null);
});

test('a region has an eighth for it, a small one none', (t) => {
  t.deepEqual([0, (1 << 17) - 1, 1 << 17, 1 << 20, 2 ** 32].map(siteTableBytes), [
    0,
    0,
    1 << 14,
    1 << 17,
    1 << 25,
  ]);
});

test('what was freed, or forgotten by init, has no site, and what two calls are made of is noted once', (t) => {
  const { sites } = newTable();
  const calls = {
    malloc: (address: number) => address,
    calloc: (address: number) => calls.malloc(address),
    realloc: (address: number) => {
      calls.malloc(address + 512);
      calls.free(address);
      return address + 512;
    },
    free: (_: number) => {},
    tryFree: (_: number) => null,
    dealloc: (_: number) => {},
    deallocLayout: (_: number) => {},
    init: () => {},
  };
  noteSites(calls, sites);
  for (const name of ['free', 'tryFree', 'dealloc', 'deallocLayout'] as const) {
    calls.calloc(16);
    calls[name](16);
    t.is(sites.of(16), null, name);
  }
  calls.calloc(16);
  t.is(sites.of(16)?.number, 4);
  calls.realloc(16);
  t.is(sites.of(16), null);
  t.is(sites.of(528)?.number, 5);
  calls.init();
  t.is(sites.of(528), null);
});

test('a free that fails leaves the site, whichever way it tells', (t) => {
  const { sites } = newTable();
  const calls = {
    malloc: () => 16,
    dealloc: () => {
      throw new Error('wrong layout');
    },
    realloc: (_: number, size: number) => {
      if (size < 0) throw new RangeError('size');
      return size > 100 ? 0 : 32;
    },
    tryFree: () => new AllocError('DoubleFree', 'twice'),
  };
  noteSites(calls, sites);
  calls.malloc();
  t.throws(calls.dealloc.bind(null, ...([16] as unknown as [])), { message: 'wrong layout' });
  t.is(sites.of(16)?.number, 0);
  calls.realloc(16, 200);
  t.throws(() => calls.realloc(16, -1), { message: 'size' });
  t.is(calls.tryFree.call(calls, ...([16] as unknown as [])).code, 'DoubleFree');
  t.is(sites.of(16)?.number, 0);
  calls.realloc(16, 20);
  t.is(sites.of(16), null);
  t.is(sites.of(32)?.number, 1);
});
