/** Two threads allocate and free, and the shadow oracle watches every block: steps 0 to 3. */

import { setTimeout as sleep } from 'node:timers/promises';
import { Oracle } from '@shmalloc/alloc-test/oracle';
import { Crew, LONG_MS, PATIENCE_MS } from '../crew.ts';
import type { Watched } from '../orders.ts';
import { counted, type Outcome, plural } from '../outcome.ts';

/** Fresh heaps that are tried until two threads are seen with one block. */
const ATTEMPTS = 20;
/** Pairs of each thread: where the experiment is to go well, and where it goes on until it does not. */
const PAIRS = 20_000;
const ENDLESS = 2 ** 31;
const LOOK_MS = 5;
const VIOLATIONS_KEPT = 4096;

interface Overlap {
  readonly message: string;
  readonly owners: readonly [number, number];
  readonly pairs: number;
}

/** Two threads without a guard that holds: the oracle names the first block that both have. */
export async function overlap(program: string, claim: string, attempts: number = ATTEMPTS): Promise<Outcome> {
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const found = await firstOverlap(program);
    if (found === undefined) continue;
    const { message, owners, pairs } = found;
    return {
      claim,
      shown: true,
      lines: [
        `the first block with two owners, after ${counted(pairs)} pairs of malloc and free:`,
        `  ${message}`,
        ...(attempt > 1 ? [`seen at attempt ${attempt} of ${attempts}`] : []),
      ],
      facts: { message, owner: owners[0], otherOwner: owners[1], pairs, attempt },
    };
  }
  return {
    claim,
    shown: false,
    lines: [
      `${plural(attempts, 'heap')}, and no overlap was seen: try again, on a machine with two free processors`,
    ],
    facts: { attempt: attempts },
  };
}

async function firstOverlap(program: string): Promise<Overlap | undefined> {
  const crew = await Crew.of(program, 2);
  const oracle = Oracle.create({ bytes: crew.heap.memory.byteLength, maxViolations: VIOLATIONS_KEPT });
  const answers = crew.hands.map((hand, seed) =>
    hand.tell({ what: 'watch', seed, pairs: ENDLESS, patient: true, oracle: oracle.share() }),
  );
  crew.board.go();
  let seen: Overlap | undefined;
  let ended = false;
  void Promise.race([Promise.all(answers), sleep(PATIENCE_MS)]).then(() => {
    ended = true;
  });
  do {
    await sleep(LOOK_MS);
    const first = oracle
      .violations()
      .find(
        (each) => each.other !== undefined && each.other.thread >= 0 && each.other.thread !== each.thread,
      );
    if (first?.other === undefined) continue;
    const pairs = crew.board.progressOf(0) + crew.board.progressOf(1);
    seen = { message: first.message, owners: [first.thread, first.other.thread], pairs };
  } while (seen === undefined && !ended);
  // They may run in circles on a list that leads into itself.
  await crew.dismiss();
  return seen;
}

/** What threads did, and what the oracle saw. */
interface Shift {
  readonly answers: readonly (Watched | undefined)[];
  readonly violations: number;
  readonly firstViolation: string;
}

/** So many threads do so many pairs each. */
async function shift(program: string, threads: number, patient: boolean): Promise<Shift> {
  const crew = await Crew.of(program, threads);
  const oracle = Oracle.create({ bytes: crew.heap.memory.byteLength });
  const order = { what: 'watch', pairs: PAIRS, patient, oracle: oracle.share() } as const;
  const all: (Watched | undefined)[] = crew.hands.map(() => undefined);
  const answers = crew.hands.map(async (hand, seed) => {
    all[seed] = await hand.tell({ ...order, seed }, LONG_MS);
  });
  crew.board.go();
  let ended = false;
  void Promise.all(answers).then(() => {
    ended = true;
  });
  // On a heap that is broken threads may run in circles: those have as long as they take when they do not,
  // and some.
  for (let patience = 5 * PATIENCE_MS; !ended && patience > 0; ) {
    await sleep(LOOK_MS);
    if (oracle.violationCount > 0) patience -= LOOK_MS;
  }
  await crew.dismiss();
  const firstViolation = oracle.violations()[0]?.message ?? '';
  return { answers: all, violations: oracle.violationCount, firstViolation };
}

function sumOf(answers: Shift['answers'], key: 'pairs' | 'refused' | 'givenUp'): number {
  return answers.reduce((sum, answer) => sum + (answer?.[key] ?? 0), 0);
}

function isWhole({ answers, violations }: Shift): boolean {
  return violations === 0 && answers.every((answer) => answer !== undefined && answer.thrown === '');
}

/** Two threads behind a guard that holds and waits. */
export async function correct(program: string): Promise<Outcome> {
  const found = await shift(program, 2, true);
  const pairs = sumOf(found.answers, 'pairs');
  const { violations } = found;
  return {
    claim: 'it is correct',
    shown: isWhole(found) && pairs === 2 * PAIRS,
    lines: [`two threads, ${counted(pairs)} pairs of malloc and free, ${plural(violations, 'violation')}`],
    facts: { pairs, violations },
  };
}

/** One thread behind a guard that refuses. */
export async function alone(program: string): Promise<Outcome> {
  const found = await shift(program, 1, false);
  const pairs = sumOf(found.answers, 'pairs');
  const refused = sumOf(found.answers, 'refused');
  const { violations } = found;
  return {
    claim: 'it is correct alone',
    shown: isWhole(found) && refused === 0,
    lines: [
      `one thread, ${counted(pairs)} pairs, ${refused} times BorrowMutError, ${plural(violations, 'violation')}`,
    ],
    facts: { pairs, refused, violations },
  };
}

/** Two threads behind a guard that refuses, and they take no for an answer. */
export async function refused(program: string, honest: boolean): Promise<Outcome> {
  let found = await shift(program, 2, false);
  // Two threads on one processor hardly meet.
  for (let attempt = 1; sumOf(found.answers, 'refused') === 0 && attempt < ATTEMPTS; attempt++)
    found = await shift(program, 2, false);
  const { answers, violations, firstViolation } = found;
  const errors = answers.map((answer) => answer?.refused ?? 0);
  const refusals = sumOf(answers, 'refused');
  const givenUp = sumOf(answers, 'givenUp');
  const message = answers.find((answer) => answer?.firstRefusal)?.firstRefusal ?? '';
  const broke = answers.find((answer) => answer?.thrown)?.thrown ?? '';
  return {
    claim: honest
      ? 'the second thread gets BorrowMutError, and nothing is corrupted'
      : 'the second thread gets BorrowMutError',
    shown: refusals > 0 && (!honest || isWhole(found)),
    lines: [
      `two threads: ${errors.map(counted).join(' and ')} times BorrowMutError, ${counted(givenUp)} allocations given up`,
      ...(message === '' ? [] : [`  BorrowMutError: ${message}`]),
      `${plural(violations, 'violation')}${honest ? '' : violations > 0 ? ': the flag is read in one step and written in another, and both were let in' : ' this time: that both read the flag before one writes it is rare'}`,
      ...(firstViolation === '' ? [] : [`  ${firstViolation}`]),
      ...(broke === '' ? [] : [`  a thread stopped at ${broke}`]),
    ],
    facts: { refused: refusals, givenUp, violations, message, firstViolation, broke },
  };
}

/** Two threads behind a guard that refuses, and they insist. */
export async function insisted(program: string): Promise<Outcome> {
  const found = await shift(program, 2, true);
  const pairs = sumOf(found.answers, 'pairs');
  const retries = sumOf(found.answers, 'refused');
  const { violations } = found;
  return {
    claim: 'a thread that tries again comes through: a spin lock in disguise',
    shown: isWhole(found) && pairs === 2 * PAIRS,
    lines: [
      `two threads, ${counted(pairs)} pairs came through after ${counted(retries)} retries, ${plural(violations, 'violation')}`,
    ],
    facts: { pairs, retries, violations },
  };
}
