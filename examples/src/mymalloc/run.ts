/**
 * mymalloc on the four CPUs of a kernel: each allocates blocks of 1 to 3000 bytes into slots that all share,
 * and frees what it finds there, the thread that has allocated it. All pages are those of the kernel's
 * `vmalloc`.
 *
 *     node examples/dist/mymalloc/run.js
 */

import { isMainThread } from 'node:worker_threads';
import { boot, type Cpu, touch, vmalloc, vmfree } from '@shmalloc/kernel';
import { kernelVm } from './kernel-vm.ts';
import { MyMalloc } from './mymalloc.ts';

const CPUS = 4;
const ROUNDS = 50_000;

/** What the CPUs share besides the memory. */
interface Shared {
  readonly root: number;
  readonly slots: Int32Array<SharedArrayBuffer>;
}

/** The program of each CPU. */
export default function program({ id, memory }: Cpu, argument: unknown): void {
  const { root, slots } = argument as Shared;
  const heap = new MyMalloc(kernelVm({ memory, vmalloc, vmfree, touch }), id, root);
  for (let round = 0, state = id + 1; round < ROUNDS; round++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const block = heap.mymalloc(1 + ((state >>> 8) % 3000));
    if (block === 0) throw new Error('out of memory');
    // A thread that takes an address out of a slot is the only one that has it.
    heap.myfree(Atomics.exchange(slots, (state >>> 20) % slots.length, block) >>> 0);
  }
}

if (isMainThread) {
  const machine = await boot({ cpus: CPUS, bytes: 16 << 20, paged: true });
  const { physical } = machine;
  const heap = new MyMalloc(kernelVm(physical), 0);
  const atFirst = physical.usedPages();
  const slots = new Int32Array(new SharedArrayBuffer(1000 * 4));
  await machine.run(import.meta.url, { root: heap.root, slots } satisfies Shared);
  const between = physical.usedPages();
  for (const address of slots) heap.myfree(address >>> 0);
  heap.mytrim();
  machine.allocator.validate();
  console.log(
    `${CPUS} CPUs, ${CPUS * ROUNDS} blocks; pages: ${atFirst}, then ${between}, then ${physical.usedPages()}`,
  );
  await machine.halt();
}
