import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import test from 'ava';
import { blocksOf, secureHeap } from '../support/secure-heap.js';
import { meet, type Raid } from '../support/secure-raid.js';

const BLOCKS = 400;
const ROUNDS = 40;

for (const secure of [3, 4]) {
  test(`of three threads that free the same blocks at the same time, two are told: level ${secure}`, async (t) => {
    t.timeout(15 * 60_000);
    const { heap, told } = secureHeap(secure, { bytes: 1 << 24, sampleRate: 10 });
    const raid: Raid = {
      handle: heap.share(),
      barrier: new Int32Array(new SharedArrayBuffer(8)),
      addresses: new Uint32Array(new SharedArrayBuffer(BLOCKS * 4)),
      rounds: ROUNDS,
      parties: 3,
    };
    const workers = [0, 1].map(() => {
      return new Worker(new URL('../support/secure-worker.js', import.meta.url), { workerData: raid });
    });
    const answers = workers.map((worker) => once(worker, 'message') as Promise<[string[]]>);
    const mine: string[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      // Some fill pages, so that the first free of a full page goes its own way.
      const blocks = blocksOf(heap, BLOCKS, round % 2 === 0 ? 24 : 300);
      raid.addresses.set(blocks);
      meet(raid.barrier, raid.parties);
      for (const block of blocks) heap.free(block);
      meet(raid.barrier, raid.parties);
      heap.collect(true);
      mine.push(...told());
      t.is(heap.usedBytes(), 0, `round ${round}`);
      heap.validate({ quiet: true });
    }
    const theirs = (await Promise.all(answers)).flatMap(([messages]) => messages);
    const all = [...mine, ...theirs];
    t.is(all.length, 2 * BLOCKS * ROUNDS);
    t.log(`${mine.length} refused here, ${theirs.length} elsewhere`);
    const other = all.filter((message) => !/freed twice|no such block/.test(message));
    t.deepEqual(other, []);
    heap.collect(true);
    heap.validate({ quiet: true });
    t.deepEqual(told(), []);
  });
}
