import { crc32 } from 'node:zlib';
import {
  events,
  isCompact,
  readTrace,
  TraceBuilder,
  TraceError,
  type TraceErrorReason,
  writeTrace,
} from '@shmalloc/trace';
import test from 'ava';
import fc from 'fast-check';
import { checkProperty, churn, seedOf, traces } from '../support/traces.ts';

const MAGIC = [0x53, 0x48, 0x4d, 0x54];
/** What stands before the counts. */
const BODY = 13;
const SIZE_BYTES = 5;

const u32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);

/** A file with this behind its header, its length and its checksum right. */
function whole(...body: number[]): number[] {
  return [...MAGIC, 2, ...u32(body.length), ...u32(crc32(Uint8Array.from(body))), ...body];
}

/** The same file with its checksum made right again. */
function summed(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(whole(...bytes.subarray(BODY)));
}

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
    whole(8, 2, 5, 0x0f, 0x3c, 18, 0xc1, 0x42, 40, 0x66, 0xc8, 0x01, 0x83, 0x80, 0xa0, 0xc0, 0x00),
  );
});

test('an empty trace is a header', (t) => {
  const bytes = writeTrace(new TraceBuilder().build());
  t.deepEqual([...bytes], [...MAGIC, 2, 3, 0, 0, 0, 0x12, 0xd9, 0x41, 0xff, 0, 0, 0]);
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

test('a file cut off anywhere is refused as such, with the offset', (t) => {
  const bytes = writeTrace(churn(3, 300, seedOf(t)));
  for (let length = 0; length < bytes.length; length++) {
    const error = t.throws(() => readTrace(bytes.subarray(0, length)), { instanceOf: TraceError });
    t.regex(error?.message ?? '', /^compact trace, offset \d+: /);
    t.is(error?.reason, length < MAGIC.length ? 'magic' : 'truncated', error?.message);
  }
});

test('a file with any byte changed is refused', (t) => {
  const bytes = writeTrace(churn(3, 300, seedOf(t)));
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    for (const other of [byte ^ 1, byte ^ 0x80, (byte + 1) & 0xff]) {
      bytes[at] = other;
      const error = t.throws(() => readTrace(bytes), { instanceOf: TraceError });
      if (at >= 9) t.is(error?.reason, 'checksum', error?.message);
    }
    bytes[at] = byte;
  }
  t.notThrows(() => readTrace(bytes));
});

test('a file that is wrong and has the right checksum is a trace in normal form or refused, never anything else', (t) => {
  const original = writeTrace(churn(3, 300, seedOf(t)));
  const changes = fc.array(
    fc.record({ at: fc.integer({ min: BODY, max: original.length - 1 }), value: fc.nat(255) }),
    { minLength: 1, maxLength: 4 },
  );
  let read = 0;
  checkProperty(
    t,
    fc.property(changes, (list) => {
      const bytes = original.slice();
      for (const { at, value } of list) bytes[at] = value;
      try {
        const trace = readTrace(summed(bytes));
        // The builder has rules of its own, and refuses what breaks them.
        const builder = new TraceBuilder();
        for (const event of events(trace)) builder.add(event);
        t.deepEqual(builder.build(), trace);
        read++;
      } catch (error) {
        t.true(error instanceof TraceError && error.reason === 'corrupt', String(error));
      }
    }),
    500,
  );
  t.true(read > 0, 'some changes make another trace');
});

const refused = test.macro({
  exec(t, bytes: number[], reason: TraceErrorReason, message: RegExp) {
    const error = t.throws(() => readTrace(Uint8Array.from(bytes)), { instanceOf: TraceError, message });
    t.is(error?.reason, reason);
  },
  title: (title) => `refused: ${title}`,
});

test('another file', refused, [...Buffer.from('GIF89a..')], 'magic', /offset 0: does not begin with "SHMT"/);
test('another version', refused, [...MAGIC, 1, 0, 0, 0], 'version', /offset 4: has version 1.*version 2/);
test('no version', refused, MAGIC, 'truncated', /offset 4: ends before its version/);
test('half a header', refused, whole(0, 0, 0).slice(0, 12), 'truncated', /offset 12: ends within its header/);
test(
  'half a file',
  refused,
  whole(0, 0, 0).slice(0, 15),
  'truncated',
  /offset 15: ends here; it should have 16 bytes/,
);
test(
  'two files in one',
  refused,
  [...whole(0, 0, 0), ...whole(0, 0, 0)],
  'corrupt',
  /offset 16: goes on to 32/,
);
test(
  'a checksum of something else',
  refused,
  [...whole(0, 0, 0).slice(0, 9), 1, 0, 0, 0, 0, 0, 0],
  'checksum',
  /offset 9: has the checksum 0x00000001.*sums to 0xff41d912/,
);
test(
  'a count that never ends',
  refused,
  whole(255, 255, 255, 255, 255, 1),
  'corrupt',
  /offset 13.*five bytes/,
);
test('a count above 2^32 − 1', refused, whole(255, 255, 255, 255, 127), 'corrupt', /offset 13.*2\^32/);
test(
  'more operations than bytes',
  refused,
  whole(200, 1, 1, 1, 0),
  'corrupt',
  /offset 13: announces 200 operations with 1 blocks and 1 threads in 1 bytes/,
);
test(
  'more blocks than operations',
  refused,
  whole(1, 1, 2, 0),
  'corrupt',
  /1 operations with 2 blocks and 1 threads/,
);
test(
  'more threads than operations',
  refused,
  whole(1, 2, 1, 0),
  'corrupt',
  /1 operations with 1 blocks and 2 threads/,
);
test(
  'a block more than announced',
  refused,
  whole(2, 1, 1, 0, 0),
  'corrupt',
  /offset 17: allocates more than the 1/,
);
test('a block less than announced', refused, whole(2, 1, 2, 0, 0x80), 'corrupt', /ends with 1 of 2 blocks/);
test('a thread less than announced', refused, whole(2, 2, 1, 0, 0x80), 'corrupt', /1 of 2 threads/);
test(
  'a block freed before there is one',
  refused,
  whole(1, 1, 0, 0x81),
  'corrupt',
  /offset 16: frees a block 1 alloc/,
);
test(
  'a block freed twice',
  refused,
  whole(3, 1, 1, 0, 0x81, 0x81),
  'corrupt',
  /offset 18: frees block 1 for the second/,
);
test('bytes behind the end', refused, whole(1, 1, 1, 0, 0), 'corrupt', /offset 17: goes on after its last/);
test(
  'a kind that does not exist',
  refused,
  whole(1, 1, 0, 0xe0),
  'corrupt',
  /0xe0, which begins no operation/,
);
test(
  'operations less than announced',
  refused,
  whole(2, 1, 2, 0x1f, 1),
  'corrupt',
  /offset 18: ends after 1 of 2/,
);
test('half a number', refused, whole(2, 1, 2, 0x1f, 0xff), 'corrupt', /offset 18: ends within a number/);
test(
  'a first thread that is not 0',
  refused,
  whole(2, 2, 0, 0xc1, 0x80, 0x80),
  'corrupt',
  /switches to thread 1/,
);
test(
  'a thread that is switched to and does nothing',
  refused,
  whole(3, 3, 0, 0x80, 0xc1, 0xc2, 0x80, 0x80),
  'corrupt',
  /switches to thread 2/,
);
test('an exit with a value', refused, whole(1, 1, 0, 0xa1), 'corrupt', /0xa1/);
test(
  'a thread out of order',
  refused,
  whole(3, 3, 1, 0, 0xc2, 0x80, 0x80),
  'corrupt',
  /switches to thread 2/,
);
test('a thread not announced', refused, whole(2, 1, 1, 0, 0xc1, 0x80), 'corrupt', /switches to thread 1/);
test('a thread after its exit', refused, whole(2, 1, 0, 0xa0, 0xc0, 0x80), 'corrupt', /switches to thread 0/);
test('an operation after an exit', refused, whole(2, 1, 0, 0xa0, 0x80), 'corrupt', /a thread that has ended/);
test('an alignment of 2^32', refused, whole(1, 1, 1, 0x70, 2, 8), 'corrupt', /alignment of 2\^32/);
test(
  'a size above 2^32 − 1 in a head',
  refused,
  whole(1, 1, 1, 0x1f, ...new Array(SIZE_BYTES - 1).fill(0xff), 0x0f),
  'corrupt',
  /offset 16: holds a value above/,
);

test('a compact trace is told by its first bytes', (t) => {
  t.true(isCompact(Uint8Array.from(MAGIC)));
  t.false(isCompact(Uint8Array.from(MAGIC.slice(0, 3))));
  t.false(isCompact(Uint8Array.from(Buffer.from('= Start'))));
});
