/** Workers are terminated at any moment; the rest go on: two thousand times. */
import test from 'ava';
import { killMany } from './kill-play.ts';

test('2,000 deaths, one block each at most', async (t) => {
  t.timeout(20 * 60_000);
  await killMany(t, 2000, {});
});

test('300 deaths in secure mode and in a heap that grows', async (t) => {
  t.timeout(20 * 60_000);
  await killMany(t, 150, { secure: 2, seed: 1 });
  await killMany(t, 150, { bytes: 1 << 20, maxBytes: 64 << 20, grow: true });
});
