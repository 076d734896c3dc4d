import type { IsolateContestant, Subject } from '../contestant.ts';

const RING = 1 << 16;

/** Keeps an object for every block, which is what the allocators must not do. */
class Boxes implements Subject {
  readonly #boxes: ({ size: number } | undefined)[] = new Array(RING).fill(undefined);
  #next = 0;

  malloc(size: number): number {
    this.#next = (this.#next + 1) & (RING - 1);
    this.#boxes[this.#next] = { size };
    return this.#next + 1;
  }

  free(address: number): void {
    this.#boxes[address - 1] = undefined;
  }
}

/**
 * The proof that the garbage meter can see garbage: an object a block.
 * @public
 */
export const boxes: IsolateContestant = {
  name: 'boxes',
  title: 'control: an object a block',
  kind: 'control',
  open: async () => new Boxes(),
};
