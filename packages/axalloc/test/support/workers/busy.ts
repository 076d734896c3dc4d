/**
 * A worker that allocates, frees what others have allocated, and reallocates, until it is told to stop; with
 * the oracle at its side.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { CheckedAllocator, Oracle, type OracleHandle } from '@shmalloc/alloc-test/oracle';
import type { AxHandle } from '@shmalloc/axalloc';
import { attachTo, randomOf, trySwap } from '../tools.js';
import { type Held, Slots } from './slots.js';

export interface BusyTask {
  readonly handle: AxHandle;
  readonly oracle: OracleHandle;
  readonly slots: SharedArrayBuffer;
  /** Word 0: 1 ends the work. Word 1: how many are at work. Word 2: operations so far. */
  readonly control: SharedArrayBuffer;
  readonly thread: number;
  readonly seed: number;
  /** Whether it waits at the end for its termination, without a detach. */
  readonly dies: boolean;
  /** Whether it swaps now and then itself, through these. */
  readonly swaps: readonly string[];
  /** Bytes that it adds to the memory, in small steps; 0: it does not grow. */
  readonly adds: number;
}

export interface BusyAnswer {
  readonly operations: number;
  readonly refused: number;
  readonly added: number;
  readonly reports: readonly string[];
  readonly threadId: number;
}

const { handle, oracle, slots: buffer, control, thread, seed, dies, swaps, adds } = workerData as BusyTask;
const allocator = attachTo(handle);
const reports: string[] = [];
allocator.registerError((error) => reports.push(error.message));
const checked = new CheckedAllocator(allocator, Oracle.attach(oracle), thread);
const slots = new Slots(buffer);
const words = new Int32Array(control);
const random = randomOf(seed);
const own: Held[] = [];
let operations = 0;
let refused = 0;
let added = 0;

/** Lets the memory grow by as little as it can, for all. */
function grow(): void {
  const bytes = Math.min(adds - added, 65536);
  const { pages, memory } = allocator;
  pages.addMemory(memory.grow(bytes), bytes);
  added += bytes;
}

function size(): number {
  const kind = random(100);
  return kind < 80 ? 1 + random(300) : kind < 98 ? 300 + random(4000) : 4000 + random(60_000);
}

function allocate(): void {
  const bytes = size();
  const how = random(10);
  const address =
    how < 7
      ? checked.malloc(bytes)
      : how < 9
        ? checked.calloc(1, bytes)
        : checked.alignedAlloc(64 << random(4), bytes);
  if (address === 0) refused++;
  else own.push({ address, size: bytes });
}

function step(): void {
  const what = random(100);
  if (own.length < 20 || (what < 40 && own.length < 400)) {
    allocate();
  } else if (what < 65) {
    const index = random(own.length);
    const held = own[index];
    own[index] = own[own.length - 1];
    own.pop();
    if (what < 55 || !slots.put(random(slots.length), held)) checked.free(held.address, held.size);
  } else if (what < 90) {
    const held = slots.take(random(slots.length));
    if (held !== null) checked.free(held.address, held.size);
  } else {
    const held = own[random(own.length)];
    const bytes = size();
    const moved = checked.realloc(held.address, held.size, 16, bytes);
    if (moved === 0) refused++;
    else {
      held.address = moved;
      held.size = bytes;
    }
  }
  operations++;
}

Atomics.add(words, 1, 1);
while (Atomics.load(words, 0) === 0) {
  for (let round = 0; round < 64; round++) step();
  Atomics.add(words, 2, 64);
  for (let round = 0; round < 4 && added < adds; round++) grow();
  if (swaps.length > 0 && random(50) === 0) trySwap(allocator, swaps[random(swaps.length)]);
}
while (added < adds) grow();
for (const held of own) checked.free(held.address, held.size);
const { threadId } = allocator;
if (!dies) allocator.detach();
const answer: BusyAnswer = { operations, refused, added, reports, threadId };
parentPort?.postMessage(answer);
if (dies) Atomics.wait(words, 0, 1);
