import test from 'ava';
import { CONTESTANTS, type Contestant, REFERENCES, type Seat } from '../../dist/bench/contestant.js';
import { withFootprint } from '../../dist/bench/footprint/footprint.js';
import { measure, type Plan, stepsOf } from '../../dist/bench/measure.js';
import { type BenchReport, renderReport } from '../../dist/bench/report.js';
import { summarize } from '../../dist/bench/summary.js';
import { THREAD_CONTESTANTS } from '../../dist/bench/threads/contestant.js';
import { summarizeThreads } from '../../dist/bench/threads/summary.js';
import { THREAD_WORKLOADS } from '../../dist/bench/threads/workload.js';
import { WORKLOADS } from '../../dist/bench/workload.js';

const [pairs, , churn] = WORKLOADS;

/** A contestant whose seat only writes down what happens to it. */
function scripted(
  name: string,
  log: string[],
  change: Partial<Seat> & { prepare?: () => Promise<unknown> } = {},
): Contestant {
  const { prepare, ...seat } = change;
  return {
    name,
    title: name.toUpperCase(),
    kind: 'foreign',
    ...(prepare && { prepare }),
    seat: async (order) => ({
      settle: async () => 100,
      round: async (count) => {
        log.push(`${order.workload} ${name}`);
        return count;
      },
      close: async () => void log.push(`${order.workload} ${name} leaves`),
      ...seat,
    }),
  };
}

function planOf(contestants: readonly Contestant[], rounds = 3): Plan {
  return {
    contestants,
    workloads: [pairs, churn],
    rounds,
    roundSeconds: 0.2,
    settleSeconds: 2,
    bytes: 1 << 20,
    seed: 5,
  };
}

test('rounds are interleaved and each starts with another contestant', async (t) => {
  const log: string[] = [];
  const plan = planOf(['a', 'b', 'c'].map((name) => scripted(name, log)));
  let steps = 0;
  const { samples, absences } = await measure(plan, () => steps++);
  const played = (workload: string) => [...'abcbcacab'].map((name) => `${workload} ${name}`);
  const left = (workload: string) => [...'abc'].map((name) => `${workload} ${name} leaves`);
  t.deepEqual(log, [...played('pairs'), ...left('pairs'), ...played('churn'), ...left('churn')]);
  t.is(steps, stepsOf(plan));
  t.deepEqual(absences, []);
  t.is(samples.length, 6);
  t.deepEqual(samples[0], { contestant: 'a', workload: 'pairs', pairs: 100, rounds: [100, 100, 100] });
});

test('whoever cannot take part is named with the reason, and the others go on', async (t) => {
  const log: string[] = [];
  const fail = (message: string) => async (): Promise<never> => {
    throw new Error(message);
  };
  const { samples, absences } = await measure(
    planOf([
      scripted('fine', log),
      scripted('uncompiled', log, { prepare: fail('cc is not installed\nat line 2') }),
      scripted('missing', log, { prepare: () => import('@nobody/has-this' as string) }),
      scripted('unsettled', log, { settle: fail('no memory') }),
      scripted('broken', log, { round: fail('trapped') }),
    ]),
  );
  t.deepEqual(
    samples.map(({ contestant, workload, rounds }) => [contestant, workload, rounds.length]),
    [
      ['fine', 'pairs', 3],
      ['fine', 'churn', 3],
    ],
  );
  const told = absences.map(
    ({ contestant, workload, reason }) => `${contestant} ${workload ?? '*'}: ${reason}`,
  );
  t.is(told[0], 'uncompiled *: cc is not installed');
  t.regex(told[1], /^missing \*: not installed here .*@nobody\/has-this/);
  t.deepEqual(told.slice(2), [
    'unsettled pairs: no memory',
    'broken pairs: trapped',
    'unsettled churn: no memory',
    'broken churn: trapped',
  ]);
  t.is(log.filter((line) => line.endsWith('unsettled leaves')).length, 2, 'its seat is closed');
  t.is(log.filter((line) => line.endsWith('broken leaves')).length, 2);
});

test('a seat that can tell its version is asked for it', async (t) => {
  const { samples } = await measure(
    planOf([scripted('told', [], { version: '2.0.9' }), scripted('not', [])], 1),
  );
  t.deepEqual(
    samples.map(({ contestant, version }) => [contestant, version]),
    [
      ['told', '2.0.9'],
      ['not', undefined],
      ['told', '2.0.9'],
      ['not', undefined],
    ],
  );
});

test('figures are medians, and ratios are taken round by round', (t) => {
  const figures = summarize(
    [
      { contestant: 'mine', workload: 'pairs', pairs: 64, rounds: [10, 20, 60] },
      { contestant: 'base', workload: 'pairs', pairs: 64, rounds: [20, 40, 40] },
      { contestant: 'other', workload: 'pairs', pairs: 64, rounds: [10, 10, 10] },
      { contestant: 'mine', workload: 'churn', pairs: 1, rounds: [5] },
    ],
    ['base', 'other', 'nobody'],
  );
  t.like(figures[0], { nanoseconds: 20, rounds: 3, lower: 15, upper: 40 });
  t.deepEqual(figures[0].ratios, { base: 0.5, other: 2 });
  t.deepEqual(figures[1].ratios, { base: 1, other: 4 });
  t.deepEqual(figures[3].ratios, {});
});

test('the report has a table for each workload, a column for each reference that took part, and a note for each absence', (t) => {
  const log: string[] = [];
  const plan = planOf([
    ...['slow', 'assemblyscript', 'gone'].map((name) => scripted(name, log)),
    { ...scripted('glibc', log), kind: 'native' as const },
  ]);
  const samples = [
    { contestant: 'assemblyscript', workload: 'pairs', pairs: 64, rounds: [40, 40, 42.08] },
    { contestant: 'slow', workload: 'pairs', pairs: 64, rounds: [20_000, 20_000, 20_000] },
    { contestant: 'glibc', workload: 'pairs', pairs: 64, rounds: [20, 20, 20], version: '2.36' },
    { contestant: 'slow', workload: 'churn', pairs: 1, rounds: [80] },
  ];
  const references = ['mimalloc-c', 'glibc', 'assemblyscript'];
  const report: BenchReport = {
    machine: { cpu: 'a CPU', cores: 2, memoryBytes: 1, node: 'v20', v8: '11', os: 'an OS', date: 'today' },
    plan,
    references,
    figures: summarize(samples, references),
    garbage: [
      {
        contestant: 'slow',
        workload: 'pairs',
        operations: 10_000_000,
        collections: 3,
        bytesPerOperation: 0.25,
      },
    ],
    footprint: {
      traces: [{ name: 'ls', operations: 5, peakLiveBytes: 1024 }],
      figures: [{ contestant: 'slow', trace: 'ls', peakLiveBytes: 1024, footprintBytes: 1536, ratio: 1.5 }],
      means: [{ contestant: 'slow', ratio: 1.5, pageRatio: 4 }],
      absences: [{ contestant: 'glibc', workload: 'footprint', reason: 'no Linux' }],
    },
    threads: null,
    memory: null,
    absences: [
      { contestant: 'gone', reason: 'not compiled' },
      { contestant: 'assemblyscript', workload: 'churn', reason: 'trapped' },
    ],
    samples,
  };
  const text = renderReport(report, plan);
  t.regex(text, /^pairs lifo +ns a pair +spread +÷ glibc +÷ AssemblyScript\n─+\nSLOW/);
  t.regex(text, /^SLOW +20,000 +±0\.0 % +1,000 +500$/m);
  t.regex(text, /^ASSEMBLYSCRIPT +40\.0 +±1\.3 % +2\.00 +1\.00\n─+\nGLIBC +20\.0 +±0\.0 % +1\.00 +0\.50$/m);
  t.regex(text, /^churn +ns a pair +spread\n─+\nSLOW +80\.0 +±0\.0 %$/m);
  t.regex(text, /^÷: time ÷ that of the other one in the same round; below 1 is quicker\.$/m);
  t.regex(text, /^SLOW +pairs lifo +10,000,000 +3 +0\.2500$/m);
  t.regex(text, /^ls +1\.00 KiB +1\.50$/m);
  t.regex(text, /^Ours in pages of 4 KiB, geometric mean: SLOW 4\.00\.$/m);
  t.notRegex(text, /^GONE/m);
  t.regex(text, /^Called from C: GLIBC 2\.36\.$/m);
  t.regex(text, /^No ratios to mimalloc-c: not measured\.$/m);
  t.regex(text, /^Not measured: gone: not compiled$/m);
  t.regex(text, /^Not measured: assemblyscript in churn: trapped$/m);
  t.regex(text, /^Not measured: glibc in footprint: no Linux$/m);
  t.notRegex(text, /harness/);
  const alone = {
    ...report,
    figures: [],
    footprint: null,
    threads: null,
    memory: null,
    garbage: [{ ...report.garbage[0], contestant: 'x', workload: 'y' }],
  };
  const bare = renderReport(alone, plan);
  t.regex(bare, /^JS garbage/, 'no table of times');
  t.regex(bare, /^No ratios to mimalloc-c, GLIBC, ASSEMBLYSCRIPT: not measured\.$/m);
  t.regex(bare, /^x +y /m);
  t.notRegex(bare, /footprint/i);
});

test('no table of the full bench is wider than a terminal', (t) => {
  const plan = { ...planOf(CONTESTANTS), workloads: WORKLOADS };
  const samples = CONTESTANTS.flatMap(({ name: contestant }) =>
    WORKLOADS.map(({ name: workload }) => ({ contestant, workload, pairs: 1, rounds: [100_000 / 3] })),
  );
  const threadSamples = THREAD_CONTESTANTS.flatMap(({ name: contestant }) =>
    THREAD_WORKLOADS.flatMap(({ name: workload, crews }) =>
      crews.map((workers) => ({
        contestant,
        workload,
        workers,
        rounds: [3333, 9999],
        busy: [[999, 999]],
        cpu: [1],
      })),
    ),
  );
  const references = REFERENCES.map(({ contestant }) => contestant);
  const figures = withFootprint(CONTESTANTS).map(({ name: contestant }) => ({
    contestant,
    trace: 'git-pack',
    peakLiveBytes: 999 * 1024,
    footprintBytes: 1e7,
    ratio: 26.38,
    ...(contestant === 'mimalloc-c' && { committedBytes: 2e8 }),
  }));
  const report: BenchReport = {
    machine: { cpu: 'a CPU', cores: 2, memoryBytes: 1, node: 'v20', v8: '11', os: 'an OS', date: 'today' },
    plan,
    references,
    figures: summarize(samples, references),
    garbage: [],
    footprint: {
      traces: [{ name: 'git-pack', operations: 1, peakLiveBytes: 999 * 1024 }],
      figures,
      means: [],
      absences: [],
    },
    threads: {
      plan: { rounds: 1, roundSeconds: 1, warmSeconds: 1, bytes: 1, seed: 1, life: 1 },
      figures: summarizeThreads(threadSamples, ['mimalloc-c', 'mimalloc-mutex']),
      absences: [],
      samples: threadSamples,
    },
    memory: null,
    absences: [],
    samples,
  };
  const tables = renderReport(report, plan).split('\n\n').slice(0, 7);
  const widest = Math.max(...tables.flatMap((table) => table.split('\n')).map((line) => line.length));
  t.true(widest > 80 && widest <= 120, `${widest} columns`);
});
