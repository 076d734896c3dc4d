/** One CPU of the test of mymalloc: allocates and frees under the oracle, blocks of other CPUs included. */
import { parentPort, workerData } from 'node:worker_threads';
import { Oracle, type OracleHandle } from '@shmalloc/alloc-test/oracle';
import type { Handle } from '@shmalloc/allocator-api';
import { PhysicalMemory } from '@shmalloc/kernel';
import { kernelVm } from '../dist/mymalloc/kernel-vm.js';
import { checkedMyMalloc } from './mymalloc-checked.js';

export interface MyMallocJob {
  readonly pages: Handle;
  readonly oracle: OracleHandle;
  readonly root: number;
  readonly cpu: number;
  readonly rounds: number;
  readonly seed: number;
  /** Where blocks pass from one CPU to another: a lock, an address and a size each. */
  readonly slots: Int32Array<SharedArrayBuffer>;
}

const { pages, oracle, root, cpu, rounds, seed, slots } = workerData as MyMallocJob;
const vm = kernelVm(PhysicalMemory.attach(pages));
const { checked } = checkedMyMalloc(vm, Oracle.attach(oracle), cpu, root);

let state = (seed ^ ((cpu + 1) * 0x9e3779b1)) | 1;
function below(n: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % n;
}

let nulls = 0;
for (let round = 0; round < rounds; round++) {
  // Mostly small, some of a few pages, all CPUs at the same size now and then.
  const size = [below(64), below(600), below(2049), below(20_000), 48][
    below(100) < 90 ? below(3) : 3 + below(2)
  ];
  const slot = 3 * below(slots.length / 3);
  // A slot that another CPU is just using is left alone.
  if (Atomics.compareExchange(slots, slot, 0, 1) !== 0) continue;
  const [address, bytes] = [slots[slot + 1] >>> 0, slots[slot + 2]];
  if (address !== 0) checked.free(address, bytes);
  slots[slot + 1] = below(3) === 0 ? 0 : checked.alignedAlloc(8, size);
  slots[slot + 2] = size;
  if (slots[slot + 1] === 0) nulls++;
  Atomics.store(slots, slot, 0);
}
parentPort!.postMessage(nulls);
