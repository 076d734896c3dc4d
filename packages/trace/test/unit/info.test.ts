import { TraceBuilder, traceInfo } from '@shmalloc/trace';
import test from 'ava';

test('an empty trace has nothing in it', (t) => {
  const info = traceInfo(new TraceBuilder().build());
  t.like(info, { operations: 0, threads: 0, maxConcurrentThreads: 0, peakLiveBytes: 0, crossThreadShare: 0 });
});

test('the peak is of what was asked for, a reallocation counting once', (t) => {
  const builder = new TraceBuilder();
  const a = builder.malloc(0, 100);
  const b = builder.calloc(0, 50);
  const c = builder.realloc(0, a, 300); // 350 live: the peak; never 450
  builder.free(0, b);
  builder.free(0, c);
  builder.aligned(0, 64, 349);
  t.like(traceInfo(builder.build()), {
    operations: 6,
    counts: { malloc: 1, calloc: 1, realloc: 1, aligned: 1, free: 2, exit: 0 },
    blocks: 4,
    peakLiveBytes: 350,
    peakLiveBlocks: 2,
    leakedBlocks: 1,
    leakedBytes: 349,
  });
});

test('frees and reallocations of another thread’s block are counted, of NULL never', (t) => {
  const builder = new TraceBuilder();
  const a = builder.malloc(0, 1);
  const b = builder.malloc(1, 1);
  builder.free(1, a); // crosses
  const c = builder.realloc(0, b, 2); // crosses; the block is thread 0's now
  builder.free(0, c);
  builder.free(2, 0);
  builder.realloc(2, 0, 8);
  const info = traceInfo(builder.build());
  t.is(info.crossThreadFrees, 1);
  t.is(info.crossThreadReallocs, 1);
  t.is(info.crossThreadShare, 1 / 3);
});

test('threads live from their first operation to their exit', (t) => {
  const builder = new TraceBuilder();
  for (let thread = 0; thread < 3; thread++) builder.malloc(thread, 1);
  builder.exit(1);
  builder.exit(2);
  builder.malloc(3, 1);
  t.like(traceInfo(builder.build()), { threads: 4, maxConcurrentThreads: 3 });
});

test('the histogram counts a size up to 2^k, and above the power before it, under k', (t) => {
  const builder = new TraceBuilder();
  for (const size of [0, 1, 2, 3, 4, 5, 8, 9, 1024, 1025, 2 ** 31, 2 ** 31 + 1, 2 ** 32 - 1])
    builder.malloc(0, size);
  const { sizeHistogram } = traceInfo(builder.build());
  t.is(sizeHistogram.length, 33);
  t.deepEqual(
    Object.entries(sizeHistogram).filter(([, count]) => count > 0),
    [
      ['0', 2],
      ['1', 1],
      ['2', 2],
      ['3', 2],
      ['4', 1],
      ['10', 1],
      ['11', 1],
      ['31', 1],
      ['32', 2],
    ],
  );
});
