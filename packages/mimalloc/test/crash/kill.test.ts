/** Workers are terminated at any moment; the rest go on. */

import { setTimeout as sleep } from 'node:timers/promises';
import { someOf } from '@shmalloc/alloc-test';
import test from 'ava';
import { GROWING } from '../support/growing.ts';
import { randomOf, seedOf } from '../support/harness.ts';
import { Victims } from '../support/kill.ts';
import { killMany } from '../support/kill-play.ts';
import { LockedInner } from '../support/locked-inner.ts';

const VARIANTS = {
  wasm: {},
  js: { crossings: 'js', backing: 'sab' },
  'wasm, in memory that grows': GROWING,
  'js, in memory that grows': { crossings: 'js', backing: 'sab', ...GROWING },
} as const;

for (const [name, options] of someOf('kill', VARIANTS, 1)) {
  test.serial(
    `of three workers one is killed and replaced, 4 times: the others go on, and one block is lost each time at most (${name})`,
    async (t) => {
      t.timeout(15 * 60_000);
      await killMany(t, 4, options);
    },
  );
}

test.serial('the same heap behind one lock hangs: who is killed inside keeps everybody out', async (t) => {
  t.timeout(15 * 60_000);
  const random = randomOf(seedOf(t));
  const heap = LockedInner.create({ bytes: 32 << 20, grow: false, lock: 'mutex' });
  const victims = new Victims(3, 500, true, random, () => heap.share());
  let deaths = 0;
  let hangs = false;
  while (!hangs && deaths < 50) {
    t.true(await victims.moves(300_000), 'all workers come to work');
    await sleep(random(4));
    const index = random(3);
    await victims.kill(index);
    deaths++;
    // Long against the microseconds that a call takes.
    hangs = !(await victims.moves(2000, index));
    if (!hangs) victims.replace(index);
  }
  t.log(`hangs after ${deaths} deaths`);
  t.true(hangs);
  await victims.terminate();
});
