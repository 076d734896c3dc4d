/** Borrows what another thread holds, in both ways, and reports the errors. */

import { AtomicRefCell, BorrowError, BorrowMutError, RefCell } from '@shmalloc/atomic-cell';
import { CELL } from '../places.ts';
import { answer, ticket } from '../team.ts';

export interface RefusedTask {
  /** The class to use, by name. */
  kind: string;
}

/** An error as it can be posted. */
interface Refusal {
  name: string;
  state: number;
  holder: number | undefined;
}

export interface RefusedAnswer {
  borrow: Refusal | undefined;
  borrowMut: Refusal | undefined;
}

const { memory, id, task } = ticket<RefusedTask>();
const Kind = task.kind === 'RefCell' ? RefCell : AtomicRefCell;
const cell = new Kind(memory, CELL, 0, { threadId: id });

function refusal(attempt: () => unknown): Refusal | undefined {
  try {
    attempt();
    return undefined;
  } catch (error) {
    if (!(error instanceof BorrowError || error instanceof BorrowMutError)) throw error;
    return { name: error.name, state: error.state, holder: error.holder };
  }
}

const refusals: RefusedAnswer = {
  borrow: refusal(() => cell.borrow()),
  borrowMut: refusal(() => cell.borrowMut()),
};
answer(refusals);
