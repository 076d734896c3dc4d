import {
  isCompact,
  readTrace,
  TraceBuilder,
  TraceError,
  type TraceErrorReason,
  writeTrace,
} from '@shmalloc/trace';
import test from 'ava';
import fc from 'fast-check';
import { checkProperty, churn, seedOf, traces } from './helpers/traces.ts';

const HEADER = [0x53, 0x48, 0x4d, 0x54, 1];
const SIZE_BYTES = 5;

test('every trace comes back from its file as it was', (t) => {
  checkProperty(
    t,
    fc.property(traces, (trace) => {
      t.deepEqual(readTrace(writeTrace(trace)), trace);
    }),
  );
});

test('the format, byte by byte', (t) => {
  const builder = new TraceBuilder();
  const a = builder.malloc(0, 15); //      0 0 1111
  const b = builder.calloc(0, 300); //     1 1 1100, then 300 >> 4 = 18
  builder.realloc(1, a, 40); //            switch to 1: 6 0 0001; 2 0 0010 (two back), 40
  builder.aligned(1, 64, 200); //          3 0 0110, 200 = c8 01
  builder.free(1, b); //                   4 0 0011 (three back)
  builder.free(1, 0); //                   4 0 0000
  builder.exit(1); //                      5 0 0000
  builder.malloc(0, 0); //                 switch to 0: 6 0 0000; 0 0 0000
  t.deepEqual(
    [...writeTrace(builder.build())],
    [...HEADER, 8, 2, 5, 0x0f, 0x3c, 18, 0xc1, 0x42, 40, 0x66, 0xc8, 0x01, 0x83, 0x80, 0xa0, 0xc0, 0x00],
  );
});

test('an empty trace is a header', (t) => {
  const bytes = writeTrace(new TraceBuilder().build());
  t.deepEqual([...bytes], [...HEADER, 0, 0, 0]);
  t.is(readTrace(bytes).operations, 0);
});

test('sizes up to 2^32 − 1 and large alignments survive', (t) => {
  const builder = new TraceBuilder();
  builder.malloc(0, 2 ** 32 - 1);
  builder.realloc(0, 1, 2 ** 31);
  builder.aligned(0, 2 ** 31, 2 ** 32 - 1);
  for (let index = 0; index < 300; index++) builder.malloc(0, 2 ** 32 - 1 - index);
  const trace = builder.build();
  t.deepEqual(readTrace(writeTrace(trace)), trace);
});

test('a program with eight threads takes at most 6 bytes an operation', (t) => {
  const trace = churn(8, 50_000, seedOf(t));
  const perOperation = writeTrace(trace).length / trace.operations;
  t.log(`${perOperation.toFixed(2)} bytes`);
  t.true(perOperation <= 6);
});

test('a file cut off anywhere is refused with the offset', (t) => {
  const bytes = writeTrace(churn(3, 300, seedOf(t)));
  for (let length = 0; length < bytes.length; length++) {
    const error = t.throws(() => readTrace(bytes.subarray(0, length)), { instanceOf: TraceError });
    t.regex(error?.message ?? '', /^compact trace, offset \d+: /);
    t.true(['magic', 'truncated', 'corrupt'].includes(error?.reason as string), error?.message);
    if (length >= 4) t.not(error?.reason, 'magic');
  }
});

test('a file with any byte changed is read as a valid trace or refused, never anything else', (t) => {
  const original = writeTrace(churn(3, 300, seedOf(t)));
  checkProperty(
    t,
    fc.property(fc.nat(original.length - 1), fc.nat(255), (at, value) => {
      const bytes = original.slice();
      bytes[at] = value;
      try {
        const trace = readTrace(bytes);
        t.deepEqual(readTrace(writeTrace(trace)), trace);
      } catch (error) {
        t.true(error instanceof TraceError, String(error));
      }
    }),
    500,
  );
});

const refused = test.macro({
  exec(t, bytes: number[], reason: TraceErrorReason, message: RegExp) {
    const error = t.throws(() => readTrace(Uint8Array.from(bytes)), { instanceOf: TraceError, message });
    t.is(error?.reason, reason);
  },
  title: (title) => `refused: ${title}`,
});

test('another file', refused, [...Buffer.from('GIF89a..')], 'magic', /offset 0: does not begin with "SHMT"/);
test(
  'a version of the future',
  refused,
  [...HEADER.slice(0, 4), 2, 0, 0, 0],
  'version',
  /offset 4: has version 2.*version 1/,
);
test('no version', refused, HEADER.slice(0, 4), 'truncated', /offset 4: ends before its version/);
test(
  'a count that never ends',
  refused,
  [...HEADER, 255, 255, 255, 255, 255, 1],
  'corrupt',
  /offset 5.*five bytes/,
);
test('a count above 2^32 − 1', refused, [...HEADER, 255, 255, 255, 255, 127], 'corrupt', /offset 5.*2\^32/);
test(
  'more operations than bytes',
  refused,
  [...HEADER, 200, 1, 1, 1, 0],
  'truncated',
  /the 200 operations announced/,
);
test(
  'more blocks than operations',
  refused,
  [...HEADER, 1, 1, 2, 0],
  'corrupt',
  /2 blocks and 1 threads in 1/,
);
test(
  'more threads than operations',
  refused,
  [...HEADER, 1, 2, 1, 0],
  'corrupt',
  /1 blocks and 2 threads in 1/,
);
test(
  'a block more than announced',
  refused,
  [...HEADER, 2, 1, 1, 0, 0],
  'corrupt',
  /offset 9: allocates more than the 1/,
);
test(
  'a block less than announced',
  refused,
  [...HEADER, 2, 1, 2, 0, 0x80],
  'corrupt',
  /ends with 1 of 2 blocks/,
);
test('a thread less than announced', refused, [...HEADER, 2, 2, 1, 0, 0x80], 'corrupt', /1 of 2 threads/);
test(
  'a block freed before there is one',
  refused,
  [...HEADER, 1, 1, 0, 0x81],
  'corrupt',
  /offset 8: frees a block 1 alloc/,
);
test(
  'a block freed twice',
  refused,
  [...HEADER, 3, 1, 1, 0, 0x81, 0x81],
  'corrupt',
  /offset 10: frees block 1 for the second/,
);
test(
  'bytes behind the end',
  refused,
  [...HEADER, 1, 1, 1, 0, 0],
  'corrupt',
  /offset 9: goes on after its last/,
);
test(
  'a kind that does not exist',
  refused,
  [...HEADER, 1, 1, 0, 0xe0],
  'corrupt',
  /0xe0, which begins no operation/,
);
test('an exit with a value', refused, [...HEADER, 1, 1, 0, 0xa1], 'corrupt', /0xa1/);
test(
  'a thread out of order',
  refused,
  [...HEADER, 3, 3, 1, 0, 0xc2, 0x80, 0x80],
  'corrupt',
  /switches to thread 2/,
);
test(
  'a thread not announced',
  refused,
  [...HEADER, 2, 1, 1, 0, 0xc1, 0x80],
  'corrupt',
  /switches to thread 1/,
);
test(
  'a thread after its exit',
  refused,
  [...HEADER, 2, 1, 0, 0xa0, 0xc0, 0x80],
  'corrupt',
  /switches to thread 0/,
);
test(
  'an operation after an exit',
  refused,
  [...HEADER, 2, 1, 0, 0xa0, 0x80],
  'corrupt',
  /a thread that has ended/,
);
test('an alignment of 2^32', refused, [...HEADER, 1, 1, 1, 0x70, 2, 8], 'corrupt', /alignment of 2\^32/);
test(
  'a size above 2^32 − 1 in a head',
  refused,
  [...HEADER, 1, 1, 1, 0x1f, ...new Array(SIZE_BYTES - 1).fill(0xff), 0x0f],
  'corrupt',
  /offset 8: holds a value above/,
);

test('a compact trace is told by its first bytes', (t) => {
  t.true(isCompact(Uint8Array.from(HEADER)));
  t.false(isCompact(Uint8Array.from(HEADER.slice(0, 3))));
  t.false(isCompact(Uint8Array.from(Buffer.from('= Start'))));
});
