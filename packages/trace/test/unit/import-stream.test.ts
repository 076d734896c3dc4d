/** What holds for every format: detection, chunks, lines, problems. */
import {
  importTrace,
  problemText,
  TEXT_FORMATS,
  TRACE_FORMATS,
  TraceBuilder,
  TraceError,
  writeTrace,
} from '@shmalloc/trace';
import test from 'ava';
import fc from 'fast-check';
import { AddressMap } from '../../dist/import/address-map.js';
import { LineSplitter, MAX_LINE_BYTES } from '../../dist/import/lines.js';
import { chunked, importText } from '../support/imports.ts';
import { brief, checkProperty, churn, seedOf } from '../support/traces.ts';

const SAMPLES = {
  rep: '1\r\n2\r\n3\r\n9\r\na 0 8\r\nr 0 16\r\nf 0\r\n',
  mtrace: '= Start\n@ a:[0x1] + 0x10 0x8\n@ a:[0x2] - 0x10\n= End\n',
  valgrind: '==1== Memcheck\n==1== Copyright\n--1-- malloc(8) = 0x10\n--1-- free(0x10)\n',
  'memory-replay': '1: malloc 0x10 8\n1: free 0x10\n1: thread_done 0x0\n',
  ltrace: '__libc_start_main(0x1, 2)\n[pid 1] a->malloc(8)  = 0x10\n[pid 1] a->free(0x10)  = <void>\n',
} as const;

test('every format of text has a sample here', (t) => {
  t.deepEqual([...TEXT_FORMATS].sort(), Object.keys(SAMPLES).sort());
});

for (const [format, text] of Object.entries(SAMPLES)) {
  test(`${format} is told from its lines`, async (t) => {
    const result = await importText(text);
    t.is(result.format, format as keyof typeof SAMPLES);
    t.is(result.problems.total, 0);
    t.is(result.lines, text.split('\n').length - 1);
  });

  test(`${format}: where the chunks are cut makes no difference`, async (t) => {
    const whole = await importText(text);
    for (let bytes = 1; bytes < text.length; bytes++) {
      t.deepEqual(await importTrace(chunked(text, bytes), { name: 'sample' }), whole);
    }
  });
}

test('the compact format is read too', async (t) => {
  const trace = churn(3, 60_000, seedOf(t));
  const text = Buffer.from(writeTrace(trace)).toString('latin1');
  const result = await importTrace(chunked(text, 10_000), { name: 'a.trace' });
  t.is(result.format, 'compact');
  t.deepEqual(result.trace, trace);
  const named = await importTrace(chunked(text), { name: 'a.trace', format: 'compact' });
  t.deepEqual(named.trace, trace);
});

test('a compact file that is damaged is refused by name', async (t) => {
  const bytes = writeTrace(churn(3, 300, seedOf(t)));
  bytes[100] ^= 1;
  const text = Buffer.from(bytes).toString('latin1');
  const error = await t.throwsAsync(importText(text, { name: 'a.trace' }), { instanceOf: TraceError });
  t.is(error?.reason, 'checksum');
  t.regex(error?.message ?? '', /^a.trace: compact trace, offset 9: has the checksum 0x[0-9a-f]{8}, but /);
});

test('a file longer than the sample is imported whole, a trace written as memory_replay comes back', async (t) => {
  const trace = churn(4, 20_000, seedOf(t));
  const address = (id: number): string => `0xb4000000${(16 * id).toString(16).padStart(8, '0')}`;
  const lines: string[] = [];
  for (const event of brief(trace)) {
    const [thread, op, what] = event.split(' ');
    const [, old, id, size, align] = /^(?:(\d+)>)?(\d+)(?::(\d+))?(?:@(\d+))?$/.exec(what) ?? [];
    if (op === 'free') lines.push(`${thread}: free ${address(Number(id))}`);
    else if (op === 'realloc') {
      lines.push(`${thread}: realloc ${address(Number(id))} ${address(Number(old))} ${size}`);
    } else if (op === 'calloc') lines.push(`${thread}: calloc ${address(Number(id))} 1 ${size}`);
    else if (op === 'aligned') lines.push(`${thread}: memalign ${address(Number(id))} ${align} ${size}`);
    else lines.push(`${thread}: malloc ${address(Number(id))} ${size}`);
  }
  const result = await importTrace(chunked(lines.join('\n'), 4096), { name: 'long' });
  t.is(result.problems.total, 0);
  t.is(result.lines, lines.length);
  t.deepEqual(result.trace, trace);
});

test('a file in no format is refused', async (t) => {
  for (const text of ['', '\n\n', 'hello\nworld\n', 'a(b) = c\n', '{"malloc": 8}\n']) {
    const error = await t.throwsAsync(importText(text, { name: 'x.log' }), { instanceOf: TraceError });
    t.is(error?.reason, 'format');
    t.regex(error?.message ?? '', /^x.log: no operation found in any format \(compact, memory-replay/);
  }
});

test('a format that there is not is refused', async (t) => {
  const error = await t.throwsAsync(importText('', { format: 'csv' as 'rep' }), { instanceOf: TraceError });
  t.regex(error?.message ?? '', /there is no format "csv"; it is one of compact, /);
  t.is(TRACE_FORMATS.length, 6);
});

test('chunks that are strings are refused', async (t) => {
  async function* strings(): AsyncGenerator<string> {
    yield '= Start\n';
  }
  const error = await t.throwsAsync(
    importTrace(strings() as unknown as AsyncIterable<Uint8Array>, { name: 'x' }),
    { instanceOf: TypeError },
  );
  t.regex(error?.message ?? '', /Uint8Arrays, got string; was an encoding set/);
});

test('a stream that cannot be imported is closed', async (t) => {
  let closed = false;
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) yield Buffer.from('hello, world\n'.repeat(1000));
    } finally {
      closed = true;
    }
  }
  await t.throwsAsync(importTrace(endless(), { name: 'x' }), { instanceOf: TraceError });
  t.true(closed);
});

test('a stream may use the memory of a chunk again', async (t) => {
  const trace = churn(3, 60_000, seedOf(t));
  const file = Buffer.from(writeTrace(trace));
  const memory = Buffer.alloc(1000);
  async function* reusing(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < file.length; at += memory.length) {
      const length = file.copy(memory, 0, at, at + memory.length);
      yield memory.subarray(0, length);
    }
  }
  t.deepEqual((await importTrace(reusing(), { name: 'x' })).trace, trace);
});

test('a problem names file, line, reason and text; all are counted, the first are kept', async (t) => {
  const lines = [
    '1: malloc 0x10 8',
    '1: mallocs\u0007 0x10 8',
    ...new Array(50).fill(`oops ${'!'.repeat(200)}`),
  ];
  lines.push('1: free 0x99', '1: free 0xb400007b00000099');
  const { problems } = await importText(lines.join('\n'), {
    name: 'a.txt',
    format: 'memory-replay',
    keepProblems: 3,
  });
  t.is(problems.total, 53);
  t.deepEqual(problems.counts, { malformed: 51, 'unknown-block': 2 });
  t.is(problems.first.length, 3);
  t.is(
    problemText(problems.first[0]),
    'a.txt:2: malformed: expected malloc, calloc, realloc, memalign, free or thread_done, got "1: mallocs? 0x10 8"',
  );
  t.regex(
    problemText(problems.first[1]),
    /^a.txt:3: malformed: expected "tid: operation", got "oops !{75}" …$/,
  );
  const all = await importText(lines.join('\n'), {
    name: 'a.txt',
    format: 'memory-replay',
    keepProblems: 99,
  });
  t.is(problemText(all.problems.first[51]), 'a.txt:53: unknown-block: frees 0x99, which is not live');
  t.is(
    problemText(all.problems.first[52]),
    'a.txt:54: unknown-block: frees 0xb400007b00000099, which is not live',
  );
});

test('lines come out whole, however the chunks are cut, without \\n and \\r\\n', (t) => {
  checkProperty(
    t,
    fc.property(
      fc.array(fc.constantFrom('', 'a', 'bc', '\r', 'long line')),
      fc.integer({ min: 1, max: 7 }),
      (lines, cut) => {
        const text = Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1');
        const seen: string[] = [];
        const splitter = new LineSplitter((bytes, start, end) => {
          seen.push(Buffer.from(bytes.subarray(start, end)).toString('latin1'));
        });
        for (let at = 0; at < text.length; at += cut) splitter.push(text.subarray(at, at + cut));
        splitter.end();
        t.deepEqual(
          seen,
          lines.map((line) => line.replace(/\r$/, '')),
        );
      },
    ),
  );
});

test('a line that is longer than any line is cut off, not kept, however the chunks are cut', (t) => {
  const text = Buffer.concat([Buffer.alloc(5 * MAX_LINE_BYTES, 0x61), Buffer.from('\nb\n')]);
  for (const cut of [1000, MAX_LINE_BYTES, text.length]) {
    const seen: number[] = [];
    const splitter = new LineSplitter((_, start, end) => seen.push(end - start));
    for (let at = 0; at < text.length; at += cut) splitter.push(text.subarray(at, at + cut));
    t.deepEqual(seen, [MAX_LINE_BYTES, 1]);
  }
});

test('the address map does what a Map does', (t) => {
  const keys = fc.oneof(
    fc.nat(40),
    fc.nat(0xffff).map((k) => k * 16),
    fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  );
  const steps = fc.array(fc.tuple(fc.constantFrom('set', 'get', 'delete'), fc.nat(2), keys), {
    maxLength: 400,
  });
  checkProperty(
    t,
    fc.property(steps, (list) => {
      const map = new AddressMap(4);
      const model = new Map<string, number>();
      let id = 0;
      for (const [what, hi, lo] of list) {
        const key = `${hi} ${lo}`;
        const known = model.get(key) ?? 0;
        if (what === 'get') t.is(map.get(hi, lo), known);
        else if (what === 'delete') {
          t.is(map.delete(hi, lo), known);
          model.delete(key);
        } else {
          map.set(hi, lo, ++id);
          model.set(key, id);
        }
        t.is(map.size, model.size);
      }
      for (const [key, value] of model) {
        const [hi, lo] = key.split(' ').map(Number);
        t.is(map.get(hi, lo), value);
      }
    }),
  );
});

test('an importer’s trace is a builder’s trace', async (t) => {
  const builder = new TraceBuilder();
  builder.free(0, builder.malloc(0, 8));
  t.deepEqual((await importText(SAMPLES.mtrace)).trace, builder.build());
});
