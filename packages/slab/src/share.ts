/** What other threads attach with, and which of them may. */

import { AllocError, checkChoice, type Handle } from '@shmalloc/allocator-api';
import { LOCK_KINDS, type LockKind } from './page-lock.ts';

/**
 * What `Slab.attach` takes besides the handle.
 * @public
 */
export interface AttachOptions {
  /** `'outside'` for a heap that was made with it. For any other it may be left out. */
  lock?: LockKind | undefined;
}

/**
 * What one thread attaches with, which is expected by a name: see {@link Slab.shareSlot}.
 * @public
 */
export interface SlotHandle extends Handle {
  /** The name that it will have. */
  readonly threadId: number;
}

/**
 * What `Slab.validate` takes.
 * @public
 */
export interface ValidateOptions {
  /** Whether no other thread is using the heap. Default false. */
  readonly quiet?: boolean | undefined;
}

/** The error of a heap that is for one thread. */
export function unshared(): AllocError {
  return new AllocError(
    'Unsupported',
    "share: this heap was made with lock: 'none', for one thread: make it with lock: 'spin' or 'mutex', or 'outside' when something else guards it",
  );
}

/** @throws AllocError unless a thread may attach to a heap with this lock */
export function checkLock(lock: LockKind, asked: LockKind | undefined): void {
  if (asked !== undefined) checkChoice('lock', asked, LOCK_KINDS);
  if (lock === 'none') throw unshared();
  if (lock === 'outside' && asked !== 'outside') {
    throw new AllocError(
      'Unsupported',
      "attach: this heap was made with lock: 'outside': attach with { lock: 'outside' } when something else guards it",
    );
  }
  if (asked === undefined || asked === lock) return;
  throw new AllocError('InvalidParam', `attach: this heap was made with lock: '${lock}', not '${asked}'`);
}
