/**
 * The CPU table: a record for each thread that can be attached at one time.
 *
 * ```
 *  word
 *   0  NAME        the thread's, 0 when the record is free         claimed with one exchange
 *   1  GENERATION  names that were made for it
 *   2  PENDING     the rest of what was taken from DELAYED
 *   3  THREAD      whose pages these are: NAME, as its thread has written it; 0 while a thread is expected
 *      …
 *  16  DELAYED     blocks of full pages that others have freed      a line of its own: others push here
 *      …
 *  32  CURRENT     for each class the page that blocks come from, first of its list; EMPTY without one
 *  96  KEPT        for each class the page that was kept when it became empty, or 0
 * 160  counters    of this CPU, written by it alone
 * 192
 * ```
 *
 * From a name (`thread-heap`), and so from a page's OWNER, the record is found without a search.
 *
 * ```
 *   NAME   0 ──attach──▶ thread ──detach──▶ 0
 *                            └──reap: one exchange──▶ the reaper's name ──all is done──▶ 0
 * ```
 *
 * **NAME is what a record is owned by**, and the exchange on it is what gives the rest of the record, and the
 * pages whose OWNER is THREAD, to one thread alone. A reaper keeps THREAD: should it die as well, the next
 * one finds its name in NAME, and from THREAD what was left to do.
 */

import { AllocError, type SharedMemory, type Word } from '@shmalloc/allocator-api';
import { crossingsFor } from '@shmalloc/atomic-cell';
import { claimSlot, slotOf } from '@shmalloc/thread-heap';
import { CLASSES } from './geometry.ts';
import { Field } from './header.ts';
import type { Plan } from './plan.ts';
import type { SlabCore } from './thread-view.ts';

/** Offsets of the fields, in words. */
export const Cpu = {
  name: 0,
  generation: 1,
  pending: 2,
  thread: 3,
  delayed: 16,
  current: 32,
  kept: 96,
  counters: 160,
} as const;

/** What a CPU counts, in words from its counters. */
export const Counter = {
  /** Allocations that the page at hand could not serve. */
  slow: 0,
  /** Pages taken from the page list. */
  taken: 1,
  /** Pages given back to it. */
  returned: 2,
  /** Pages of CPUs that have gone, made its own. */
  adopted: 3,
  /** Blocks of other CPUs that this one has freed. */
  remoteFrees: 4,
  /** Blocks of this CPU's full pages that came by way of DELAYED. */
  delayed: 5,
  /** Times that the page list's lock was taken. */
  locks: 6,
  /** Times that it had to wait for it. */
  lockWaits: 7,
  /** Large blocks handed out. */
  large: 8,
  /** Requests answered with 0. */
  failures: 9,
} as const;

export const CPU_WORDS = 192;

/** The record of a slot. */
export function recordOf({ plan }: Pick<SlabCore, 'plan'>, slot: number): Word {
  return plan.cpus + slot * CPU_WORDS;
}

/**
 * Claims a free record for a thread that comes, or is expected.
 * @throws AllocError `TooManyThreads` when all are taken
 */
export function claimRecord(memory: SharedMemory, plan: Plan): Word {
  const { i32 } = memory;
  const { header, slots, cpus: firstSlot } = plan;
  const { name: nameAt, generation: generationAt } = Cpu;
  const table = { firstSlot, slots, slotWords: CPU_WORDS, nameAt, generationAt };
  // What was pushed to DELAYED since the last owner went stays: it is this thread's to pass on.
  const { record, isFirst } = claimSlot(i32, crossingsFor(memory), table, 'CPUs');
  if (isFirst) Atomics.add(i32, header + Field.touched, CPU_WORDS / 16);
  resetCpu(i32, header, record);
  return record;
}

/**
 * Makes the calling thread the one that a record was claimed for.
 * @param name - by which it is expected
 * @throws AllocError `InvalidParam` when it is not, or no longer
 */
export function enterRecord({ i32 }: SharedMemory, plan: Plan, name: number): Word {
  const slot = slotOf(name);
  const cpu = recordOf({ plan }, slot);
  // Acquire: pairs with the post that brought the name. Of two threads that come with it one is let in.
  if (
    slot >= 0 &&
    slot < plan.slots &&
    Atomics.load(i32, cpu + Cpu.name) === name &&
    Atomics.compareExchange(i32, cpu + Cpu.thread, 0, name) === 0
  )
    return cpu;
  throw new AllocError(
    'InvalidParam',
    `no thread is expected under threadId ${name}: each handle of shareSlot is for one thread, once`,
  );
}

/** Makes a record one without pages. Its counters go on. */
export function resetCpu(i32: Int32Array, header: Word, cpu: Word): void {
  i32.fill(header + Field.empty, cpu + Cpu.current, cpu + Cpu.current + CLASSES);
  i32.fill(0, cpu + Cpu.kept, cpu + Cpu.kept + CLASSES);
}

/**
 * Makes a record free, as the last thing that its owner does to it. Release: pairs with the exchange in
 * `claimRecord`.
 * @param name - the owner's: of the thread itself, or of the one that reaps it
 */
export function releaseCpu(i32: Int32Array, cpu: Word, name: number): void {
  Atomics.store(i32, cpu + Cpu.thread, 0);
  Atomics.compareExchange(i32, cpu + Cpu.name, name, 0);
}

/**
 * Whether a thread of this name may be holding the page list's lock: it is there, or it is dead and its
 * reaper is not done yet.
 *
 * A thread lets go of the lock before it lets go of its record. So when the lock's word is the same before
 * and after this look, and this says no, the word was not written by a thread.
 */
export function canHold(i32: Int32Array, plan: Plan, name: number): boolean {
  const slot = slotOf(name);
  if (slot < 0 || slot >= plan.slots) return false;
  const cpu = recordOf({ plan }, slot);
  return Atomics.load(i32, cpu + Cpu.name) !== 0 && Atomics.load(i32, cpu + Cpu.thread) === name;
}
