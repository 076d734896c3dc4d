import { readdirSync, readFileSync, statSync } from 'node:fs';
import { recordings } from '@shmalloc/recordings';
import { readTrace, traceInfo, writeTrace } from '@shmalloc/trace';
import test from 'ava';

const data = new URL('../../data/', import.meta.url);
const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
/** The cells of each row of the table, without their padding. */
const rows = readme.split('\n').map((line) => line.replace(/^\| *| *\|$/g, '').replace(/ *\| */g, '|'));

for (const recording of recordings) {
  test(`${recording.name}: reads back whole, and is what the list says`, (t) => {
    const bytes = readFileSync(recording.url);
    const trace = readTrace(bytes); // checks every invariant of the normal form
    const info = traceInfo(trace);
    t.is(info.operations, recording.operations);
    t.is(info.threads, recording.threads);
    t.is(info.peakLiveBytes, recording.peakBytes);
    t.is(info.crossThreadFrees, recording.crossThreadFrees);
    t.true(bytes.equals(writeTrace(trace)), 'written again, it is the same file');
    t.true(bytes.length <= 6 * info.operations, `${bytes.length / info.operations} bytes an operation`);
  });

  test(`${recording.name}: the README has the same figures and says how it was recorded`, (t) => {
    const { name, program, description, packages, operations, threads, peakBytes, crossThreadFrees } =
      recording;
    const figures = [operations, threads, peakBytes, crossThreadFrees];
    const row = [name, program, ...figures.map((number) => number.toLocaleString('en'))];
    t.true(rows.includes(row.join('|')), row.join('|'));
    t.true(readme.includes(`- **${name}** (Debian: ${packages.join(', ')}): ${description}\n`));
  });
}

test('ten programs or more, four or more of them with frees that cross threads by the hundred', (t) => {
  t.true(recordings.length >= 10);
  t.is(new Set(recordings.map(({ name }) => name)).size, recordings.length);
  const crossing = recordings.filter(({ crossThreadFrees }) => crossThreadFrees >= 500);
  t.true(crossing.length >= 4, crossing.map(({ name }) => name).join(', '));
});

test('every file is in the list, and together they take 3 MB at most', (t) => {
  const files = readdirSync(data);
  t.deepEqual(files.sort(), recordings.map(({ name }) => `${name}.trace`).sort());
  const bytes = files.reduce((sum, file) => sum + statSync(new URL(file, data)).size, 0);
  t.true(bytes <= 3_000_000, `${bytes} bytes`);
});
