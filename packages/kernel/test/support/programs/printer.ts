/** Prints `count` lines of changing length, the last one without a newline. */
import { type Cpu, printf } from '@shmalloc/kernel';

/** The line, computed again by the test. */
export function lineOf(cpu: number, index: number): string {
  return `cpu ${cpu} line ${String(index).padStart(6, '0')} ${'äöü→🙂'.repeat(index % 9)}${'x'.repeat(index % 41)}.`;
}

export default function printer(cpu: Cpu, argument: unknown): void {
  const { count } = argument as { count: number };
  for (let i = 0; i < count; i++) {
    const line = lineOf(cpu.id, i);
    // In two calls: a line is what ends in a newline, not what one call prints.
    printf('cpu %d line %06d ', cpu.id, i);
    printf('%s', line.slice(line.indexOf(' ', line.indexOf('line') + 5) + 1));
    if (i < count - 1) printf('\n');
  }
}
