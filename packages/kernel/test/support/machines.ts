import { type AllocatorModule, type BootOptions, boot, type Machine } from '@shmalloc/kernel';
import type { ExecutionContext } from 'ava';

/** The allocator of these tests. */
export const BUMP: AllocatorModule = { module: new URL('./bump.js', import.meta.url), exportName: 'Bump' };

export interface TestMachine {
  readonly machine: Machine;
  /** What was printed, by CPU. */
  readonly lines: string[][];
}

/** Boots a machine that is halted when the test is over, and records its console. */
export async function bootForTest(t: ExecutionContext, options: BootOptions = {}): Promise<TestMachine> {
  const lines: string[][] = Array.from({ length: options.cpus ?? 1 }, () => []);
  const machine = await boot({
    allocator: BUMP,
    bytes: 1 << 20,
    onPrint: (cpu, line) => void lines[cpu].push(line),
    ...options,
  });
  t.teardown(() => machine.halt());
  return { machine, lines };
}

/** The URL of a program in `test/programs`. */
export function program(name: string): URL {
  return new URL(`./programs/${name}.js`, import.meta.url);
}
