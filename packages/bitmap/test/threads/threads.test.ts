/**
 * Several workers on one map, and an oracle of its own: an owner's name beside every page, exchanged when it
 * is taken and given back.
 */

import { Worker } from 'node:worker_threads';
import { BitmapPages } from '@shmalloc/bitmap';
import test from 'ava';
import { MAPS, seedOf } from '../support/tools.js';
import type { Answer, Task } from '../support/workers/pages.js';

const PAGES = 2048;

async function crew(
  pages: BitmapPages,
  kinds: readonly Task['crossings'][],
  seed: number,
  steps: number,
  adds = 0,
  during: (running: () => boolean) => Promise<void> = async () => {},
) {
  let running = kinds.length;
  const owners = new SharedArrayBuffer(4 * PAGES);
  const gate = new SharedArrayBuffer(4);
  const answering = Promise.all(
    kinds.map((crossings, nth) => {
      const task: Task = {
        handle: pages.share(),
        crossings,
        owners,
        gate,
        parties: kinds.length,
        name: nth + 1,
        seed: seed + nth * 7919,
        steps,
        adds,
      };
      const worker = new Worker(new URL('../support/workers/pages.js', import.meta.url), {
        workerData: task,
      });
      return new Promise<Answer>((resolve, reject) => {
        let answer: Answer;
        worker.once('message', (value: Answer) => (answer = value));
        worker.once('error', reject);
        worker.once('exit', () => {
          running--;
          resolve(answer);
        });
      });
    }),
  );
  const [answers] = await Promise.all([answering, during(() => running > 0)]);
  return { answers, owners: new Int32Array(owners) };
}

for (const kinds of [
  ['wasm', 'wasm', 'wasm', 'wasm'],
  ['js', 'js', 'js', 'js'],
  ['wasm', 'js', 'wasm', 'js'],
] as const) {
  test.serial(
    `four workers take and give back pages, runs and places: none has what another has (${kinds.join(', ')})`,
    async (t) => {
      const seed = seedOf(t);
      const pages = BitmapPages.create({ bytes: PAGES * 4096 });
      const { answers, owners } = await crew(pages, kinds, seed, 20_000);
      for (const { faults } of answers) t.deepEqual(faults, []);
      pages.validate({ quiet: true });
      t.is(pages.usedPages(), 0);
      t.is(pages.availablePages(), pages.totalPages());
      const { inTransit, hiddenWords, retreats } = pages.stats();
      t.deepEqual({ inTransit, hiddenWords }, { inTransit: 0, hiddenWords: 0 });
      t.true(owners.every((owner) => owner === 0));
      t.is(pages.allocPages(pages.totalPages(), 4096), 4096);
      const sum = (field: 'taken' | 'refused' | 'wrong'): number =>
        answers.reduce((all, each) => all + each[field], 0);
      t.log(
        `${sum('taken')} taken, ${sum('refused')} refused, ${sum('wrong')} wrong returns, ${retreats} retreats`,
      );
      t.true(sum('taken') > 10_000 && sum('wrong') > 100);
    },
  );
}

for (const backing of ['wasm', 'sab'] as const) {
  test.serial(
    `four workers take and give back pages while all of them let the memory grow in small steps (${backing})`,
    async (t) => {
      const seed = seedOf(t);
      const adds = 31 * 65536;
      const pages = BitmapPages.create({ bytes: PAGES * 4096 - 4 * adds, maxBytes: PAGES * 4096, backing });
      const kinds =
        backing === 'wasm' ? (['wasm', 'js', 'wasm', 'js'] as const) : (['js', 'js', 'js', 'js'] as const);
      const { answers, owners } = await crew(pages, kinds, seed, 6000, adds);
      for (const { faults } of answers) t.deepEqual(faults, []);
      pages.validate({ quiet: true });
      t.is(pages.usedPages(), 0);
      t.true(owners.every((owner) => owner === 0));
      // Every part went to one thread, and none was lost: the memory is whole.
      pages.memory.refresh();
      t.is(pages.memory.byteLength, PAGES * 4096);
      t.is(pages.totalPages(), PAGES - 1);
      t.is(pages.allocPages(PAGES - 1, 4096), 4096);
      t.deepEqual(
        answers.map(({ added }) => added),
        [adds, adds, adds, adds],
      );
    },
  );
}

test.serial(
  'validate and stats while four workers are at work: no false alarm, and a planted fault is found',
  async (t) => {
    const seed = seedOf(t);
    const pages = BitmapPages.create({ bytes: PAGES * 4096 });
    let looks = 0;
    let alarms = 0;
    // A crew may be done before this thread has had its turn: then another one comes.
    while (looks < 1000) {
      const { answers } = await crew(
        pages,
        ['wasm', 'js', 'wasm', 'js'],
        seed,
        60_000,
        0,
        async (running) => {
          while (running()) {
            for (let look = 0; look < 200; look++, looks++) {
              try {
                pages.validate();
                const { total, used, available } = pages.stats();
                if (used > total || available > total) alarms++;
              } catch (error) {
                alarms++;
                t.log(String(error));
              }
            }
            await new Promise((resolve) => setTimeout(resolve, 0));
          }
        },
      );
      for (const { faults } of answers) t.deepEqual(faults, []);
    }
    t.log(`${looks} looks`);
    t.is(alarms, 0);
    // A page that no worker touches is in two states, while they are at work again.
    const held = pages.allocPages(1, 4096) / 4096;
    const free = pages.share().start / 4 + MAPS;
    const words = Math.ceil(PAGES / 32);
    pages.memory.i32[free + 2 * words + (held >>> 5)] |= 1 << held;
    let found = 0;
    await crew(pages, ['wasm', 'js'], seed, 3000, 0, async (running) => {
      do {
        const error = t.throws(() => pages.validate());
        if (error?.message.includes(`unit ${held} is used and absent`)) found++;
        await new Promise((resolve) => setTimeout(resolve, 0));
      } while (running());
    });
    t.true(found > 0);
  },
);

test.serial('the oracle finds crossings that clear bits in two steps', async (t) => {
  const seed = seedOf(t);
  let faults: string[] = [];
  for (let turn = 0; turn < 50 && faults.length === 0; turn++) {
    const pages = BitmapPages.create({ bytes: PAGES * 4096 });
    const { answers } = await crew(pages, ['torn', 'torn', 'torn', 'torn'], seed + turn, 3000);
    faults = answers.flatMap((answer) => answer.faults);
  }
  t.log(faults[0]);
  t.true(faults.length > 0, 'fifty crews with broken crossings went unnoticed');
});

test.serial(
  'a worker that is terminated at any moment loses what it had in hand, and the others go on',
  async (t) => {
    const seed = seedOf(t);
    const pages = BitmapPages.create({ bytes: PAGES * 4096 });
    const owners = new SharedArrayBuffer(4 * PAGES);
    for (let turn = 0; turn < 6; turn++) {
      const gate = new SharedArrayBuffer(4);
      const task: Task = {
        handle: pages.share(),
        crossings: turn % 2 === 0 ? 'wasm' : 'js',
        owners,
        gate,
        parties: 1,
        name: turn + 1,
        seed: seed + turn,
        steps: Number.MAX_SAFE_INTEGER,
        adds: 0,
      };
      const worker = new Worker(new URL('../support/workers/pages.js', import.meta.url), {
        workerData: task,
      });
      while (Atomics.load(new Int32Array(gate), 0) === 0)
        await new Promise((resolve) => setTimeout(resolve, 1));
      await new Promise((resolve) => setTimeout(resolve, 5 + turn));
      await worker.terminate();
      pages.validate();
      const { used, available, inTransit, total } = pages.stats();
      t.is(used + available + inTransit, total);
      let had = 0;
      try {
        for (; ; had++) pages.allocPages(1, 4096);
      } catch {}
      t.is(had, available);
      t.log(`${used} pages in its hands, ${inTransit} between two states`);
      pages.init(8 * 4096, (PAGES - 8) * 4096);
      new Int32Array(owners).fill(0);
    }
  },
);
