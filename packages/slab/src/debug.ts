/**
 * Debug mode: red zones, poison, and which CPU did it.
 *
 * ```
 *   a block in use                                         a free block
 *   ├──────────────┬──────────┬──────┬─────┬──────┬───────┤├──────────────────────┬──────┬─────┬──────┬───────┤
 *   │ what was     │ red zone │ SIZE │ CPU │ LINK │ STATE ││ poison, or, where it │ SUM  │ CPU │ LINK │ STATE │
 *   │ asked for    │ BB BB BB │      │     │      │ live  ││ is constructed, as   │      │     │ ───▶ │ freed │
 *   │              │ 8 bytes  │      │     │      │       ││ it was, and its sum  │      │     │      │       │
 *   └──────────────┴ at least ┴──────┴─────┴──────┴───────┘└──────────────────────┴──────┴─────┴──────┴───────┘
 *                              node−2  −1    node   +1
 * ```
 *
 * STATE is a seal made of the block's place, so that what a program copies from one block into another is no
 * live block. It goes from live to freed in one exchange: of two CPUs that free a block at the same moment,
 * one hears of it. CPU is the one that handed it out, then the one that freed it.
 */

import { AllocError, type Word } from '@shmalloc/allocator-api';
import type { SlabCore } from './thread-view.ts';

/** Bytes of a block beyond what was asked for, at least: 8 of the red zone, 16 behind it. */
export const DEBUG_BYTES = 24;

/** Where things stand, in words from a block's link. */
const SIZE = -2;
const CPU = -1;
const STATE = 1;
/** Words from a block's link to its end. */
export const NODE_TO_END = 2;

const RED = 0xbb;
const POISON_BYTE = 0x6b;
const POISON = 0x6b6b6b6b;

/** Makes neighbouring seals differ in every bit (the 32-bit golden ratio). */
const SEAL_FACTOR = 0x9e3779b1;

function liveSeal(node: Word): number {
  return Math.imul(node, SEAL_FACTOR) | 3;
}

function freedSeal(node: Word): number {
  return (Math.imul(node, SEAL_FACTOR) & ~1) | 2;
}

/** Makes new blocks ones that were never handed out. */
export function clearStates(slab: SlabCore, first: Word, count: number, stride: number): void {
  for (let node = first, left = count; left > 0; left--, node += stride) slab.i32[node + STATE] = 0;
}

/** The seal of a block that is handed out; 0 when it is not. Acquire: pairs with the store in `handOut`. */
export function sealOf(slab: SlabCore, node: Word): number {
  const live = liveSeal(node);
  return Atomics.load(slab.i32, node + STATE) === live ? live : 0;
}

/** Whether a block is handed out. */
export function isLive(slab: SlabCore, node: Word): boolean {
  return slab.i32[node + STATE] === liveSeal(node);
}

/** Bytes that were asked for. */
export function liveSize(slab: SlabCore, node: Word): number {
  return slab.i32[node + SIZE] >>> 0;
}

/** The bytes of a block that a program may use. */
export interface Payload {
  /** The block's first word. */
  readonly block: Word;
  /** Its link word. */
  readonly node: Word;
  /** Whether it keeps its contents while it is free: it is an object's, and its cache has a constructor. */
  readonly keeps: boolean;
}

function addressOf(block: Word): number {
  return (block << 2) >>> 0;
}

/** A sum over a constructed object: Fowler, Noll and Vo's. */
function sumOf(slab: SlabCore, { block, node }: Payload): number {
  let sum = 0x811c9dc5;
  for (let word = block; word < node + SIZE; word++) sum = Math.imul(sum ^ slab.i32[word], 0x01000193);
  return sum;
}

/**
 * Writes the red zone of a block that is or becomes live, and SIZE after it: another CPU that looks on finds
 * red all that it must be.
 */
export function fence(slab: SlabCore, { block, node }: Payload, size: number): void {
  slab.u8.fill(RED, addressOf(block) + size, addressOf(node + SIZE));
  slab.i32[node + SIZE] = size;
}

/**
 * Marks a free block as handed out.
 * @returns what is wrong with it: it was written to while it was free. It is handed out all the same.
 */
export function handOut(
  slab: SlabCore,
  payload: Payload,
  size: number,
  operation: string,
): AllocError | null {
  const { i32 } = slab;
  const { node } = payload;
  const error = i32[node + STATE] === freedSeal(node) ? writtenAfterFree(slab, payload, operation) : null;
  fence(slab, payload, size);
  i32[node + CPU] = slab.cpuId;
  // Release: pairs with the exchange in `takeBack`, which may be another CPU's.
  Atomics.store(i32, node + STATE, liveSeal(node));
  return error;
}

/** What has changed in a free block, or null. */
export function writtenAfterFree(slab: SlabCore, payload: Payload, operation: string): AllocError | null {
  const { i32, u8 } = slab;
  const { block, node, keeps } = payload;
  const by = `after cpu ${i32[node + CPU]} had freed it`;
  const address = addressOf(block);
  if (keeps) {
    if (sumOf(slab, payload) === i32[node + SIZE]) return null;
    return new AllocError('NotAllocated', `${operation}: the object at ${address} was written ${by}`);
  }
  for (let word = block; word < node + SIZE; word++) {
    if (i32[word] === POISON) continue;
    let byte = addressOf(word);
    while (u8[byte] === POISON_BYTE) byte++;
    return new AllocError(
      'NotAllocated',
      `${operation}: byte ${byte - address} of the block at ${address} was written ${by}`,
    );
  }
  return null;
}

/** What has been written past the end of a live block, or null. */
export function writtenPastEnd(
  slab: SlabCore,
  { block, node }: Payload,
  operation: string,
): AllocError | null {
  const { i32, u8 } = slab;
  const address = addressOf(block);
  const size = liveSize(slab, node);
  const end = addressOf(node + SIZE);
  if (address + size <= end) {
    for (let byte = address + size; byte < end; byte++) {
      if (u8[byte] === RED) continue;
      return new AllocError(
        'NotAllocated',
        `${operation}(${address}): byte ${byte - address} was written, past the end of this block of ${size} bytes, handed out by cpu ${i32[node + CPU]}`,
      );
    }
    return null;
  }
  return new AllocError(
    'NotAllocated',
    `${operation}(${address}): written past its end, over the size of the block, handed out by cpu ${i32[node + CPU]}`,
  );
}

/** What came of an attempt to free a block. */
export interface TakenBack {
  /** Whether it may be freed, and is marked as free now. */
  readonly taken: boolean;
  /** What is wrong, or null. */
  readonly error: AllocError | null;
}

/**
 * Marks a live block as free.
 * @param address - what the program gave
 */
export function takeBack(slab: SlabCore, payload: Payload, address: number, operation: string): TakenBack {
  const { i32, cpuId } = slab;
  const { block, node, keeps } = payload;
  const live = liveSeal(node);
  // Acquire and release: pairs with itself in another CPU, and with the store in `handOut`.
  const found = Atomics.compareExchange(i32, node + STATE, live, freedSeal(node));
  if (found !== live) {
    const twice = found === freedSeal(node);
    const what = twice
      ? `freed twice, by cpu ${i32[node + CPU]} and now by cpu ${cpuId}`
      : `no such block is handed out, or it was written far past its end; cpu ${cpuId}`;
    const code = twice ? 'DoubleFree' : 'NotAllocated';
    return { taken: false, error: new AllocError(code, `${operation}(${address}): ${what}`) };
  }
  const error = writtenPastEnd(slab, payload, operation);
  i32[node + CPU] = cpuId;
  if (keeps) i32[node + SIZE] = sumOf(slab, payload);
  else i32.fill(POISON, block, node + SIZE);
  return { taken: true, error };
}
