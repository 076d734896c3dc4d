import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { events } from '@shmalloc/trace';
import { RecordError } from '@shmalloc/trace/record';
import test from 'ava';
import { type Converted, convertRaw, REASON } from '../../dist/record/convert.js';
import { KIND, type RawHeader, readRawHeader } from '../../dist/record/raw.js';

const directory = mkdtempSync(path.join(tmpdir(), 'shmalloc-raw-test-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
let files = 0;

type Entry = [kind: keyof typeof KIND, thread: number, address: number, size?: number, alignLog2?: number];

/** A raw file as the recorder writes it; `header` overwrites its fields. */
function rawFile(entries: Entry[], header: { magic?: string; version?: number; used?: number } = {}): string {
  const bytes = Buffer.alloc(4096 + 24 * entries.length);
  bytes.write(header.magic ?? 'shmalrec', 0, 'latin1');
  bytes.writeUInt32LE(header.version ?? 1, 8);
  bytes.writeUInt32LE(24, 12);
  bytes.writeBigUInt64LE(BigInt(entries.length), 16);
  bytes.writeUInt32LE(4711, 24);
  bytes.writeBigUInt64LE(99n, 32);
  bytes.writeBigUInt64LE(BigInt(header.used ?? entries.length), 64);
  bytes.write('program', 128, 'latin1');
  for (const [index, [kind, thread, address, size = 0, alignLog2 = 0]] of entries.entries()) {
    const at = 4096 + 24 * index;
    bytes[at] = KIND[kind];
    bytes[at + 1] = alignLog2;
    bytes.writeUInt32LE(thread, at + 4);
    bytes.writeBigUInt64LE(BigInt(address), at + 8);
    bytes.writeBigUInt64LE(BigInt(size), at + 16);
  }
  const file = path.join(directory, `${files++}.raw`);
  writeFileSync(file, bytes);
  return file;
}

async function convert(entries: Entry[], used?: number): Promise<Converted> {
  const file = rawFile(entries, used === undefined ? {} : { used });
  return convertRaw(file, (await readRawHeader(file)) as RawHeader);
}

/** The trace in short: `thread op id size`. */
function lines({ trace }: Converted): string[] {
  return [...events(trace)].map(({ thread, op, id, size, oldId }) => {
    return `${thread} ${op} ${oldId === undefined ? '' : `${oldId} → `}${id} ${size}`;
  });
}

test('the header tells the program, its start, and what did not fit', async (t) => {
  const file = rawFile([['malloc', 0, 0x7f00_0000_1000, 5]], { used: 4 });
  t.deepEqual(await readRawHeader(file), { name: 'program', pid: 4711, started: 99n, records: 1, lost: 3 });
});

test('a file that is cut, foreign, or of another version holds no recording', async (t) => {
  const cut = path.join(directory, 'cut.raw');
  writeFileSync(cut, 'shmalrec');
  t.is(await readRawHeader(cut), undefined);
  t.is(await readRawHeader(rawFile([], { magic: 'shmalloc' })), undefined);
  t.is(await readRawHeader(rawFile([], { version: 2 })), undefined);
});

test('threads and blocks are numbered in order of appearance', async (t) => {
  const converted = await convert([
    ['malloc', 7, 0x1000, 10],
    ['calloc', 3, 0x2000, 20],
    ['aligned', 7, 0x3000, 30, 6],
    ['free', 3, 0x1000],
    ['malloc', 3, 0x1000, 40],
    ['free', 7, 0x1000],
  ]);
  t.deepEqual(lines(converted), [
    '0 malloc 1 10',
    '1 calloc 2 20',
    '0 aligned 3 30',
    '1 free 1 0',
    '1 malloc 4 40',
    '0 free 4 0',
  ]);
  t.is(converted.problems.size, 0);
});

test('the old address of a realloc may be handed out before the realloc returns', async (t) => {
  const converted = await convert([
    ['malloc', 0, 0x1000, 10],
    ['reallocBegin', 0, 0x1000],
    ['malloc', 1, 0x1000, 20],
    ['reallocEnd', 0, 0x2000, 30],
    ['free', 1, 0x1000],
    ['free', 1, 0x2000],
  ]);
  t.deepEqual(lines(converted), [
    '0 malloc 1 10',
    '1 malloc 2 20',
    '0 realloc 1 → 3 30',
    '1 free 2 0',
    '1 free 3 0',
  ]);
  t.is(converted.problems.size, 0);
});

test('the end of a thread goes behind what the C library still frees in it; a thread that did nothing has none', async (t) => {
  const converted = await convert([
    ['malloc', 0, 0x1000, 10],
    ['malloc', 1, 0x2000, 20],
    ['threadExit', 1, 0],
    ['threadExit', 2, 0],
    ['free', 0, 0x1000],
    ['free', 1, 0x2000],
  ]);
  t.deepEqual(lines(converted), ['0 malloc 1 10', '1 malloc 2 20', '0 free 1 0', '1 free 2 0', '1 exit 0 0']);
});

test('a realloc to nothing is a free, and the block of one that failed lives on', async (t) => {
  const converted = await convert([
    ['malloc', 0, 0x1000, 10],
    ['reallocBegin', 0, 0x1000],
    ['reallocEnd', 0, 0, 100],
    ['reallocBegin', 0, 0],
    ['reallocEnd', 0, 0, 100],
    ['reallocBegin', 0, 0x1000],
    ['reallocEnd', 0, 0, 0],
  ]);
  t.deepEqual(lines(converted), ['0 malloc 1 10', '0 free 1 0']);
  t.deepEqual([...converted.problems], [[REASON.failed, 2]]);
});

const wrong: [string, Entry[], keyof typeof REASON, number, string[]][] = [
  ['a free of a block from before', [['free', 0, 0x1000]], 'foreignFree', 1, []],
  [
    'a realloc of a block from before',
    [
      ['reallocBegin', 0, 0x1000],
      ['reallocEnd', 0, 0x2000, 9],
    ],
    'foreignRealloc',
    1,
    ['0 realloc 0 → 1 9'],
  ],
  [
    'an address that comes twice',
    [
      ['malloc', 0, 0x1000, 1],
      ['malloc', 0, 0x1000, 2],
    ],
    'unseenFree',
    1,
    ['0 malloc 1 1', '0 free 1 0', '0 malloc 2 2'],
  ],
  ['a failed allocation', [['malloc', 0, 0, 2 ** 40]], 'failed', 1, []],
  [
    'a block beyond 4 GiB, its free, and its way to a smaller one',
    [
      ['malloc', 0, 0x1000, 2 ** 32],
      ['free', 0, 0x1000],
      ['malloc', 0, 0x1000, 2 ** 32],
      ['reallocBegin', 0, 0x1000],
      ['reallocEnd', 0, 0x2000, 9],
      ['reallocBegin', 0, 0x2000],
      ['reallocEnd', 0, 0x3000, 2 ** 33],
    ],
    'tooLarge',
    3,
    ['0 realloc 0 → 1 9', '0 free 1 0'],
  ],
  [
    'a block beyond 4 GiB that realloc frees',
    [
      ['malloc', 0, 0x1000, 2 ** 32],
      ['reallocBegin', 0, 0x1000],
      ['reallocEnd', 0, 0, 0],
      ['malloc', 0, 0x1000, 9],
    ],
    'tooLarge',
    1,
    ['0 malloc 1 9'],
  ],
  ['an alignment beyond 2 GiB', [['aligned', 0, 0x1000, 9, 32]], 'align', 1, ['0 aligned 1 9']],
  [
    'records that were claimed and not written, also the first half of a realloc',
    [
      ['unfinished', 0, 0],
      ['reallocEnd', 0, 0x1000, 4],
    ],
    'unfinished',
    2,
    [],
  ],
  [
    'a realloc that is under way at the end',
    [
      ['malloc', 0, 0x1000, 1],
      ['reallocBegin', 0, 0x1000],
    ],
    'openRealloc',
    1,
    ['0 malloc 1 1'],
  ],
];
for (const [title, entries, reason, count, expected] of wrong) {
  test(`${title}: counted`, async (t) => {
    const converted = await convert(entries);
    t.deepEqual([...converted.problems], [[REASON[reason], count]]);
    t.deepEqual(lines(converted), expected);
  });
}

test('a file that ends before its records is refused', async (t) => {
  const file = rawFile([['malloc', 0, 0x1000, 1]]);
  const header = { ...((await readRawHeader(file)) as RawHeader), records: 3 };
  const error = await t.throwsAsync(convertRaw(file, header), { instanceOf: RecordError });
  t.regex(error?.message ?? '', /ends after 1 of 3 records$/);
});

test('what did not fit is counted', async (t) => {
  const converted = await convert([['malloc', 0, 0x1000, 1]], 11);
  t.deepEqual([...converted.problems], [[REASON.full, 10]]);
});

test('a file of more than one chunk is converted whole', async (t) => {
  const entries: Entry[] = [];
  for (let i = 0; i < 70_000; i++) entries.push(['malloc', i % 3, 0x10_0000 + 16 * i, i]);
  const { trace, problems } = await convert(entries);
  t.is(trace.operations, 70_000);
  t.is(trace.size[69_999], 69_999);
  t.is(problems.size, 0);
});
