/**
 * A thread stops for good in the middle of each step of the protocols, one after the other; no thread waits
 * for it.
 */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { scaled } from '@shmalloc/alloc-test';
import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { atRest, leftovers } from '../support/ends.ts';
import { type FreezeOrder, MOMENTS } from '../support/freeze.ts';
import { randomOf, seedOf } from '../support/harness.ts';
import { writeStepped } from '../support/stepped.ts';

const OPERATIONS = scaled(60_000, 1_000_000);
const SLOTS = 1000;

const written = writeStepped('freeze');
test.after.always(() => written.remove());

for (const [what, file, statement] of MOMENTS) {
  test.serial(
    `a thread stops for good — ${what}: the others complete ${OPERATIONS} operations`,
    async (t) => {
      t.timeout(15 * 60_000);
      const random = randomOf(seedOf(t));
      const heap = MiMalloc.create({ bytes: 2 << 20, maxBytes: 64 << 20, segmentShift: 17, threads: 16 });
      const other = MiMalloc.attach(heap.share());
      const words = new Int32Array(new SharedArrayBuffer(SLOTS * 4));
      const flags = new Int32Array(new SharedArrayBuffer(8));
      const seat = heap.shareSlot();
      const order: FreezeOrder = {
        handle: seat,
        url: written.url,
        file,
        statement,
        table: words.buffer,
        control: flags.buffer,
        seed: random(2 ** 31),
      };
      const worker = new Worker(new URL('../support/freeze-worker.js', import.meta.url), {
        workerData: order,
      });
      const failed = once(worker, 'error').then(([error]) => error as Error);
      const stopped = Atomics.waitAsync(flags, 0, 0);
      const news = await Promise.race([stopped.async ? stopped.value : stopped.value, failed]);
      if (news instanceof Error) throw news;
      t.is(Atomics.load(flags, 0), 1, 'the statement is reached');

      // Two threads go on: they free what it has left in the table, each other's blocks, and allocate. A
      // thread may attach, and detach.
      let operations = 0;
      let refused = 0;
      for (let round = 0; operations < OPERATIONS; round++) {
        const third = round % 16 === 0 ? MiMalloc.attach(heap.share()) : null;
        for (const one of [heap, other, ...(third === null ? [] : [third])]) {
          for (let count = 0; count < 20_000; count++, operations++) {
            const block = one.malloc(count % 500 === 0 ? 10_000 + 100 * random(100) : 16 + 8 * random(60));
            if (block === 0) refused++;
            const old = Atomics.exchange(words, random(SLOTS), block);
            if (old !== 0) one.free(old >>> 0);
          }
        }
        third?.detach();
        if (round % 8 === 0) heap.collect(true);
      }
      t.is(refused, 0);
      await worker.terminate();
      heap.reap(seat.threadId);
      for (const name of heap.threadIds())
        if (name !== heap.threadId && name !== other.threadId) heap.reap(name);
      for (const block of words) if (block !== 0) heap.free(block >>> 0);
      atRest([heap, other]);
      for (const block of leftovers([heap, other])) heap.free(block);
      const { usedBytes, segments } = atRest([heap, other]);
      t.is(usedBytes, 0);
      t.is(segments, 0);
    },
  );
}
