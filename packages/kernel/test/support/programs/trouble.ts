/**
 * Everything that can go wrong in a program, by name. The CPU that is in trouble is the last one, unless the
 * argument says otherwise.
 */
import { type Cpu, cpuBarrier, halt, kalloc, panic, printf } from '@shmalloc/kernel';

export interface Trouble {
  readonly kind: string;
  readonly cpu?: number;
  readonly gate?: Int32Array<SharedArrayBuffer>;
  readonly exitCode?: number;
}

/** The longest that a timer can wait: nothing here is to end by itself. */
const FOREVER_MS = 2 ** 31 - 1;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function spin(): never {
  for (;;);
}

/** What the CPU in trouble does. */
const TROUBLES: Record<string, (cpu: Cpu, argument: Trouble) => unknown> = {
  panic: () => panic('out of cheese'),
  'panic with a long message': () => panic(`${'€'.repeat(3000)}`),
  'panic with two lines': () => panic('first\nsecond'),
  'panic after printing': () => {
    for (let i = 0; i < 100; i++) printf('line %d\n', i);
    printf('begun');
    panic('now');
  },
  'panic that is caught': () => {
    try {
      panic('caught');
    } catch {
      return 'as if nothing had happened';
    }
  },
  throw: () => {
    throw new TypeError('that is no cheese');
  },
  'throw a string': () => {
    throw 'just a string';
  },
  'throw something strange': () => {
    throw Object.create(null);
  },
  reject: async () => {
    await sleep(1);
    throw new Error('later');
  },
  'detached rejection': async () => {
    void Promise.reject(new Error('nobody listens'));
    await sleep(FOREVER_MS);
  },
  'throw in a timer': async () => {
    setTimeout(() => {
      throw new RangeError('tick');
    }, 1);
    await sleep(FOREVER_MS);
  },
  close: () => {
    globalThis.close();
    return sleep(FOREVER_MS);
  },
  exit: () => process.exit(3),
  'return a function': () => () => 0,
  halt: (_, { exitCode }) => halt(exitCode),
  'halt with a wrong code': () => halt(-1),
  'halt with a large code': () => halt(256),
  'kalloc of half a byte': () => kalloc(100.5),
  'kalloc of no number': () => kalloc(Number.NaN),
  'kalloc in words': () => kalloc('100' as unknown as number),
  'return early': () => 'early',
  'timer left behind': () => {
    setInterval(() => undefined, 1000);
  },
};

/** What the others do meanwhile. */
export default function trouble(cpu: Cpu, argument: unknown): unknown {
  const trouble = argument as Trouble;
  if (trouble.kind === 'everyone panics') panic(`cpu ${cpu.id} is first`);
  if (trouble.kind === 'everyone spins') {
    Atomics.add(trouble.gate!, 0, 1);
    spin();
  }
  if (trouble.kind === 'everyone sleeps') return sleep(FOREVER_MS);
  if (cpu.id === (trouble.cpu ?? cpu.count - 1)) return TROUBLES[trouble.kind](cpu, trouble);
  if (trouble.kind === 'halt' || trouble.kind === 'timer left behind') return 'done';
  if (cpu.id === 0) return cpuBarrier();
  if (cpu.id === 1) spin();
  return sleep(FOREVER_MS);
}
