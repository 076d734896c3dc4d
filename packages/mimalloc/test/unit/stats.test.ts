import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { SMALL, validatedHeap } from '../support/validated.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

test('statistics tell what is there', (t) => {
  const { heap } = validatedHeap({ bytes: 8 * MIB, grow: false });
  const empty = heap.stats();
  t.like(empty, {
    algorithm: 'mimalloc',
    totalBytes: heap.totalBytes(),
    usedBytes: 0,
    availableBytes: heap.totalBytes(),
    pages: 0,
    large: 0,
    huge: 0,
    segments: 0,
    abandonedSegments: 0,
    threads: [{ threadId: heap.threadId, lockWaits: 0, remoteFrees: null, heldBytes: 0, failures: 0 }],
    heaps: 1,
    arenas: 0,
    secure: 0,
    errors: 0,
    failures: 0,
  });
  t.true(empty.reservedBytes > empty.totalBytes && empty.reservedBytes <= 8 * MIB);
  const blocks = [heap.malloc(100), heap.malloc(200 * KIB), heap.malloc(3 * MIB)];
  const part = heap.heapNew();
  part.malloc(100);
  const full = heap.stats();
  t.like(full, { pages: 4, large: 1, huge: 1, heaps: 2, usedBytes: heap.usedBytes() });
  t.is(full.usedBytes + full.availableBytes, full.totalBytes);
  t.is(full.segments + full.freeSegments, empty.freeSegments);
  t.true(full.committedBytes >= full.usedBytes);
  t.is(full.footprintBytes, full.peakCommittedBytes);
  t.is(full.footprintBytes, heap.footprintBytes());
  t.like(full.counters, { pages: 2, largePages: 1, hugePages: 1, pagesFreed: 0 });
  for (const block of blocks) heap.free(block);
  part.destroy();
  heap.collect(true);
  const after = heap.stats();
  t.like(after, { usedBytes: 0, pages: 0, large: 0, huge: 0, segments: 0, heaps: 1 });
  t.is(after.counters.pagesFreed, 4);
  t.is(after.counters.segmentsClaimed, after.counters.segmentsReleased);
  t.true(after.purges > 0 && after.purgedBytes >= 3 * MIB);
  t.is(after.committedBytes, full.committedBytes - after.purgedBytes);
  t.is(after.peakCommittedBytes, full.peakCommittedBytes);
});

test('failures and errors are counted, each once', (t) => {
  const { heap } = validatedHeap();
  t.is(heap.malloc(2 * MIB), 0);
  t.is(heap.malloc(2 ** 32), 0);
  t.is(heap.mallocAligned(2 * MIB, 64), 0);
  t.is(heap.calloc(2 ** 31, 2 ** 31), 0);
  t.is(heap.heapNew().malloc(2 * MIB), 0);
  heap.free(64);
  heap.usableSize(64);
  t.like(heap.stats(), { failures: 5, errors: 2 });
});

test('counters of threads and heaps that have ended stay in the sum', (t) => {
  const heap = MiMalloc.create(SMALL);
  const other = MiMalloc.attach(heap.share());
  t.is(other.stats().threads.length, 2);
  const block = other.malloc(100);
  const part = other.heapNew();
  part.malloc(100);
  t.is(heap.stats().counters.pages, 2);
  other.detach();
  t.is(heap.stats().threads.length, 1);
  t.is(heap.stats().heaps, 1);
  t.true(heap.stats().abandonedSegments > 0);
  t.is(heap.stats().counters.pages, 2);
  heap.free(block);
  heap.collect(true);
  t.is(heap.stats().abandonedSegments, 0);
});

test('frees into full pages are counted when they are gathered', (t) => {
  const heap = MiMalloc.create(SMALL);
  const other = MiMalloc.attach(heap.share());
  const blocks = Array.from({ length: 1000 }, () => heap.malloc(200));
  for (const block of blocks) other.free(block);
  heap.collect(true);
  const { delayed } = heap.stats().counters;
  t.true(delayed > 0 && delayed < 1000, `${delayed}`);
});

test('the text has a line for each figure, laid out in columns', (t) => {
  const heap = MiMalloc.create({ bytes: 8 * MIB, grow: false });
  for (const size of [10, 200 * KIB, 3 * MIB]) heap.malloc(size);
  const lines = heap.statsText().split('\n');
  t.is(lines.pop(), '');
  t.regex(lines[0], /^ heap stats: +peak +total +freed +current +unit$/);
  const names = lines.map((line) => line.slice(0, 11).trim());
  for (const name of ['reserved', 'committed', 'purged', 'segments', 'pages', '-huge', 'threads', 'errors']) {
    t.true(names.includes(name), name);
  }
  const columns = (name: string): string[] => {
    const line = lines[names.indexOf(name)];
    return [12, 24, 36, 48].map((at) => line.slice(at, at + 12).trim());
  };
  t.deepEqual(columns('pages'), ['', '3', '0', '3']);
  t.deepEqual(columns('threads'), ['', '', '', '1']);
  const { committedBytes } = heap.stats();
  t.is(columns('committed')[3], `${(committedBytes / MIB).toFixed(1)} MiB`);
  t.true(lines.every((line) => line.length <= 72 && !line.endsWith(' ')));
});

test('printStats prints through the output hook, errors do where there is no hook for them', (t) => {
  const heap = MiMalloc.create(SMALL);
  const printed: string[] = [];
  heap.registerOutput((text) => printed.push(text));
  heap.printStats();
  t.deepEqual(printed, [heap.statsText()]);
  heap.free(64);
  t.is(printed[1], 'AllocError: free(64): no such block is handed out\n');
});
