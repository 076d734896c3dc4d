/** What can stand around an allocator's operations, and which threads may attach to what was made with it. */

import { checkChoice } from './check.ts';
import { AllocError } from './error.ts';

/**
 * The kinds of lock, by name. The position is what headers record.
 * @public
 */
export const LOCK_KINDS = ['none', 'spin', 'mutex', 'outside'] as const;

/**
 * How threads are kept apart: by a spin lock, by a futex, or not. A heap with `'none'` is for one thread and
 * cannot be shared; an algorithm without locks ignores it. `'outside'` has no lock either, but can be shared:
 * something else sees to it that one thread at a time is inside.
 * @public
 */
export type LockKind = (typeof LOCK_KINDS)[number];

/**
 * The error of sharing a heap that is for one thread.
 * @param algorithm - its name
 * @public
 */
export function notShared(algorithm: string): AllocError {
  return new AllocError(
    'Unsupported',
    `this ${algorithm} heap was made with lock: 'none', for one thread. To share it make it with lock: 'spin' or 'mutex'; with lock: 'outside' when something else guards it`,
  );
}

/**
 * Demands that a thread that attaches knows what guards the heap.
 * @param algorithm - its name, for the message
 * @param found - the heap's lock
 * @param asked - what the thread has said of it
 * @throws AllocError `Unsupported` for a heap with `'none'`, `InvalidParam` unless the thread has said
 *   `'outside'` of a heap that has it, and nothing wrong of any other; TypeError for what is no name
 * @public
 */
export function checkAttachLock(algorithm: string, found: LockKind, asked: LockKind | undefined): void {
  if (asked !== undefined) checkChoice('lock', asked, LOCK_KINDS);
  if (found === 'none') throw notShared(algorithm);
  if (asked === found || (asked === undefined && found !== 'outside')) return;
  const message =
    found === 'outside'
      ? `this ${algorithm} heap has lock: 'outside': something else has to guard it. attach(handle, { lock: 'outside' }) says that it does`
      : `this ${algorithm} heap has lock: '${found}', not '${asked}'`;
  throw new AllocError('InvalidParam', message);
}
