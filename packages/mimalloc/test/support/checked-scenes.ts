/**
 * Memory that comes at one exact moment: thread B makes the region grow, uses what came and gives it back,
 * just when thread A is about to do its n-th atomic operation. No timing is involved: the operations between
 * threads are a public option, and A's run B first.
 *
 * ```
 *   A   malloc ─ load ─ claim ─┬───────────────────────────┬─ store ─ … ─▶ what A got
 *   B                          └ malloc … grow … free … collect ┘          n = 1, 2, … until A does fewer
 * ```
 *
 * Before that A has used up everything that it can reach but two segments, which B takes first. Both threads'
 * blocks are under the oracle.
 */

import { CheckedAllocator, Oracle } from '@shmalloc/alloc-test/oracle';
import { AllocError } from '@shmalloc/allocator-api';
import { type Crossings, crossingsFor } from '@shmalloc/atomic-cell';
import type * as Package from '@shmalloc/mimalloc';
import type { MiHeap, MiMalloc } from '@shmalloc/mimalloc';
import { describe, takeFindings } from '../../../alloc-test/dist-test/support/bounds/check.js';
import { StingyOs } from './growing.ts';

/** What thread A has when its operation begins. */
export interface Scene {
  readonly heap: MiMalloc;
  readonly checked: CheckedAllocator;
  readonly oracle: Oracle;
  /** A block of each, that A or B has allocated. */
  readonly mine: number;
  readonly theirs: number;
}

/** Bytes of `mine` and `theirs`. */
const HELD = 5000;

/** Another heap of A; undefined when there is no memory for its record. */
function newHeap({ heap }: Scene): MiHeap | undefined {
  try {
    return heap.heapNew();
  } catch (error) {
    if (error instanceof AllocError && error.code === 'NoMemory') return undefined;
    throw error;
  }
}

/** What A may be at when memory comes. */
export const OPERATIONS: Readonly<Record<string, (scene: Scene) => void>> = {
  'malloc of many small blocks': ({ checked }) => {
    for (let count = 0; count < 100; count++) checked.malloc(48);
  },
  'malloc of a page': ({ checked }) => checked.malloc(20_000),
  'malloc of some segments': ({ checked }) => checked.malloc(300_000),
  'calloc of a block': ({ checked }) => checked.calloc(1, 4000),
  'calloc of a page': ({ checked }) => checked.calloc(1, 20_000),
  'calloc of some segments': ({ checked }) => checked.calloc(3, 100_000),
  'alignedAlloc at a segment’s start': ({ checked }) => checked.alignedAlloc(65_536, 3000),
  'realloc to a page': ({ checked, mine }) => checked.realloc(mine, HELD, 8, 20_000),
  'realloc to some segments': ({ checked, mine }) => checked.realloc(mine, HELD, 8, 300_000),
  'free of all that it has, and a forced collection': ({ heap, checked, oracle }) => {
    for (const { address, size, thread } of [...oracle.liveBlocks()])
      if (thread === 1) checked.free(address, size);
    heap.collect(true);
  },
  'free of a block of another thread': ({ checked, theirs }) => checked.free(theirs, HELD),
  'a heap that comes, allocates, and is deleted': (scene) => {
    const part = newHeap(scene);
    const blocks = Array.from({ length: 5 }, () => part?.malloc(1000) ?? 0);
    part?.delete();
    scene.checked.malloc(1000);
    for (const block of blocks) scene.heap.free(block);
  },
  'a heap that comes, allocates, and is destroyed': (scene) => {
    const part = newHeap(scene);
    for (let count = 0; count < 5; count++) part?.malloc(20_000);
    part?.destroy();
    scene.checked.malloc(20_000);
  },
};

const NAMES: readonly (keyof Crossings)[] = [
  'load',
  'store',
  'claim',
  'setBits',
  'clearBits',
  'push',
  'pushUnlessMarked',
  'takeAll',
  'takeAllMarked',
  'mark',
  'unmark',
  'claimRun',
  'claimRunAt',
  'releaseRun',
];

export interface PlayOptions extends Package.MiMallocOptions {
  /** Whether A, too, can make the memory grow. */
  readonly grows: boolean;
}

/**
 * Plays an operation with memory that comes before A's n-th atomic operation.
 * @returns what went wrong; undefined when A did fewer
 */
function play(
  mi: typeof Package,
  operation: (scene: Scene) => void,
  nth: number,
  { grows, ...options }: PlayOptions,
): string[] | undefined {
  const b = mi.MiMalloc.create({ bytes: 1 << 20, maxBytes: 8 << 20, purgeDelay: 0, seed: 1, ...options });
  const oracle = Oracle.create({ bytes: 8 << 20 });
  const others = new CheckedAllocator(b, oracle, 0);
  const wrong: string[] = [];
  const real = crossingsFor(b.memory);
  let left = 0;
  const spied = { kind: real.kind } as Record<keyof Crossings, unknown>;
  for (const name of NAMES) {
    const operate = real[name] as (...args: number[]) => unknown;
    spied[name] = (...args: number[]) => {
      if (left > 0 && --left === 0) growAndUse();
      return operate.apply(real, args);
    };
  }
  const growAndUse = (): void => {
    const size = b.memory.byteLength;
    const fresh: number[] = [];
    for (let tries = 0; fresh.length < 24 && tries < 200; tries++) {
      const block = others.malloc(16_000);
      if (block === 0) break;
      if (block >= size) fresh.push(block);
    }
    for (const block of fresh) others.free(block, 16_000);
    b.collect(true);
  };
  takeFindings();
  while (b.memory.byteLength < (1 << 20) + 300_000) others.malloc(16_000);
  const theirs = others.malloc(HELD);
  const spare = [others.malloc(60_000), others.malloc(60_000)];
  // A has no memory until it may.
  const os = new StingyOs(() => 0, 1, 0);
  const a = mi.MiMalloc.attach(b.share(), { crossings: spied as unknown as Crossings, os });
  os.heap = a;
  for (const heap of [a, b]) heap.registerError(({ message }) => wrong.push(message));
  const checked = new CheckedAllocator(a, oracle, 1);
  const mine = checked.malloc(HELD);
  for (const size of [300_000, 20_000, 16_000, 4000, 1000, 600, 48]) while (checked.malloc(size) !== 0);
  // What A finds free when it looks, and B has taken when A claims it.
  for (const block of spare) others.free(block, 60_000);
  b.collect(true);
  os.refusal = grows ? 0 : 1;
  left = nth;
  try {
    operation({ heap: a, checked, oracle, mine, theirs });
    if (left > 0) return undefined;
    for (let count = 0; count < 40; count++) checked.malloc(600);
    for (const { address, size } of [...oracle.liveBlocks()]) checked.free(address, size);
    a.collect(true);
    b.collect(true);
    a.validate();
    if (a.usedBytes() !== 0) wrong.push(`${a.usedBytes()} bytes in use with everything freed`);
  } catch (error) {
    wrong.push(String(error));
  }
  left = 0;
  wrong.push(
    ...oracle.violations().map(({ message }) => message),
    ...takeFindings()
      .filter(({ declared }) => declared === undefined)
      .map(describe),
  );
  return wrong;
}

/**
 * Plays an operation with memory that comes before each of A's atomic operations.
 * @returns how many those are, and what went wrong
 */
export function playEach(
  mi: typeof Package,
  operation: (scene: Scene) => void,
  options: PlayOptions,
): { plays: number; wrong: string[] } {
  const wrong: string[] = [];
  for (let nth = 1; ; nth++) {
    const found = play(mi, operation, nth, options);
    if (found === undefined) return { plays: nth - 1, wrong };
    wrong.push(...found.map((line) => `before atomic operation ${nth}: ${line}`));
  }
}
