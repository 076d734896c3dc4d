import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createAllocator } from '@shmalloc/kernel';
import { recordings } from '@shmalloc/recordings';
import { eventAt, readTrace, type Trace, TraceBuilder, traceInfo } from '@shmalloc/trace';
import test from 'ava';
import { CONTESTANTS, type NativeContestant } from '../../dist/bench/contestant.js';
import { flatTrace } from '../../dist/bench/footprint/flat-trace.js';
import { type Footprint, measureFootprint, withFootprint } from '../../dist/bench/footprint/footprint.js';
import { replayNative } from '../../dist/bench/footprint/replay-native.js';
import { Filling, replayOurs } from '../../dist/bench/footprint/replay-ours.js';
import { footprintTable } from '../../dist/bench/footprint/table.js';
import { programFor } from '../../dist/bench/native/allocator.js';
import { scratchFolder } from '../../dist/bench/native/compiler.js';
import { startProgram } from '../../dist/bench/native/program.js';
import { contestantOf, LEDGER, testsWith } from '../support/native.ts';

const MIB = 2 ** 20;

/** Every operation, two threads, a free of NULL and a realloc of it. */
function everyOperation(): Trace {
  const trace = new TraceBuilder();
  const first = trace.malloc(0, 24);
  const second = trace.calloc(1, 100);
  const third = trace.aligned(1, 4096, 5000);
  const grown = trace.realloc(1, first, 3000);
  const fresh = trace.realloc(0, 0, 48);
  trace.free(0, 0);
  trace.free(0, second);
  trace.exit(1);
  for (const block of [third, grown, fresh]) trace.free(0, block);
  trace.malloc(0, 0);
  return trace.build();
}

/** Blocks of one size, all live at once and then freed. */
function pile(count: number, size: number): Trace {
  const trace = new TraceBuilder();
  const blocks = Array.from({ length: count }, () => trace.malloc(0, size));
  for (const block of blocks) trace.free(0, block);
  return trace.build();
}

function named(name: string, trace: Trace): { name: string; load(): Trace } {
  return { name, load: () => trace };
}

function peakOf(trace: Trace): number {
  return traceInfo(trace).peakLiveBytes;
}

/** What C programs are asked that count nothing: only that they replay. */
async function runReplay(program: string, words: Uint32Array, more: NodeJS.ProcessEnv = {}): Promise<string> {
  const file = path.join(scratchFolder(), 'test.flat');
  writeFileSync(file, words);
  const running = startProgram(program, [file], more);
  try {
    return await running.answer();
  } finally {
    await running.close();
  }
}

const testWith = await testsWith(['glibc', 'mimalloc-c']);
const testC = testWith('glibc');
const testMimalloc = testWith('mimalloc-c');
const { allocator: glibc } = contestantOf<NativeContestant>('glibc');
const { allocator: mimalloc } = contestantOf<NativeContestant>('mimalloc-c');

testC('C makes the calls of the trace, in its order', async (t) => {
  const ledger = path.join(scratchFolder(), 'replay.ledger');
  await runReplay(programFor('replay.c', LEDGER), flatTrace(everyOperation(), MIB), { LEDGER: ledger });
  t.deepEqual(readFileSync(ledger, 'utf8').trimEnd().split('\n'), [
    'malloc 24',
    'calloc 100',
    'aligned 4096 5000',
    'realloc 0 3000',
    'realloc -1 48',
    'free -1',
    'free 1',
    'free 2',
    'free 3',
    'free 4',
    'malloc 0',
  ]);
});

testC('a whole recording is replayed in C as it was recorded', async (t) => {
  const trace = readTrace(readFileSync(recordings.find(({ name }) => name === 'ripgrep')!.url));
  const ledger = path.join(scratchFolder(), 'recording.ledger');
  await runReplay(programFor('replay.c', LEDGER), flatTrace(trace, 2 ** 31), { LEDGER: ledger });
  const expected: string[] = [];
  for (let index = 0; index < trace.operations; index++) {
    const { op, id, size, align, oldId } = eventAt(trace, index);
    if (op === 'free') expected.push(`free ${id - 1}`);
    else if (op === 'realloc') expected.push(`realloc ${oldId! - 1} ${size}`);
    else if (op === 'aligned') expected.push(`aligned ${align} ${size}`);
    else if (op !== 'exit') expected.push(`${op} ${size}`);
  }
  t.deepEqual(readFileSync(ledger, 'utf8').trimEnd().split('\n'), expected);
});

testC('what is live at the peak is resident in C, whatever was freed before the end', async (t) => {
  for (const [count, size] of [
    [4000, 1000],
    [20, 400_000],
  ]) {
    const trace = pile(count, size);
    const found = await replayNative(glibc, trace, count * size);
    t.is(found.peakLiveBytes, count * size);
    const ratio = found.footprintBytes / found.peakLiveBytes;
    t.true(ratio >= 1 && ratio < 1.05, `${ratio}`);
    t.true(found.looks > Math.min(count, 60), `${found.looks}`);
    t.is(found.committedBytes, 0);
  }
});

testC('a heap that is looked at too seldom is seen too late', async (t) => {
  const trace = pile(20, 400_000); // each by itself goes back to the system when it is freed
  const answer = await runReplay(programFor('replay.c', glibc), flatTrace(trace, 2 ** 31));
  t.true(JSON.parse(answer).footprintBytes < 400_000);
});

testMimalloc('C mimalloc tells what it had committed', async (t) => {
  const found = await replayNative(mimalloc, pile(4000, 1000), 4_000_000);
  t.true(found.footprintBytes >= 4_000_000);
  t.true(found.committedBytes >= found.footprintBytes - MIB, 'it cannot use what it has not committed');
});

testC('a trace that is not whole, or another one, is not believed', async (t) => {
  const program = programFor('replay.c', glibc);
  const words = flatTrace(everyOperation(), MIB);
  await t.throwsAsync(runReplay(program, words.subarray(0, words.length - 1)), {
    message: 'the trace is not whole',
  });
  await t.throwsAsync(runReplay(program, new Uint32Array(1)), { message: 'the trace is not whole' });
  await t.throwsAsync(replayNative(glibc, pile(2, 100), 300), {
    message: 'replayed another trace: 200 bytes at its peak, not 300',
  });
  const running = startProgram(program, ['/nowhere/trace']);
  await t.throwsAsync(running.answer(), { message: 'the trace cannot be read' });
  await running.close();
});

testC('a block that the C allocator cannot make ends the replay', async (t) => {
  const program = programFor('replay.c', LEDGER); // it has 256 MiB
  await t.throwsAsync(runReplay(program, flatTrace(pile(1, 300 * MIB), MIB)), {
    message: 'there is no memory for a block',
  });
});

test('every byte of a block of ours is written, whichever way it was asked for', async (t) => {
  const allocator = await createAllocator('tlsf', { bytes: MIB, lock: 'none' });
  const heap = new Filling(allocator);
  const full = (address: number, size: number): boolean =>
    allocator.memory.u8.subarray(address, address + size).every((byte) => byte === 0xa5);
  const block = heap.malloc(100);
  t.true(full(block, 100));
  t.true(full(heap.calloc(3, 50), 150));
  const aligned = heap.alignedAlloc(256, 300);
  t.true(aligned % 256 === 0 && full(aligned, 300));
  const grown = heap.realloc(block, 5000);
  t.true(full(grown, 5000) && heap.usableSize(grown) >= 5000);
  t.is(heap.malloc(2 * MIB), 0);
  heap.free(grown);
  allocator.validate();
});

test('ours is counted at its largest, header included, in bytes and in pages', async (t) => {
  const trace = pile(4000, 1000);
  const { footprintBytes, pageBytes } = await replayOurs('tlsf', trace, peakOf(trace));
  t.true(footprintBytes > 4_000_000 && footprintBytes < 4_200_000, `${footprintBytes}`);
  t.is(pageBytes % 4096, 0);
  t.true(Math.abs(pageBytes - footprintBytes) < 5 * 4096, `${pageBytes}`);
});

test('a trace that an allocator of ours cannot replay is an error', async (t) => {
  const trace = pile(1, 2 ** 32 - 1);
  await t.throwsAsync(replayOurs('tlsf', trace, peakOf(trace)), { message: '1 allocations failed' });
});

test('the kernel’s allocators and those called from C have a footprint, nobody else', (t) => {
  t.deepEqual(
    withFootprint(CONTESTANTS).map(({ name }) => name),
    [
      'mimalloc',
      'slab',
      'tlsf',
      'buddy',
      'basic-first',
      'basic-best',
      'basic-worst',
      'mimalloc-c',
      'glibc',
      'jemalloc',
    ],
  );
});

testC('every heap replays every trace, and the mean is geometric', async (t) => {
  const steps: string[] = [];
  const contestants = ['tlsf', 'glibc'].map((name) => contestantOf(name));
  const traces = [named('small', pile(4000, 20)), named('large', pile(4000, 1000))];
  const footprint = await measureFootprint(contestants, traces, (label) => steps.push(label));
  t.deepEqual(steps, [
    'Tlsf, small: footprint',
    'glibc malloc, small: footprint',
    'Tlsf, large: footprint',
    'glibc malloc, large: footprint',
  ]);
  t.deepEqual(footprint.absences, []);
  for (const mean of footprint.means) {
    const [small, large] = footprint.figures.filter(({ contestant }) => contestant === mean.contestant);
    t.true(small.ratio > large.ratio && large.ratio > 1);
    t.true(Math.abs(mean.ratio - Math.sqrt(small.ratio * large.ratio)) < 1e-9);
    t.is(small.footprintBytes / small.peakLiveBytes, small.ratio);
  }
});

test('who fails is told of once, has no mean, and stops nobody', async (t) => {
  const broken = {
    ...contestantOf<NativeContestant>('glibc'),
    name: 'broken',
    allocator: { flags: ['-no-such-flag'], debian: '' },
  };
  const contestants = [broken, contestantOf('tlsf')];
  const traces = [named('a', pile(100, 20)), named('b', pile(100, 30))];
  const always = await measureFootprint(contestants, traces);
  t.deepEqual(
    always.absences.map(({ contestant, workload }) => [contestant, workload]),
    [['broken', 'footprint']],
  );
  t.is(always.figures.length, 2);
  const sometimes = await measureFootprint(
    [contestantOf('tlsf')],
    [...traces, named('huge', pile(1, 2 ** 32 - 1))],
  );
  t.deepEqual(sometimes.absences, [
    { contestant: 'tlsf', workload: 'footprint of huge', reason: '1 allocations failed' },
  ]);
  t.deepEqual(sometimes.means, []);
});

test('the footprint reads as a row for each trace and the means below', (t) => {
  const footprint: Footprint = {
    traces: [
      { name: 'first', operations: 10, peakLiveBytes: 1024 },
      { name: 'second', operations: 10, peakLiveBytes: 2048 },
    ],
    figures: [
      { contestant: 'tlsf', trace: 'first', peakLiveBytes: 1024, footprintBytes: 2048, ratio: 2 },
      { contestant: 'tlsf', trace: 'second', peakLiveBytes: 2048, footprintBytes: 16384, ratio: 8 },
      {
        contestant: 'mimalloc-c',
        trace: 'second',
        peakLiveBytes: 2048,
        footprintBytes: 4096,
        ratio: 2,
        committedBytes: 20480,
      },
    ],
    means: [{ contestant: 'tlsf', ratio: 4 }],
    absences: [],
  };
  const text = footprintTable(footprint, CONTESTANTS);
  t.regex(text, /^footprint ÷ +C +C mimalloc\npeak live +peak live +Tlsf +mimalloc +committed\n/);
  t.regex(text, /^first +1\.00 KiB +2\.00 +– +–$/m);
  t.regex(text, /^second +2\.00 KiB +8\.00 +2\.00 +10\.00$/m);
  t.regex(text, /^─+\ngeometric mean +4\.00 +– +–$/m);
  t.is(footprintTable({ ...footprint, figures: [] }, CONTESTANTS), '');
});
