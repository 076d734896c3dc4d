/** The workloads with their published parameters. */
import test from 'ava';
import { FULL, multiThread, runWorkload, workloads } from '../support/workload-run.ts';

for (const workload of [...workloads(FULL), multiThread(100)]) {
  const crews = workload.workers === undefined ? [2, 4] : [workload.workers];
  for (const workers of crews) {
    // A thousand workers are enough for one kind of memory.
    for (const backing of workload.workers === undefined ? (['sab', 'wasm'] as const) : (['wasm'] as const)) {
      // Two workers in memory that grows, four in memory that was there from the start; and the other way
      // round over the other kind.
      const growing = (workers === 2) === (backing === 'sab');
      test.serial(`${workload.name} (${workers} workers, ${backing}${growing ? ' that grows' : ''})`, (t) => {
        t.timeout(15 * 60_000);
        return runWorkload(t, workload, workers, { backing, growing });
      });
    }
  }
}
