/**
 * Damages heaps and uses them: one after the other, until all trials are done. In a worker, so that a call
 * that does not come back is seen.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { AllocError, LOCK_KINDS } from '@shmalloc/allocator-api';
import { Slab } from '@shmalloc/slab';
import { TABLE_WORDS } from '../../dist/geometry.js';
import { Field, HEADER_WORDS } from '../../dist/header.js';
import { type Random, randomOf } from './harness.ts';

const { seed, trials, at, fault } = workerData as {
  seed: number;
  trials: number;
  at: Int32Array;
  /** What is wrong with a heap, to see that it is found. */
  fault: 'none' | 'hangs' | 'throws' | 'keeps the lock';
};

/** A heap with some of everything, and a second CPU. */
function scene(random: Random) {
  const debug = random(3) === 0;
  const lock = LOCK_KINDS[1 + random(3)];
  const backing = random(2) === 0 ? 'sab' : 'wasm';
  const heap = Slab.create({ bytes: 1 << 19, maxBytes: 1 << 21, debug, lock, backing, threads: 4 });
  const other = Slab.attach(heap.share(), { lock });
  const gone = Slab.attach(heap.share(), { lock });
  const blocks: number[] = [];
  heap.addMemory(heap.memory.grow(1 << 17), 1 << 17);
  heap.addMemory(heap.memory.grow(1 << 20), 1 << 20);
  for (const each of [heap, other, gone])
    for (let step = 0; step < 120; step++) blocks.push(each.malloc([12, 100, 1000, 3000, 20_000][random(5)]));
  for (let step = 0; step < 150; step++)
    [heap, other, gone][random(3)].free(blocks.splice(random(blocks.length), 1)[0]);
  const cache = heap.createCache({ size: 40, ctor: (address, { i32 }) => void (i32[address / 4] = 1) });
  const objects = Array.from({ length: 20 }, () => heap.cacheAlloc(cache));
  const dead = gone.threadId;
  if (random(2) === 0) gone.detach();
  return { heap, other, dead, blocks, cache, objects };
}

/** A word of the state, or of a block: what a program could write over. */
function place(heap: Slab, blocks: readonly number[], random: Random): number {
  const { plan } = heap;
  const tables = [plan.tables, heap.memory.byteLength / 4 - (1 << 18)];
  switch (random(6)) {
    case 0:
      return heap.header + random(HEADER_WORDS);
    case 1:
      return plan.root + random(plan.cpus - plan.root);
    case 2:
      return plan.cpus + random(plan.tables - plan.cpus);
    case 3:
      // The fields of a descriptor of one of the first pages.
      return plan.tables + 32 * random(64) + random(24);
    case 4:
      return tables[random(2)] + random(TABLE_WORDS);
    default:
      return blocks.length === 0 ? plan.tables : (blocks[random(blocks.length)] >>> 2) + random(4);
  }
}

/** A word: a small one, a large one, a flipped bit, a place that there is, what stands elsewhere. */
function word(heap: Slab, found: number, random: Random): number {
  const { i32 } = heap;
  switch (random(9)) {
    case 0:
      return random(64);
    case 1:
      return -random(64);
    case 2:
      return found ^ (1 << random(32));
    case 3:
      return [0x7fffffff, -0x80000000, -1, 0x3fffffff, 0x40000000][random(5)];
    case 4:
      return i32[heap.header + random(HEADER_WORDS)];
    case 5:
      return heap.plan.tables + 32 * random(128);
    case 6:
      return random(i32.length);
    case 7:
      return found + random(9) - 4;
    default:
      return (random(1 << 16) << 16) | random(1 << 16);
  }
}

/** Calls that a program can make. Each may refuse, with an `AllocError`. */
function use({ heap, other, dead, blocks, cache, objects }: ReturnType<typeof scene>, random: Random): void {
  const calls: (() => unknown)[] = [];
  for (const each of [heap, other]) {
    calls.push(
      ...[1, 8, 100, 1000, 4000, 20_000, 300_000, 2 ** 31].map((size) => () => each.malloc(size)),
      () => each.calloc(3, 100),
      () => each.alignedAlloc(8192, 100),
      () => each.alloc(64, 16),
      ...Array.from({ length: 30 }, () => () => each.free(blocks[random(blocks.length)] ?? 0)),
      ...Array.from(
        { length: 6 },
        () => () => each.realloc(blocks[random(blocks.length)] ?? 0, random(30_000)),
      ),
      () => each.usableSize(blocks[0]),
      () => each.dealloc(blocks[1], 1, 1),
      () => each.free(random(2 ** 31)),
      () => each.collect(),
      () => each.collect(true),
      () => each.stats(),
      () => each.usedBytes(),
      () => each.availableBytes(),
      () => each.footprintBytes(),
      () => each.validate(),
      () => each.validate({ quiet: true }),
      () => each.reap(dead),
      () => each.addMemory(each.memory.grow(1 << 16), 1 << 16),
      () => each.createCache({ size: 100 }),
      () => Slab.attach(heap.shareSlot(), { lock: heap.lockKind }).detach(),
    );
  }
  calls.push(
    () => heap.cacheAlloc(cache),
    () => heap.cacheFree(cache, objects[random(20)]),
    () => heap.cacheShrink(cache),
    () => other.cacheShrink(other.openCache(cache.share(), () => {})),
  );
  for (let step = 0; step < 150; step++) attempt(calls[random(calls.length)]);
  if (fault === 'hangs') for (;;);
  if (fault === 'throws') attempt(() => (undefined as never as Slab).malloc(1));
  attempt(() => heap.collect(true));
  attempt(() => other.detach());
  attempt(() => heap.init(1 << 19, 1 << 17));
  attempt(() => heap.malloc(100));
  attempt(() => heap.detach());
}

function attempt(call: () => unknown): void {
  try {
    call();
  } catch (error) {
    if (error instanceof AllocError) return;
    throw error;
  }
}

for (let trial = 0; trial < trials; trial++) {
  Atomics.store(at, 0, trial);
  const random = randomOf(seed + trial);
  const here = scene(random);
  const { heap, other, blocks } = here;
  for (const each of [heap, other]) each.registerError(() => {});
  const words = 1 + random(4);
  const planted: string[] = [];
  for (let left = words; left > 0; left--) {
    const where = place(heap, blocks, random);
    const value = word(heap, heap.i32[where], random);
    // A word that names a thread which is there is that thread's lock, and waited for.
    if (where === heap.header + Field.lock && [heap, other].some(({ threadId }) => (value & ~1) === threadId))
      continue;
    planted.push(`${where}: ${heap.i32[where]} -> ${value}`);
    heap.i32[where] = value;
  }
  const { i32, header } = heap;
  try {
    use(here, random);
    if (fault === 'keeps the lock') i32[header + Field.lock] = 64;
    const lock = i32[header + Field.lock];
    if (heap.lockKind !== 'outside' && lock !== 0) throw new Error(`the lock is left as ${lock}`);
  } catch (error) {
    const text = error instanceof Error ? error.stack : String(error);
    parentPort?.postMessage(`seed ${seed}, trial ${trial} (${planted.join(', ')}): ${text}`);
    break;
  }
}
Atomics.store(at, 0, trials);
