/** The replayer in one thread: what it calls, counts and measures. */
import { Oracle } from '@shmalloc/alloc-test/oracle';
import { SharedMemory } from '@shmalloc/allocator-api';
import {
  abortReplay,
  planReplay,
  ReplayError,
  replayOn,
  resetPlan,
  TraceBuilder,
  traceInfo,
} from '@shmalloc/trace';
import test from 'ava';
import { CONTROL_ABORT, CONTROL_STARTED, CONTROL_TAKEN, progressWord } from '../../dist/plan.js';
import { publish, WAITING, waitFor } from '../../dist/wait.js';
import { PlainAllocator } from '../support/plain-allocator.ts';
import { churn, seedOf } from '../support/traces.ts';

/** Every operation once. */
function everything(): TraceBuilder {
  const builder = new TraceBuilder();
  const a = builder.malloc(0, 24);
  const b = builder.calloc(0, 100);
  builder.aligned(0, 256, 1000);
  const d = builder.realloc(0, a, 48);
  builder.realloc(0, 0, 7);
  builder.free(0, b);
  builder.free(0, 0);
  builder.free(0, d);
  builder.exit(0);
  return builder;
}

test('every operation becomes the call it was', (t) => {
  const allocator = PlainAllocator.create(1 << 20, 100);
  const result = replayOn(planReplay(everything().build(), 1), 0, allocator);
  const [a, b, , d] = allocator.entries().map(({ address }) => address);
  t.deepEqual(allocator.calls, [
    'malloc 24',
    'calloc 1 100',
    'alignedAlloc 256 1000',
    `realloc ${a} 48`,
    'realloc 0 7',
    `free ${b}`,
    'free 0',
    `free ${d}`,
  ]);
  t.like(result, { cpu: 0, operations: 9, failedAllocations: 0, skipped: 0, violations: 0 });
  t.deepEqual(result.samples, []);
});

test('seconds are those of the clock that is given, in milliseconds', (t) => {
  let now = 5000;
  const clock = (): number => (now += 1500);
  t.is(
    replayOn(planReplay(everything().build(), 1), 0, PlainAllocator.create(1 << 20, 100), { clock }).seconds,
    1.5,
  );
});

test('the first and the last word of every block are written, and nothing beyond it', (t) => {
  for (const touch of [true, false]) {
    for (let size = 0; size <= 40; size++) {
      const builder = new TraceBuilder();
      builder.malloc(0, size);
      const allocator = PlainAllocator.create(1 << 16, 10);
      const plan = planReplay(builder.build(), 1);
      replayOn(plan, 0, allocator, { touch });
      const block = plan.table[1];
      const written = [...allocator.memory.u8.subarray(block - 16, block + 64)].flatMap((byte, index) =>
        byte === 0 ? [] : [index - 16],
      );
      t.true(written.every((offset) => offset >= 0 && offset < size));
      t.is(written.length > 0, touch && size > 0);
      if (touch && size >= 4) t.true(written.includes(0) && Math.max(...written) >= size - 7);
    }
  }
});

test('blocks in memory that another thread has added are written too', (t) => {
  for (const size of [3, 100]) {
    const source = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true });
    const builder = new TraceBuilder();
    builder.malloc(0, size);
    const allocator = new PlainAllocator(
      SharedMemory.from(source),
      new Uint32Array(new SharedArrayBuffer(40)),
    );
    const before = allocator.memory.byteLength;
    source.grow(1);
    allocator.malloc = () => before + 16;
    replayOn(planReplay(builder.build(), 1), 0, allocator);
    t.is(new Uint8Array(source.buffer)[before + 16], size);
  }
});

test('an allocation that fails is counted, later operations on its block are left out', (t) => {
  const builder = new TraceBuilder();
  const a = builder.malloc(0, 999); //            fails
  const b = builder.realloc(0, a, 10); //         skipped: there is nothing to reallocate
  builder.free(0, b); //                          skipped
  const c = builder.malloc(0, 16);
  const d = builder.realloc(0, c, 999); //        fails; the old block is freed
  builder.free(0, d); //                          skipped
  builder.realloc(0, 0, 999); //                  fails
  builder.calloc(0, 999); //                      fails, and is leaked by the trace
  const allocator = PlainAllocator.create(1 << 16, 100);
  allocator.fails = (size) => size === 999;
  const plan = planReplay(builder.build(), 1);
  const result = replayOn(plan, 0, allocator, { freeLeaks: true });
  const block = allocator.entries()[0].address;
  t.deepEqual(allocator.calls, [
    'malloc 999',
    'malloc 16',
    `realloc ${block} 999`,
    `free ${block}`,
    'realloc 0 999',
    'calloc 1 999',
  ]);
  t.like(result, { operations: 8, failedAllocations: 4, skipped: 3 });
  t.is(plan.live[0], 0);
});

test('samples say how much is live, how much was since the last one, how much is touched, and when', (t) => {
  let footprint = 0;
  let now = 0;
  const result = replayOn(planReplay(everything().build(), 1), 0, PlainAllocator.create(1 << 20, 100), {
    footprint: () => (footprint += 4096),
    sampleEvery: 3,
    clock: () => now++,
  });
  t.deepEqual(result.samples, [
    { operation: 3, time: 1, liveBytes: 1124, peakLiveBytes: 1124, footprintBytes: 4096 },
    { operation: 6, time: 2, liveBytes: 1055, peakLiveBytes: 1155, footprintBytes: 8192 },
    { operation: 9, time: 3, liveBytes: 1007, peakLiveBytes: 1055, footprintBytes: 12288 },
  ]);
  t.is(result.peakLiveBytes, 1155);
});

test('on one CPU the peak is that of the recording, whether samples are taken or not', (t) => {
  const trace = churn(4, 5000, seedOf(t));
  const { peakLiveBytes } = traceInfo(trace);
  const plan = planReplay(trace, 1);
  t.is(replayOn(plan, 0, PlainAllocator.create(1 << 23, 20_000)).peakLiveBytes, peakLiveBytes);
  for (const maxSamples of [1, 7, 100, 5000, 9999]) {
    resetPlan(plan);
    let calls = 0;
    const options = { maxSamples, footprint: () => ++calls };
    const { samples, ...result } = replayOn(plan, 0, PlainAllocator.create(1 << 23, 20_000), options);
    t.is(result.peakLiveBytes, peakLiveBytes);
    t.is(Math.max(...samples.map((sample) => sample.peakLiveBytes)), peakLiveBytes, 'no stretch is missed');
    t.true(samples.length <= maxSamples && samples.length >= Math.min(maxSamples, plan.operations) / 2);
    t.is(calls, samples.length);
  }
  resetPlan(plan);
  t.throws(() => replayOn(plan, 0, PlainAllocator.create(1 << 23, 20_000), { maxSamples: 0 }), {
    message: /maxSamples must be 1 at least, got 0/,
  });
});

test('the peak counts a reallocation once, and nothing of what failed', (t) => {
  const builder = new TraceBuilder();
  const a = builder.malloc(0, 100);
  const b = builder.malloc(0, 999); //     fails
  const c = builder.realloc(0, a, 150); // 150, never 250
  builder.realloc(0, c, 999); //           fails; the old block is freed
  builder.free(0, b);
  builder.malloc(0, 149);
  const allocator = PlainAllocator.create(1 << 16, 100);
  allocator.fails = (size) => size === 999;
  t.is(replayOn(planReplay(builder.build(), 1), 0, allocator).peakLiveBytes, 150);
});

test('without a number there are about 512 samples, and one at the end', (t) => {
  const plan = planReplay(churn(1, 3000, seedOf(t)), 1);
  const allocator = (): PlainAllocator => PlainAllocator.create(1 << 22, 10_000);
  const { samples, peakLiveBytes } = replayOn(plan, 0, allocator(), { footprint: () => 1 });
  t.true(samples.length > 400 && samples.length <= 512);
  t.is(samples.at(-1)?.operation, plan.operations);
  t.is(samples.at(-1)?.liveBytes, 0);
  resetPlan(plan);
  const last = replayOn(plan, 0, allocator(), { footprint: () => 1, sampleEvery: 0, clock: () => 7 }).samples;
  t.deepEqual(last, [
    { operation: plan.operations, liveBytes: 0, footprintBytes: 1, time: 7, peakLiveBytes },
  ]);
});

test('what the trace leaks is freed at the end when asked for', (t) => {
  for (const freeLeaks of [false, true]) {
    const allocator = PlainAllocator.create(1 << 20, 100);
    const plan = planReplay(everything().build(), 1);
    replayOn(plan, 0, allocator, { freeLeaks });
    const entries = allocator.entries();
    const freed = entries.filter(({ what }) => what === 'free').length;
    t.is(freed, freeLeaks ? 5 : 3);
    t.is(plan.live[0], freeLeaks ? 0 : 1007);
  }
});

test('the oracle sees every block: none wrong, and a wrong one named', (t) => {
  const trace = churn(1, 2000, seedOf(t));
  const right = PlainAllocator.create(1 << 22, 10_000);
  const oracle = Oracle.create({ bytes: right.memory.end });
  t.is(replayOn(planReplay(trace, 1), 0, right, { oracle, freeLeaks: true }).violations, 0);
  const wrong = PlainAllocator.create(1 << 22, 10_000);
  const malloc = wrong.malloc.bind(wrong);
  wrong.malloc = (size) => (size % 7 === 0 ? 4096 : malloc(size));
  const witness = Oracle.create({ bytes: wrong.memory.end });
  t.true(replayOn(planReplay(trace, 1), 0, wrong, { oracle: witness }).violations > 0);
  t.true(witness.violations().some(({ kind }) => kind === 'overlap'));
});

test('a plan is replayed once; after a reset, again', (t) => {
  const plan = planReplay(everything().build(), 1);
  const run = () => replayOn(plan, 0, PlainAllocator.create(1 << 20, 100));
  run();
  const error = t.throws(run, { instanceOf: ReplayError });
  t.is(error?.reason, 'stale');
  t.regex(error?.message ?? '', /^CPU 0 of this plan has been replayed.* reset the plan/);
  resetPlan(plan);
  t.is(run().operations, 9);
});

test('a CPU that two threads take is refused to the second, and the first is not left waiting', (t) => {
  const plan = planReplay(everything().build(), 2);
  plan.control[progressWord(1) + CONTROL_TAKEN] = 1; // another thread has it
  const error = t.throws(() => replayOn(plan, 1, PlainAllocator.create(1 << 20, 100)), {
    instanceOf: ReplayError,
  });
  t.is(error?.reason, 'stale');
  t.is(plan.control[CONTROL_ABORT], 2);
});

test('a CPU that the plan does not have is refused', (t) => {
  const plan = planReplay(everything().build(), 2);
  const allocator = PlainAllocator.create(1 << 20, 100);
  t.throws(() => replayOn(plan, 2, allocator), { message: /cpu must be below the plan's 2 CPUs, got 2/ });
  t.throws(() => replayOn(plan, -1, allocator), { instanceOf: RangeError });
  t.is(plan.control[CONTROL_ABORT], 0, 'a wrong argument stops nobody');
});

test('who waits when a replay is aborted throws, before, during and after', (t) => {
  const plan = planReplay(everything().build(), 2);
  abortReplay(plan);
  const error = t.throws(() => replayOn(plan, 1, PlainAllocator.create(1 << 20, 100)), {
    instanceOf: ReplayError,
  });
  t.is(error?.reason, 'aborted');
  t.is(error?.message, 'the replay was aborted');
});

test('a thread that may not block spins, and leaves when the replay is aborted', (t) => {
  const plan = planReplay(everything().build(), 1);
  const word = progressWord(0);
  const spinning = { ...WAITING, mayBlock: false };
  publish(plan.control, word, 5);
  t.notThrows(() => waitFor(plan.control, word, 5, spinning));
  plan.control[CONTROL_ABORT] = 3;
  const error = t.throws(() => waitFor(plan.control, word, 6, spinning), { instanceOf: ReplayError });
  t.is(error?.message, 'CPU 2 has failed');
});

test('a block that is freed before it is allocated is caught: without its sync points a plan is wrong', (t) => {
  const builder = new TraceBuilder();
  builder.free(1, builder.malloc(0, 8));
  const plan = planReplay(builder.build(), 2);
  plan.streams[1].records[0] &= 7; // strip the flags: CPU 1 does not wait any more
  plan.control[CONTROL_STARTED] = 1; // CPU 0 has begun, and is slow
  const error = t.throws(() => replayOn(plan, 1, PlainAllocator.create(1 << 20, 100)), {
    instanceOf: ReplayError,
  });
  t.is(error?.reason, 'order');
  t.is(error?.message, 'CPU 1: block 1 is to be freed, but has not been allocated yet');
  t.is(plan.control[CONTROL_ABORT], 2, 'the others learn who failed');
});
