/**
 * An algorithm whose heaps call back before each operation: so that something else happens at just that
 * moment, as another CPU would do it.
 */

import type { HeapAlgorithm } from '@shmalloc/allocator-api';
import { ALGORITHMS } from './tools.js';

export interface Hooks {
  /** Called before an operation of a heap, with its name; `attach` is one. */
  before: (operation: string) => void;
}

/** All algorithms, in a thread of its own that can be interrupted. */
export function hookedAlgorithms(hooks: Hooks): HeapAlgorithm[] {
  return ALGORITHMS.map((algorithm) => ({
    algorithm: algorithm.algorithm,
    create: (range) => {
      hooks.before('create');
      return hooked(algorithm.create(range), hooks);
    },
    attach: (handle) => {
      hooks.before('attach');
      return hooked(algorithm.attach(handle), hooks);
    },
  }));
}

/** A heap, or a page source, that calls back before each of its methods. */
export function hooked<T extends object>(what: T, hooks: Hooks): T {
  return new Proxy(what, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      return (...given: unknown[]) => {
        hooks.before(String(property));
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
