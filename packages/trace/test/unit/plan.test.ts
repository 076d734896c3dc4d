import {
  foldThreads,
  planReplay,
  type ReplayPlan,
  resetPlan,
  siblingPlan,
  TraceBuilder,
} from '@shmalloc/trace';
import test from 'ava';
import fc from 'fast-check';
import {
  HEAD_ALIGN_SHIFT,
  HEAD_OP_MASK,
  HEAD_PUBLISH,
  HEAD_WAIT,
  RECORD_WORDS,
  WAIT_MORE,
} from '../../dist/plan.js';
import { checkProperty, churn, seedOf, traces } from '../support/traces.ts';

/** A stream's records, with what they wait for as `cpu:point`. */
function unfold(plan: ReplayPlan, cpu: number) {
  const { records, waits, operations } = plan.streams[cpu];
  let at = 0;
  return Array.from({ length: operations }, (_, index) => {
    const [head, id, size, oldId, oldSize] = records.subarray(
      index * RECORD_WORDS,
      (index + 1) * RECORD_WORDS,
    );
    const waitsFor: { cpu: number; point: number }[] = [];
    for (let more = (head & HEAD_WAIT) !== 0; more; at += 2) {
      more = waits[at] >= WAIT_MORE;
      waitsFor.push({ cpu: waits[at] % WAIT_MORE, point: waits[at + 1] });
    }
    return {
      op: head & HEAD_OP_MASK,
      publishes: (head & HEAD_PUBLISH) !== 0,
      align: 2 ** (head >>> HEAD_ALIGN_SHIFT),
      waitsFor,
      id,
      size,
      oldId,
      oldSize,
    };
  });
}

test('threads are folded by load, the same way every time; with CPUs enough each has its own', (t) => {
  const builder = new TraceBuilder();
  for (const [thread, operations] of [3, 9, 4, 5, 1].entries()) {
    for (let count = 0; count < operations; count++) builder.malloc(thread, 1);
  }
  const trace = builder.build();
  t.deepEqual([...foldThreads(trace, 1)], [0, 0, 0, 0, 0]);
  t.deepEqual([...foldThreads(trace, 2)], [0, 0, 1, 1, 1]);
  t.deepEqual([...foldThreads(trace, 5)].sort(), [0, 1, 2, 3, 4]);
  t.deepEqual([...foldThreads(trace, 8)].sort(), [0, 1, 2, 3, 4]);
  t.is(planReplay(trace, 8).streams.length, 8);
});

test('a block that passes between CPUs has a sync point, and an earlier one is waited for with a later one', (t) => {
  const builder = new TraceBuilder();
  const a = builder.malloc(0, 10); // 0: point 1
  const b = builder.aligned(0, 64, 20); // 0: point 2
  const c = builder.malloc(1, 30); // 1: point 1
  builder.free(1, b); // waits for 0:2
  builder.free(1, a); // has waited for more than 0:1
  const d = builder.realloc(0, c, 40); // waits for 1:1
  builder.free(0, d);
  builder.malloc(1, 50); // a leak
  const plan = planReplay(builder.build(), 2);
  t.deepEqual([...plan.cpuOf], [0, 1]);
  t.is(plan.syncPoints, 2);
  const none = { publishes: false, align: 1, waitsFor: [], oldId: 0, oldSize: 0 };
  t.deepEqual(unfold(plan, 0), [
    { ...none, op: 0, id: a, size: 10 },
    { ...none, op: 3, id: b, size: 20, align: 64, publishes: true },
    { ...none, op: 2, id: d, size: 40, oldId: c, oldSize: 30, waitsFor: [{ cpu: 1, point: 1 }] },
    { ...none, op: 4, id: d, size: 40 },
  ]);
  t.deepEqual(unfold(plan, 1), [
    { ...none, op: 0, id: c, size: 30, publishes: true },
    { ...none, op: 4, id: b, size: 20, waitsFor: [{ cpu: 0, point: 2 }] },
    { ...none, op: 4, id: a, size: 10 },
    { ...none, op: 0, id: 5, size: 50 },
  ]);
  t.deepEqual([...plan.streams[1].leaks], [5, 50]);
  t.deepEqual([...plan.streams[0].leaks], []);
});

test('one CPU has nobody to wait for', (t) => {
  const trace = churn(5, 2000, seedOf(t));
  const plan = planReplay(trace, 1, { window: 10 });
  t.is(plan.syncPoints, 0);
  t.is(plan.streams[0].operations, trace.operations);
});

/**
 * Runs the streams by hand, each as far as it can go, the later CPUs first. Returns the order, as CPU
 * numbers.
 */
function simulate(plan: ReplayPlan): number[] {
  const streams = plan.streams.map((_, cpu) => unfold(plan, cpu));
  const done = streams.map(() => 0);
  const order: number[] = [];
  for (let moved = true; moved; ) {
    moved = false;
    for (let cpu = plan.cpus - 1; cpu >= 0; cpu--) {
      for (; done[cpu] < streams[cpu].length; done[cpu]++) {
        const { waitsFor } = streams[cpu][done[cpu]];
        if (waitsFor.some((wait) => done[wait.cpu] < wait.point)) break;
        order.push(cpu);
        moved = true;
      }
    }
  }
  return order;
}

test('no plan deadlocks, every block begins before it ends, whatever is waited for is published', (t) => {
  checkProperty(
    t,
    fc.property(traces, fc.integer({ min: 1, max: 5 }), fc.constantFrom(0, 1, 7), (trace, cpus, window) => {
      const plan = planReplay(trace, cpus, { window });
      const streams = plan.streams.map((_, cpu) => unfold(plan, cpu));
      const order = simulate(plan);
      t.is(order.length, trace.operations, 'all of it can run');
      const next = streams.map(() => 0);
      const live = new Set([0]);
      for (const cpu of order) {
        const { op, id, oldId, waitsFor } = streams[cpu][next[cpu]++];
        for (const { cpu: other, point } of waitsFor) t.true(streams[other][point - 1].publishes);
        if (op === 4) t.true(id === 0 || live.delete(id));
        else if (op !== 5) {
          if (oldId !== 0) t.true(live.delete(oldId));
          live.add(id);
        }
      }
      t.is(
        plan.streams.reduce((sum, { leaks }) => sum + leaks.length / 2, 0),
        live.size - 1,
      );
    }),
  );
});

test('a window bounds how far CPUs drift apart', (t) => {
  // Two threads that have nothing to do with each other, taking turns.
  const builder = new TraceBuilder();
  for (let count = 0; count < 1000; count++) for (const thread of [0, 1]) builder.malloc(thread, 1);
  const trace = builder.build();
  const drift = (window: number): number => {
    let most = 0;
    let lead = 0;
    for (const cpu of simulate(planReplay(trace, 2, { window }))) {
      lead += cpu === 0 ? 1 : -1;
      most = Math.max(most, Math.abs(lead));
    }
    return most;
  };
  t.is(drift(0), 1000);
  t.is(drift(100), 100); // two windows of 100 recorded operations, of which every other is the CPU's own
  t.true(drift(10) <= 10);
});

test('a plan made fresh is as it was made', (t) => {
  const plan = planReplay(churn(3, 500, 1), 2);
  plan.control.fill(7);
  plan.table.fill(7);
  plan.live.fill(7);
  resetPlan(plan);
  t.deepEqual(plan, planReplay(churn(3, 500, 1), 2));
});

test('a sibling has the same streams and a state of its own', (t) => {
  const plan = planReplay(churn(3, 500, 1), 2);
  plan.control.fill(7);
  plan.table.fill(7);
  plan.live.fill(7);
  const sibling = siblingPlan(plan);
  t.deepEqual(sibling, planReplay(churn(3, 500, 1), 2), 'it is fresh');
  sibling.control.fill(8);
  sibling.table.fill(8);
  sibling.live.fill(8);
  t.true([...plan.control, ...plan.table, ...plan.live].every((word) => word === 7));
  t.is(sibling.streams, plan.streams);
});

test('a wrong number of CPUs and a wrong window are refused', (t) => {
  const trace = churn(1, 100, 1);
  t.throws(() => foldThreads(trace, 0), { message: /cpus must be from 1 to 1024, got 0/ });
  t.throws(() => planReplay(trace, 0), { message: /cpus must be from 1 to 1024, got 0/ });
  t.throws(() => planReplay(trace, 1025), { message: /got 1025/ });
  t.throws(() => planReplay(trace, 1.5), { instanceOf: RangeError });
  t.throws(() => planReplay(trace, '2' as unknown as number), { instanceOf: TypeError });
  t.throws(() => planReplay(trace, 2, { window: -1 }), { instanceOf: RangeError });
});
