/** Does what it is told with pages, on the CPU that it is told. */
import { type Cpu, kalloc, kfree, madvise, swap, touch, vmalloc, vmfree } from '@shmalloc/kernel';

const CALLS = { kalloc, kfree, vmalloc, vmfree, madvise, touch, swap } as const;

/** Calls in order; a `$` stands for what the first one returned. */
export type Calls = readonly (readonly [keyof typeof CALLS, ...(number | string)[]])[];

/** What each call gave, or the message of what it threw. */
export default function pages(cpu: Cpu, argument: unknown): unknown[] | undefined {
  const { on, calls } = argument as { on: number; calls: Calls };
  if (cpu.id !== on) return undefined;
  const results: unknown[] = [];
  for (const [name, ...values] of calls) {
    const given = values.map((value) => (value === '$' ? results[0] : value));
    try {
      results.push((CALLS[name] as (...values: unknown[]) => unknown)(...given));
    } catch (error) {
      if ((error as Error).name === 'MachineStopped') throw error;
      results.push((error as Error).message);
    }
  }
  return results;
}
