/**
 * Memory that comes at one exact moment: thread B makes the region grow, uses what came and gives it back, just when thread A is about to do its n-th atomic
 * operation. No timing is involved: the operations between threads are a public option, and A's run B first.
 *
 * ```
 *   A   malloc ─ load ─ claim ─┬───────────────────────────┬─ store ─ … ─▶ what A got
 *   B                          └ malloc … grow … free … collect ┘          n = 1, 2, … until A does fewer
 * ```
 *
 * Both threads' blocks are under the oracle.
 */

import { CheckedAllocator, Oracle } from '@shmalloc/alloc-test/oracle';
import { type Crossings, crossingsFor } from '@shmalloc/atomic-cell';
import type * as Package from '@shmalloc/mimalloc';
import type { MiMalloc } from '@shmalloc/mimalloc';
import { describe, takeFindings } from '../../alloc-test/dist-test/bounds/check.js';

/** What thread A has when its operation begins. */
export interface Scene {
  readonly heap: MiMalloc;
  readonly checked: CheckedAllocator;
  /** A block of each, that A or B has allocated. */
  readonly mine: number;
  readonly theirs: number;
}

/** Bytes of `mine` and `theirs`. */
const HELD = 5000;

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
  'free of a block of its own, and a forced collection': ({ heap, checked, mine }) => {
    checked.free(mine, HELD);
    heap.collect(true);
  },
  'free of a block of another thread': ({ checked, theirs }) => checked.free(theirs, HELD),
  'a heap that comes, allocates, and is deleted': ({ heap, checked }) => {
    const part = heap.heapNew();
    for (let count = 0; count < 5; count++) part.malloc(1000);
    part.delete();
    checked.malloc(1000);
  },
  'a heap that comes, allocates, and is destroyed': ({ heap, checked }) => {
    const part = heap.heapNew();
    for (let count = 0; count < 5; count++) part.malloc(20_000);
    part.destroy();
    checked.malloc(20_000);
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

/** Plays an operation with memory that comes before A's n-th atomic operation. @returns what went wrong; undefined when A did fewer */
function play(
  mi: typeof Package,
  operation: (scene: Scene) => void,
  nth: number,
  options: Package.MiMallocOptions,
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
  const a = mi.MiMalloc.attach(b.share(), { crossings: spied as unknown as Crossings });
  for (const heap of [a, b]) heap.registerError(({ message }) => wrong.push(message));
  const checked = new CheckedAllocator(a, oracle, 1);
  const mine = checked.malloc(HELD);
  left = nth;
  try {
    operation({ heap: a, checked, mine, theirs });
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

/** Plays an operation with memory that comes before each of A's atomic operations. @returns how many those are, and what went wrong */
export function playEach(
  mi: typeof Package,
  operation: (scene: Scene) => void,
  options: Package.MiMallocOptions,
): { plays: number; wrong: string[] } {
  const wrong: string[] = [];
  for (let nth = 1; ; nth++) {
    const found = play(mi, operation, nth, options);
    if (found === undefined) return { plays: nth - 1, wrong };
    wrong.push(...found.map((line) => `before atomic operation ${nth}: ${line}`));
  }
}
