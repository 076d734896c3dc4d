/**
 * One thread allocates, the other frees: after xmalloc-test (Lever, Boreham 2000), with the parameters of
 * mimalloc-bench.
 *
 * ```
 *   worker 0   malloc, malloc, … ─▶ a batch ─▶ ring of at most 100 batches ─▶ free, free, …   worker 1
 * ```
 */

import { drawn } from '../random.ts';
import { BATCH, BATCHES, newRing, Ring } from './ring.ts';
import type { Part, Play, ThreadWorkload } from './workload.ts';

/** Sizes drawn; as many as a second-level cache easily holds. */
const DRAWN = 1 << 16;

const FIXED_BYTES = 64;
const SIZES = [8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048];

function workload(name: string, title: string, what: string, choices: readonly number[]): ThreadWorkload {
  const draw = (seed: number): Uint16Array[] => [
    drawn(DRAWN, 0, choices.length - 1, seed).map((index) => choices[index]),
  ];
  return {
    name,
    title,
    description: `one thread allocates ${what}, another frees them: batches of ${BATCH}, at most ${BATCHES} under way`,
    unit: 'block',
    sides: ['malloc', 'free'],
    crews: [2],
    draw,
    share: newRing,
    clear: (shared, stage) => new Ring(shared, stage).clear(),
    start: (part) => (part.worker === 0 ? producer(part, draw(part.seed)[0]) : consumer(part)),
  };
}

/** @public */
export const xmalloc: ThreadWorkload = workload('xmalloc', 'xmalloc, 64 B', 'blocks of 64 B', [FIXED_BYTES]);
/** @public */
export const xmallocSizes: ThreadWorkload = workload(
  'xmalloc-sizes',
  'xmalloc, 17 sizes',
  'blocks of 17 sizes from 8 to 2048 B',
  SIZES,
);

function producer({ heap, stage, shared, checked }: Part, sizes: Uint16Array): Play {
  const ring = new Ring(shared, stage);
  const { words } = ring;
  let next = 0;
  let serial = 0;

  function fill(at: number): void {
    for (let i = 0; i < BATCH; i++) {
      const block = heap.malloc(sizes[next + i]);
      if (block === 0) throw new Error(`no memory for ${sizes[next + i]} bytes`);
      words[at + i] = block;
    }
    next = (next + BATCH) & (DRAWN - 1);
  }

  function stamp(at: number): void {
    for (let i = 0; i < BATCH; i++) heap.memory.i32[(words[at + i] >>> 0) / 4] = serial++;
  }

  return (seconds) => {
    const end = performance.now() + seconds * 1000;
    ring.waited = 0;
    do {
      const at = ring.room();
      if (at < 0) break;
      fill(at);
      if (checked) stamp(at);
      ring.give();
    } while (performance.now() < end);
    ring.close();
    return { operations: 0, waited: ring.waited }; // the consumer counts
  };
}

function consumer({ heap, stage, shared, checked }: Part): Play {
  const ring = new Ring(shared, stage);
  const { words } = ring;
  let serial = 0;

  function release(at: number): void {
    for (let i = 0; i < BATCH; i++) heap.free(words[at + i] >>> 0);
  }

  function verify(at: number): void {
    for (let i = 0; i < BATCH; i++) {
      const block = words[at + i] >>> 0;
      const found = heap.memory.i32[block / 4];
      if (found !== serial) throw new Error(`block ${block} has the stamp ${found} in place of ${serial}`);
      serial++;
    }
  }

  return () => {
    let blocks = 0;
    ring.waited = 0;
    for (let at = ring.take(); at >= 0; at = ring.take()) {
      if (checked) verify(at);
      release(at);
      ring.taken();
      blocks += BATCH;
    }
    return { operations: blocks, waited: ring.waited };
  };
}
