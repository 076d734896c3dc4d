/**
 * mymalloc on four threads: each allocates blocks of 1 to 3000 bytes into slots that all share, and frees what it finds there, whoever has allocated
 * it.
 *
 *     node examples/dist/mymalloc/run.js
 */

import { once } from 'node:events';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { SharedMemory } from '@shmalloc/allocator-api';
import { MyMalloc } from './mymalloc.ts';
import { PageVm } from './page-vm.ts';

const CPUS = 4;
const ROUNDS = 50_000;

if (isMainThread) {
  const vm = new PageVm(SharedMemory.create({ bytes: 16 << 20 }));
  const heap = new MyMalloc(vm, 0);
  const atFirst = vm.usedPages;
  const slots = new Int32Array(new SharedArrayBuffer(1000 * 4));
  const workers = Array.from({ length: CPUS }, (_, cpu) => {
    const data = { source: vm.memory.source, root: heap.root, cpu, slots };
    return new Worker(new URL(import.meta.url), { workerData: data });
  });
  await Promise.all(workers.map((worker) => once(worker, 'exit')));
  const between = vm.usedPages;
  for (const address of slots) heap.myfree(address >>> 0);
  heap.mytrim();
  console.log(
    `${CPUS} CPUs, ${CPUS * ROUNDS} blocks; pages: ${atFirst}, then ${between}, then ${vm.usedPages}`,
  );
} else {
  const { source, root, cpu, slots } = workerData;
  const heap = new MyMalloc(new PageVm(SharedMemory.from(source)), cpu, root);
  for (let round = 0, state = cpu + 1; round < ROUNDS; round++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const block = heap.mymalloc(1 + ((state >>> 8) % 3000));
    if (block === 0) throw new Error('out of memory');
    // Whoever takes an address out of a slot is the only one who has it.
    heap.myfree(Atomics.exchange(slots, (state >>> 20) % slots.length, block) >>> 0);
  }
}
