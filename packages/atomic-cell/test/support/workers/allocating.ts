/** Allocates many small blocks, through a MiAllocator or not, and tells which. */

import { BorrowMutError, MiAllocator } from '@shmalloc/atomic-cell';
import { BumpAllocator } from '../bump-allocator.ts';
import { CELL, DATA, GATE } from '../places.ts';
import { answer, meet, ticket } from '../team.ts';

export interface AllocatingTask {
  wrapped: boolean;
  /** Whether to try again after a `BorrowMutError`; otherwise the first one is the end, and the answer. */
  retry: boolean;
  threads: number;
  blocks: number;
}

export interface AllocatingAnswer {
  blocks: Uint32Array;
  refused: number;
  message: string;
  holder: number | undefined;
}

const { memory, id, task } = ticket<AllocatingTask>();
const bump = new BumpAllocator(memory, DATA);
const allocator = task.wrapped ? MiAllocator.new(memory, CELL, bump, { threadId: id }) : bump;
const result: AllocatingAnswer = {
  blocks: new Uint32Array(task.blocks),
  refused: 0,
  message: '',
  holder: undefined,
};

meet(memory, GATE, task.threads);
for (let nth = 0; nth < task.blocks; ) {
  try {
    result.blocks[nth] = allocator.alloc(8, 8);
    nth++;
  } catch (error) {
    if (!(error instanceof BorrowMutError)) throw error;
    result.refused++;
    result.message = error.message;
    result.holder = error.holder;
    if (!task.retry) break;
  }
}
answer(result);
