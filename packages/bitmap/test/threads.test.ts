/** Several workers on one map, and an oracle of its own: an owner's name beside every page, exchanged when it is taken and given back. */

import { Worker } from 'node:worker_threads';
import { BitmapPages } from '@shmalloc/bitmap';
import test from 'ava';
import { seedOf } from './support.js';
import type { Answer, Task } from './workers/pages.js';

const PAGES = 2048;

async function crew(pages: BitmapPages, kinds: readonly Task['crossings'][], seed: number, steps: number) {
  const owners = new SharedArrayBuffer(4 * PAGES);
  const gate = new SharedArrayBuffer(4);
  const answers = await Promise.all(
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
      };
      const worker = new Worker(new URL('./workers/pages.js', import.meta.url), { workerData: task });
      return new Promise<Answer>((resolve, reject) => {
        let answer: Answer;
        worker.once('message', (value: Answer) => (answer = value));
        worker.once('error', reject);
        worker.once('exit', () => resolve(answer));
      });
    }),
  );
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
      pages.validate();
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
      };
      const worker = new Worker(new URL('./workers/pages.js', import.meta.url), { workerData: task });
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
