import test from 'ava';
import { inParallel, runJob, stepsOf } from '../dist/job.js';
import type { Progress } from '../dist/progress.js';
import { makePlans, QUICK, regionBytes, type Subject, time, watch } from '../dist/replay/measure.js';
import { mergeSamples, SampleThinner } from '../dist/replay/samples.js';
import { sizeClasses } from '../dist/replay/sizes.js';
import type { TraceSummary } from '../dist/report/report.js';
import { twoThreads } from './fixtures/traces.js';

const silent: Progress = { step() {}, note() {}, done() {} };

test('a job replays a trace through every configuration, checked and timed, with its footprint over time', async (t) => {
  const trace = twoThreads();
  const steps: string[] = [];
  const report = await runJob(
    [{ name: 'tiny', description: 'two threads', trace }],
    [
      { allocator: 'tlsf', lock: 'spin' },
      { allocator: 'basic-first', lock: 'mutex' },
    ],
    { cpus: 2, effort: QUICK, command: 'this', progress: { ...silent, step: (label) => steps.push(label) } },
  );
  t.deepEqual(steps, [
    'tiny · tlsf · spin · checking',
    'tiny · basic-first · mutex · checking',
    'tiny · tlsf · spin · timing',
    'tiny · basic-first · mutex · timing',
  ]);
  t.is(stepsOf(report.traces as never[], [{}, {}] as never[]), steps.length);
  t.is(report.traces[0].threads, 2);
  for (const result of report.results) {
    t.is(result.operations, trace.operations);
    t.is(result.violations, 0);
    t.deepEqual(result.firstViolations, []);
    t.is(result.failedAllocations, 0);
    t.is(result.repetitions.length, 1);
    t.true(result.seconds > 0 && result.checkedSeconds > 0);
    t.true(result.peakFootprintBytes >= result.peakLiveBytes && result.peakLiveBytes > 0);
    const { operations, footprintBytes } = result.samples;
    t.is(operations.at(-1), trace.operations);
    t.is(footprintBytes.at(-1), result.peakFootprintBytes);
    t.deepEqual(
      operations,
      [...operations].sort((a, b) => a - b),
    );
  }
});

test('on one CPU the peak of live bytes is that of the recording', async (t) => {
  const trace = twoThreads();
  const report = await runJob(
    [{ name: 'tiny', description: '', trace }],
    [{ allocator: 'tlsf', lock: 'none' }],
    {
      cpus: 1,
      effort: { check: false, most: 3, seconds: 10 },
      command: 'this',
      progress: silent,
    },
  );
  t.is(report.results[0].peakLiveBytes, report.traces[0].peakLiveBytes);
  t.is(report.results[0].repetitions.length, 3);
  t.is(report.results[0].checkedSeconds, 0, 'nothing was checked');
});

/** A trace through an allocator that is not in the registry: the kernel takes its module. */
function broken(exportName: string): Subject {
  const module = new URL('./fixtures/broken-allocators.js', import.meta.url).href;
  return {
    trace: { name: 'tiny', peakLiveBytes: 2 ** 16 } as TraceSummary,
    plans: makePlans(twoThreads(20), 2),
    configuration: { allocator: { module, exportName } as unknown as 'tlsf', lock: 'spin' },
    cpus: 2,
  };
}

test('what the oracle finds is counted and told, and so is an invariant that the allocator itself finds broken', async (t) => {
  const found = await watch(broken('Overlapping'), true);
  t.true(found.violations > 1);
  t.is(found.firstViolations[0], 'broken invariant: block 4096 is handed out twice');
  t.true(
    found.firstViolations.some((text) => text.includes('overlap')),
    found.firstViolations.join('\n'),
  );
});

test('a CPU that panics ends the job, and the message names trace, lock and CPU', async (t) => {
  await t.throwsAsync(time(broken('Throwing'), QUICK), {
    name: 'JobError',
    message: /^tiny, .*, spin: CPU \d panicked: .*out of ideas/,
  });
});

test('what is wrong with the machine itself is no fault of the job', async (t) => {
  await t.throwsAsync(watch(broken('NotThere'), true), { name: 'AllocError' });
});

test('work in parallel keeps the order of its items, and ends before its first error is told', async (t) => {
  let atWork = 0;
  let most = 0;
  const work = async (item: number): Promise<number> => {
    most = Math.max(most, ++atWork);
    await new Promise((resolve) => setImmediate(resolve));
    atWork--;
    if (item === 4) throw new Error('four');
    return item * item;
  };
  t.deepEqual(await inParallel([1, 2, 3], 2, work), [1, 4, 9]);
  t.is(most, 2);
  t.deepEqual(await inParallel([1, 2, 3], 0, work), [1, 4, 9]);
  await t.throwsAsync(inParallel([3, 4, 5, 6, 7], 2, work), { message: 'four' });
  t.is(atWork, 0);
});

test('the region is four times the peak and some, never above what an address can reach', (t) => {
  t.is(regionBytes(0), 16 * 2 ** 20);
  t.is(regionBytes(10 * 2 ** 20), 56 * 2 ** 20);
  t.is(regionBytes(2 ** 32), 4095 * 2 ** 20);
});

test('thinned samples keep the peak of every stretch and the last of all', (t) => {
  const thinner = new SampleThinner(1000);
  for (let i = 1; i <= 1000; i++) {
    thinner.add(i, { operation: i, liveBytes: i === 501 ? 99_999 : i, footprintBytes: i });
  }
  t.is(thinner.peakLiveBytes, 99_999);
  t.true(thinner.samples.operations.includes(501));
  t.is(thinner.samples.operations.at(-1), 1000);
  t.true(thinner.samples.operations.length < 250);
});

test('samples of two CPUs become one line in the order of time', (t) => {
  const merged = mergeSamples([
    { times: [1, 5], operations: [10, 20], liveBytes: [100, 300], footprintBytes: [1000, 3000] },
    { times: [2, 6], operations: [1, 2], liveBytes: [200, -4], footprintBytes: [2000, 2999] },
  ]);
  t.deepEqual(merged, {
    operations: [10, 11, 21, 22],
    liveBytes: [100, 200, 300, 0],
    footprintBytes: [1000, 2000, 3000, 3000],
  });
});

test('size classes count blocks and bytes by powers of two', (t) => {
  t.deepEqual(sizeClasses(twoThreads(1)), [
    { upTo: 16, blocks: 1, bytes: 16 },
    { upTo: 32, blocks: 0, bytes: 0 },
    { upTo: 64, blocks: 0, bytes: 0 },
    { upTo: 128, blocks: 1, bytes: 100 },
    { upTo: 256, blocks: 1, bytes: 200 },
    { upTo: 512, blocks: 1, bytes: 300 },
  ]);
});
