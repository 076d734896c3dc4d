/** The seven steps: what each puts around the allocator, and the experiments that show what that is worth. */

import { ended } from './experiments/ended.ts';
import { fullPages } from './experiments/full-pages.ts';
import { killedAnywhere, killedInside } from './experiments/killed.ts';
import { alone, correct, insisted, overlap, refused } from './experiments/watched.ts';
import type { Outcome } from './outcome.ts';

/**
 * A step.
 * @public
 */
export interface Step {
  /** 0 … 6. */
  readonly step: number;
  /** The file of its program, without its ending. */
  readonly program: string;
  /** What stands around the allocator. */
  readonly guard: string;
  /** In a few words, for a narrow table. */
  readonly short: string;
  /** Whether it is for one thread only. */
  readonly forOne: boolean;
  /** Why several threads are not measured. */
  readonly why: string;
  /** The experiments, in order. */
  readonly experiments: readonly (() => Promise<Outcome>)[];
}

/** Threads that are killed in step 6. */
const VICTIMS = 10;

/**
 * All of them.
 * @public
 */
export const STEPS: readonly Step[] = [
  {
    step: 0,
    program: 'step-0',
    guard: 'none',
    short: 'none',
    forOne: true,
    why: 'corrupts',
    experiments: [() => overlap('step-0', 'two threads corrupt the heap')],
  },
  {
    step: 1,
    program: 'step-1',
    guard: 'Mutex<MiAllocatorInner>: one big lock',
    short: 'Mutex',
    forOne: false,
    why: '',
    experiments: [() => correct('step-1'), () => killedInside('step-1', 'the mutex')],
  },
  {
    step: 2,
    program: 'step-2',
    guard: 'RefCell<MiAllocatorInner>: a flag for one thread',
    short: 'RefCell',
    forOne: true,
    why: 'fails',
    experiments: [() => alone('step-2'), () => refused('step-2', false)],
  },
  {
    step: 3,
    program: 'step-3',
    guard: 'AtomicRefCell: { borrow: BorrowFlag, data: UnsafeCell<MiAllocatorInner> }',
    short: 'AtomicRefCell',
    forOne: false,
    why: '',
    experiments: [
      () => overlap('unchecked-flag', 'a flag that is not checked changes nothing'),
      () => refused('step-3', true),
      () => insisted('step-3'),
    ],
  },
  {
    step: 4,
    program: 'step-4',
    guard: 'a heap per thread, thread_free lists, a lock for segments',
    short: 'heap per thread',
    forOne: false,
    why: '',
    experiments: [() => fullPages('step-4', false)],
  },
  {
    step: 5,
    program: 'step-5',
    guard: '+ thread_delayed_free: full pages are announced',
    short: '+ delayed free',
    forOne: false,
    why: '',
    experiments: [
      () => fullPages('step-5', true),
      () => ended('step-5', false),
      () => killedInside('step-5', 'the segment lock'),
    ],
  },
  {
    step: 6,
    program: 'step-6',
    guard: '+ lock-free segments, abandonment, reclaim, reap: MiMalloc',
    short: '+ lock-free segments',
    forOne: false,
    why: '',
    experiments: [() => ended('step-6', true), () => killedAnywhere('step-6', VICTIMS)],
  },
];
