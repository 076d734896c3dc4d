import test from 'ava';
import type { Contestant, Seat } from '../dist/bench/contestant.js';
import { measure, type Plan, stepsOf } from '../dist/bench/measure.js';
import { type BenchReport, renderReport } from '../dist/bench/report.js';
import { summarize } from '../dist/bench/summary.js';
import { WORKLOADS } from '../dist/bench/workload.js';

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

test('figures are medians, and ratios are taken round by round', (t) => {
  const figures = summarize(
    [
      { contestant: 'mine', workload: 'pairs', pairs: 64, rounds: [10, 20, 60] },
      { contestant: 'base', workload: 'pairs', pairs: 64, rounds: [20, 40, 40] },
      { contestant: 'mine', workload: 'churn', pairs: 1, rounds: [5] },
    ],
    'base',
  );
  t.like(figures[0], { nanoseconds: 20, rounds: 3, ratio: 0.5, lower: 15, upper: 40 });
  t.like(figures[1], { nanoseconds: 40, ratio: 1 });
  t.like(figures[2], { nanoseconds: 5, ratio: null });
});

test('the report has a row for each contestant, a column group for each workload, and a note for each absence', (t) => {
  const log: string[] = [];
  const plan = planOf([scripted('assemblyscript', log), scripted('slow', log), scripted('gone', log)]);
  const samples = [
    { contestant: 'assemblyscript', workload: 'pairs', pairs: 64, rounds: [40, 40, 42.08] },
    { contestant: 'slow', workload: 'pairs', pairs: 64, rounds: [20_000, 20_000, 20_000] },
    { contestant: 'slow', workload: 'churn', pairs: 1, rounds: [80] },
  ];
  const report: BenchReport = {
    machine: { cpu: 'a CPU', cores: 2, memoryBytes: 1, node: 'v20', v8: '11', os: 'an OS', date: 'today' },
    plan,
    reference: 'assemblyscript',
    figures: summarize(samples, 'assemblyscript'),
    garbage: [
      {
        contestant: 'slow',
        workload: 'pairs',
        operations: 10_000_000,
        collections: 3,
        bytesPerOperation: 0.25,
      },
    ],
    absences: [
      { contestant: 'gone', reason: 'not compiled' },
      { contestant: 'assemblyscript', workload: 'churn', reason: 'trapped' },
    ],
    samples,
  };
  const text = renderReport(report, plan);
  t.regex(text, /^ +pairs\nmalloc \+ free, ns +lifo +spread +ratio +churn +spread +ratio\n/);
  t.regex(text, /^ratio: time ÷ that of ASSEMBLYSCRIPT in the same round; below 1 is quicker\.$/m);
  t.regex(text, /^ASSEMBLYSCRIPT +40\.0 +±1\.3 % +1\.00 +– +– +–$/m);
  t.regex(text, /^SLOW +20,000 +±0\.0 % +500 +80\.0 +±0\.0 % +–$/m);
  t.regex(text, /^SLOW +pairs lifo +10,000,000 +3 +0\.2500$/m);
  t.notRegex(text, /^GONE/m);
  t.regex(text, /^Not measured: gone: not compiled$/m);
  t.regex(text, /^Not measured: assemblyscript in churn: trapped$/m);
  t.notRegex(text, /harness/);
  const alone = {
    ...report,
    figures: [],
    garbage: [{ ...report.garbage[0], contestant: 'x', workload: 'y' }],
  };
  t.regex(renderReport(alone, plan), /^No ratios: assemblyscript did not take part\.$/m);
  t.regex(renderReport(alone, plan), /^x +y /m);
});
