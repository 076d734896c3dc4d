/**
 * Increments a plain counter under a lock, a cell that is tried until it works, or nothing. Optionally on a
 * thread that may not block.
 */

import { setFlagsFromString } from 'node:v8';
import { runInThisContext } from 'node:vm';
import type { BorrowCell, Lock, RefMut } from '@shmalloc/atomic-cell';
import { CELL, DATA, GATE } from '../places.ts';
import { answer, meet, ticket } from '../team.ts';

export interface CounterTask {
  lock: 'spin' | 'mutex' | 'none' | 'AtomicRefCell' | 'RefCell';
  /**
   * Forbids this thread to block, as a browser forbids it to its main thread, before the package is loaded.
   */
  mayBlock: boolean;
  threads: number;
  increments: number;
}

/** The engine's own switch, the one that an embedder throws for a thread that must not sleep. */
function forbidBlocking(): void {
  setFlagsFromString('--allow-natives-syntax');
  runInThisContext('%SetAllowAtomicsWait(false)');
}

const { memory, task } = ticket<CounterTask>();
if (!task.mayBlock) forbidBlocking();
let waitThrew = false;
try {
  Atomics.wait(memory.i32, CELL / 4, 1234, 0);
} catch (error) {
  waitThrew = error instanceof TypeError;
}

// Now, and not above: what the package finds out about this thread it finds out when it is loaded.
const { AtomicRefCell, Mutex, RefCell, ReleaseError, SpinLock } = await import('@shmalloc/atomic-cell');

/** A lock made of a cell: retrying a borrow is a spin lock in disguise. */
function retrying(cell: BorrowCell<unknown>): Guard {
  let borrow: RefMut<unknown> | undefined;
  return {
    lock(): void {
      do borrow = cell.tryBorrowMut();
      while (borrow === undefined);
    },
    unlock(): void {
      try {
        borrow!.release();
      } catch (error) {
        // Two were in, and the other one has released already. The lost increments will tell.
        if (!(error instanceof ReleaseError)) throw error;
      }
    },
  };
}

type Guard = Pick<Lock, 'lock' | 'unlock'>;
const GUARDS: Record<CounterTask['lock'], () => Guard> = {
  spin: () => new SpinLock(memory, CELL),
  mutex: () => new Mutex(memory, CELL),
  none: () => ({ lock() {}, unlock() {} }),
  AtomicRefCell: () => retrying(new AtomicRefCell(memory, CELL, 0)),
  RefCell: () => retrying(new RefCell(memory, CELL, 0)),
};
const lock = GUARDS[task.lock]();
const words = memory.i32;
const counter = DATA / 4;

meet(memory, GATE, task.threads);
for (let done = 0; done < task.increments; done++) {
  lock.lock();
  words[counter]++;
  lock.unlock();
}
answer({ waitThrew });
