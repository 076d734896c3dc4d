/**
 * One that is measured: the shape of a contestant and of its seat, and the list of them. One file each in
 * `contestants/`.
 *
 * ```
 *   main thread                     seats, one for each contestant and workload, kept for all rounds
 *   ───────────                     ────────────────────────────────────────────────────────────────
 *   prepare(), once       ──────►   an isolate of its own: open() a heap, start the workload, then round after round
 *                                   or whatever seat() makes: a C program, two threads …
 * ```
 *
 * A seat sees one contestant only, so the calls in its measured loop stay monomorphic and V8 compiles for
 * that contestant alone.
 */

import { assemblyscript } from './contestants/assemblyscript.ts';
import { basicBest, basicFirst, basicWorst } from './contestants/basic.ts';
import { boxes } from './contestants/boxes.ts';
import { buddy } from './contestants/buddy.ts';
import { glibc } from './contestants/glibc.ts';
import { harness } from './contestants/harness.ts';
import { jemalloc } from './contestants/jemalloc.ts';
import { mimalloc } from './contestants/mimalloc.ts';
import { mimallocC } from './contestants/mimalloc-c.ts';
import { mimallocThree } from './contestants/mimalloc-three.ts';
import { slab } from './contestants/slab.ts';
import { thing } from './contestants/thi-ng.ts';
import { tlsf } from './contestants/tlsf.ts';
import { wasiDlmalloc } from './contestants/wasi-dlmalloc.ts';
import type { CAllocator } from './native/allocator.ts';

/**
 * The two calls that are measured.
 * @public
 */
export interface Subject {
  /** @returns the block's address, 0 when there is no memory */
  malloc(size: number): number;
  free(address: number): unknown;
}

/**
 * Where a contestant is measured.
 * @public
 */
export interface Seat {
  /** Of what is measured, where it can tell. */
  readonly version?: string;
  /**
   * Warms up and lets the heap settle.
   * @param roundSeconds - how long a round shall take
   * @param limitSeconds - when to stop settling at the latest
   * @returns how many pairs fill a round
   */
  settle(roundSeconds: number, limitSeconds: number): Promise<number>;
  /** @returns nanoseconds a pair, over `pairs` pairs */
  round(pairs: number): Promise<number>;
  close(): Promise<void>;
}

/**
 * What a seat is for.
 * @public
 */
export interface SeatOrder {
  /** Name of the workload. */
  readonly workload: string;
  /** Size of the region in bytes. */
  readonly bytes: number;
  readonly seed: number;
  /** What `prepare` gave. */
  readonly prepared: unknown;
  /** Folder of the checkout whose build of ours is measured; this one when undefined. */
  readonly build?: string | undefined;
}

interface Named {
  /** On the command line and in the JSON. */
  readonly name: string;
  /** In the table. */
  readonly title: string;
  /**
   * What it is: ours, another thread's and called from JavaScript, the same called from C, or there to
   * measure the measurement.
   */
  readonly kind: 'ours' | 'foreign' | 'native' | 'control';
  /**
   * Runs once, before anything is measured; its result must be structured-cloneable and reaches every seat.
   * @throws when the contestant is not available here; the message says why
   */
  prepare?(): Promise<unknown>;
}

/**
 * Called from JavaScript, in an isolate that the bench makes.
 * @public
 */
export interface IsolateContestant extends Named {
  /** Of ours, the package that it comes from, without the scope. */
  readonly package?: string;
  /** @param build - folder of the checkout that our package is taken from; this one when undefined */
  open(bytes: number, prepared: unknown, build?: string): Promise<Subject>;
}

/**
 * Measured in a seat that it brings itself, for instance a compiled C program.
 * @public
 */
export interface SeatedContestant extends Named {
  seat(order: SeatOrder): Promise<Seat>;
}

/**
 * Called from C, in a program that the bench compiles.
 * @public
 */
export interface NativeContestant extends SeatedContestant {
  readonly allocator: CAllocator;
}

/** @public */
export type Contestant = IsolateContestant | SeatedContestant | NativeContestant;

/** Every contestant, in the order of the table. @public */
export const CONTESTANTS: readonly Contestant[] = [
  mimalloc,
  mimallocThree,
  slab,
  tlsf,
  buddy,
  basicFirst,
  basicBest,
  basicWorst,
  assemblyscript,
  thing,
  wasiDlmalloc,
  mimallocC,
  glibc,
  jemalloc,
  harness,
  boxes,
];

/**
 * A contestant that ratios are against.
 * @public
 */
export interface Reference {
  readonly contestant: string;
  /** Above the column. */
  readonly head: string;
}

/** All of them, in the order of the columns. @public */
export const REFERENCES: readonly Reference[] = [
  { contestant: mimallocC.name, head: '÷ C mimalloc' },
  { contestant: glibc.name, head: '÷ glibc' },
  { contestant: assemblyscript.name, head: '÷ AssemblyScript' },
];
