/** An algorithm whose heaps call back before each operation: so that something else happens at just that moment, as another CPU would do it. */

import type { ByteAlgorithm, ByteHeap } from '@shmalloc/axalloc';
import { ALGORITHMS, type AlgorithmName } from './tools.js';

export interface Hooks {
  /** Called before an operation of a heap, with its name; `attach` is one. */
  before: (operation: string, heap: ByteHeap | null) => void;
}

/** All algorithms, in a thread of its own that can be interrupted. */
export function hookedAlgorithms(hooks: Hooks): ByteAlgorithm[] {
  return ALGORITHMS.map((algorithm) => ({
    name: algorithm.name,
    create: (range) => hookedHeap(algorithm.create(range), hooks),
    attach: (handle) => {
      hooks.before('attach', null);
      return hookedHeap(algorithm.attach(handle), hooks);
    },
  }));
}

function hookedHeap(heap: ByteHeap, hooks: Hooks): ByteHeap {
  return new Proxy(heap, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      return (...given: unknown[]) => {
        hooks.before(String(property), target);
        return value.apply(target, given);
      };
    },
  });
}

/** Runs once, the next time that this operation comes. */
export function once(hooks: Hooks, operation: string, run: () => void): () => boolean {
  let done = false;
  hooks.before = (found) => {
    if (found !== operation || done) return;
    done = true;
    run();
  };
  return () => done;
}

export type { AlgorithmName };
