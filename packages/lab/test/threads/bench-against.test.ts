import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { COMPARABLE, rowsOf } from '../../dist/bench/against/measure.js';
import { type AgainstReport, renderAgainst } from '../../dist/bench/against/report.js';
import { chanceOf, ENOUGH_ROUNDS, outliersOf, summarizeAgainst } from '../../dist/bench/against/summary.js';
import { generator } from '../../dist/bench/random.js';
import { main } from '../../dist/cli.js';
import { UsageError } from '../../dist/errors.js';
import { bench } from '../support/bench.js';

/** This checkout: `packages/lab/dist-test` lies in it. */
const CHECKOUT = fileURLToPath(new URL('../../../..', import.meta.url));

const folder = mkdtempSync(path.join(tmpdir(), 'shmalloc-against-'));
test.after.always(() => rmSync(folder, { recursive: true }));

/**
 * Times of `rounds` rounds around `nanoseconds`, up to 3 % off, all the while the machine drifts up by half.
 */
function times(nanoseconds: number, rounds: number, seed: number): number[] {
  const next = generator(seed);
  return Array.from(
    { length: rounds },
    (_, round) => nanoseconds * (1 + round / (2 * rounds)) * (0.97 + 0.06 * (next() / 2 ** 32)),
  );
}

const sampleOf = (here: number[], there: number[]) => ({ allocator: 'tlsf', workload: 'pairs', here, there });

for (const rounds of [ENOUGH_ROUNDS, 15, 40]) {
  test(`a build that is 10 % slower is told of, and an equal one is not (${rounds} rounds)`, (t) => {
    const [here, there] = [times(10, rounds, 1), times(10, rounds, 2)];
    const slowed = here.map((time) => 1.1 * time);
    const figures = summarizeAgainst([
      sampleOf(slowed, there),
      sampleOf(there, slowed),
      sampleOf(here, there),
      sampleOf(here, here),
    ]);
    t.deepEqual(
      figures.map(({ verdict }) => verdict),
      ['slower', 'faster', 'same', 'same'],
    );
    t.true(figures[0].ratio > 1.06 && figures[0].ratio < 1.14, String(figures[0].ratio));
    t.like(figures[3], { ratio: 1, lower: 1, upper: 1, rounds });
  });
}

test('ratios are taken round by round; a spread leaves out what chance may have put outside', (t) => {
  const there = [...Array(15).keys()].map((round) => 100 * (round + 1));
  const ratios = [0.5, ...Array(13).fill(1.2), 9];
  const [figure] = summarizeAgainst([
    sampleOf(
      there.map((time, round) => time * ratios[round]),
      there,
    ),
  ]);
  t.like(figure, { here: 960, there: 800, rounds: 15, verdict: 'slower' });
  for (const value of [figure.ratio, figure.lower, figure.upper]) t.true(Math.abs(value - 1.2) < 1e-9);
  const [wider] = summarizeAgainst([sampleOf([50, 60, ...there.slice(2).map((time) => 1.2 * time)], there)]);
  t.like(
    wider,
    { lower: 0.5, verdict: 'same' },
    'one of fifteen may be off, two may not; the second is 60 / 200',
  );
});

test('a verdict needs nine rounds: with fewer, equal builds would be told apart too often', (t) => {
  t.is(chanceOf(4, 0), 2 / 16);
  t.is(chanceOf(4, 1), (2 * (1 + 4)) / 16);
  t.is(chanceOf(15, 1), (2 * (1 + 15)) / 2 ** 15);
  t.deepEqual([8, 9, 12, 13, 15, 40].map(outliersOf), [undefined, 0, 0, 1, 1, 10]);
  const there = Array(8).fill(10);
  const [figure] = summarizeAgainst([sampleOf([20, ...Array(7).fill(30)], there)]);
  t.like(figure, { ratio: 3, lower: 2, upper: 3, verdict: 'too few rounds' });
});

test('the report names the other checkout, the verdict, and the rows that a build could not do', (t) => {
  const [tlsf] = COMPARABLE.filter(({ name }) => name === 'tlsf');
  const rows = rowsOf([tlsf], ['pairs', 'xmalloc']);
  const samples = [sampleOf(Array(15).fill(11), Array(15).fill(10))];
  const report: AgainstReport = {
    machine: { cpu: 'a CPU', cores: 2, memoryBytes: 1, node: 'v20', v8: '11', os: 'an OS', date: 'today' },
    plan: { there: '/other', rounds: 15, turnSeconds: 1, settleSeconds: 1, bytes: 1 << 20, seed: 5 },
    figures: summarizeAgainst(samples),
    absences: [{ contestant: 'tlsf there', workload: 'xmalloc', reason: 'no such option' }],
    samples,
  };
  const text = renderAgainst(report, rows);
  t.regex(text, /^Tlsf +here, ns +there, ns +ratio +spread +here is\n─+\n/);
  t.regex(text, /^pairs lifo +11\.0 +10\.0 +1\.100 +1\.100–1\.100 +slower$/m);
  t.regex(text, /^There: \/other\.$/m);
  t.regex(text, /but the 1 lowest and the 1 highest\. .* once in 1,024 rows\.$/m);
  t.regex(text, /^Not measured: tlsf there in xmalloc: no such option$/m);
  t.regex(
    renderAgainst({ ...report, plan: { ...report.plan, rounds: 9 } }, rows),
    /the ratios\. .* once in 256/,
  );
  t.regex(
    renderAgainst({ ...report, plan: { ...report.plan, rounds: 2 } }, rows),
    /^A verdict needs 9 rounds/m,
  );
});

test.serial(
  'this checkout against itself: two rounds of one row of one thread, and one of two',
  async (t) => {
    const out = path.join(folder, 'itself.json');
    const few = ['--quick', '--rounds', '2', '--alloc', 'tlsf', '--workload', 'pairs,xmalloc'];
    const text = await bench('--against', CHECKOUT, ...few, '-o', out);
    t.regex(text, /^pairs lifo .* too few rounds$/m);
    t.regex(text, /^xmalloc, 64 B .* too few rounds$/m);
    t.true(text.endsWith(`\n${out}\n`));
    const { figures, samples, absences } = JSON.parse(readFileSync(out, 'utf8')) as AgainstReport;
    t.deepEqual(absences, []);
    t.deepEqual(
      figures.map(({ allocator, workload, rounds }) => [allocator, workload, rounds]),
      [
        ['tlsf', 'pairs', 2],
        ['tlsf', 'xmalloc', 2],
      ],
    );
    for (const { here, there } of samples) t.true([...here, ...there].every((time) => time > 0));
  },
);

test.serial('what is measured there is the build of that folder, in its workers, too', async (t) => {
  const dist = path.join(folder, 'fake', 'packages', 'tlsf', 'dist');
  mkdirSync(dist, { recursive: true });
  const real = JSON.stringify(new URL('../../../tlsf/dist/index.js', import.meta.url).href);
  const threads = JSON.stringify('node:worker_threads');
  writeFileSync(
    path.join(dist, 'index.js'),
    `import { Tlsf as Real } from ${real};
     import { isMainThread } from ${threads};
     export const Tlsf = {
       create(options) {
         if (!isMainThread) throw new Error('created by the build of that folder');
         return Real.create(options);
       },
       attach() {
         throw new Error('attached by the build of that folder');
       },
     };`,
  );
  const out = path.join(folder, 'fake.json');
  const few = ['--quick', '--rounds', '1', '--alloc', 'tlsf', '--workload', 'pairs,xmalloc'];
  await t.throwsAsync(bench('--against', path.join(folder, 'fake'), ...few, '-o', out), {
    message: 'nothing could be measured',
  });
  t.deepEqual((JSON.parse(readFileSync(out, 'utf8')) as AgainstReport).absences, [
    { contestant: 'tlsf there', workload: 'pairs', reason: 'created by the build of that folder' },
    { contestant: 'tlsf there', workload: 'xmalloc', reason: 'attached by the build of that folder' },
  ]);
});

test.serial('a folder that is no built checkout is refused with one line that names it', async (t) => {
  const file = path.join(folder, 'file');
  writeFileSync(file, '');
  const bare = path.join(folder, 'bare');
  mkdirSync(path.join(bare, 'packages', 'mimalloc'), { recursive: true });
  for (const [dir, message] of [
    [path.join(folder, 'gone'), /^no folder '.*gone' to measure against$/],
    [file, /'.*file' is a file/],
    [folder, /'.*shmalloc-against-\w+' is no checkout of this repository/],
    [bare, /'.*bare' is not built: it has no packages.mimalloc.dist.index\.js$/],
  ] as const) {
    const error = await t.throwsAsync(bench('--against', dir, '--alloc', 'mimalloc'), {
      instanceOf: UsageError,
    });
    t.regex(error?.message ?? '', message);
  }
  await t.throwsAsync(bench('--against', bare, '--alloc', 'slab'), {
    message: /bare' has no package 'slab'$/,
  });
  await t.throwsAsync(bench('--against', CHECKOUT, '--alloc', 'glibc'), {
    message: /'glibc'; there are mimalloc,/,
  });
  await t.throwsAsync(bench('--against', CHECKOUT, '--workload', 'mleak'), {
    message: /'mleak'; there are pairs,/,
  });
  await t.throwsAsync(bench('--against', CHECKOUT, '--alloc', 'buddy', '--workload', 'larson'), {
    instanceOf: UsageError,
    message: 'no allocator of buddy takes part in larson',
  });
  await t.throwsAsync(bench('--alloc', 'tlsf'), {
    instanceOf: UsageError,
    message: /'--alloc' belongs to '--against'/,
  });
});

test.serial('wrong use ends with exit code 2', async (t) => {
  const error = console.error;
  console.error = () => {};
  try {
    t.is(await main(['bench', '--against', path.join(folder, 'gone')]), 2);
    t.is(await main(['bench', '--against', CHECKOUT, '--pages']), 2);
    t.is(await main(['bench', '--against']), 2);
  } finally {
    console.error = error;
  }
});
