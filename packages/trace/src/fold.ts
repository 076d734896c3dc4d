/**
 * Folds a trace's threads onto fewer CPUs.
 */

import { AllocError, checkInteger } from '@shmalloc/allocator-api';
import type { Trace } from './normal-form.ts';

/** The most CPUs of a plan. */
const MAX_CPUS = 1024;

/**
 * Which CPU runs which thread: the thread with the most operations first, each onto the CPU with the least to
 * do (longest processing time first; at most 4/3 of the best balance, Graham 1969). Ties go to the lower
 * number, so the same trace always folds the same way. With as many CPUs as threads, every thread has its
 * own.
 * @param trace - whose threads
 * @param cpus - 1 … 1024
 * @returns a CPU for every thread
 * @throws TypeError, RangeError or AllocError `InvalidParam` for a wrong number of CPUs
 * @public
 */
export function foldThreads(trace: Trace, cpus: number): Uint32Array {
  if (checkInteger('cpus', cpus) < 1 || cpus > MAX_CPUS) {
    throw new AllocError('InvalidParam', `cpus must be from 1 to ${MAX_CPUS}, got ${cpus}`);
  }
  const work = new Array<number>(trace.threads).fill(0);
  for (let index = 0; index < trace.operations; index++) work[trace.thread[index]]++;
  const order = work.map((_, thread) => thread).sort((a, b) => work[b] - work[a] || a - b);
  const load = new Array<number>(cpus).fill(0);
  const cpuOf = new Uint32Array(trace.threads);
  for (const thread of order) {
    let least = 0;
    for (let cpu = 1; cpu < cpus; cpu++) if (load[cpu] < load[least]) least = cpu;
    cpuOf[thread] = least;
    load[least] += work[thread];
  }
  return cpuOf;
}
