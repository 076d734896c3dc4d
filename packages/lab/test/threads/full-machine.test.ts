import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { runOnFullMachines } from '../../dist/commands/run-full.js';
import { JobError, UsageError } from '../../dist/errors.js';
import { type FullSite, runFull } from '../../dist/full/full-machine.js';
import { formatTold, fullTable } from '../../dist/full/full-table.js';
import { leaking, twoThreads } from '../support/traces.js';

test('a replay on the full machine is checked, told by CPU, and leaves no page behind', async (t) => {
  const site = { allocators: ['slab'], lock: undefined, cpus: 2, swapEvery: undefined } as const;
  const run = await runFull(site, 'tiny', twoThreads(), 100_000);
  t.like(run, {
    trace: 'tiny',
    replays: 1,
    swaps: 0,
    swapEveryMs: null,
    violations: 0,
    failedAllocations: 0,
  });
  t.is(run.operations, twoThreads().operations);
  t.is(run.pagesAfter, run.pagesBefore);
  t.true(run.peakHeapPages >= run.pagesBefore);
  t.is(run.cpus.length, 2);
  t.true(run.cpus.every(({ operations }) => operations > 100));
  t.true(run.cpus.some(({ remoteFrees }) => remoteFrees !== null && remoteFrees.value > 0));
  t.true(run.cpus.some(({ slowSeconds, slowCalls }) => slowSeconds > 0 && slowCalls > 0));
});

test('with swaps all allocators have their turn, in as many replays as that takes', async (t) => {
  const allocators = ['tlsf', 'mimalloc', 'buddy', 'slab'] as const;
  const run = await runFull(
    { allocators, lock: 'mutex', cpus: 2, swapEvery: 5 },
    'tiny',
    twoThreads(500),
    1e6,
  );
  t.true(run.swaps >= allocators.length, `${run.swaps} swaps`);
  t.is(run.operations, run.replays * twoThreads(500).operations);
  t.like(run, { violations: 0, failedAllocations: 0, lock: 'mutex', swapEveryMs: 5 });
  t.is(run.pagesAfter, run.pagesBefore);
  // Not everybody among them counts these: no zero where no thread knows.
  t.false(run.cpus.some(({ remoteFrees }) => remoteFrees?.whole === true));
});

test('what a trace leaks is freed, so that the pages can be compared', async (t) => {
  const site = { allocators: ['tlsf'], lock: undefined, cpus: 1, swapEvery: undefined } as const;
  const run = await runFull(site, 'leaking', leaking(1000, 5000), 5e6);
  t.is(run.pagesAfter, run.pagesBefore);
  t.true(run.peakHeapPages > 1000);
});

test('what does not fit into the memory is counted, and is no violation', async (t) => {
  const site = { allocators: ['mimalloc'], lock: undefined, cpus: 1, swapEvery: undefined } as const;
  const run = await runFull(site, 'too much', leaking(20, 4 << 20), 0);
  t.true(run.failedAllocations > 0);
  t.is(run.violations, 0);
  t.is(run.pagesAfter, run.pagesBefore);
});

function broken(exportName: string): FullSite {
  const module = new URL('../support/broken-growing.js', import.meta.url).href;
  const allocators = [{ module, exportName } as unknown as 'tlsf'];
  return { allocators, lock: 'spin', cpus: 2, swapEvery: undefined };
}

test('the checks find an allocator that keeps what is freed, one that hands a block out twice, and one that is lost', async (t) => {
  const forgetful = await runFull(broken('Forgetful'), 'tiny', twoThreads(), 100_000);
  t.regex(forgetful.firstViolations.join(), /\d+ pages have not come back/);
  t.is(forgetful.violations, 1);
  const generous = await runFull(broken('Generous'), 'tiny', twoThreads(), 100_000);
  t.true(generous.violations > 1);
  t.regex(generous.firstViolations.join(), /which overlaps/);
  await t.throwsAsync(() => runFull(broken('Lost'), 'tiny', twoThreads(), 100_000), {
    instanceOf: JobError,
    message: /^tiny, .*: CPU \d panicked: .*I am lost/,
  });
});

test('what cannot be told is a dash, and what may be more says so', (t) => {
  t.is(formatTold(null), '–');
  t.is(formatTold({ value: 0, whole: true }), '0');
  t.is(formatTold({ value: 1234, whole: false }), '≥ 1,234');
  const report = {
    operations: 10,
    lockWaits: { value: 3, whole: true },
    slowSeconds: 0.001,
    slowCalls: 2,
    pagesHeld: null,
    remoteFrees: { value: 5, whole: false },
  };
  const text = fullTable({
    trace: 'tiny',
    allocators: ['tlsf', 'slab'],
    lock: null,
    regionBytes: 1 << 20,
    swapEveryMs: 10,
    swaps: 7,
    replays: 2,
    operations: 20,
    seconds: 0.5,
    failedAllocations: 1,
    violations: 0,
    firstViolations: [],
    pagesBefore: 15,
    pagesAfter: 15,
    peakHeapPages: 100,
    cpus: [report],
    main: report,
  });
  t.regex(text, /^tiny · tlsf → slab, 7 swaps, one every 10 ms: 20 operations in 2 replays, 500 ms\n/);
  t.regex(text, /CPU 0 +10 +3 +1\.00 ms +2 +– +≥ 5\n/);
  t.regex(
    text,
    /pages in use: 15 before, at most 100 in heaps, 15 after; 0 violations, 1 failed allocation$/,
  );
});

test('swaps take one lock at a time', async (t) => {
  const options = { cpus: 1, swapEvery: 5, command: '', folder: tmpdir(), json: true };
  const chosen = [
    { allocator: 'tlsf', lock: 'spin' },
    { allocator: 'tlsf', lock: 'mutex' },
  ] as const;
  await t.throwsAsync(() => runOnFullMachines([], chosen, options), {
    instanceOf: UsageError,
    message: '--swap-every takes one lock at a time, not spin, mutex',
  });
  await t.notThrowsAsync(() =>
    runOnFullMachines([], chosen.slice(0, 1), {
      ...options,
      folder: path.join(tmpdir(), `shmalloc-${process.pid}`),
    }),
  );
  const file = path.join(tmpdir(), `shmalloc-${process.pid}`, 'machine.json');
  t.deepEqual(JSON.parse(readFileSync(file, 'utf8')).runs, []);
});
