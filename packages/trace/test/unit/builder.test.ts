import {
  eventAt,
  events,
  MAX_SIZE,
  TraceBuilder,
  TraceError,
  type TraceErrorReason,
  type TraceEvent,
} from '@shmalloc/trace';
import test from 'ava';
import { brief, traceOf } from '../support/traces.ts';

const SAMPLE: TraceEvent[] = [
  { thread: 0, op: 'malloc', id: 1, size: 24 },
  { thread: 0, op: 'aligned', id: 2, size: 100, align: 64 },
  { thread: 1, op: 'realloc', id: 3, size: 48, oldId: 1 },
  { thread: 0, op: 'calloc', id: 4, size: 0 },
  { thread: 1, op: 'free', id: 2, size: 0 },
  { thread: 1, op: 'free', id: 0, size: 0 },
  { thread: 1, op: 'exit', id: 0, size: 0 },
  { thread: 0, op: 'realloc', id: 5, size: MAX_SIZE, oldId: 0 },
];

test('events that go in come out again', (t) => {
  const trace = traceOf(...SAMPLE);
  t.deepEqual([...events(trace)], SAMPLE);
  t.deepEqual(eventAt(trace, 2), SAMPLE[2]);
  t.like(trace, { operations: 8, threads: 2, blocks: 5 });
  t.is(trace.op.length, 8);
});

test('the builder counts, and goes on after a build', (t) => {
  const builder = new TraceBuilder();
  for (let index = 0; index < 5000; index++) builder.free(0, builder.malloc(0, index));
  t.is(builder.build().operations, 10_000);
  t.is(builder.add({ thread: 0, op: 'free', id: 0, size: 0 }), 0);
  t.is(builder.add({ thread: 0, op: 'exit', id: 0, size: 0 }), 0);
  t.is(builder.build().operations, 10_002);
  t.like(builder, { operations: 10_002, blocks: 5000, threads: 1 });
});

test('an aligned event without alignment is aligned to a byte, a realloc without old block allocates', (t) => {
  const trace = traceOf(
    { thread: 0, op: 'aligned', id: 1, size: 8 },
    { thread: 0, op: 'realloc', id: 2, size: 9 },
  );
  t.deepEqual(brief(trace), ['0 aligned 1:8@1', '0 realloc 0>2:9']);
});

/** Runs `wrong` after two operations of thread 0: block 1 freed, block 2 live. */
const refused = test.macro({
  exec(t, wrong: (builder: TraceBuilder) => void, reason: TraceErrorReason, message: RegExp) {
    const builder = new TraceBuilder();
    builder.free(0, builder.malloc(0, 8));
    builder.malloc(0, 8);
    builder.malloc(1, 8);
    builder.exit(1);
    const before = builder.build();
    const error = t.throws(() => wrong(builder), { instanceOf: TraceError, message });
    t.is(error?.reason, reason);
    t.deepEqual(builder.build(), before, 'a refused operation leaves no trace');
  },
  title: (title) => `refused, by name: ${title}`,
});

test(
  'a block freed twice',
  refused,
  (b) => b.free(0, 1),
  'freed-twice',
  /operation 5: block 1 has been freed already/,
);
test(
  'a freed block reallocated',
  refused,
  (b) => b.realloc(0, 1, 9),
  'freed-twice',
  /block 1 has been freed/,
);
test(
  'a block never allocated',
  refused,
  (b) => b.free(0, 9),
  'never-allocated',
  /block 9 was never allocated/,
);
test('a block of a later time', refused, (b) => b.realloc(0, 4, 9), 'never-allocated', /block 4/);
test('a thread number left out', refused, (b) => b.malloc(3, 9), 'thread-order', /thread 3 appears.* is 2/);
test('a negative thread', refused, (b) => b.malloc(-1, 9), 'thread-order', /thread -1/);
test('a thread that has ended', refused, (b) => b.malloc(1, 9), 'thread-ended', /thread 1 has ended/);
test('a second exit', refused, (b) => b.exit(1), 'thread-ended', /thread 1 has ended/);
test('a size above 2^32 − 1', refused, (b) => b.malloc(0, 2 ** 32), 'size', /size 4294967296/);
test('a fraction of a byte', refused, (b) => b.calloc(0, 1.5), 'size', /size 1.5/);
test('a negative size', refused, (b) => b.realloc(0, 2, -1), 'size', /size -1/);
test('an alignment of 3', refused, (b) => b.aligned(0, 3, 8), 'align', /alignment 3/);
test('an alignment of 0', refused, (b) => b.aligned(0, 0, 8), 'align', /alignment 0/);
test(
  'an unknown operation',
  refused,
  (b) => b.add({ thread: 0, op: 'mmap' as 'malloc', id: 1, size: 1 }),
  'op',
  /no operation "mmap"/,
);
