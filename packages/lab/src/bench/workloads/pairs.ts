import type { Subject } from '../contestant.ts';
import { drawn } from '../random.ts';
import type { Workload } from '../workload.ts';

const BATCH = 64;
const MIN_BYTES = 16;
const MAX_BYTES = 128;
/** Numbers drawn; a multiple of the batch, so that one mask wraps the index. */
const DRAWN = 1 << 16;

/**
 * 64 blocks are allocated, then freed, the last one first: the short-lived blocks of a function call. Last
 * in, first out is also the order that suits the contestants best, above all `@thi.ng/malloc`, which looks
 * for a block from the newest on. `native/seat.c` does the same in C.
 * @public
 */
export const pairs: Workload = {
  name: 'pairs',
  title: 'pairs lifo',
  description: `${BATCH} blocks of ${MIN_BYTES}–${MAX_BYTES} B allocated, then freed last in, first out`,
  settle: 1 << 18,
  batch: BATCH,
  draw: (seed) => [drawn(DRAWN, MIN_BYTES, MAX_BYTES, seed)],
  start(subject, seed) {
    const { blocks, allocate } = batch(subject, seed);
    return (count) => {
      for (let done = 0; done < count; done += BATCH) {
        allocate();
        for (let i = BATCH - 1; i >= 0; i--) subject.free(blocks[i]);
      }
    };
  },
};

/**
 * The same, freed in the order of allocation: a queue of messages.
 * @public
 */
export const pairsFifo: Workload = {
  ...pairs,
  name: 'pairs-fifo',
  title: 'pairs fifo',
  description: `${BATCH} blocks of ${MIN_BYTES}–${MAX_BYTES} B allocated, then freed first in, first out`,
  start(subject, seed) {
    const { blocks, allocate } = batch(subject, seed);
    return (count) => {
      for (let done = 0; done < count; done += BATCH) {
        allocate();
        for (let i = 0; i < BATCH; i++) subject.free(blocks[i]);
      }
    };
  },
};

/** 64 places and the loop that fills them. */
function batch(subject: Subject, seed: number): { blocks: Uint32Array; allocate: () => void } {
  const [sizes] = pairs.draw(seed);
  const blocks = new Uint32Array(BATCH);
  let next = 0;
  function allocate(): void {
    for (let i = 0; i < BATCH; i++) {
      const block = subject.malloc(sizes[next + i]);
      if (block === 0) throw new Error(`no memory for ${sizes[next + i]} bytes`);
      blocks[i] = block;
    }
    next = (next + BATCH) & (DRAWN - 1);
  }
  return { blocks, allocate };
}
