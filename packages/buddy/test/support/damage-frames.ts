/** What the random-damage test calls of a buddy heap besides what every heap has. */

import type { ExtraCalls } from '@shmalloc/alloc-test';
import type { Buddy } from '@shmalloc/buddy';

export const calls: ExtraCalls = (heap, below) => {
  const frames = (heap as Buddy).frames();
  const at = below(64) * 4096;
  const count = 1 + below(5);
  return {
    'walk()': () => (heap as Buddy).walk(() => {}),
    [`allocPages(${count}, 4096)`]: () => frames.allocPages(count, 4096),
    [`allocPagesAt(${at}, ${count}, 4096)`]: () => frames.allocPagesAt(at, count, 4096),
    [`deallocPages(${at}, ${count})`]: () => frames.deallocPages(at, count),
  };
};
