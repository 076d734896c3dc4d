/** The workloads with their published parameters. */
import test from 'ava';
import { FULL, runWorkload, workloads } from './workload-run.ts';

for (const workload of workloads(FULL)) {
  const crews = workload.workers === undefined ? [2, 4] : [workload.workers];
  for (const workers of crews) {
    for (const backing of ['sab', 'wasm'] as const) {
      test.serial(`${workload.name} (${workers} workers, ${backing})`, (t) => {
        t.timeout(10 * 60_000);
        return runWorkload(t, workload, workers, { backing });
      });
    }
  }
}
