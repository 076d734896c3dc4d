/** `validate` against planted damage: one field at a time, each found by the sentence that is about it. */
import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { BIN_WORDS, binOf } from '../../dist/layout/bins.js';
import { Field } from '../../dist/layout/header.js';
import { Heap } from '../../dist/layout/heap.js';
import { IN_FULL, Page } from '../../dist/layout/page.js';
import { chunkAt, segmentAt } from '../../dist/layout/page-map.js';
import { firstPage } from '../../dist/page/queue.js';
import { FREE_SEGMENT, Segment } from '../../dist/segment/segment.js';
import { headerField, pageAt, small } from '../support/harness.ts';
import { tldOf } from '../support/inside.ts';
import { BIN, FAULTS, scene } from '../support/planted.ts';

test('the scene has what the faults need: each kind of page, each list, a free segment', (t) => {
  const { heap, i32, page, front, full, medium, large, segment, free, chunk, live } = scene();
  t.is(new Set([page, front, full, medium, large]).size, 5);
  t.not(page, 0);
  t.not(i32[page + Page.free], 0);
  t.not(i32[page + Page.localFree], 0);
  t.is(i32[page + Page.xthreadId], heap.threadId);
  t.is(i32[full + Page.xthreadId], heap.threadId | IN_FULL);
  t.is(firstPage(tldOf(heap), tldOf(heap).heap, BIN), front);
  t.is(i32[page + Page.next], 0);
  t.true(live.length > 10);
  t.is(i32[segment + Segment.threadId], heap.threadId);
  t.is(i32[free + Segment.threadId], FREE_SEGMENT);
  t.is(chunkAt(tldOf(heap), i32[free + Segment.base] >>> tldOf(heap).chunkShift), chunk, 'one chunk has all');
});

for (const [name, sentence, plant] of FAULTS) {
  test(`validate finds that ${name}`, (t) => {
    const where = scene();
    plant(where);
    t.throws(() => where.heap.validate(), { message: sentence });
    t.throws(() => where.heap.validate({ quiet: true }), { message: sentence });
  });
}

test('every sentence of validate begins alike, and names an address or a number', (t) => {
  for (const [, , plant] of FAULTS) {
    const where = scene();
    plant(where);
    const error = t.throws(() => where.heap.validate());
    t.regex(error?.message ?? '', /^mimalloc is broken: /);
  }
});

test('validate changes nothing', (t) => {
  const { heap } = scene();
  const before = tldOf(heap).i32.slice(0, headerField(heap, 'end'));
  heap.validate();
  t.deepEqual(tldOf(heap).i32.slice(0, headerField(heap, 'end')), before);
});

test('a block size that is none of its bin’s is found for every bin that has a page', (t) => {
  for (const size of [8, 16, 48, 128, 200, 1024, 3000]) {
    const heap = small();
    const page = pageAt(heap, heap.malloc(size));
    t.is(tldOf(heap).i32[page + Page.blockWords], BIN_WORDS[binOf(size)]);
    tldOf(heap).i32[page + Page.blockWords]++;
    t.throws(() => heap.validate(), { message: /another size than its bin/ });
  }
});

test('validate finds a huge block that counts segments which are not its own', (t) => {
  const heap = MiMalloc.create({ bytes: 16 << 20 });
  const block = heap.malloc(3 << 20);
  heap.validate();
  const segment = segmentAt(tldOf(heap), block >>> 2);
  tldOf(heap).i32[segment + Segment.count]++;
  t.throws(() => heap.validate(), { message: /of which number 3 is none/ });
  tldOf(heap).i32[segment + Segment.count] = 0;
  t.throws(() => heap.validate(), { message: /a huge block of 0 segments/ });
});

test('validate finds a segment that is missing in the list of those with free slices, or is in it twice', (t) => {
  const heap = MiMalloc.create({ bytes: 16 << 20 });
  const segment = segmentAt(tldOf(heap), heap.malloc(100) >>> 2);
  heap.validate();
  const list = tldOf(heap).heap + Heap.segments;
  tldOf(heap).i32[list] = 0;
  t.throws(() => heap.validate(), { message: /has free slices and is not in the list/ });
  tldOf(heap).i32[list] = segment;
  tldOf(heap).i32[segment + Segment.next] = segment;
  t.throws(() => heap.validate(), { message: /the list of segments goes in circles|a wrong link/ });
});

test('validate finds slices that are to be purged and are not free', (t) => {
  const heap = MiMalloc.create({ bytes: 16 << 20 });
  const segment = segmentAt(tldOf(heap), heap.malloc(100) >>> 2);
  tldOf(heap).i32[segment + Segment.purgeLow] = -1;
  t.throws(() => heap.validate(), { message: /is to purge slices that are not free/ });
});

test('validate finds chunks that cannot be', (t) => {
  for (const field of [Field.chunkLow, Field.chunkHigh]) {
    for (const chunk of [-1, 2 ** 31 - 1]) {
      const heap = small();
      heap.validate();
      tldOf(heap).i32[tldOf(heap).header + field] = chunk;
      t.throws(() => heap.validate(), { code: 'Corrupted', message: /walks go from chunk \d+ to -?\d+/ });
    }
  }
});
