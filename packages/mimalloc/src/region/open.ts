/**
 * Making a region and attaching to one, for whichever class the program uses.
 *
 * ```
 *   open        options ─▶ memory ─▶ header (create.ts) ─▶ a slot for this thread ─▶ slices ─▶ magic: others may attach
 *   openShared  handle ─▶ header, checked ─▶ a slot for this thread
 * ```
 */

import {
  AllocError,
  type AttachOptions,
  checkHook,
  checkInteger,
  type Handle,
  openRegion,
  publishHeader,
  type SharedMemory,
  type SlotHandle,
  type Word,
} from '@shmalloc/allocator-api';
import { type Crossings, type CrossingsChoice, crossingsFor } from '@shmalloc/atomic-cell';
import { OS_PAGE_BYTES } from '../layout/geometry.ts';
import { Field, openHeader } from '../layout/header.ts';
import type { GuardMaker } from '../thread/guard.ts';
import { AccountingOs, type Os } from '../thread/os.ts';
import type { Tld } from '../thread/tld.ts';
import { addHome, forgetMemory, layOut } from './create.ts';
import { BY_REGION, type MiMallocOptions, settingsOf } from './options.ts';
import { demandMaker, guardFor } from './secure-mode.ts';
import { claimSlot, takeSeat } from './thread-table.ts';

/**
 * What an attaching thread brings with it.
 * @public
 */
export interface MiAttachOptions extends AttachOptions {
  /**
   * The owner of the memory, in this thread: what `create` was given in its own. Default: none; it is
   * counted.
   */
  os?: Os | undefined;
  /**
   * How this thread does what crosses threads: see {@link MiMallocOptions.crossings}. Default `'auto'`;
   * threads need not choose alike.
   */
  crossings?: CrossingsChoice | Crossings | undefined;
}

/** A class of heaps. */
type HeapClass<T extends Tld> = new (memory: SharedMemory, header: Word, os: Os, crossings: Crossings) => T;

/** Makes a region: see `MiMallocCore.create`. `maker` is secure mode, for classes that have it. */
export function open<T extends Tld>(
  Class: HeapClass<T>,
  options: MiMallocOptions,
  maker: GuardMaker | null = null,
): T {
  const settings = settingsOf(options);
  demandMaker(settings.secure, maker);
  const memory = openRegion(options);
  if (settings.grow === BY_REGION) settings.grow = options.memory === undefined ? 1 : 0;
  const os = options.os ?? new AccountingOs(memory, settings.grow === 1);
  if (settings.purgeDelay === BY_REGION) settings.purgeDelay = os.purgeDelay;
  // What can be refused comes before anything is written.
  const crossings = chosenCrossings(memory, options.crossings);
  const header = layOut(memory, settings, mostWords(memory, options));
  const heap = new Class(memory, header, os, crossings);
  commitState(memory, header, os);
  heap.guard = guardFor(heap, maker);
  if (options.onError !== undefined) heap.registerError(checkHook('onError', options.onError));
  claimSlot(heap);
  forgetMemory(heap, options.memory !== undefined);
  addHome(heap);
  heap.guard?.seal(heap);
  publishHeader(memory.i32, header);
  return heap;
}

/**
 * Asks for the memory behind the header and its tables: they are in use from now on. In whole OS pages; the
 * first one may be shared with what lies in front of the region.
 */
function commitState(memory: SharedMemory, header: Word, os: Os): void {
  const start = Math.floor(memory.start / OS_PAGE_BYTES) * OS_PAGE_BYTES;
  const end = Math.ceil((memory.i32[header + Field.end] * 4) / OS_PAGE_BYTES) * OS_PAGE_BYTES;
  if (!os.commit(start, end - start))
    throw new AllocError('NoMemory', `os.commit has no ${end - start} bytes for the header and its tables`);
}

/**
 * How far the memory can grow, in words; 0 when nothing tells: a `WebAssembly.Memory` that was given does
 * not.
 */
function mostWords(memory: SharedMemory, options: MiMallocOptions): number {
  const { source } = memory;
  if (options.memory === undefined) return Math.floor(Math.max(options.maxBytes ?? 0, memory.byteLength) / 4);
  if (options.end !== undefined) return Math.floor(memory.end / 4);
  return source instanceof WebAssembly.Memory ? 0 : Math.floor(memory.maxByteLength / 4);
}

/** Attaches to a region: see `MiMallocCore.attach`. */
export function openShared<T extends Tld>(
  Class: HeapClass<T>,
  handle: Handle,
  { os, crossings, onError }: MiAttachOptions,
  maker: GuardMaker | null = null,
): T {
  const heap = view(Class, handle, os, crossings, maker);
  const { threadId } = handle as Partial<SlotHandle>;
  if (threadId === undefined) claimSlot(heap);
  else takeSeat(heap, checkInteger('threadId', threadId));
  if (onError !== undefined) heap.registerError(checkHook('onError', onError));
  return heap;
}

/** A view of a region, of no thread yet. */
export function view<T extends Tld>(
  Class: HeapClass<T>,
  handle: Handle,
  os: Os | undefined,
  crossings: CrossingsChoice | Crossings | undefined,
  maker: GuardMaker | null,
): T {
  const { memory, header } = openHeader(handle);
  const grow = memory.i32[header + Field.grow] === 1;
  const heap = new Class(
    memory,
    header,
    os ?? new AccountingOs(memory, grow),
    chosenCrossings(memory, crossings),
  );
  heap.guard = guardFor(heap, maker);
  return heap;
}

function chosenCrossings(
  memory: SharedMemory,
  choice: CrossingsChoice | Crossings | undefined = 'auto',
): Crossings {
  return typeof choice === 'object' && choice !== null ? choice : crossingsFor(memory, choice);
}
