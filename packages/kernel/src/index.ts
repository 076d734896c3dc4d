/**
 * The SMP runtime of shmalloc: CPUs are workers, physical memory is one shared region, the allocator is chosen by name.
 *
 * @packageDocumentation
 */

export {
  ALLOCATORS,
  type AllocatorClass,
  type AllocatorEntry,
  type AllocatorModule,
  type AllocatorName,
  type AllocatorOptions,
  attachAllocator,
  createAllocator,
  type KernelAllocator,
  LOCK_KINDS,
  type LockKind,
} from './allocators.ts';
export {
  type Cpu,
  cpuBarrier,
  cpuCount,
  cpuCurrent,
  halt,
  kalloc,
  kfree,
  PAGE_SIZE,
  type Program,
  panic,
  printf,
} from './cpu.ts';
export { KernelError, type KernelErrorCode, KernelPanic, MachineStopped } from './errors.ts';
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
export { boot, type Machine } from './machine.ts';
export { type BootOptions, MAX_CPUS } from './options.ts';
export { type Advice, VmAccount, type VmAccountOptions, type VmStats } from './vm/vm-account.ts';
