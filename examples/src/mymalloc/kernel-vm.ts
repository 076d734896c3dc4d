/**
 * The two calls that mymalloc stands on, of a kernel: its `vmalloc` and `vmfree`, on a CPU or, as methods of
 * its physical memory, on any thread.
 */

import type { SharedMemory } from '@shmalloc/allocator-api';
import type { Vm } from './mymalloc.ts';

/** What a kernel has: functions for programs under these names, and methods of `PhysicalMemory`. */
export interface KernelPages {
  readonly memory: SharedMemory;
  vmalloc(address: number, length: number): number;
  vmfree(address: number, length: number): void;
  touch(address: number, length: number): boolean;
}

/**
 * The kernel's pages for programs that write where they like in a block, and tell no thread: they get their
 * frames at once, since a page without one is as good as none.
 */
export function kernelVm(kernel: KernelPages): Vm {
  return {
    memory: kernel.memory,
    vmalloc(address, length) {
      const at = kernel.vmalloc(address, length);
      if (at === 0 || kernel.touch(at, length)) return at;
      kernel.vmfree(at, length);
      return 0;
    },
    vmfree: (address, length) => kernel.vmfree(address, length),
  };
}
