import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { someOf } from '@shmalloc/alloc-test';
import test from 'ava';
import { CONTESTANTS, type IsolateContestant } from '../../dist/bench/contestant.js';
import { meterGarbage } from '../../dist/bench/garbage.js';
import { isolateSeat } from '../../dist/bench/isolate.js';
import type { PagesFigure } from '../../dist/bench/pages.js';
import type { BenchReport } from '../../dist/bench/report.js';
import { WORKLOADS } from '../../dist/bench/workload.js';
import { UsageError } from '../../dist/errors.js';
import { bench } from '../support/bench.ts';
import { testsWith } from '../support/native.ts';

const testWith = await testsWith(CONTESTANTS.map(({ name }) => name));
const MIB = 1 << 20;
const ORDER = { bytes: 64 * MIB, seed: 1, prepared: undefined };

function contestant(name: string): IsolateContestant {
  return CONTESTANTS.find((each) => each.name === name) as IsolateContestant;
}

const ISOLATES = Object.fromEntries(
  CONTESTANTS.flatMap((each) => ('open' in each && each.name !== 'boxes' ? [[each.name, each]] : [])),
);

for (const [, each] of someOf('isolates', ISOLATES, 3)) {
  testWith(each.name)(
    `${each.name}: an isolate of its own opens the heap and runs every workload`,
    async (t) => {
      const prepared = await each.prepare?.();
      for (const { name: workload } of WORKLOADS) {
        const seat = await isolateSeat(each, { ...ORDER, prepared, workload });
        const pairs = await seat.settle(0.001, 0.02);
        t.true(Number.isInteger(pairs) && pairs > 0);
        t.true((await seat.round(pairs)) > 0);
        t.true((await seat.round(64)) > 0);
        await seat.close();
      }
    },
  );
}

for (const name of ['mimalloc', 'slab', 'tlsf', 'basic-first', 'assemblyscript', 'thi-ng', 'wasi-dlmalloc']) {
  testWith(name)(`${name}: hands out blocks of a heap that do not overlap`, async (t) => {
    const { prepare, open } = contestant(name);
    const heap = await open(MIB, await prepare?.());
    const blocks: [start: number, end: number][] = [];
    for (let size = 16; size <= 128; size++) {
      const block = heap.malloc(size);
      t.true(block > 0 && block % 16 === 0 && block + size <= MIB, `${block}`);
      blocks.push([block, block + size]);
    }
    blocks.sort(([a], [b]) => a - b);
    for (let i = 1; i < blocks.length; i++) t.true(blocks[i - 1][1] <= blocks[i][0]);
    for (const [block] of blocks) heap.free(block);
    t.true(heap.malloc(MIB / 2) > 0, 'what was freed is one block again');
  });
}

for (const { name, prepare, open } of [
  ...Object.values(ISOLATES),
  contestant('boxes') as (typeof ISOLATES)[string],
]) {
  testWith(name)(`${name}: opens in this thread, hands out and takes back`, async (t) => {
    const heap = await open(64 * MIB, await prepare?.());
    const blocks = Array.from({ length: 100 }, (_, index) => heap.malloc(16 + index));
    t.is(new Set(blocks).size, name === 'harness' ? new Set(blocks).size : 100);
    for (const block of blocks) heap.free(block);
  });
}

test('a heap that is too small, and a contestant that does not exist, are failures with a reason', async (t) => {
  await t.throwsAsync(isolateSeat(contestant('thi-ng'), { ...ORDER, bytes: MIB, workload: 'churn' }), {
    message: /^no memory for \d+ bytes$/,
  });
  const nobody = { ...contestant('harness'), name: 'nobody' };
  await t.throwsAsync(isolateSeat(nobody, { ...ORDER, workload: 'pairs' }));
  await t.throwsAsync(isolateSeat(contestant('harness'), { ...ORDER, bytes: MIB, workload: 'nothing' }));
});

test('a seat that fails in a round says why, and can still be closed', async (t) => {
  const seat = await isolateSeat(contestant('harness'), { ...ORDER, workload: 'pairs' });
  await t.throwsAsync(seat.round(64n as never), { message: /BigInt/ });
  await t.throwsAsync(seat.round(64), { message: 'its worker has ended' });
  await seat.close();
});

test('the garbage meter sees an object a block, to the byte', async (t) => {
  const garbage = await meterGarbage(contestant('boxes'), {
    ...ORDER,
    workload: 'pairs',
    operations: 400_000,
    limitSeconds: 600,
  });
  t.true(garbage.operations >= 400_000);
  t.true(garbage.collections > 0);
  t.true(garbage.bytesPerOperation > 8, String(garbage.bytesPerOperation));
});

const METERED = {
  mimalloc: 0,
  'mimalloc-three': 0,
  slab: 0,
  tlsf: 0,
  buddy: 0,
  'basic-first': 0,
  'basic-best': 0,
  'basic-worst': 0,
};

for (const [name] of someOf('garbage', METERED, 2)) {
  test(`${name}: malloc and free create no garbage`, async (t) => {
    const garbage = await meterGarbage(contestant(name), {
      ...ORDER,
      workload: 'pairs',
      operations: 400_000,
      limitSeconds: 600,
    });
    t.log(`${garbage.operations} operations, ${garbage.bytesPerOperation} bytes an operation`);
    t.true(garbage.operations > 0);
    t.true(garbage.bytesPerOperation < 1, String(garbage.bytesPerOperation));
  });
}

test.serial('shmalloc bench prints a table and writes the same as JSON', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'shmalloc-bench-'));
  const out = path.join(folder, 'deep', 'bench.json');
  const names = 'tlsf,assemblyscript,thi-ng,harness';
  const few = ['--quick', '--rounds', '2', '--workload', 'pairs', '--no-footprint', '--no-threads'];
  const text = await bench(...few, '--only', names, '-o', out);
  t.true(text.endsWith(`\n${out}\n`), 'and says where that is');
  for (const title of ['Tlsf', 'AssemblyScript TLSF', '@thi.ng/malloc', 'the harness alone', 'control']) {
    t.true(text.includes(`\n${title}`), title);
  }
  const report = JSON.parse(readFileSync(out, 'utf8')) as BenchReport;
  t.deepEqual(report.absences, []);
  t.deepEqual(
    report.figures.map(({ contestant }) => contestant),
    ['tlsf', 'assemblyscript', 'thi-ng', 'harness'],
  );
  t.true(report.figures.every(({ rounds, ratios }) => rounds === 2 && ratios.assemblyscript > 0));
  t.deepEqual(report.references, ['mimalloc-c', 'glibc', 'assemblyscript']);
  t.is(report.footprint, null);
  t.deepEqual(
    report.garbage.map(({ contestant }) => contestant),
    ['tlsf', 'boxes'],
  );
  rmSync(folder, { recursive: true });
});

test.serial('shmalloc bench --json prints what it writes', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'shmalloc-bench-'));
  const out = path.join(folder, 'bench.json');
  const args = ['--quick', '--rounds', '1', '--only', 'harness', '--workload', 'pairs', '--seed', '9'];
  const text = await bench(...args, '--json', '-o', out);
  t.is(text, readFileSync(out, 'utf8'));
  const report = JSON.parse(text) as BenchReport;
  t.is(report.plan.seed, 9);
  t.deepEqual(report.figures[0].ratios, {}, 'there is nobody to compare with');
  t.is(report.footprint, null, 'nobody has one');
  t.deepEqual(report.garbage, []);
  rmSync(folder, { recursive: true });
});

testWith('glibc')('shmalloc bench compares with C, in time and in memory', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'shmalloc-bench-'));
  const out = path.join(folder, 'bench.json');
  const few = ['--quick', '--rounds', '2', '--workload', 'pairs-fifo', '--no-garbage', '--no-threads'];
  const text = await bench(...few, '--only', 'tlsf,glibc', '-o', out);
  t.regex(text, /^pairs fifo +ns a pair +spread +÷ glibc$/m);
  t.regex(text, /^glibc malloc .* 1\.00$/m);
  t.regex(text, /^geometric mean +\d\.\d\d +\d\.\d\d$/m);
  t.regex(text, /^Called from C: glibc malloc 2\.\d+\.$/m);
  t.regex(text, /^Ours in pages of 4 KiB, geometric mean: Tlsf \d\.\d\d\.$/m);
  const { footprint, figures } = JSON.parse(readFileSync(out, 'utf8')) as BenchReport;
  t.true(figures.every(({ ratios }) => Object.keys(ratios).join() === 'glibc'));
  t.deepEqual(
    footprint?.means.map(({ contestant }) => contestant),
    ['tlsf', 'glibc'],
  );
  t.true(footprint?.figures.every(({ ratio }) => ratio >= 1 && ratio < 3));
  t.deepEqual(footprint?.absences, []);
  rmSync(folder, { recursive: true });
});

test.serial('shmalloc bench --pages measures the page allocators', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'shmalloc-bench-'));
  const out = path.join(folder, 'pages.json');
  const text = await bench('--pages', '--quick', '--rounds', '2', '-o', out);
  t.regex(text, /^BitmapPages, WASM +1,048,478 +one page and back +[\d,]+ +±/m);
  t.regex(text, /^Buddy, frames .* a run of 512 and back +[\d,]+ +±/m);
  const { figures } = JSON.parse(readFileSync(out, 'utf8')) as { figures: PagesFigure[] };
  t.is(figures.length, 6);
  t.true(figures.every(({ nanoseconds, spread }) => nanoseconds > 0 && spread >= 0));
  t.is(await bench('--pages', '--quick', '--rounds', '1', '--json', '-o', out), readFileSync(out, 'utf8'));
  rmSync(folder, { recursive: true });
});

test.serial('shmalloc bench knows its contestants, workloads and numbers', async (t) => {
  await t.throwsAsync(bench('--only', 'tlsf,dmalloc'), {
    instanceOf: UsageError,
    message: /'dmalloc'.*tlsf.*glibc/,
  });
  await t.throwsAsync(bench('--workload', 'mstress'), {
    instanceOf: UsageError,
    message: /'mstress'.*pairs.*churn.*larson.*mleak/,
  });
  await t.throwsAsync(bench('--rounds', '0'), { message: /--rounds/ });
  await t.throwsAsync(bench('--only', 'boxes'), { instanceOf: UsageError });
});
