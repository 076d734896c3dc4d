import type { MiMalloc } from '@shmalloc/mimalloc';
import { NO_TABLE } from '@shmalloc/thread-heap';
import test from 'ava';
import { SEGMENTS_PER_CHUNK } from '../../dist/layout/geometry.js';
import { headPage } from '../../dist/layout/lookup.js';
import { Page } from '../../dist/layout/page.js';
import { chunkAt, rootWords, segmentAt, sliceAt, tableWords } from '../../dist/layout/page-map.js';
import { Segment } from '../../dist/segment/segment.js';
import { byPage, fill, headerField, pageAt, sliceBytes, small } from '../support/harness.ts';
import { tldOf } from '../support/inside.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;

const PAGE_WORDS = 16;
const CHUNK_WORDS = 16;
const SEGMENT_WORDS = 32;

/** Regions of every segment size, at the bottom, across 2 GiB and at the top of 4 GiB. */
function* heaps(): Generator<MiMalloc> {
  for (const start of [64 * MIB, 2 * GIB - 64 * MIB, 4 * GIB - 128 * MIB]) {
    for (let segmentShift = 16; segmentShift <= 22; segmentShift++) {
      const memory = new SharedArrayBuffer(4 * GIB);
      yield small({ memory, start, end: start + 128 * MIB, segmentShift });
    }
  }
}

/** The chunks that lie in the region of a heap. */
function chunksOf(heap: MiMalloc): number[] {
  const { memory, chunkShift } = tldOf(heap);
  const first = (memory.start >>> 2) >>> chunkShift;
  const last = ((memory.end - 1) / 4) >>> chunkShift;
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

test('every slice has a descriptor of its own in its chunk’s table, in the order of addresses', (t) => {
  for (const heap of heaps()) {
    const { chunkShift, sliceShift, slicesPerSegment } = tldOf(heap);
    const chunks = chunksOf(heap);
    // All of a chunk in small regions, the edges of the first and the last chunk in large ones.
    for (const chunk of new Set([chunks[0], chunks[chunks.length - 1]])) {
      const first = chunk * 2 ** chunkShift;
      const table = sliceAt(tldOf(heap), first);
      const slices = SEGMENTS_PER_CHUNK * slicesPerSegment;
      for (let slice = 0; slice < slices; slice++) {
        const word = first + slice * 2 ** sliceShift;
        t.is(sliceAt(tldOf(heap), word), table + slice * PAGE_WORDS);
        t.is(sliceAt(tldOf(heap), word + 2 ** sliceShift - 1), table + slice * PAGE_WORDS);
      }
      t.is(chunkAt(tldOf(heap), chunk), table + slices * PAGE_WORDS);
      for (let index = 0; index < SEGMENTS_PER_CHUNK; index++) {
        const word = first + index * 2 ** tldOf(heap).segmentShift;
        const segment = table + slices * PAGE_WORDS + CHUNK_WORDS + index * SEGMENT_WORDS;
        t.is(segmentAt(tldOf(heap), word), segment);
        t.is(segmentAt(tldOf(heap), word + 2 ** tldOf(heap).segmentShift - 1), segment);
        const isPresent =
          (tldOf(heap).i32[segment + Segment.presentLow] | tldOf(heap).i32[segment + Segment.presentHigh]) !==
          0;
        t.is(tldOf(heap).i32[segment + Segment.base], isPresent ? word : 0, 'where memory has come');
      }
      t.is(
        tableWords(slicesPerSegment),
        slices * PAGE_WORDS + CHUNK_WORDS + SEGMENTS_PER_CHUNK * SEGMENT_WORDS,
      );
    }
  }
});

test('the tables of the chunks of a region lie one behind the other and overlap nothing', (t) => {
  for (const heap of heaps()) {
    const words = tableWords(tldOf(heap).slicesPerSegment);
    let place = headerField(heap, 'homeTables');
    for (const chunk of chunksOf(heap)) {
      t.is(sliceAt(tldOf(heap), chunk * 2 ** tldOf(heap).chunkShift), place);
      t.is(place % PAGE_WORDS, 0, 'so that no entry can be taken for NO_TABLE');
      t.not(tldOf(heap).i32[tldOf(heap).root + chunk], NO_TABLE);
      place += words;
    }
    t.is(headerField(heap, 'end'), place);
    t.true(headerField(heap, 'heaps') < headerField(heap, 'homeTables'));
    t.true(tldOf(heap).root + rootWords(tldOf(heap).chunkShift) <= tldOf(heap).emptyPage);
  }
});

test('every other chunk of 4 GiB has no table, and no address in it leads anywhere', (t) => {
  for (const heap of heaps()) {
    const own = new Set(chunksOf(heap));
    t.is(rootWords(tldOf(heap).chunkShift) * 2 ** (tldOf(heap).chunkShift + 2), 4 * GIB);
    for (let chunk = 0; chunk < rootWords(tldOf(heap).chunkShift); chunk++) {
      if (own.has(chunk)) continue;
      if (tldOf(heap).i32[tldOf(heap).root + chunk] !== NO_TABLE) t.fail(`chunk ${chunk} has a table`);
      if (chunkAt(tldOf(heap), chunk) !== 0) t.fail(`chunk ${chunk} has words`);
      const first = chunk * 2 ** tldOf(heap).chunkShift;
      for (const word of [first, first + 2 ** tldOf(heap).chunkShift - 1]) {
        if (sliceAt(tldOf(heap), word) !== 0) t.fail(`word ${word} has a descriptor`);
      }
    }
  }
  t.is(headPage(tldOf(small()), 0), 0);
});

test('every address of a block leads to its page, whichever of the page’s slices it lies in', (t) => {
  const heap = small({ bytes: 16 * MIB });
  for (const size of [8, 48, 1000, sliceBytes(heap) / 4 + 8, tldOf(heap).mediumMax]) {
    const blocks = fill(heap, size, 64);
    t.is(blocks.length, 64);
    for (const block of blocks) {
      const page = pageAt(heap, block);
      t.not(page, 0);
      for (const at of [0, 8, size >> 1, size - 1]) t.is(pageAt(heap, block + at), page, `${size}: ${at}`);
    }
    for (const [page, list] of byPage(heap, blocks)) {
      const start = tldOf(heap).i32[page + Page.start];
      const words = tldOf(heap).i32[page + Page.blockWords];
      for (const block of list) t.is((block / 4 - start) % words, 0);
    }
    for (const block of blocks) heap.free(block);
    heap.validate({ quiet: true });
  }
});

test('the slices behind a page’s first one are forgotten with it', (t) => {
  const heap = small({ bytes: 4 * MIB, retireCycles: 0 });
  const block = heap.malloc(sliceBytes(heap));
  const behind = [1, 3, 7].map((slice) => block + slice * sliceBytes(heap));
  for (const address of behind) t.is(pageAt(heap, address), pageAt(heap, block));
  heap.free(block);
  t.is(heap.malloc(64), block, 'a page of one slice in the same place');
  for (const address of behind) t.is(pageAt(heap, address), 0);
});

test('slices that belong to no page lead to no page, before and after they belonged to one', (t) => {
  const heap = small({ bytes: 4 * MIB });
  const outside = [0, 8, tldOf(heap).header * 4, headerField(heap, 'homeTables') * 4, 4 * MIB - 8];
  for (const address of outside) t.is(pageAt(heap, address), 0, `${address}`);
  const medium = sliceBytes(heap);
  const blocks = fill(heap, medium, 40);
  for (const block of blocks) t.not(pageAt(heap, block), 0);
  for (const block of blocks) heap.free(block);
  heap.collect(true);
  heap.validate({ quiet: true });
  for (const block of blocks) t.is(pageAt(heap, block), 0, `${block}`);
});
