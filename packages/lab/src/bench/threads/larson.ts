/**
 * A server whose threads come and go: after Larson and Krishnan (1998), with the parameters of
 * mimalloc-bench. Each worker frees a random one of its blocks and allocates another in its place; after so
 * many replacements its thread ends, and a successor inherits the blocks.
 */

import { drawn } from '../random.ts';
import type { SharedHeap } from './contestant.ts';
import type { Part, Play, ThreadWorkload } from './workload.ts';

const BLOCKS = 5000;
const MIN_BYTES = 8;
const MAX_BYTES = 1000;
const WORKERS = 2;
/** Numbers drawn for each worker. */
const DRAWN = 1 << 16;
/** Replacements between two looks at the clock. */
const CHUNK = 1000;

/** @public */
export const larson: ThreadWorkload = {
  name: 'larson',
  title: 'larson',
  description: `${BLOCKS} blocks of ${MIN_BYTES}–${MAX_BYTES} B a thread, a random one replaced; now and then a thread ends and a successor inherits its blocks`,
  unit: 'replacement',
  crews: [1, WORKERS],
  draw: (seed) =>
    Array.from({ length: WORKERS }, (_, worker) => [
      drawn(DRAWN, MIN_BYTES, MAX_BYTES, seed + 2 * worker),
      drawn(DRAWN, 0, BLOCKS - 1, seed + 2 * worker + 1),
    ]).flat(),
  share: () => new SharedArrayBuffer(0),
  clear: () => {},
  start: play,
};

function play({ worker, heap: first, attach, seed, life, checked }: Part): Play {
  const [sizes, places] = larson.draw(seed).slice(2 * worker);
  const blocks = new Uint32Array(BLOCKS);
  let heap = first;
  let next = 0;
  let age = 0;

  function replace(heap: SharedHeap, count: number): void {
    for (let done = 0; done < count; done++) {
      const place = places[next];
      heap.free(blocks[place]);
      put(heap, place);
    }
  }

  function put(heap: SharedHeap, place: number): void {
    const block = heap.malloc(sizes[next]);
    if (block === 0) throw new Error(`no memory for ${sizes[next]} bytes`);
    blocks[place] = block;
    next = (next + 1) & (DRAWN - 1);
  }

  /** A stamp tells worker and place. */
  const stampOf = (place: number): number => (worker + 1) * BLOCKS + place;

  function replaceChecked(heap: SharedHeap, count: number): void {
    for (let done = 0; done < count; done++) {
      const place = places[next];
      const block = blocks[place];
      const found = heap.memory.i32[block / 4];
      if (found !== stampOf(place)) {
        throw new Error(`block ${block} has the stamp ${found} in place of ${stampOf(place)}`);
      }
      heap.free(block);
      put(heap, place);
      heap.memory.i32[blocks[place] / 4] = stampOf(place);
    }
  }

  for (let place = 0; place < BLOCKS; place++) {
    put(heap, place);
    heap.memory.i32[blocks[place] / 4] = stampOf(place);
  }

  return (seconds) => {
    const end = performance.now() + seconds * 1000;
    let done = 0;
    do {
      if (checked) replaceChecked(heap, CHUNK);
      else replace(heap, CHUNK);
      done += CHUNK;
      age += CHUNK;
      if (age >= life) {
        age = 0;
        heap.detach();
        heap = attach();
      }
    } while (performance.now() < end);
    return { operations: done, waited: 0 };
  };
}
