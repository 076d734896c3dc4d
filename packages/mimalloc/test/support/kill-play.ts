/**
 * Kills workers at random moments and replaces them: see `kill.test.ts`, and `kill.long.test.ts` for more of
 * it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { MiMalloc, type MiMallocOptions } from '@shmalloc/mimalloc';
import { atRest, leftovers } from './ends.ts';
import { type Judge, randomOf, seedOf } from './harness.ts';
import { Victims } from './kill.ts';

const WORKERS = 3;
const SLOTS = 500;
/** One that has not moved by then hangs. */
const PATIENCE_MS = 300_000;

/** With `maxBytes` the memory grows, in small steps. */
export async function killMany(
  t: Judge,
  deaths: number,
  options: MiMallocOptions,
  seed: number = seedOf(t),
): Promise<void> {
  const random = randomOf(seed);
  const heap = MiMalloc.create({
    bytes: 32 << 20,
    grow: options.maxBytes !== undefined,
    threads: 8,
    ...options,
  });
  const before = atRest([heap]);
  const victims = new Victims(
    WORKERS,
    SLOTS,
    false,
    random,
    () => heap.shareSlot(),
    options.maxBytes !== undefined,
  );
  t.true(await victims.moves(PATIENCE_MS), 'all workers come to work');
  for (let death = 0; death < deaths; death++) {
    const index = random(WORKERS);
    await sleep(random(4));
    const name = await victims.kill(index);
    // Before anybody does anything about it.
    if (death % 10 === 0) t.true(await victims.moves(PATIENCE_MS, index), 'the others go on');
    heap.reap(name);
    victims.replace(index);
    if (!(await victims.moves(PATIENCE_MS))) t.true(false, `after death ${death + 1} not all go on`);
  }
  await victims.stop();
  t.is(victims.faults, 0, 'blocks that were not as they were left');
  for (const block of victims.words) if (block !== 0) heap.free(block >>> 0);
  atRest([heap]);
  const left = leftovers([heap]);
  t.log(
    `${deaths} deaths, ${left.length} blocks lost, ${left.reduce((sum, block) => sum + heap.usableSize(block), 0)} bytes; ` +
      `${heap.memory.byteLength / 2 ** 20} MiB`,
  );
  t.true(left.length <= deaths, 'one block a death at most');
  for (const block of left) heap.free(block);
  const { usedBytes, freeSegments, segments } = atRest([heap]);
  t.is(usedBytes, 0);
  t.is(segments, 0);
  t.true(freeSegments >= before.freeSegments, `${freeSegments} free segments, ${before.freeSegments} before`);
  t.is(heap.stats().threads.length, 1, 'no slot is lost');
  const { bytes = 0, maxBytes } = options;
  if (maxBytes !== undefined) t.true(heap.memory.byteLength > bytes, 'it has grown');
}
