/**
 * The SMP runtime of shmalloc: CPUs are workers, physical memory is one shared region, the allocator is
 * chosen by name.
 *
 * @packageDocumentation
 */

export {
  ALLOCATORS,
  type AllocatorEntry,
  type AllocatorModule,
  type AllocatorName,
  attachAllocator,
  createAllocator,
  type KernelAllocator,
} from './allocators.ts';
export {
  type Cpu,
  cpuBarrier,
  cpuCount,
  cpuCurrent,
  halt,
  KALLOC_MAX_BYTES,
  kalloc,
  kfree,
  PAGE_SIZE,
  type Program,
  panic,
  printf,
} from './cpu.ts';
export { KernelError, type KernelErrorCode, KernelPanic, MachineStopped } from './errors.ts';
export type { HeapChoice } from './heap/algorithms.ts';
export { KernelHeap, type ThreadReport } from './heap/kernel-heap.ts';
export type { Told } from './heap/meter.ts';
export {
  memchr,
  memcmp,
  memcpy,
  memmove,
  memset,
  snprintf,
  sprintf,
  strcat,
  strchr,
  strcmp,
  strcpy,
  strcspn,
  strlen,
  strncat,
  strncmp,
  strncpy,
  strnlen,
  strpbrk,
  strrchr,
  strspn,
  strstr,
} from './klib/calls.ts';
export { Klib } from './klib/klib.ts';
export { MemoryFunctions } from './klib/memory-functions.ts';
export { type CString, StringFunctions } from './klib/string-functions.ts';
export { boot, type Machine, type MachineReport } from './machine.ts';
export { madvise, swap, touch, vmalloc, vmfree } from './memory/calls.ts';
export {
  PhysicalMemory,
  type PhysicalMemoryOptions,
  type PhysicalStats,
} from './memory/physical-memory.ts';
export { type BootOptions, MAX_CPUS, type PagedOptions } from './options.ts';
export { VmAccount } from './vm/vm-account.ts';
export type { Advice, VmAccountOptions, VmStats } from './vm/vm-types.ts';
