import test from 'ava';
import { inParallel, runJob, stepsOf } from '../../dist/job.js';
import type { Progress } from '../../dist/progress.js';
import { planClosely, QUICK, regionFor, type Site, time, watch } from '../../dist/replay/measure.js';
import { mergeSamples } from '../../dist/replay/samples.js';
import { sizeClasses } from '../../dist/replay/sizes.js';
import { leaking, twoThreads } from '../support/traces.js';

/** Larger than any region. */
const TOO_LARGE = 2 ** 32 - 1000;

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
    const { operations, liveBytes, footprintBytes } = result.samples;
    t.is(Math.max(...liveBytes), result.peakLiveBytes, 'no peak is lost between two samples');
    t.is(operations.at(-1), trace.operations);
    t.is(footprintBytes.at(-1), result.peakFootprintBytes);
    t.deepEqual(
      operations,
      [...operations].sort((a, b) => a - b),
    );
  }
});

test('all traces are checked first; then each allocator is timed, with the shortest trace of a region first', async (t) => {
  const steps: string[] = [];
  const report = await runJob(
    [
      { name: 'large', description: '', trace: leaking(1, TOO_LARGE) },
      { name: 'long', description: '', trace: twoThreads(50) },
      { name: 'short', description: '', trace: twoThreads(5) },
    ],
    [
      { allocator: 'tlsf', lock: 'spin' },
      { allocator: 'basic-best', lock: 'spin' },
    ],
    { cpus: 2, effort: QUICK, command: 'this', progress: { ...silent, step: (label) => steps.push(label) } },
  );
  const traced = (doing: string) =>
    steps
      .filter((step) => step.includes(doing))
      .map((step) => step.split(' · ').slice(0, 2).join(' '))
      .join(', ');
  t.true(steps.findLastIndex((step) => step.includes('checking')) < 6);
  t.is(
    traced('timing'),
    'large tlsf, short tlsf, long tlsf, large basic-best, short basic-best, long basic-best',
  );
  t.deepEqual(
    report.results.map((result) =>
      [result.trace, result.allocator, result.operations, result.failedAllocations].join(' '),
    ),
    [
      ...['large tlsf 1 1', 'large basic-best 1 1'],
      ...['long tlsf 325 0', 'long basic-best 325 0'],
      ...['short tlsf 33 0', 'short basic-best 33 0'],
    ],
    'in the order of the traces, each with its own',
  );
  t.deepEqual([...new Set(report.results.map((result) => result.regionBytes / 2 ** 20))], [4095, 64]);
});

test('a timed replay leaves the heap empty for the next one, whatever the trace leaks', async (t) => {
  const plan = planClosely(leaking(10, 20_000), 1);
  const site: Site = { configuration: { allocator: 'tlsf', lock: 'none' }, cpus: 1, regionBytes: 2 ** 18 };
  const effort = { check: false, most: 30, seconds: 3600 };
  const [fits, again] = await time(
    site,
    [
      { name: 'a', plan },
      { name: 'b', plan },
    ],
    effort,
    () => {},
  );
  t.is(fits.repetitions.length, 30);
  t.is(fits.failedAllocations, 0);
  t.is(again.failedAllocations, 0);
  const tight = await time({ ...site, regionBytes: 2 ** 17 }, [{ name: 'a', plan }], effort, () => {});
  t.true(tight[0].failedAllocations > 0, 'what cannot be allocated is counted');
});

test('on one CPU the peak of live bytes is that of the recording', async (t) => {
  const trace = twoThreads();
  const report = await runJob(
    [{ name: 'tiny', description: '', trace }],
    [{ allocator: 'tlsf', lock: 'none' }],
    {
      cpus: 1,
      effort: { check: false, most: 3, seconds: 3600 },
      command: 'this',
      progress: silent,
    },
  );
  t.is(report.results[0].peakLiveBytes, report.traces[0].peakLiveBytes);
  t.is(report.results[0].repetitions.length, 3);
  t.is(report.results[0].checkedSeconds, 0, 'nothing was checked');
});

/** Two CPUs with an allocator that is not in the registry: the kernel takes its module. */
function broken(exportName: string): Site {
  const module = new URL('../support/broken-allocators.js', import.meta.url).href;
  return {
    configuration: { allocator: { module, exportName } as unknown as 'tlsf', lock: 'spin' },
    cpus: 2,
    regionBytes: 2 ** 24,
  };
}

const plan = planClosely(twoThreads(20), 2);

test('what the oracle finds is counted and told, and so is an invariant that the allocator itself finds broken', async (t) => {
  const found = await watch(broken('Overlapping'), 'tiny', plan, true);
  t.true(found.violations > 1);
  t.is(found.firstViolations[0], 'broken invariant: block 4096 is handed out twice');
  t.true(
    found.firstViolations.some((text) => text.includes('overlap')),
    found.firstViolations.join('\n'),
  );
});

test('a CPU that panics ends the job, and the message names trace, lock and CPU', async (t) => {
  await t.throwsAsync(
    time(broken('Throwing'), [{ name: 'tiny', plan }], QUICK, () => {}),
    {
      name: 'JobError',
      message: /^tiny, .*, spin: CPU \d panicked: .*out of ideas/,
    },
  );
});

test('what is wrong with the machine itself is no fault of the job', async (t) => {
  await t.throwsAsync(watch(broken('NotThere'), 'tiny', plan, true), { name: 'AllocError' });
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

test('the region is eight times the peak and some, a power of two, never above what an address can reach', (t) => {
  t.is(regionFor(0), 32 * 2 ** 20);
  t.is(regionFor(1), 64 * 2 ** 20);
  t.is(regionFor(4 * 2 ** 20), 64 * 2 ** 20);
  t.is(regionFor(5 * 2 ** 20), 128 * 2 ** 20);
  t.is(regionFor(251 * 2 ** 20), 2 ** 31);
  t.is(regionFor(252 * 2 ** 20), 4095 * 2 ** 20);
  t.is(regionFor(2 ** 32), 4095 * 2 ** 20);
});

test('samples of two CPUs become one line in the order of time', (t) => {
  const sample = (time: number, operation: number, peakLiveBytes: number, footprintBytes: number) => ({
    ...{ time, operation, peakLiveBytes, footprintBytes },
    liveBytes: 0,
  });
  const merged = mergeSamples([
    [sample(1, 10, 100, 1000), sample(5, 20, 300, 3000)],
    [sample(2, 1, 200, 2000), sample(6, 2, 0, 2999)],
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
