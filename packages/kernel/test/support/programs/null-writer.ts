/**
 * One CPU writes through NULL, as if it had not looked at the answer of a failed allocation, and goes on in
 * some way.
 */
import { type Cpu, cpuBarrier, halt, kalloc, printf, vmalloc } from '@shmalloc/kernel';

export interface NullJob {
  /** What the writer does afterwards. */
  readonly next: string;
  /** Where it writes, in bytes. */
  readonly at: number;
}

const NEXT: Record<string, () => unknown> = {
  'spins in plain code': () => {
    for (;;);
  },
  'goes on allocating': () => {
    for (;;) kalloc(0);
  },
  prints: () => printf('hello\n'),
  'comes to the barrier': () => cpuBarrier(),
  'asks for too much': () => kalloc(2 ** 30),
  'asks for more than there is': () => {
    while (kalloc(2 ** 24) !== 0);
  },
  'asks until there is no more': () => {
    while (kalloc(4096) !== 0);
    for (;;);
  },
  'asks for pages': () => vmalloc(0, 4096),
  'is at its end': () => 'done',
  throws: () => {
    throw new Error('something unrelated');
  },
  halts: () => halt(0),
};

export default function nullWriter(cpu: Cpu, argument: unknown): unknown {
  const { next, at } = argument as NullJob;
  if (cpu.id !== cpu.count - 1) return cpuBarrier();
  cpu.memory.u8.fill(0xab, at, at + 4);
  return NEXT[next]();
}
