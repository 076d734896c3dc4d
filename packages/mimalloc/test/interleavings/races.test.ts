/**
 * The races of `races.ts`: with every pair of stops of two threads, on real workers at full speed, and with
 * the faults that bring them back.
 */
import { scaled } from '@shmalloc/alloc-test';
import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { Crew } from '../support/crew.ts';
import { small } from '../support/harness.ts';
import type { Package } from '../support/mutants.ts';
import { PACKAGE, plant, removeMutants } from '../support/mutants.ts';
import type { RaceJob } from '../support/race-worker.ts';
import { RACES } from '../support/races.ts';
import { everyStop, Rival, stopAt } from '../support/stops.ts';
import { fullPage } from '../support/turns.ts';

test.after.always(removeMutants);

for (const { title, duels, faults } of RACES) {
  for (const [name, make] of Object.entries(duels)) {
    test.serial(`${title}: ${name}`, async (t) => {
      const rival = new Rival(PACKAGE);
      t.teardown(() => rival.end());
      const plays = everyStop(await import(PACKAGE), rival, make);
      t.log(`${plays} interleavings`);
      t.true(plays > 4);
    });
  }

  for (const fault of faults) {
    test.serial(`${title}: found when ${fault.name}`, async (t) => {
      const module = plant(fault);
      const mi = (await import(module)) as typeof Package;
      let found = '';
      for (const [name, make] of Object.entries(duels)) {
        if (found !== '') break;
        const rival = new Rival(module);
        try {
          everyStop(mi, rival, make);
        } catch (error) {
          found = `${name}: ${error instanceof Error ? error.message.split('\n')[0] : error}`;
        } finally {
          await rival.end();
        }
      }
      t.log(found);
      t.not(found, '', 'no duel noticed');
    });
  }
}

// ── At full speed ──

const WORKER = new URL('../support/race-worker.js', import.meta.url);
const MIB = 2 ** 20;

const ROUNDS = scaled(100, 300);

/** Runs one program on so many workers. */
async function rush(crew: Crew, job: RaceJob, workers: number): Promise<number[]> {
  return await crew.run<number>(
    WORKER,
    Array.from({ length: workers }, () => job),
  );
}

for (const kind of ['js', 'wasm'] as const) {
  // One of the two grows: a heap's end, or a thread's, meets memory that comes.
  const growing = kind === 'wasm';
  test.serial(
    `four workers delete heaps whose blocks the neighbours are freeing, and take each other’s records (${kind}${growing ? ', in memory that grows' : ''})`,
    async (t) => {
      const crew = new Crew(t, { bytes: 16 * MIB, kind, growing, parcels: 4, capacity: 64 });
      await rush(crew, { program: 'heaps', rounds: ROUNDS, blocks: 64 }, 4);
      crew.finish();
    },
  );

  test.serial(
    `four threads at a time come, leave blocks to their neighbours, adopt and go (${kind}${growing ? ', in memory that grows' : ''})`,
    async (t) => {
      const crew = new Crew(t, { bytes: 16 * MIB, kind, growing, parcels: 4, capacity: 64 });
      await rush(crew, { program: 'come and go', rounds: ROUNDS, blocks: 64 }, 4);
      crew.finish();
    },
  );

  test.serial(
    `three workers fill pages whose blocks only the neighbours free: the pages come back (${kind}${growing ? ', in memory that grows' : ''})`,
    async (t) => {
      // The segments, and so the pages, of 16 MiB also where there is little memory at first: the bound below
      // is for those.
      const crew = new Crew(t, {
        bytes: 16 * MIB,
        segmentShift: 19,
        kind,
        growing,
        parcels: 3,
        capacity: 200,
      });
      const job: RaceJob = { program: 'full pages', rounds: ROUNDS, blocks: 200 };
      const pages = await rush(crew, job, 3);
      t.log(`at most ${pages} pages for ${job.rounds * job.blocks} blocks each`);
      // Three rounds of blocks are there at one time at the most; of the largest size, a page has eight.
      t.true(Math.max(...pages) <= (3 * job.blocks) / 8 + 40);
      crew.finish();
    },
  );
}

test.serial(
  'a worker is stopped in the middle of a delayed free while three others fill and free pages: nobody waits, and its block arrives in the end',
  async (t) => {
    const crew = new Crew(t, { bytes: 16 * MIB, backing: 'sab', parcels: 3, capacity: 200 });
    const { heap } = crew;
    const rival = new Rival(PACKAGE);
    t.teardown(() => rival.end());
    rival.attach(heap.share());
    heap.free(heap.malloc(3000));
    const { blocks, others } = fullPage(heap, 500);
    t.true(
      rival.tell({ kind: 'free', blocks: blocks.slice(0, 1), at: 2 }),
      'the mark is gone, the news is not there yet',
    );
    await rush(crew, { program: 'full pages', rounds: ROUNDS, blocks: 200 }, 3);
    for (const block of [...blocks.slice(1), ...others]) heap.free(block);
    crew.freeBoard();
    heap.collect(true);
    heap.validate({ quiet: true });
    t.is(heap.usedBytes(), 512, 'the one block that is on its way');
    rival.resume();
    rival.detach();
    crew.finish();
  },
);

// ── Names ──

test('a thread that is stopped while it attaches does not get the name of one that has come and gone meanwhile', (t) => {
  const heap = small({ threads: 4 });
  for (let at = 1; ; at++) {
    const names: number[] = [];
    const accesses = stopAt(
      at,
      () => {
        for (let times = 0; times < 2; times++) {
          const other = MiMalloc.attach(heap.share());
          names.push(other.threadId);
          other.detach();
        }
      },
      () => {
        const thread = MiMalloc.attach(heap.share());
        names.push(thread.threadId);
        thread.detach();
      },
    );
    t.is(new Set(names).size, names.length, `${names}, stopped at ${at}`);
    if (at > accesses) break;
  }
});

test('a thread attaches while another frees what came late to the slot that is free', (t) => {
  for (let at = 1; ; at++) {
    const a = small({ threads: 2 });
    const b = MiMalloc.attach(a.share());
    b.free(b.malloc(3000));
    const { blocks, others } = fullPage(b, 200);
    // A is stopped when it has taken the mark, and pushes onto the list of a record that is no thread's then.
    stopAt(
      2,
      () => b.detach(),
      () => a.free(blocks[0]),
    );
    let attached: MiMalloc | undefined;
    const accesses = stopAt(
      at,
      () => {
        attached = MiMalloc.attach(a.share());
      },
      () => a.collect(true),
    );
    attached?.detach();
    for (const block of [...blocks.slice(1), ...others]) a.free(block);
    a.collect(true);
    a.validate({ quiet: true });
    t.is(a.usedBytes(), 0);
    if (at > accesses) break;
  }
});
