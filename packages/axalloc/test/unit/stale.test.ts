/**
 * Memory that has come since a thread looked last: its views reach it, and what lies there is not taken for
 * something else.
 */

import { AllocError } from '@shmalloc/allocator-api';
import { AxAlloc } from '@shmalloc/axalloc';
import { BitmapPages } from '@shmalloc/bitmap';
import test from 'ava';
import { ALGORITHMS, allocatorOver, attachTo, NAMES } from '../support/tools.js';

const MIB = 1 << 20;

for (const backing of ['wasm', 'sab'] as const) {
  test(`a page part that was attached before the memory grew serves an allocator whose state lies in what came (${backing})`, (t) => {
    const pages = BitmapPages.create({ bytes: MIB, maxBytes: 4 * MIB, backing });
    const early = BitmapPages.attach(pages.share());
    pages.allocPages(pages.availablePages(), 4096);
    pages.addMemory(pages.memory.grow(2 * MIB), 2 * MIB);
    const allocator = AxAlloc.create({ pages, algorithms: ALGORITHMS });
    t.true(allocator.share().start >= MIB);
    const block = allocator.malloc(100);
    const other = AxAlloc.attach(allocator.share(), { attachPages: () => early, algorithms: ALGORITHMS });
    t.true(other.usableSize(block) >= 100);
    other.free(block);
    t.is(allocator.liveBlocks(), 0);
    other.validate({ quiet: true });
  });

  test(`without a limit heaps may use what another thread has made of the memory by then (${backing})`, (t) => {
    const pages = BitmapPages.create({ bytes: MIB, maxBytes: 4 * MIB, backing });
    const other = BitmapPages.attach(pages.share());
    other.addMemory(other.memory.grow(3 * MIB), 3 * MIB);
    const allocator = AxAlloc.create({ pages, algorithms: ALGORITHMS, algorithm: 'tlsf' });
    t.not(allocator.malloc(2 * MIB), 0);
  });

  for (const algorithm of NAMES) {
    test(`${algorithm}: what lies beyond a thread's views is zeroed, kept by realloc, and copied to a new generation (${backing})`, (t) => {
      const pages = BitmapPages.create({ bytes: MIB, maxBytes: 8 * MIB, backing });
      const { allocator } = allocatorOver(0, { pages, algorithm, limit: 8 * MIB });
      const other = attachTo(allocator.share());
      const small = allocator.malloc(50_000);
      allocator.memory.u8.fill(7, small, small + 50_000);
      // This thread has seen 1 MiB; the memory that the other adds is dirty.
      const start = other.memory.grow(7 * MIB);
      other.memory.u8.fill(0xa5, start, 8 * MIB);
      other.pages.addMemory(start, 7 * MIB);
      t.is(allocator.memory.byteLength, MIB);
      const zeroed = allocator.calloc(1, 900_000);
      t.not(zeroed, 0);
      other.memory.refresh();
      t.true(other.memory.u8.subarray(zeroed, zeroed + 900_000).every((byte) => byte === 0));
      const moved = allocator.realloc(small, 800_000);
      t.not(moved, 0);
      t.true(other.memory.u8.subarray(moved, moved + 50_000).every((byte) => byte === 7));
      allocator.swap(algorithm === 'tlsf' ? 'buddy' : 'tlsf');
      other.memory.u8.fill(9, moved, moved + 800_000);
      const again = allocator.realloc(moved, 1_000_000);
      t.not(again, 0);
      t.true(other.memory.u8.subarray(again, again + 800_000).every((byte) => byte === 9));
      t.is(other.memory.u8[again - 1] === 9 && other.memory.u8[again + 800_000] === 9, false);
      for (const block of [zeroed, again]) other.free(block);
      t.is(allocator.liveBlocks(), 0);
      allocator.validate();
      // Inner heaps take pages and never the memory itself.
      allocator.memory.refresh();
      t.is(allocator.memory.byteLength, 8 * MIB);
    });
  }
}

test('no heap lets the memory grow by itself: pages are its only source', (t) => {
  for (const algorithm of NAMES) {
    for (const backing of ['wasm', 'sab'] as const) {
      const pages = BitmapPages.create({ bytes: MIB, maxBytes: 8 * MIB, backing });
      const { allocator } = allocatorOver(0, { pages, algorithm });
      while (allocator.malloc(20_000) !== 0);
      allocator.memory.refresh();
      t.is(allocator.memory.byteLength, MIB, `${algorithm}, ${backing}`);
    }
  }
});

test('state that would lie behind the limit, where the map has no byte for it, is refused; nothing is written', (t) => {
  const memory = new SharedArrayBuffer(4 * MIB);
  const pages = BitmapPages.create({ memory });
  pages.allocPagesAt(1 << 16, 16, 4096);
  const low = pages.allocPages(200, 4096);
  t.true(low < MIB);
  pages.allocPages(256, MIB);
  const used = pages.usedPages();
  while (pages.allocPages(1, 4096) < MIB);
  const before = Uint8Array.from(new Uint8Array(memory, 2 * MIB));
  const error = t.throws(() => AxAlloc.create({ pages, algorithms: ALGORITHMS, limit: MIB }), {
    instanceOf: AllocError,
    message: /limit/,
  });
  t.is(error?.code, 'NoMemory');
  t.true(pages.usedPages() >= used);
  t.is(Buffer.compare(new Uint8Array(memory, 2 * MIB), before), 0);
});
