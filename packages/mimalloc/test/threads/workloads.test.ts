/**
 * The workloads that allocators are measured with, on real workers, under the oracle; so much of each that it
 * is done in a moment.
 */
import test from 'ava';
import { multiThread, QUICK, runWorkload, workloads } from '../support/workload-run.ts';

// Both kinds of memory have their turn: they differ in how threads reach each other, and in how they grow.
// Each program runs once on memory that was there from the start, and once on memory that grows.
for (const [nth, workload] of workloads(QUICK).entries()) {
  for (const [workers, backing, growing] of [
    [2, 'sab', nth % 2 === 0],
    [4, 'wasm', nth % 2 === 1],
  ] as const) {
    const memory = growing ? `${backing} that grows` : backing;
    test.serial(`${workload.name} (${workers} workers, ${memory})`, (t) =>
      runWorkload(t, workload, workers, { backing, growing }),
    );
  }
}

const multi = multiThread(20);
test.serial(`${multi.name} (in memory that grows)`, (t) => runWorkload(t, multi, 10, { growing: true }));
