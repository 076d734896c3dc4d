/**
 * Does one of the things that threads do to one another with crossings, many times, and answers how often it
 * went wrong.
 */

import { crossingsUnderTest, type UnderTest } from '../crossings-under-test.ts';
import {
  BITMAP,
  BITMAP_WORDS,
  BLOCK_WORDS,
  BLOCKS,
  CELL,
  DATA,
  GATE,
  LISTS,
  NEWS,
  TALLY,
} from '../places.ts';
import { answer, meet, ticket } from '../team.ts';

export interface CrosserTask {
  which: UnderTest;
  role: keyof typeof ROLES;
  threads: number;
  rounds: number;
}

export interface CrosserAnswer {
  /** What went wrong. */
  faults: number;
  /** What the role counts. */
  done: number;
}

const { memory, id, task } = ticket<CrosserTask>();
const crossings = crossingsUnderTest(memory, task.which);
const words = memory.i32;
const cell = CELL / 4;

/** Calls back with each of this thread's own blocks, stamped. */
function eachBlock(use: (block: number, nth: number) => void): void {
  const first = BLOCKS / 4 + (id - 1) * task.rounds * BLOCK_WORDS;
  for (let nth = 0; nth < task.rounds; nth++) {
    const block = first + nth * BLOCK_WORDS;
    words[block + 1] = ~block;
    use(block, nth);
  }
}

/** One number after another, below `bound`; the same in each run for the same thread. */
let state = id;
function below(bound: number): number {
  state = (Math.imul(state, 1664525) + 1013904223) | 0;
  return (state >>> 8) % bound;
}

const ROLES = {
  /** Pushes its blocks. */
  pusher(): CrosserAnswer {
    eachBlock((block) => crossings.push(cell, block));
    return { faults: 0, done: task.rounds };
  },

  /**
   * Pushes its blocks onto a list that is marked now and then, and brings the news when it finds the mark.
   */
  messenger(): CrosserAnswer {
    let news = 0;
    eachBlock((block) => {
      if (crossings.pushUnlessMarked(cell, block)) return;
      news++;
      crossings.push(NEWS / 4, block);
    });
    return { faults: 0, done: news };
  },

  /** Pushes one block each onto a row of lists, and brings the news of those where it finds the mark. */
  walker(): CrosserAnswer {
    let news = 0;
    eachBlock((block, nth) => {
      if (crossings.pushUnlessMarked(LISTS / 4 + nth, block)) return;
      news++;
      crossings.push(NEWS / 4, block);
    });
    return { faults: 0, done: news };
  },

  /** Tries to claim every word of a row. */
  racer(): CrosserAnswer {
    let won = 0;
    for (let nth = 0; nth < task.rounds; nth++) if (crossings.claim(LISTS / 4 + nth, 0, id)) won++;
    return { faults: 0, done: won };
  },

  /** Increments a plain counter while it has claimed a word. */
  holder(): CrosserAnswer {
    let faults = 0;
    for (let round = 0; round < task.rounds; round++) {
      while (!crossings.claim(cell, 0, id));
      words[DATA / 4]++;
      if (!crossings.claim(cell, id, 0)) faults++;
    }
    return { faults, done: task.rounds };
  },

  /**
   * Sets and clears a bit of its own, in a word where others do the same; and increments a plain counter when
   * it set a bit for all of them.
   */
  switcher(): CrosserAnswer {
    const own = 1 << (32 - id); // the sign among them
    const common = 1;
    let faults = 0;
    let entered = 0;
    for (let round = 0; round < task.rounds; round++) {
      if ((crossings.setBits(cell, own) & own) !== 0) faults++;
      if ((crossings.setBits(cell, common) & common) === 0) {
        words[DATA / 4]++;
        entered++;
        if ((crossings.clearBits(cell, common) & common) === 0) faults++;
      }
      if ((crossings.clearBits(cell, own) & own) === 0) faults++;
    }
    return { faults, done: entered };
  },

  /**
   * Claims runs of bits, wherever there is one or at a place of its choice, and writes its name beside every
   * bit.
   */
  runner(): CrosserAnswer {
    const bits = BITMAP_WORDS * 32;
    let faults = 0;
    let claimed = 0;
    for (let round = 0; round < task.rounds; round++) {
      const count = 1 + below(60);
      const at = below(2) === 0 ? below(bits - count + 1) : -1;
      const searched = at < 0 ? crossings.claimRun(BITMAP / 4, BITMAP_WORDS, count) : at;
      if (searched < 0 || (at >= 0 && !crossings.claimRunAt(BITMAP / 4, at, count))) continue;
      claimed++;
      if (searched + count > bits) faults++;
      const first = BLOCKS / 4 + searched;
      for (let owner = first; owner < first + count; owner++) {
        if (words[owner] !== 0) faults++;
        words[owner] = id;
      }
      for (let owner = first; owner < first + count; owner++) {
        if (words[owner] !== id) faults++;
        words[owner] = 0;
      }
      crossings.releaseRun(BITMAP / 4, searched, count);
    }
    return { faults, done: claimed };
  },

  /**
   * Claims a run of its own and gives it back. The words are shared with the runs of others, the bits are
   * not.
   */
  neighbour(): CrosserAnswer {
    const [first, count] = [(id - 1) * 24, 24];
    let faults = 0;
    for (let round = 0; round < task.rounds; round++) {
      if (crossings.claimRunAt(BITMAP / 4, first, count)) crossings.releaseRun(BITMAP / 4, first, count);
      else faults++;
    }
    return { faults, done: task.rounds };
  },

  /** Pushes until it is terminated. Notes how many pushes it has begun, and how many it has ended. */
  victim(): CrosserAnswer {
    eachBlock((block) => {
      words[DATA / 4]++;
      crossings.push(cell, block);
      words[TALLY / 4]++;
    });
    while (true);
  },

  /** Claims a run across words and gives it back until it is terminated. Notes how often it has. */
  thief(): CrosserAnswer {
    while (true) {
      if (crossings.claimRunAt(BITMAP / 4, 20, 60)) crossings.releaseRun(BITMAP / 4, 20, 60);
      words[TALLY / 4]++;
    }
  },

  /** Adds memory, and pushes a block there. */
  grower(): CrosserAnswer {
    const block = memory.grow(65536) / 4;
    crossings.push(cell, block);
    return { faults: 0, done: block };
  },
};

meet(memory, GATE, task.threads);
answer(ROLES[task.role]());
