/** Tells what a CPU knows about itself. */
import { type Cpu, cpuCount, cpuCurrent } from '@shmalloc/kernel';

export default async function whoAmI(cpu: Cpu, argument: unknown): Promise<object> {
  await undefined;
  return {
    id: cpu.id,
    count: cpu.count,
    cpuCurrent: cpuCurrent(),
    cpuCount: cpuCount(),
    bytes: cpu.memory.byteLength,
    sameMemory: cpu.memory === cpu.allocator.memory,
    argument,
  };
}
