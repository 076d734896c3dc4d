/** Many rounds with a barrier in each: no thread may be a round ahead of another. */
import { type Cpu, cpuBarrier } from '@shmalloc/kernel';

export default function rounds(cpu: Cpu, argument: unknown): number {
  const { progress, count } = argument as { progress: Int32Array<SharedArrayBuffer>; count: number };
  let wrong = 0;
  for (let round = 1; round <= count; round++) {
    Atomics.store(progress, cpu.id, round);
    cpuBarrier();
    for (let other = 0; other < cpu.count; other++) {
      if (Atomics.load(progress, other) !== round) wrong++;
    }
    cpuBarrier();
  }
  return wrong;
}
