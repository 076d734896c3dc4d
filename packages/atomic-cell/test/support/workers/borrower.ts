/**
 * Writers keep two plain words equal, readers compare them: under a BorrowFlag, or with every claim granted.
 * What is refused is tried again.
 */

import { BorrowFlag } from '@shmalloc/atomic-cell';
import { CELL, DATA, GATE } from '../places.ts';
import { answer, meet, ticket } from '../team.ts';

export interface BorrowerTask {
  checked: boolean;
  /** Whether every other round writes. */
  writes: boolean;
  threads: number;
  rounds: number;
}

export interface BorrowerAnswer {
  /** Times this thread wrote. */
  writes: number;
  /** Times this thread read. */
  reads: number;
  /** Times it read two words that differ. */
  torn: number;
  /** Times it was refused. */
  refused: number;
}

const { memory, task } = ticket<BorrowerTask>();
const flag = new BorrowFlag(memory, CELL);
const words = memory.i32;
const first = DATA / 4;
const tally: BorrowerAnswer = { writes: 0, reads: 0, torn: 0, refused: 0 };

function write(): void {
  words[first]++;
  words[first + 1]++;
  tally.writes++;
}

function read(): void {
  if (words[first] !== words[first + 1]) tally.torn++;
  tally.reads++;
}

meet(memory, GATE, task.threads);
for (let round = 0; round < task.rounds; ) {
  const writes = task.writes && round % 2 === 0;
  const granted = !task.checked || (writes ? flag.tryWrite() : flag.tryRead());
  if (!granted) {
    tally.refused++;
    continue;
  }
  if (writes) write();
  else read();
  if (task.checked) {
    if (writes) flag.releaseWrite();
    else flag.releaseRead();
  }
  round++;
}
answer(tally);
