/** Kills workers at random moments and replaces them: see `kill.test.ts`, and `kill.long.test.ts` for more of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { MiMalloc, type MiMallocOptions } from '@shmalloc/mimalloc';
import type { ExecutionContext } from 'ava';
import { atRest, leftovers } from './ends.ts';
import { randomOf, seedOf } from './harness.ts';
import { Victims } from './kill.ts';

const WORKERS = 3;
const SLOTS = 500;
/** Who has not moved by then hangs. */
const PATIENCE_MS = 300_000;

export async function killMany(t: ExecutionContext, deaths: number, options: MiMallocOptions): Promise<void> {
  const random = randomOf(seedOf(t));
  const heap = MiMalloc.create({ bytes: 32 << 20, grow: false, maxThreads: 8, ...options });
  const before = atRest([heap]);
  const victims = new Victims(WORKERS, SLOTS, false, random, () => heap.shareSlot());
  t.true(await victims.moves(PATIENCE_MS), 'all workers come to work');
  for (let death = 0; death < deaths; death++) {
    const index = random(WORKERS);
    await sleep(random(4));
    const name = await victims.kill(index);
    // Before anybody does anything about it.
    if (death % 10 === 0) t.true(await victims.moves(PATIENCE_MS, index), 'the others go on');
    heap.reap(name);
    victims.replace(index);
    if (!(await victims.moves(PATIENCE_MS))) t.fail(`after death ${death + 1} not all go on`);
  }
  await victims.stop();
  t.is(victims.faults, 0, 'blocks that were not as they were left');
  for (const block of victims.words) if (block !== 0) heap.free(block >>> 0);
  atRest([heap]);
  const left = leftovers([heap]);
  t.log(
    `${deaths} deaths, ${left.length} blocks lost, ${left.reduce((sum, block) => sum + heap.usableSize(block), 0)} bytes`,
  );
  t.true(left.length <= deaths, 'one block a death at most');
  for (const block of left) heap.free(block);
  const { usedBytes, freeSegments, segments } = atRest([heap]);
  t.is(usedBytes, 0);
  t.is(segments, 0);
  t.true(freeSegments >= before.freeSegments, `${freeSegments} free segments, ${before.freeSegments} before`);
  t.is(heap.stats().threads, 1, 'no slot is lost');
}
