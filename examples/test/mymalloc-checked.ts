/** mymalloc with a witness: the oracle that checks every allocator of shmalloc. */

import { CheckedAllocator, type Oracle } from '@shmalloc/alloc-test/oracle';
import type { GlobalAllocator, SharedMemory } from '@shmalloc/allocator-api';
import { MyMalloc, type Vm } from '../dist/mymalloc/mymalloc.js';

/** mymalloc under the names of C; what it does not have is not called. */
function asGlobalAllocator(heap: MyMalloc, memory: SharedMemory): GlobalAllocator & { memory: SharedMemory } {
  const missing = (): never => {
    throw new Error('mymalloc has no such function');
  };
  return {
    memory,
    malloc: missing,
    calloc: missing,
    realloc: missing,
    // The oracle asks for 16 in `malloc`; mymalloc promises 8.
    alignedAlloc: (_, size) => heap.mymalloc(size),
    free: (address) => heap.myfree(address),
    usableSize: (address) => heap.mysize(address),
  };
}

/** One CPU's mymalloc, bare and checked. */
export function checkedMyMalloc(
  vm: Vm,
  oracle: Oracle,
  cpu: number,
  root?: number,
): { heap: MyMalloc; checked: CheckedAllocator } {
  const heap = new MyMalloc(vm, cpu, root);
  return { heap, checked: new CheckedAllocator(asGlobalAllocator(heap, vm.memory), oracle, cpu) };
}
