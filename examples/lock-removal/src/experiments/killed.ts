/**
 * A thread is terminated while it works, and no thread asks it where: steps 1, 5 and 6.
 *
 * ```
 *   threads 0, 1   churn ─────────────────────────────────────────────▶ do they go on?
 *   thread 2       churn ──✗   the next one ──✗   the next one ──✗       killed one after the other
 * ```
 *
 * Where there is a lock, a victim is killed at a moment when the lock is seen taken. The lock may be another
 * thread's at that moment, or be given back before the kill arrives: then it is the next one's turn, until
 * one dies inside.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { Crew, type Hand, LONG_MS, PATIENCE_MS, SMALL_SEGMENT_SHIFT } from '../crew.ts';
import type { Churned } from '../orders.ts';
import { counted, mebibytes, type Outcome, plural } from '../outcome.ts';

/** Threads that are not killed, and the number that each victim has. */
const SURVIVORS = 2;
const VICTIM = SURVIVORS;
/**
 * Victims of one heap, where one of them is to die inside, and heaps. The dead leave their segments behind:
 * in a full heap no thread needs the lock.
 */
const VICTIMS = 8;
const HEAPS = 10;
/** Looks at the lock before a victim is killed all the same. */
const MOST_LOOKS = 100_000;
/** Blocks: one that the allocator was moving, and one that the program had taken out of its books. */
const LOST_PER_DEATH = 2;
/** Milliseconds that a victim works at least. */
const WARM_MS = 5;
/**
 * A moment longer inside the segment lock, about a microsecond: the lock itself is held for a few
 * instructions, and hardly anybody dies there.
 */
const LINGER_ROUND = 7;
/**
 * What threads do: a few blocks of which every other one has segments of its own, so that the lock is in use
 * all the time; or many of all kinds.
 */
const FOR_THE_LOCK = { slots: 8, hugeEvery: 2 };
const OF_ALL_KINDS = { slots: 256, hugeEvery: 50 };

/** Threads that wait for one that is gone. */
export async function killedInside(program: string, lock: string, heaps: number = HEAPS): Promise<Outcome> {
  let victims = 0;
  for (let heap = 0; heap < heaps; heap++) {
    const { killed, stuck, isTaken } = await killUntilStuck(program);
    victims += killed;
    if (!stuck) continue;
    return {
      claim: `a thread that is killed inside ${lock} stops all the others`,
      shown: isTaken,
      lines: [
        victims === 1
          ? `a thread was killed, with ${lock} in its hands`
          : `${victims} threads were killed, the last of them with ${lock} in its hands`,
        `the two others: not one pair of malloc and free in ${PATIENCE_MS / 1000} s, and no thread can give it back`,
      ],
      facts: { victims, stuck: 1, lockTaken: Number(isTaken) },
    };
  }
  return {
    claim: `a thread that is killed inside ${lock} stops all the others`,
    shown: false,
    lines: [`${victims} threads were killed, and none of them inside: try again`],
    facts: { victims, stuck: 0, lockTaken: 0 },
  };
}

async function killUntilStuck(
  program: string,
): Promise<{ killed: number; stuck: boolean; isTaken: boolean }> {
  const crew = await Crew.of(program, SURVIVORS, SMALL_SEGMENT_SHIFT);
  crew.linger(LINGER_ROUND);
  for (const hand of crew.hands) void churn(hand, FOR_THE_LOCK);
  crew.board.go();
  let killed = 0;
  let stuck = false;
  for (; !stuck && killed < VICTIMS; killed++) {
    await killOne(crew, true);
    stuck = await isStuck(crew);
  }
  const isTaken = crew.guard !== 0;
  await crew.dismiss();
  return { killed, stuck, isTaken };
}

/** Threads that wait for no thread. */
export async function killedAnywhere(program: string, victims: number): Promise<Outcome> {
  const crew = await Crew.of(program, SURVIVORS, SMALL_SEGMENT_SHIFT);
  const { heap, board } = crew;
  const survivors = [...crew.hands];
  const answers = survivors.map((hand) => churn(hand, OF_ALL_KINDS));
  crew.board.go();
  let killed = 0;
  let reaped = 0;
  for (let alive = true; alive && killed < victims; killed++) {
    const victim = await killOne(crew, false);
    heap.reap(victim.threadId);
    if (heap.inspect().segments.every((segment) => segment.owner !== victim.threadId)) reaped++;
    alive = await goesOn(crew, LONG_MS);
  }
  board.stop();
  const shifts = await Promise.all(answers);
  const pairs = shifts.reduce((sum, shift) => sum + (shift?.pairs ?? 0), 0);
  for (const hand of survivors) await hand.tell({ what: 'leave' });
  await crew.dismiss();
  // Everything that anybody held is written down on the board.
  for (const block of board.takeHeld([...survivors.map(({ thread }) => thread), VICTIM])) heap.free(block);
  heap.collect(true);
  heap.validate();
  const lost = heap.usedBytes();
  const pages = heap.inspect().segments.flatMap((segment) => segment.pages);
  const lostBlocks = pages.reduce((sum, page) => sum + page.used, 0);
  const total = heap.totalBytes();
  return {
    claim: 'threads are killed anywhere, and the others go on; reap gives their memory back',
    shown:
      killed === victims &&
      reaped === killed &&
      shifts.every((shift) => shift !== undefined) &&
      lostBlocks <= LOST_PER_DEATH * killed,
    lines: [
      `${killed} threads were killed at any instruction, and reaped; ${reaped === killed ? 'none has' : `${killed - reaped} have`} a segment left`,
      `threads 0 and 1 did ${counted(pairs)} pairs meanwhile and stopped when they were asked to`,
      `all that was held is freed; lost: ${plural(lostBlocks, 'block')} that the dead had in hand, ${plural(lost, 'byte')} of ${mebibytes(total)}`,
    ],
    facts: { killed, reaped, pairs, lostBlocks, lostBytes: lost, totalBytes: total },
  };
}

function churn(hand: Hand, workload: { slots: number; hugeEvery: number }): Promise<Churned | undefined> {
  return hand.tell({ what: 'churn', seed: hand.threadId + hand.thread, ...workload });
}

/** Hires a victim and kills it at work; what it held is freed in its name. */
async function killOne(crew: Crew, inside: boolean): Promise<Hand> {
  const { board } = crew;
  board.tell(VICTIM, 0);
  const victim = await crew.hire(VICTIM);
  void churn(victim, inside ? FOR_THE_LOCK : OF_ALL_KINDS);
  const begin = performance.now();
  while (board.progressOf(VICTIM) === 0 && performance.now() - begin < PATIENCE_MS) await sleep(1);
  if (!inside) await sleep(WARM_MS * Math.random());
  // A guard that is taken all the time is one that no thread gives back; then the end is the same.
  if (inside) for (let looks = 0; crew.guard === 0 && looks < MOST_LOOKS; looks++);
  await crew.kill(victim);
  return victim;
}

/**
 * Whether the survivors do nothing, with the lock taken: without that they have only not had a processor, and
 * are waited for.
 */
async function isStuck(crew: Crew): Promise<boolean> {
  const late = performance.now() + LONG_MS;
  do {
    if (await goesOn(crew, PATIENCE_MS)) return false;
    if (crew.guard !== 0) return true;
  } while (performance.now() < late);
  return true;
}

/** Whether the survivors get anything done. */
async function goesOn({ board }: Crew, patience: number): Promise<boolean> {
  const before = Array.from({ length: SURVIVORS }, (_, thread) => board.progressOf(thread));
  const begin = performance.now();
  while (performance.now() - begin < patience) {
    if (before.every((pairs, thread) => board.progressOf(thread) !== pairs)) return true;
    await sleep(1);
  }
  return false;
}
