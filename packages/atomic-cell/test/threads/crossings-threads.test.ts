/**
 * What several threads do to one another through crossings; each test with both implementations, mixed, and
 * with the faults that it must find.
 */

import { SharedMemory } from '@shmalloc/allocator-api';
import { crossingsFor } from '@shmalloc/atomic-cell';
import test from 'ava';
import { crossingsUnderTest, type FAULTS, type UnderTest } from '../support/crossings-under-test.ts';
import {
  BITMAP,
  BITMAP_WORDS,
  BLOCK_WORDS,
  BLOCKS,
  CELL,
  DATA,
  LISTS,
  NEWS,
  TALLY,
} from '../support/places.ts';
import { hire, runTeam, startTeam, until, untilBroken } from '../support/team.ts';
import type { CrosserAnswer, CrosserTask } from '../support/workers/crosser.ts';

const THREADS = 4;
const BYTES = 2 ** 23;
const cell = CELL / 4;

/** One thread after another gets the next of these; the test's own thread the first. */
type Team = readonly UnderTest[];

function tasks(team: Team, role: CrosserTask['role'], rounds: number): CrosserTask[] {
  return Array.from({ length: THREADS }, (_, nth) => {
    return { which: team[(nth + 1) % team.length], role, threads: THREADS, rounds };
  });
}

const total = (answers: readonly CrosserAnswer[], field: keyof CrosserAnswer): number =>
  answers.reduce((sum, answer) => sum + answer[field], 0);

/** What arrives at the taker. */
class Arrivals {
  readonly #memory: SharedMemory;
  readonly #times: Uint8Array;
  /** Broken links, and blocks without what their pusher wrote into them. */
  #bad = 0;

  constructor(memory: SharedMemory, blocks: number) {
    this.#memory = memory;
    this.#times = new Uint8Array(blocks);
  }

  /** Follows a list that has been taken. @returns how many blocks it has */
  take(first: number): number {
    const { i32 } = this.#memory;
    let count = 0;
    for (let block = first, next = 0; block !== 0; block = next) {
      const nth = (block - BLOCKS / 4) / BLOCK_WORDS;
      if (!(nth in this.#times) || this.#times[nth] > 1) {
        this.#bad++; // no block, or a circle
        return count;
      }
      next = i32[block];
      if (i32[block + 1] !== ~block) this.#bad++;
      i32[block] = i32[block + 1] = 0; // it is ours now
      this.#times[nth]++;
      count++;
    }
    return count;
  }

  /** How many blocks were lost or doubled, or are not as they were sent. */
  get faults(): number {
    return this.#bad + this.#times.filter((times) => times !== 1).length;
  }
}

/** Four threads push, this one takes. */
async function pushAndTake(team: Team, memory: SharedMemory): Promise<number> {
  const rounds = 80_000;
  const crossings = crossingsUnderTest(memory, team[0]);
  const arrivals = new Arrivals(memory, THREADS * rounds);
  const pushers = startTeam<CrosserTask, CrosserAnswer>('crosser', memory, tasks(team, 'pusher', rounds));
  await untilAllHaveCome(pushers, () => arrivals.take(crossings.takeAll(cell)));
  return arrivals.faults;
}

/**
 * Four threads push, and this one marks the list again and again: it takes what comes, and gets the news of
 * each mark.
 */
async function markAndTell(team: Team, memory: SharedMemory): Promise<number> {
  const rounds = 25_000;
  const crossings = crossingsUnderTest(memory, team[0]);
  const arrivals = new Arrivals(memory, THREADS * rounds);
  let marks = 0;
  let outstanding = false;
  let faults = 0;
  const pushers = startTeam<CrosserTask, CrosserAnswer>('crosser', memory, tasks(team, 'messenger', rounds));
  const look = (): void => {
    const news = arrivals.take(crossings.takeAll(NEWS / 4));
    if (news > 0) {
      if (news > 1 || !outstanding) faults++; // one mark, one message
      outstanding = false;
    }
    if (!outstanding) {
      if ((crossings.setBits(cell, 1) & 1) !== 0) faults++;
      outstanding = true;
      marks++;
    }
    // What was pushed before the mark, no thread brings news of.
    arrivals.take(crossings.takeAllMarked(cell));
  };
  const answers = await untilAllHaveCome(pushers, look);
  const left = crossings.load(cell) & 1;
  if (marks - left !== total(answers, 'done')) faults++;
  return faults + arrivals.faults;
}

/** Four threads walk along marked lists: at each of them one meets the mark, and the others push. */
async function walk(team: Team, memory: SharedMemory): Promise<number> {
  const rounds = 50_000;
  memory.i32.fill(1, LISTS / 4, LISTS / 4 + rounds);
  const crossings = crossingsUnderTest(memory, team[0]);
  const arrivals = new Arrivals(memory, THREADS * rounds);
  const answers = await runTeam<CrosserTask, CrosserAnswer>('crosser', memory, tasks(team, 'walker', rounds));
  let faults = Math.abs(total(answers, 'done') - rounds);
  for (let nth = 0; nth < rounds; nth++) {
    if (arrivals.take(crossings.takeAllMarked(LISTS / 4 + nth)) !== THREADS - 1) faults++;
    if (crossings.load(LISTS / 4 + nth) !== 0) faults++;
  }
  if (arrivals.take(crossings.takeAll(NEWS / 4)) !== rounds) faults++;
  return faults + arrivals.faults;
}

/** Calls `look` until every worker has answered, and once more. */
async function untilAllHaveCome(
  workers: readonly Promise<CrosserAnswer>[],
  look: () => void,
): Promise<CrosserAnswer[]> {
  let answers: CrosserAnswer[] | undefined;
  const all = Promise.all(workers).then((value) => {
    answers = value;
  });
  await until(() => {
    for (const end = performance.now() + 5; performance.now() < end; ) look();
    return answers !== undefined;
  });
  await all;
  look();
  return answers!;
}

/** Four threads want the same words. */
async function race(team: Team, memory: SharedMemory): Promise<number> {
  const rounds = 200_000;
  const answers = await runTeam<CrosserTask, CrosserAnswer>('crosser', memory, tasks(team, 'racer', rounds));
  const owners = memory.i32.subarray(LISTS / 4, LISTS / 4 + rounds);
  const wrong = answers.filter(
    ({ done }, nth) => done !== owners.filter((owner) => owner === nth + 1).length,
  );
  return wrong.length + Math.abs(total(answers, 'done') - rounds);
}

/** Four threads hold the same word in turn. */
async function hold(team: Team, memory: SharedMemory): Promise<number> {
  const answers = await runTeam<CrosserTask, CrosserAnswer>('crosser', memory, tasks(team, 'holder', 20_000));
  return total(answers, 'faults') + Math.abs(memory.i32[DATA / 4] - total(answers, 'done'));
}

/** Four threads switch bits of one word. */
async function switchBits(team: Team, memory: SharedMemory): Promise<number> {
  const answers = await runTeam<CrosserTask, CrosserAnswer>(
    'crosser',
    memory,
    tasks(team, 'switcher', 30_000),
  );
  return (
    total(answers, 'faults') +
    Math.abs(memory.i32[DATA / 4] - total(answers, 'done')) +
    Math.abs(memory.i32[cell])
  );
}

/** Four threads claim runs of bits and give them back. */
async function claimRuns(team: Team, memory: SharedMemory): Promise<number> {
  const bitmap = memory.i32.subarray(BITMAP / 4, BITMAP / 4 + BITMAP_WORDS).fill(-1);
  const answers = await runTeam<CrosserTask, CrosserAnswer>('crosser', memory, tasks(team, 'runner', 40_000));
  const lost = bitmap.filter((bits) => bits !== -1).length;
  return total(answers, 'faults') + lost + (total(answers, 'done') > 0 ? 0 : 1);
}

/** Four threads claim bits of their own, in words that they share. */
async function claimBesides(team: Team, memory: SharedMemory): Promise<number> {
  memory.i32.fill(-1, BITMAP / 4, BITMAP / 4 + BITMAP_WORDS);
  const all = tasks(team, 'neighbour', 100_000);
  return total(await runTeam<CrosserTask, CrosserAnswer>('crosser', memory, all), 'faults');
}

interface Experiment {
  run(team: Team, memory: SharedMemory): Promise<number>;
  /** What it must find. */
  finds: readonly (keyof typeof FAULTS)[];
}

const EXPERIMENTS: Record<string, Experiment> = {
  'every block that is pushed is taken once, with its link and its content': {
    run: pushAndTake,
    finds: [
      'push by load and store',
      'link after the exchange',
      'expected is never refreshed',
      'take by load and store',
    ],
  },
  'exactly one of several pushers meets a mark': {
    run: walk,
    finds: ['mark cleared by whoever saw it', 'mark overlooked'],
  },
  'each mark brings one message, and no block is lost on either way': {
    run: markAndTell,
    finds: ['mark overlooked', 'mark taken with the list'],
  },
  'a word is claimed by exactly one of all who try': { run: race, finds: ['claim by load and store'] },
  'what is written by who has claimed a word is seen by the next one': {
    run: hold,
    finds: ['claim by load and store'],
  },
  'a bit is set and cleared by exactly one, and no other bit changes': {
    run: switchBits,
    finds: ['bits by load and store'],
  },
  'runs of bits are never shared, whole or not claimed at all, and all there at the end': {
    run: claimRuns,
    finds: ['run claimed unseen', 'run not given back'],
  },
  'a run that nobody else wants is always to be had, whatever happens to other bits of its words': {
    run: claimBesides,
    finds: ['run claimed in one try'],
  },
};

const TEAMS = [
  { team: ['wasm'], backing: 'wasm' },
  { team: ['js'], backing: 'wasm' },
  { team: ['js'], backing: 'sab' },
  { team: ['wasm', 'js'], backing: 'wasm' },
] as const;

for (const [title, { run, finds }] of Object.entries(EXPERIMENTS)) {
  for (const { team, backing } of TEAMS) {
    test.serial(`${title} (${team.join(' and ')}, ${backing})`, async (t) => {
      t.is(await run(team, SharedMemory.create({ bytes: BYTES, backing })), 0);
    });
  }
  for (const fault of finds) {
    test.serial(`${title}: finds “${fault}”`, async (t) => {
      const faults = await untilBroken((attempt) => {
        t.log(`attempt ${attempt}`);
        return run([fault], SharedMemory.create({ bytes: BYTES }));
      });
      t.true(faults > 0);
    });
  }
}

for (const which of ['wasm', 'js'] as const) {
  test.serial(
    `a thread that ends while it pushes loses one block at most and stops nobody (${which})`,
    async (t) => {
      for (const delay of [0, 1, 3, 5, 10]) {
        const memory = SharedMemory.create({ bytes: BYTES });
        const rounds = BYTES / 8 - BLOCKS;
        const victim = hire<CrosserTask>('crosser', memory, 1, { which, role: 'victim', threads: 1, rounds });
        await until(() => Atomics.load(memory.i32, TALLY / 4) > 0);
        await new Promise((resolve) => setTimeout(resolve, delay));
        await victim.terminate();
        const [begun, ended] = [memory.i32[DATA / 4], memory.i32[TALLY / 4]];
        const crossings = crossingsUnderTest(memory, which);
        const last = BYTES / 4 - BLOCK_WORDS;
        memory.i32[last + 1] = ~last;
        crossings.push(cell, last);
        const arrived = new Arrivals(memory, BYTES).take(crossings.takeAll(cell)) - 1;
        t.log(`${begun} pushes begun, ${ended} ended, ${arrived} blocks arrived`);
        t.true(ended <= arrived && arrived <= begun && begun - ended <= 1);
      }
    },
  );

  test.serial(`a thread that ends with a run takes nothing but its bits along (${which})`, async (t) => {
    for (const delay of [0, 1, 3]) {
      const memory = SharedMemory.create({ bytes: BYTES });
      const crossings = crossingsUnderTest(memory, which);
      crossings.releaseRun(BITMAP / 4, 0, BITMAP_WORDS * 32);
      const task: CrosserTask = { which, role: 'thief', threads: 1, rounds: 0 };
      const thief = hire<CrosserTask>('crosser', memory, 1, task);
      await until(() => Atomics.load(memory.i32, TALLY / 4) > 0);
      await new Promise((resolve) => setTimeout(resolve, delay));
      await thief.terminate();
      t.true(crossings.claimRunAt(BITMAP / 4, 0, 20));
      t.true(crossings.claimRunAt(BITMAP / 4, 80, 48));
      // 12 bits of the run lie in the first word, 32 in the second and 16 in the third; it claims and gives
      // back upwards.
      let left = 0;
      for (let bit = 20; bit < 80; bit++) if (crossings.claimRunAt(BITMAP / 4, bit, 1)) left++;
      t.log(`${60 - left} bits were lost, after ${memory.i32[TALLY / 4]} rounds`);
      t.true([60, 48, 16, 0, 12, 44].includes(left), 'whole words of the run, or none');
    }
  });
}

for (const which of ['wasm', 'js'] as const) {
  for (const backing of which === 'js' ? (['wasm', 'sab'] as const) : (['wasm'] as const)) {
    test(`words that another thread has added need no notice (${which}, ${backing})`, async (t) => {
      const memory = SharedMemory.create({ bytes: 65536, maxBytes: 4 * 65536, backing });
      const crossings = crossingsUnderTest(memory, which);
      const task: CrosserTask = { which, role: 'grower', threads: 1, rounds: 0 };
      const [{ done: block }] = await runTeam<CrosserTask, CrosserAnswer>('crosser', memory, [task]);
      t.is(memory.byteLength, 65536, 'this thread’s views are those from before');
      crossings.push(block + 2, block + 4);
      crossings.push(cell, block + 2);
      t.is(crossings.takeAll(cell), block + 2);
      t.is(crossings.load(block + 2), block);
      crossings.releaseRun(block + 16, 0, 64);
      t.is(crossingsFor(SharedMemory.from(memory.source)).claimRun(block + 16, 2, 40), 0);
    });
  }
}
