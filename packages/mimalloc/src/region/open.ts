/**
 * Making a region and attaching to one: what a thread knows of it afterwards, for whichever class the program
 * uses.
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
import { placeOf } from '../layout/place.ts';
import type { GuardMaker } from '../thread/guard.ts';
import { AccountingOs, type Os } from '../thread/os.ts';
import { Tld } from '../thread/thread-view.ts';
import { addHome, forgetMemory, layOut } from './create.ts';
import { BY_REGION, checkAttach, type MiMallocOptions, settingsOf } from './options.ts';
import { demandMaker, guardFor } from './secure-mode.ts';
import { claimSlot, joinSlot, takeSeat } from './thread-table.ts';

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

/**
 * Makes a region, and attaches the calling thread: see `MiMallocCore.create`.
 * @param maker - secure mode, for classes that have it
 */
export function open(options: MiMallocOptions, maker: GuardMaker | null): Tld {
  const settings = settingsOf(options);
  demandMaker(settings.secure, maker);
  const memory = openRegion({ ...options, debug: settings.debug === 1 });
  if (settings.grow === BY_REGION) settings.grow = options.memory === undefined ? 1 : 0;
  const os = options.os ?? new AccountingOs(memory, settings.grow === 1);
  if (settings.purgeDelay === BY_REGION) settings.purgeDelay = os.purgeDelay;
  // What can be refused comes before anything is written.
  const crossings = chosenCrossings(memory, options.crossings);
  const header = layOut(memory, settings, mostWords(memory, options));
  const tld = new Tld(memory, placeOf(memory, header), os, crossings);
  commitState(memory, header, os);
  tld.guard = guardFor(tld, maker);
  hearErrors(tld, options);
  claimSlot(tld);
  forgetMemory(tld, options.memory !== undefined);
  addHome(tld);
  tld.guard?.seal(tld);
  publishHeader(memory.i32, header);
  return tld;
}

function hearErrors(tld: Tld, { onError }: AttachOptions): void {
  if (onError !== undefined) tld.onError = checkHook('onError', onError);
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

/** Attaches the calling thread to a region: see `MiMallocCore.attach`. */
export function openShared(handle: Handle, options: MiAttachOptions, maker: GuardMaker | null): Tld {
  const tld = view(handle, options, maker);
  const { threadId } = handle as Partial<SlotHandle>;
  if (threadId === undefined) claimSlot(tld);
  else takeSeat(tld, checkInteger('threadId', threadId));
  hearErrors(tld, options);
  return tld;
}

/** A view of a region, of no thread yet. */
function view(handle: Handle, options: MiAttachOptions, maker: GuardMaker | null): Tld {
  const { os, crossings } = checkAttach(options);
  const { memory, header } = openHeader(handle);
  const place = placeOf(memory, header);
  const own = os ?? new AccountingOs(memory, memory.i32[header + Field.grow] === 1);
  const tld = new Tld(memory, place, own, chosenCrossings(memory, crossings));
  tld.guard = guardFor(tld, maker);
  return tld;
}

/** One more hand of the thread that has the first slot: see `MiAllocatorInner.attach`. */
export function openJoined(handle: Handle, options: MiAttachOptions, maker: GuardMaker | null): Tld {
  const tld = view(handle, options, maker);
  joinSlot(tld, 0);
  hearErrors(tld, options);
  return tld;
}

function chosenCrossings(
  memory: SharedMemory,
  choice: CrossingsChoice | Crossings | undefined = 'auto',
): Crossings {
  return typeof choice === 'object' && choice !== null ? choice : crossingsFor(memory, choice);
}
