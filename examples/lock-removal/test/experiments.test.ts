/** Every experiment shows what it claims, with real threads; and each of them can fail to. */

import { someOf } from '@shmalloc/alloc-test';
import test from 'ava';
import { ended } from '../dist/experiments/ended.js';
import { fullPages } from '../dist/experiments/full-pages.js';
import { killedInside } from '../dist/experiments/killed.js';
import { correct, overlap } from '../dist/experiments/watched.js';
import { measureThroughput, STEPS, type Step, tell } from '../dist/index.js';

const EXPERIMENTS = Object.fromEntries(
  STEPS.flatMap(({ step, experiments }) =>
    experiments.map((experiment, index) => [`step ${step}, experiment ${index + 1}`, experiment] as const),
  ),
);

for (const [name, experiment] of someOf('experiments', EXPERIMENTS, 3)) {
  test.serial(`${name} shows what it claims`, async (t) => {
    const outcome = await experiment();
    t.log(tell(outcome));
    t.true(outcome.shown, tell(outcome));
    t.true(outcome.lines.length > 0);
  });
}

test.serial('the overlap names two owners', async (t) => {
  const { facts, lines } = await overlap('step-0', 'two threads corrupt the heap');
  t.deepEqual([facts.owner, facts.otherOwner].sort(), [0, 1]);
  t.regex(lines[1], /thread [01]: malloc gave \[\d+, \d+\), which overlaps \[\d+, \d+\) of thread [01]/);
});

test.serial('where there is a lock, nothing overlaps', async (t) => {
  t.false((await overlap('step-1', 'two threads corrupt the heap', 1)).shown);
});

test.serial('where there is none, it is not correct', async (t) => {
  // Two threads with thousands of operations each, several times over.
  let shown = true;
  for (let attempt = 0; shown && attempt < 20; attempt++) ({ shown } = await correct('step-0'));
  t.false(shown);
});

test.serial('full pages that are announced are not lost', async (t) => {
  t.false((await fullPages('step-5', false)).shown);
  t.false((await fullPages('step-4', true)).shown);
});

test.serial('a thread that detaches strands nothing', async (t) => {
  t.false((await ended('step-6', false)).shown);
  t.false((await ended('step-5', true)).shown);
});

test.serial('where there is no lock, nobody dies inside', async (t) => {
  const { shown, facts } = await killedInside('step-6', 'the lock that is not there', 1);
  t.false(shown);
  t.is(facts.stuck, 0);
});

test.serial('throughput is measured with one thread where several corrupt or fail', async (t) => {
  const speeds = await measureThroughput([0, 2, 3, 6], { rounds: 2, milliseconds: 10 });
  t.deepEqual(
    speeds.map(({ step, threads }) => `${step} ${threads}`),
    ['0 1', '2 1', '3 1', '3 2', '3 4', '6 1', '6 2', '6 4'],
  );
  for (const { pairsPerSecond, rounds, refusedPerPair, step } of speeds) {
    t.true(pairsPerSecond > 0);
    t.is(rounds.length, 2);
    if (step !== 3) t.is(refusedPerPair, 0);
  }
});

test('an experiment that shows nothing says so', (t) => {
  const text = tell({ claim: 'it is so', shown: false, lines: ['nothing was seen'], facts: {} });
  t.is(text, '✗ not shown this time: it is so\n    nothing was seen');
  t.deepEqual(
    STEPS.map(({ step }: Step) => step),
    [0, 1, 2, 3, 4, 5, 6],
  );
});
