/** A worker that takes and gives back pages at random, and enters each in a table of owners. */

import { parentPort, workerData } from 'node:worker_threads';
import { AllocError, type Handle, SharedMemory } from '@shmalloc/allocator-api';
import { crossingsFor } from '@shmalloc/atomic-cell';
import { BitmapPages } from '@shmalloc/bitmap';
import { PAGE, randomOf, Torn } from '../tools.js';

export interface Task {
  readonly handle: Handle;
  readonly crossings: 'wasm' | 'js' | 'torn';
  /** A word for each page: whose it is. */
  readonly owners: SharedArrayBuffer;
  /** Counts one that has come: all start at once. */
  readonly gate: SharedArrayBuffer;
  readonly parties: number;
  /** This worker's name in the table, from 1. */
  readonly name: number;
  readonly seed: number;
  readonly steps: number;
  /** Bytes that this worker adds to the memory, in small steps; 0: it does not grow. */
  readonly adds: number;
}

export interface Answer {
  readonly taken: number;
  readonly refused: number;
  readonly wrong: number;
  /** Bytes that it has added. */
  readonly added: number;
  readonly faults: readonly string[];
}

const { handle, crossings, owners, gate, parties, name, seed, steps, adds } = workerData as Task;
const memory = SharedMemory.from(handle.memory);
const pages = BitmapPages.attach(handle, {
  crossings: crossings === 'torn' ? new Torn(crossingsFor(memory, 'js'), memory.i32) : crossings,
});
const table = new Int32Array(owners);
const random = randomOf(seed);
const faults: string[] = [];
const held: [address: number, count: number][] = [];
let [taken, refused, wrong, added] = [0, 0, 0, 0];
/** A `WebAssembly.Memory` grows by 64 KiB at least. */
const leastGrowth = handle.memory instanceof SharedArrayBuffer ? PAGE : 65536;

function enter(address: number, count: number): void {
  taken++;
  held.push([address, count]);
  for (let page = address / PAGE; page < address / PAGE + count; page++) {
    const owner = Atomics.compareExchange(table, page, 0, name);
    if (owner !== 0) faults.push(`page ${page} was given to ${name} while ${owner} had it`);
  }
}

function giveBack(address: number, count: number): void {
  for (let page = address / PAGE; page < address / PAGE + count; page++) {
    const owner = Atomics.compareExchange(table, page, name, 0);
    if (owner !== name) faults.push(`page ${page} of ${name} belongs to ${owner}`);
  }
  try {
    pages.deallocPages(address, count);
  } catch (error) {
    faults.push(String(error));
  }
}

/** Takes a run, a page or a place; being refused is an answer. */
function take(): void {
  const kind = random(8);
  const count = kind < 4 ? 1 : 1 + random(kind === 7 ? 300 : 40);
  try {
    if (kind === 5) enter(pages.allocPagesAt((1 + random(table.length - 1)) * PAGE, count, PAGE), count);
    else enter(pages.allocPages(count, PAGE * (kind === 6 ? 2 ** random(6) : 1)), count);
  } catch (error) {
    if (!(error instanceof AllocError) || error.code !== 'NoMemory') faults.push(String(error));
    refused++;
  }
}

/** Gives back a run, or the first part of it. */
function give(): void {
  const nth = random(held.length);
  const [address, count] = held[nth];
  const part = 1 + random(count);
  giveBack(address, part);
  if (part < count) held[nth] = [address + part * PAGE, count - part];
  else {
    held[nth] = held[held.length - 1];
    held.pop();
  }
}

/** Lets the memory grow by the least that it can: by a few pages, for all. */
function grow(): void {
  const bytes = Math.min(adds - added, leastGrowth * (1 + random(2)));
  try {
    const start = pages.memory.grow(bytes);
    pages.addMemory(start, bytes);
    added += bytes;
  } catch (error) {
    faults.push(`after ${added} bytes: ${error}`);
  }
}

Atomics.add(new Int32Array(gate), 0, 1);
while (Atomics.load(new Int32Array(gate), 0) < parties);
for (let step = 0; step < steps && faults.length === 0; step++) {
  if (held.length === 0 || (random(2) === 0 && held.length < 60)) take();
  else give();
  if (added < adds && step % 8 === 0) grow();
  // Page 0 is no thread's, and a run that begins with it is no run.
  if (step % 64 === 0) {
    wrong++;
    try {
      pages.deallocPages(0, 1 + random(50));
      faults.push('page 0 was taken back');
    } catch {}
  }
}
for (const [address, count] of held) giveBack(address, count);
parentPort?.postMessage({ taken, refused, wrong, added, faults } satisfies Answer);
