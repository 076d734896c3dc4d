/**
 * Which implementation of the crossings a thread uses.
 *
 * ```
 *   region in a …           WebAssembly.Memory                       SharedArrayBuffer
 *   'auto'                  WASM; JS where WASM is forbidden         JS
 *   'wasm'                  WASM; an error where it is forbidden     an error
 *   'js'                    JS                                       JS
 * ```
 */

import { AllocError, checkChoice, type SharedMemory } from '@shmalloc/allocator-api';
import type { Crossings } from './crossings.ts';
import { JsCrossings } from './js-crossings.ts';
import { WasmCrossings } from './wasm-crossings.ts';
import { checkMemory } from './word.ts';

/**
 * What to ask {@link crossingsFor} for.
 * @public
 */
export type CrossingsChoice = 'auto' | 'wasm' | 'js';

const CHOICES: readonly CrossingsChoice[] = ['auto', 'wasm', 'js'];

/**
 * The instance of each memory in this thread. Two heaps over one memory share it: the engine inlines a call
 * of one WebAssembly function, and not of one in several instances.
 */
const instances = new WeakMap<WebAssembly.Memory, WasmCrossings>();

function wasmCrossings(memory: WebAssembly.Memory): WasmCrossings {
  let crossings = instances.get(memory);
  if (crossings === undefined) instances.set(memory, (crossings = new WasmCrossings(memory)));
  return crossings;
}

/**
 * The operations that cross threads, over a region, for the calling thread. Not for a fast path: the first
 * call in a thread compiles 0.9 KB of WebAssembly, and the first one for each memory makes an instance. Keep
 * what it returns.
 *
 * Threads need not choose alike.
 *
 * @example
 * ```ts
 * const crossings = crossingsFor(SharedMemory.from(source));
 * crossings.push(place, block);
 * ```
 * @param memory - the region
 * @param choice - default `'auto'`: WebAssembly where it can be had
 * @throws TypeError for what is no region, AllocError `InvalidParam` when `'wasm'` cannot be had
 * @public
 */
export function crossingsFor(memory: SharedMemory, choice: CrossingsChoice = 'auto'): Crossings {
  checkMemory(memory);
  checkChoice('choice', choice, CHOICES);
  const { source } = memory;
  if (choice === 'js') return new JsCrossings(memory);
  if (source instanceof SharedArrayBuffer) {
    if (choice === 'auto') return new JsCrossings(memory);
    throw new AllocError(
      'InvalidParam',
      "choice 'wasm' needs a region in a WebAssembly.Memory, and this one lies in a SharedArrayBuffer",
    );
  }
  try {
    return wasmCrossings(source);
  } catch (cause) {
    // A content-security policy without 'wasm-unsafe-eval' forbids to compile.
    if (choice === 'auto') return new JsCrossings(memory);
    throw new AllocError('InvalidParam', `choice 'wasm': this thread gets no WebAssembly: ${cause}`);
  }
}
