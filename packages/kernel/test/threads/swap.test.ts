import { setTimeout as sleep } from 'node:timers/promises';
import { Oracle } from '@shmalloc/alloc-test/oracle';
import { ALLOCATORS, type AllocatorName, type Machine } from '@shmalloc/kernel';
import test from 'ava';
import { bootForTest, program } from '../support/machines.js';
import { type ChurnArgument, ROUNDS, SLOT_WORDS, SLOTS, STOP } from '../support/programs/churn.js';

const NAMES = Object.keys(ALLOCATORS) as AllocatorName[];
const seed = Number(process.env.SEED ?? Date.now() % 1e6);

function churnFor(
  machine: Machine,
  options: Partial<ChurnArgument> = {},
): { argument: ChurnArgument; oracle: Oracle } {
  const oracle = Oracle.create({ bytes: machine.memory.byteLength });
  const words = new Int32Array(new SharedArrayBuffer(4 * (SLOTS + SLOT_WORDS * 600)));
  return {
    oracle,
    argument: { oracle: oracle.share(), words, seed, largest: 60_000, rounds: 0, ...options },
  };
}

async function quietPages(machine: Machine): Promise<number> {
  await machine.settle();
  machine.allocator.collect?.(true);
  return machine.physical.usedPages();
}

/** Waits until every CPU has done something since. */
async function allGoOn(words: Int32Array, cpus: number, more: number): Promise<void> {
  const before = words.slice(ROUNDS, ROUNDS + cpus);
  while (before.some((rounds, cpu) => Atomics.load(words, ROUNDS + cpu) < rounds + more)) await sleep(1);
}

test('a hundred swaps under load, through all algorithms: no block is lost, and all pages come back', async (t) => {
  t.log(`SEED=${seed}`);
  const cpus = 4;
  const { machine } = await bootForTest(t, {
    cpus,
    bytes: 128 << 20,
    allocator: NAMES[0],
    paged: { swap: true },
  });
  const before = await quietPages(machine);
  const { oracle, argument } = churnFor(machine);
  const running = machine.run(program('churn'), argument);
  for (let swap = 1; swap <= 100; swap++) {
    await allGoOn(argument.words, cpus, 20);
    machine.swap(NAMES[swap % NAMES.length]);
  }
  await allGoOn(argument.words, cpus, 20);
  Atomics.store(argument.words, STOP, 1);
  const counts = (await running) as { rounds: number; nulls: number }[];
  t.log(counts);
  t.deepEqual(oracle.violations(), []);
  t.deepEqual([...oracle.liveBlocks()], []);
  t.deepEqual(
    counts.map(({ nulls }) => nulls),
    [0, 0, 0, 0],
  );
  machine.swap(NAMES[0]);
  t.is(await quietPages(machine), before);
  machine.allocator.validate({ quiet: true });
});

test('a program swaps as well, while the others allocate', async (t) => {
  t.log(`SEED=${seed}`);
  const { machine } = await bootForTest(t, {
    cpus: 3,
    bytes: 64 << 20,
    allocator: 'tlsf',
    paged: { swap: true },
  });
  const before = await quietPages(machine);
  const { oracle, argument } = churnFor(machine, { rounds: 3000, swaps: NAMES });
  await machine.run(program('churn'), argument);
  t.deepEqual(oracle.violations(), []);
  machine.swap('tlsf');
  t.is(await quietPages(machine), before);
});

test('memory that runs out in the middle of swaps is answered with 0, and everything comes back', async (t) => {
  t.log(`SEED=${seed}`);
  const { machine } = await bootForTest(t, {
    cpus: 2,
    bytes: 2 << 20,
    allocator: 'tlsf',
    paged: { swap: true },
  });
  const before = await quietPages(machine);
  // For the last swap: it needs pages for a new heap before those of the old ones come back.
  const spare = machine.physical.vmalloc(0, 64 * 4096);
  const { oracle, argument } = churnFor(machine, { largest: 200_000 });
  const running = machine.run(program('churn'), argument) as Promise<{ nulls: number }[]>;
  let refused = 0;
  for (let swap = 1; swap <= 40; swap++) {
    await allGoOn(argument.words, 2, 50);
    try {
      machine.swap(NAMES[swap % NAMES.length]);
    } catch (error) {
      t.is((error as { code?: unknown }).code, 'NoMemory');
      refused++;
    }
  }
  Atomics.store(argument.words, STOP, 1);
  const counts = await running;
  t.log({ refused, nulls: counts.map(({ nulls }) => nulls) });
  t.true(counts.some(({ nulls }) => nulls > 0));
  t.deepEqual(oracle.violations(), []);
  t.deepEqual([...oracle.liveBlocks()], []);
  machine.physical.vmfree(spare, 64 * 4096);
  machine.swap('tlsf');
  t.is(await quietPages(machine), before);
  machine.allocator.validate({ quiet: true });
});
