/**
 * The operations that cross threads, in WebAssembly, where an atomic operation is an instruction and not a
 * call. The code is `wasm/crossings.ts`; the build compiles it and puts it into `generated/` as text, so that
 * there is no file to be fetched.
 *
 * ```
 *   wasm/crossings.ts ──asc──▶ generated/crossings-wasm.ts ──▶ a module in each thread ──▶ an instance for each memory
 * ```
 *
 * The module is so small that every engine compiles it synchronously, on a browser's main thread too.
 */

import type { Crossings } from './crossings.ts';
import { CROSSINGS_WASM } from './generated/crossings-wasm.ts';

/** What the module exports. A boolean arrives as 0 or 1. */
interface Exports {
  load(place: number): number;
  store(place: number, value: number): void;
  claim(place: number, from: number, to: number): number;
  setBits(place: number, bits: number): number;
  clearBits(place: number, bits: number): number;
  push(place: number, block: number): void;
  pushUnlessMarked(place: number, block: number): number;
  takeAll(place: number): number;
  takeAllMarked(place: number): number;
  claimRun(place: number, words: number, count: number): number;
  claimRunAt(place: number, first: number, count: number): number;
  releaseRun(place: number, first: number, count: number): void;
}

/** This thread's module: compiled at the first use. */
let module: WebAssembly.Module | undefined;

/** The module, as it came from the compiler. */
export function crossingsBinary(): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(CROSSINGS_WASM), (char) => char.charCodeAt(0));
}

/**
 * The crossings of one thread, over a shared `WebAssembly.Memory`. Growth needs no notice: the memory's size
 * is the engine's business.
 */
export class WasmCrossings implements Crossings {
  readonly kind = 'wasm';
  // Each function in a field of its own: two accesses less than through the object of all exports (a claim
  // takes 4.2 instead of 4.6 ns).
  readonly #load: Exports['load'];
  readonly #store: Exports['store'];
  readonly #claim: Exports['claim'];
  readonly #setBits: Exports['setBits'];
  readonly #clearBits: Exports['clearBits'];
  readonly #push: Exports['push'];
  readonly #pushUnlessMarked: Exports['pushUnlessMarked'];
  readonly #takeAll: Exports['takeAll'];
  readonly #takeAllMarked: Exports['takeAllMarked'];
  readonly #claimRun: Exports['claimRun'];
  readonly #claimRunAt: Exports['claimRunAt'];
  readonly #releaseRun: Exports['releaseRun'];

  /** @throws whatever the engine throws where it does not compile WebAssembly */
  constructor(memory: WebAssembly.Memory) {
    module ??= new WebAssembly.Module(crossingsBinary());
    const exports = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Exports;
    this.#load = exports.load;
    this.#store = exports.store;
    this.#claim = exports.claim;
    this.#setBits = exports.setBits;
    this.#clearBits = exports.clearBits;
    this.#push = exports.push;
    this.#pushUnlessMarked = exports.pushUnlessMarked;
    this.#takeAll = exports.takeAll;
    this.#takeAllMarked = exports.takeAllMarked;
    this.#claimRun = exports.claimRun;
    this.#claimRunAt = exports.claimRunAt;
    this.#releaseRun = exports.releaseRun;
  }

  load(place: number): number {
    return this.#load(place);
  }

  store(place: number, value: number): void {
    this.#store(place, value);
  }

  claim(place: number, from: number, to: number): boolean {
    return this.#claim(place, from, to) !== 0;
  }

  setBits(place: number, bits: number): number {
    return this.#setBits(place, bits);
  }

  clearBits(place: number, bits: number): number {
    return this.#clearBits(place, bits);
  }

  push(place: number, block: number): void {
    this.#push(place, block);
  }

  pushUnlessMarked(place: number, block: number): boolean {
    return this.#pushUnlessMarked(place, block) !== 0;
  }

  mark(place: number): void {
    this.#setBits(place, 1);
  }

  unmark(place: number): void {
    this.#clearBits(place, 1);
  }

  takeAll(place: number): number {
    return this.#takeAll(place);
  }

  takeAllMarked(place: number): number {
    return this.#takeAllMarked(place);
  }

  claimRun(place: number, words: number, count: number): number {
    return this.#claimRun(place, words, count);
  }

  claimRunAt(place: number, first: number, count: number): boolean {
    return this.#claimRunAt(place, first, count) !== 0;
  }

  releaseRun(place: number, first: number, count: number): void {
    this.#releaseRun(place, first, count);
  }
}
