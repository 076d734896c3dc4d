/** The workloads that allocators are measured with, on real workers, under the oracle; so much of each that it is done in a moment. */
import test from 'ava';
import { MULTI_THREAD, QUICK, runWorkload, workloads } from './workload-run.ts';

// Both kinds of memory have their turn: they differ in how threads reach each other.
const KINDS = [
  { workers: 2, backing: 'sab' },
  { workers: 4, backing: 'wasm' },
] as const;

for (const workload of workloads(QUICK)) {
  for (const { workers, backing } of KINDS) {
    test.serial(`${workload.name} (${workers} workers, ${backing})`, (t) =>
      runWorkload(t, workload, workers, { backing }),
    );
  }
}

test.serial(MULTI_THREAD.name, (t) => runWorkload(t, MULTI_THREAD, 10));
