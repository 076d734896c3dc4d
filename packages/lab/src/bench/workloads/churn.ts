import { drawn } from '../random.ts';
import type { Workload } from '../workload.ts';

const SLOTS = 16_384;
const MIN_BYTES = 8;
const MAX_BYTES = 1031;
/**
 * Numbers drawn: 4 MiB that are read from front to back, 64 replacements of every slot before they repeat.
 */
const DRAWN = 1 << 20;

/**
 * 16,384 live blocks; again and again a random one is freed and another size allocated in its place. It is
 * the hard case: frees in no order, a fragmented heap of 8.5 MB that no first-level cache holds.
 * `native/seat.c` does the same in C.
 * @public
 */
export const churn: Workload = {
  name: 'churn',
  title: 'churn',
  description: `${SLOTS.toLocaleString('en-US')} slots; a random one freed and allocated again with ${MIN_BYTES}–${MAX_BYTES} B`,
  settle: 4 * SLOTS,
  batch: 1,
  draw: (seed) => [drawn(DRAWN, MIN_BYTES, MAX_BYTES, seed), drawn(DRAWN, 0, SLOTS - 1, seed + 1)],
  start(subject, seed) {
    const [sizes, slots] = churn.draw(seed);
    const blocks = new Uint32Array(SLOTS);
    let next = 0;
    const allocate = (slot: number): void => {
      const block = subject.malloc(sizes[next]);
      if (block === 0) throw new Error(`no memory for ${sizes[next]} bytes`);
      blocks[slot] = block;
      next = (next + 1) & (DRAWN - 1);
    };
    for (let slot = 0; slot < SLOTS; slot++) allocate(slot);
    return (count) => {
      for (let done = 0; done < count; done++) {
        const slot = slots[next];
        subject.free(blocks[slot]);
        allocate(slot);
      }
    };
  },
};
