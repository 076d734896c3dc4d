/** The replayer on real threads: order, contents, failure. */
import { Worker } from 'node:worker_threads';
import { Oracle } from '@shmalloc/alloc-test/oracle';
import { Basic } from '@shmalloc/basic';
import { planReplay, type ReplayPlan, resetPlan, type Trace, TraceBuilder, traceInfo } from '@shmalloc/trace';
import test from 'ava';
import {
  CONTROL_LIVE,
  HEAD_ALIGN_SHIFT,
  HEAD_OP_MASK,
  HEAD_PUBLISH,
  progressWord,
  RECORD_WORDS,
} from '../../dist/plan.js';
import { PlainAllocator } from '../support/plain-allocator.ts';
import { replayWithWorkers } from '../support/replay-workers.ts';
import { churn, seedOf } from '../support/traces.ts';

/** Takes every wait out of a plan: the bug that the check must find. */
function stripped(plan: ReplayPlan): ReplayPlan {
  for (const { records } of plan.streams) {
    for (let at = 0; at < records.length; at += RECORD_WORDS) {
      const align = (records[at] >>> HEAD_ALIGN_SHIFT) << HEAD_ALIGN_SHIFT;
      records[at] = (records[at] & (HEAD_OP_MASK | HEAD_PUBLISH)) | align;
    }
  }
  return plan;
}

/** One thread allocates, the other frees, in lock step: every free is a sync point. */
function pingPong(rounds: number): Trace {
  const builder = new TraceBuilder();
  let block = builder.malloc(0, 16);
  for (let round = 0; round < rounds; round++)
    block = builder.realloc((round + 1) % 2, block, 16 + (round % 100));
  builder.free(0, block);
  return builder.build();
}

for (const cpus of [2, 3, 4]) {
  test(`on ${cpus} workers every block is allocated before another CPU frees it`, async (t) => {
    const trace = churn(cpus + 2, 20_000, seedOf(t));
    const plan = planReplay(trace, cpus, { window: cpus === 3 ? 500 : 0 });
    t.true(plan.syncPoints > 300, `${plan.syncPoints} sync points`);
    const allocator = PlainAllocator.create(1 << 26, 2 * trace.operations);
    const plain = { source: allocator.memory.source, log: allocator.log };
    const outcomes = await replayWithWorkers(plan, { plain, options: { countLive: true } });
    t.is(
      outcomes.reduce((sum, { result }) => sum + (result?.operations ?? 0), 0),
      trace.operations,
    );
    const live = new Set<number>();
    for (const { what, address } of allocator.entries()) {
      if (what === 'allocate') live.add(address);
      else t.true(live.delete(address), `${address} is freed while it is not live`);
    }
    t.is(live.size, 0);
    t.is(
      plan.live.reduce((sum, bytes) => sum + bytes, 0),
      0,
    );
    t.is(plan.control[CONTROL_LIVE], 0, 'no count is lost');
  });
}

test('CPUs that hand one block to and fro do so in turns', async (t) => {
  const trace = pingPong(3000);
  const plan = planReplay(trace, 2);
  t.is(plan.syncPoints, 3000);
  const allocator = PlainAllocator.create(1 << 22, 10_000);
  const outcomes = await replayWithWorkers(plan, {
    plain: { source: allocator.memory.source, log: allocator.log },
  });
  t.true(outcomes.every(({ result }) => result !== undefined));
  // Nothing ever overlaps: allocate, (allocate, free)…, free.
  const words = allocator.entries().map(({ what }) => what);
  t.is(words.length, 6002);
  t.deepEqual(
    words,
    words.map((_, index) =>
      index === words.length - 1 || (index > 0 && index % 2 === 0) ? 'free' : 'allocate',
    ),
  );
});

test('a plan without its sync points is caught at the first block that comes too early', async (t) => {
  for (const [plan, isRight] of [
    [planReplay(pingPong(100), 2), true],
    [stripped(planReplay(pingPong(100), 2)), false],
  ] as const) {
    const allocator = PlainAllocator.create(1 << 22, 1000);
    const plain = { source: allocator.memory.source, log: allocator.log };
    // CPU 0 allocates nothing before CPU 1 either waits or has failed.
    const [, second] = await replayWithWorkers(plan, { plain, misdeed: 'dawdle' });
    if (isRight) t.is(second.result?.operations, 50);
    else
      t.like(second.failure, {
        name: 'ReplayError',
        reason: 'order',
        message: 'CPU 1: block 1 is to be freed, but has not been allocated yet',
      });
  }
});

test('when one CPU throws, the others stop and say which', async (t) => {
  const allocator = PlainAllocator.create(1 << 22, 10_000);
  const plain = { source: allocator.memory.source, log: allocator.log };
  const outcomes = await replayWithWorkers(planReplay(churn(3, 3000, seedOf(t)), 3), {
    plain,
    misdeed: 'throw',
  });
  t.like(outcomes[0].failure, { name: 'Error', message: 'the allocator is broken' });
  for (const { failure } of outcomes.slice(1)) {
    t.like(failure, { name: 'ReplayError', reason: 'aborted', message: 'CPU 0 has failed' });
  }
});

test('on a real heap the oracle finds nothing, the heap is empty at the end, and the plan can be replayed again', async (t) => {
  const trace = churn(4, 20_000, seedOf(t));
  const plan = planReplay(trace, 2);
  const heap = Basic.create({ bytes: 1 << 24, lock: 'spin' });
  const empty = heap.usedBytes();
  for (const checked of [true, false]) {
    resetPlan(plan);
    const oracle = checked ? Oracle.create({ bytes: heap.memory.end }).share() : undefined;
    const setting = { basic: heap.share(), options: { freeLeaks: true, sampleEvery: 100 } };
    const outcomes = await replayWithWorkers(plan, oracle === undefined ? setting : { ...setting, oracle });
    for (const { result } of outcomes) {
      t.like(result, { failedAllocations: 0, skipped: 0, violations: 0 });
    }
    const samples = outcomes[0].result?.samples ?? [];
    t.true(samples.length > 50);
    t.true(samples.every(({ footprintBytes }) => footprintBytes > 0 && footprintBytes < 1 << 24));
    t.is(heap.usedBytes(), empty);
    heap.validate();
  }
});

/**
 * Two threads that allocate and free apart from each other and hand a token to and fro, which puts all of it
 * into one order.
 */
function inTurns(rounds: number): Trace {
  const builder = new TraceBuilder();
  let token = builder.malloc(0, 1);
  const live: number[][] = [[], []];
  for (let round = 0; round < rounds; round++) {
    const thread = round % 2;
    token = builder.realloc(thread, token, 1);
    const mine = live[thread];
    // One grows while the other shrinks, so that neither's own peak is that of both.
    if (round % 100 < 50 === (thread === 0)) mine.push(builder.malloc(thread, 100 + ((round * 37) % 1000)));
    else if (mine.length > 0) builder.free(thread, mine.pop() as number);
    token = builder.realloc(thread, token, 1);
  }
  return builder.build();
}

test('the peak over all CPUs is exact when all of them count, and not told when one does not', async (t) => {
  const trace = inTurns(1000);
  const { peakLiveBytes } = traceInfo(trace);
  const others = { optionsOf: { 1: { countLive: false } } };
  const plan = planReplay(trace, 2);
  for (const all of [true, false]) {
    resetPlan(plan);
    const allocator = PlainAllocator.create(1 << 22, 10_000);
    const plain = { source: allocator.memory.source, log: allocator.log };
    const outcomes = await replayWithWorkers(plan, {
      plain,
      options: { countLive: true },
      ...(!all && others),
    });
    const peaks = outcomes.map(({ result }) => result?.peakLiveBytes);
    if (all) t.is(Math.max(...(peaks as number[])), peakLiveBytes);
    else t.deepEqual(peaks, [undefined, undefined]);
  }
});

test('a CPU that frees leaks waits for one that does not, and only for its stream', async (t) => {
  const builder = new TraceBuilder();
  for (let count = 0; count < 10; count++) for (const thread of [0, 1]) builder.malloc(thread, 100);
  const allocator = PlainAllocator.create(1 << 20, 100);
  const plain = { source: allocator.memory.source, log: allocator.log };
  const setting = { plain, optionsOf: { 0: { freeLeaks: true } } };
  const outcomes = await replayWithWorkers(planReplay(builder.build(), 2), setting);
  t.true(outcomes.every(({ result }) => result?.operations === 10));
  const frees = allocator.entries().map(({ what }) => what === 'free');
  t.deepEqual(frees, [...new Array(20).fill(false), ...new Array(10).fill(true)]);
});

test('no wake-up is lost: threads that sleep without a time limit are woken every time', async (t) => {
  const { control } = planReplay(pingPong(1), 2);
  const rounds = 5000;
  await Promise.all(
    [0, 1].map(
      (me) =>
        new Promise<void>((resolve, reject) => {
          const url = new URL('../support/wait-worker.js', import.meta.url);
          new Worker(url, { workerData: { control, me, rounds } })
            .on('error', reject)
            .on('exit', () => resolve());
        }),
    ),
  );
  t.deepEqual(
    [0, 1].map((me) => control[progressWord(me)]),
    [rounds, rounds],
  );
});
