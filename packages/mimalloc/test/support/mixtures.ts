/** What sizes a stretch of a long run has. */

import type { Random } from './harness.ts';

/** All small, the usual mixture, rather large, one size, powers of two, two sizes side by side. */
export const MIXTURES: readonly ((random: Random) => number)[] = [
  (random) => random(128),
  (random) => (random(100) < 95 ? 8 + random(1024) : random(40_000)),
  (random) => (random(1000) < 999 ? random(5000) : random(1_000_000)),
  () => 64,
  (random) => 2 ** random(14),
  (random) => 16 + random(16),
];
