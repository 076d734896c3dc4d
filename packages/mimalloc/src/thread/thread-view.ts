/**
 * What one thread knows of the region (mimalloc's *thread-local data*, "tld"): the views, where things lie,
 * which thread it is, and the hooks. Everything that counts is in the region itself; this object can be made
 * again at any time.
 *
 * The functions of this package take a `Tld` first, as mimalloc's C functions take theirs. What programs hold
 * (`api/`) has one.
 */

import {
  type Address,
  AllocError,
  checkInteger,
  type SharedMemory,
  type Word,
} from '@shmalloc/allocator-api';
import type { Crossings } from '@shmalloc/atomic-cell';
import { ThreadView } from '@shmalloc/thread-heap';
import type { Guard } from './guard.ts';
import type { Os } from './os.ts';

/**
 * Called on every generic allocation.
 * @param force - whether memory is short and everything that can be freed should be
 * @param heartbeat - counts the calls
 * @public
 */
export type DeferredFree = (force: boolean, heartbeat: number) => void;

/**
 * What the header says once (`layout/place.ts`): like everything that it lays out, it is read from there
 * once, so later damage to the header misleads no thread.
 */
export interface Place {
  readonly header: Word;
  /** Where the header counts errors. */
  readonly errors: Word;
  /**
   * Words from address 0 on that have the pattern of NULL: the zone must not reach into the header.
   */
  readonly nullWords: number;
  readonly root: Word;
  readonly chunkShift: number;
  readonly segmentShift: number;
  readonly sliceShift: number;
  readonly slicesPerSegment: number;
  /** Bytes of the largest block that shares a page: a quarter of a medium page. */
  readonly mediumMax: number;
  readonly emptyPage: Word;
  /** Where the thread table lies. */
  readonly firstSlot: Word;
  /** How many records it has. */
  readonly slots: number;
  /** Generic allocations for which the only page of a bin is kept when it is empty. */
  readonly retireCycles: number;
  /** SHAPE's bits of a page that has just been retired. */
  readonly retired: number;
  /**
   * The epoch, read before the views: what comes in between is looked for at the first generic allocation.
   */
  readonly epoch: number;
  readonly deaths: number;
}

/** One thread's view of a region. */
export class Tld extends ThreadView implements Place {
  readonly header: Word;
  readonly nullWords: number;
  readonly root: Word;
  readonly chunkShift: number;
  readonly segmentShift: number;
  readonly sliceShift: number;
  readonly slicesPerSegment: number;
  readonly mediumMax: number;
  readonly emptyPage: Word;
  readonly firstSlot: Word;
  readonly slots: number;
  readonly retireCycles: number;
  readonly retired: number;
  /** This thread's backing heap. */
  heap: Word;
  /** The direct table of the backing heap. */
  direct: Word;
  /** This thread among those attached; never 0, and never reused. */
  threadId: number;
  epoch: number;
  /** How many threads had died when this one looked at its full pages last. */
  deaths: number;
  /** Segments that this thread has adopted by freeing into them, since it gathered last. */
  adopted: number;
  /** Whether this thread knows of others. A thread alone need not tell them which of its pages are full. */
  shared: boolean;
  /** Whether other objects use the same heap in turn (`MiAllocatorInner`). */
  sharesSlot: boolean;
  /** Secure mode, or null. */
  guard: Guard | null;
  /** Pages of this thread's heaps with guests, see `guests.ts`; null when there are none. */
  guests: Map<Word, Uint8Array> | null;
  readonly os: Os;
  deferredFree: DeferredFree | null;
  /**
   * The address that something else than a number stands for: for `free`.
   * @throws TypeError when it stands for none, as everything does in the allocator proper
   */
  addressOf: (what: ArrayBufferView) => Address;
  /** Where text goes. */
  output: (text: string) => void;
  /** Whether the deferred-free hook is running: it may allocate, and must not be called from itself. */
  private deferring: boolean;
  /** Pages of which a list was lost, not reported yet. */
  private readonly lostLists: number[];
  /** The kinds of damage that were reported. */
  private readonly damaged: Set<string>;

  constructor(memory: SharedMemory, place: Place, os: Os, crossings: Crossings) {
    super(memory, crossings, place.errors);
    this.header = place.header;
    this.nullWords = place.nullWords;
    this.root = place.root;
    this.chunkShift = place.chunkShift;
    this.segmentShift = place.segmentShift;
    this.sliceShift = place.sliceShift;
    this.mediumMax = place.mediumMax;
    this.slicesPerSegment = place.slicesPerSegment;
    this.emptyPage = place.emptyPage;
    this.firstSlot = place.firstSlot;
    this.slots = place.slots;
    this.retireCycles = place.retireCycles;
    this.retired = place.retired;
    this.heap = 0;
    this.direct = 0;
    this.threadId = 0;
    this.epoch = place.epoch;
    this.deaths = place.deaths;
    this.adopted = 0;
    this.shared = false;
    this.sharesSlot = false;
    this.guard = null;
    this.guests = null;
    this.os = os;
    this.deferredFree = null;
    this.addressOf = (what) => checkInteger('address', what);
    this.onError = (error) => this.output(`${error.name}: ${error.message}\n`);
    this.output = print;
    this.deferring = false;
    this.lostLists = [];
    this.damaged = new Set();
  }

  get algorithm(): string {
    return 'mimalloc';
  }

  /**
   * Runs the deferred-free hook, unless it is running.
   */
  runDeferred(force: boolean, heartbeat: number): void {
    if (this.deferredFree === null || this.deferring) return;
    this.deferring = true;
    try {
      this.deferredFree(force, heartbeat);
    } finally {
      this.deferring = false;
    }
  }

  /**
   * The answer of a call that may have been wrong: then it is reported, and the answer is 0.
   */
  answer(found: number | AllocError): number {
    if (typeof found === 'number') return found;
    this.report(found);
    return 0;
  }

  /**
   * Reports that something in the region cannot have been written by the allocator. Each kind of sentence
   * once, so that a damaged word which every call meets does not flood the program. The caller ends what it
   * was doing: nothing that it read before counts any more, since the hook may have used the heap.
   * @param sentence - what is wrong, with the address
   */
  damage(sentence: string): void {
    const kind = sentence.replace(/-?\d+|NaN|undefined/g, '#');
    if (this.damaged.has(kind)) return;
    this.damaged.add(kind);
    this.report(new AllocError('Corrupted', sentence));
  }

  /**
   * A list that other threads have freed goes in circles. It is found in the middle of something, and the
   * hook may use the heap: told by {@link Tld.tellLostLists}.
   */
  noteLostList(address: number): void {
    this.lostLists.push(address);
  }

  /**
   * Reports what was noted. The heap must be consistent, and the caller's views are old afterwards.
   */
  tellLostLists(): void {
    // One after the other: the hook may use the heap, and so come here.
    for (let address = this.lostLists.shift(); address !== undefined; address = this.lostLists.shift())
      this.report(new AllocError('DoubleFree', `free: a block of the page at ${address} was freed twice`));
  }
}

function print(text: string): void {
  console.error(text.trimEnd());
}
