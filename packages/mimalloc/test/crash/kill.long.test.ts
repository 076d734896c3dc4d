/** Workers are terminated at any moment; the rest go on: two thousand times. */
import test from 'ava';
import { GROWING } from '../support/growing.ts';
import { killMany } from '../support/kill-play.ts';

test.serial('1,000 deaths, one block each at most', async (t) => {
  t.timeout(20 * 60_000);
  await killMany(t, 1000, {});
});

for (const backing of ['wasm', 'sab'] as const) {
  test.serial(`500 deaths in memory that grows (${backing})`, async (t) => {
    t.timeout(20 * 60_000);
    // Now and then it starts small again.
    for (let times = 0; times < 10; times++) await killMany(t, 50, { backing, ...GROWING });
  });
}

test.serial('300 deaths in secure mode, half of them in memory that grows', async (t) => {
  t.timeout(20 * 60_000);
  await killMany(t, 150, { secure: 2, seed: 1 });
  await killMany(t, 150, { secure: 2, seed: 1, ...GROWING });
});
