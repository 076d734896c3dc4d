import type { IsolateContestant, Subject } from '../contestant.ts';

/** Hands out one address after another and takes nothing back. */
class Nothing implements Subject {
  #last = 16;

  malloc(size: number): number {
    this.#last = ((this.#last + size) & 0xffffff) | 1;
    return this.#last;
  }

  free(address: number): void {
    this.#last ^= address & 1;
  }
}

/**
 * What the loops themselves cost, with next to nothing in place of the allocator. It is part of every other
 * row.
 * @public
 */
export const harness: IsolateContestant = {
  name: 'harness',
  title: 'the harness alone',
  kind: 'control',
  open: async () => new Nothing(),
};
