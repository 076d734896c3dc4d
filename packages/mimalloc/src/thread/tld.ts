/**
 * What one thread knows of the region (mimalloc's *thread-local data*, "tld"): the views, where things lie,
 * which thread it is, and the hooks. Everything that counts is in the region itself; this object can be made
 * again at any time.
 *
 * The functions of this package take a `Tld` first, as mimalloc's C functions take theirs. {@link MiMalloc}
 * is one.
 */

import {
  type Address,
  AllocError,
  checkInteger,
  type ErrorHook,
  type SharedMemory,
  type Word,
} from '@shmalloc/allocator-api';
import type { Crossings } from '@shmalloc/atomic-cell';
import { MallocFamily } from '../api/family.ts';
import { geometryOf } from '../layout/geometry.ts';
import { Field, HEADER_WORDS } from '../layout/header.ts';
import { HEAP_WORDS } from '../layout/heap.ts';
import { retireBits } from '../layout/page.ts';
import { rootWords } from '../layout/page-map.ts';
import type { Guard } from './guard.ts';
import type { Os } from './os.ts';

const LINE_WORDS = 16;
/** What SHAPE has room for. */
const MAX_RETIRE_CYCLES = 31;
/** See `threads`. */
const MAX_SLOTS = 1000;

/** Views of a thread that has detached. */
const NO_WORDS: Int32Array<SharedArrayBuffer> = new Int32Array(new SharedArrayBuffer(0));
const NO_BYTES: Uint8Array<SharedArrayBuffer> = new Uint8Array(NO_WORDS.buffer);

/**
 * Called on every generic allocation.
 * @param force - whether memory is short and everything that can be freed should be
 * @param heartbeat - counts the calls
 * @public
 */
export type DeferredFree = (force: boolean, heartbeat: number) => void;

/**
 * One thread's view of a region.
 * @public
 */
export abstract class Tld extends MallocFamily {
  /**
   * The region.
   * @public
   */
  readonly memory: SharedMemory;
  /** @internal */
  i32: Int32Array<SharedArrayBuffer>;
  /** @internal */
  u8: Uint8Array<SharedArrayBuffer>;
  /**
   * The operations that cross threads.
   * @internal
   */
  readonly crossings: Crossings;
  /** @internal */
  readonly header: Word;
  /**
   * Words from address 0 on that have the pattern of NULL: read once, for the zone must not reach into the
   * header.
   * @internal
   */
  readonly nullWords: number;
  /** @internal */
  readonly root: Word;
  /** @internal */
  readonly chunkShift: number;
  /** @internal */
  readonly segmentShift: number;
  /** @internal */
  readonly sliceShift: number;
  /** @internal */
  readonly slicesPerSegment: number;
  /**
   * Bytes of the largest block that shares a page: a quarter of a medium page.
   * @internal
   */
  readonly mediumMax: number;
  /** @internal */
  readonly emptyPage: Word;
  /**
   * Where the thread table lies. Like everything that the header lays out once, it is read from there once:
   * later damage to the header misleads no thread.
   * @internal
   */
  readonly firstSlot: Word;
  /**
   * How many records it has.
   * @internal
   */
  readonly slots: number;
  /**
   * This thread's backing heap.
   * @internal
   */
  heap: Word;
  /**
   * The direct table of the backing heap.
   * @internal
   */
  direct: Word;
  /**
   * This thread among those attached; never 0, and never reused.
   * @public
   */
  threadId: number;
  /** @internal */
  epoch: number;
  /**
   * How many threads had died when this one looked at its full pages last.
   * @internal
   */
  deaths: number;
  /**
   * Segments that this thread has adopted by freeing into them, since it gathered last.
   * @internal
   */
  adopted: number;
  /**
   * Generic allocations for which the only page of a bin is kept when it is empty.
   * @internal
   */
  readonly retireCycles: number;
  /**
   * SHAPE's bits of a page that has just been retired.
   * @internal
   */
  readonly retired: number;
  /**
   * Whether this thread knows of others. A thread alone need not tell anybody which of its pages are full.
   * @internal
   */
  shared: boolean;
  /**
   * Secure mode, or null.
   * @internal
   */
  guard: Guard | null;
  /**
   * Pages of this thread's heaps with guests, see `guests.ts`; null when there are none.
   * @internal
   */
  guests: Map<Word, Uint8Array> | null;
  /** @internal */
  os: Os;
  /** Whether the deferred-free hook is running: it may allocate, and must not be called from itself. */
  private deferring: boolean;
  /** @internal */
  deferredFree: DeferredFree | null;
  /** Pages of which a list was lost, not reported yet. */
  private readonly lostLists: number[];
  /** The kinds of damage that were reported. */
  private readonly damaged: Set<string>;
  private onError: ErrorHook;
  private onOutput: (text: string) => void;

  /** @internal */
  constructor(memory: SharedMemory, header: Word, os: Os, crossings: Crossings) {
    super();
    // The epoch before the views: what comes in between is looked for at the first generic allocation.
    const epoch = memory.i32[header + Field.epoch];
    memory.refresh();
    const { i32 } = memory;
    const geometry = geometryOf(i32[header + Field.segmentShift]);
    this.memory = memory;
    this.i32 = i32;
    this.u8 = memory.u8;
    this.crossings = crossings;
    this.header = header;
    this.nullWords = Math.min(i32[header + Field.nullWords], header);
    this.root = i32[header + Field.root];
    this.chunkShift = geometry.chunkShift;
    this.segmentShift = geometry.segmentShift;
    this.sliceShift = geometry.sliceShift;
    this.mediumMax = (2 << geometry.sliceShift) * 4;
    this.slicesPerSegment = geometry.slicesPerSegment;
    this.emptyPage = i32[header + Field.emptyPage];
    this.firstSlot = i32[header + Field.heaps];
    this.slots = i32[header + Field.slots];
    checkLayout(this);
    this.heap = 0;
    this.direct = 0;
    this.threadId = 0;
    this.epoch = epoch;
    this.deaths = i32[header + Field.deaths];
    this.adopted = 0;
    this.shared = false;
    this.retireCycles = i32[header + Field.retireCycles] & MAX_RETIRE_CYCLES;
    this.retired = retireBits(this.retireCycles);
    this.guard = null;
    this.guests = null;
    this.os = os;
    this.deferring = false;
    this.deferredFree = null;
    this.lostLists = [];
    this.damaged = new Set();
    this.onError = (error) => this.output(`${error.name}: ${error.message}\n`);
    this.onOutput = print;
  }

  /** @internal */
  get tld(): Tld {
    return this;
  }

  /**
   * Whether other objects use the same heap in turn.
   * @internal
   */
  get sharesSlot(): boolean {
    return false;
  }

  /**
   * The address that something else than a number stands for: for `free`.
   * @throws TypeError when it stands for none, as everything does in the allocator proper
   * @internal
   */
  addressOf(what: ArrayBufferView): Address {
    return checkInteger('address', what);
  }

  /**
   * Says what runs on every generic allocation in this thread: a program that frees lazily gets its moment
   * here.
   * @param hook - may allocate and free; null for none
   * @public
   */
  registerDeferredFree(hook: DeferredFree | null): void {
    this.deferredFree = hook;
  }

  /**
   * Says where wrong calls go, in this thread. The default prints them.
   * @param hook - called when the heap is consistent, so it may use it
   * @public
   */
  registerError(hook: ErrorHook): void {
    this.onError = hook;
  }

  /**
   * Says where text goes that the heap prints: errors without a hook, statistics. The default is the console.
   * @param hook - takes text with its line ends
   * @public
   */
  registerOutput(hook: (text: string) => void): void {
    this.onOutput = hook;
  }

  /** @internal */
  output(text: string): void {
    this.onOutput(text);
  }

  /**
   * Runs the deferred-free hook, unless it is running.
   * @internal
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
   * Counts a wrong call and tells the hook.
   * @internal
   */
  report(error: AllocError): void {
    // The hook that heard of the error before this one may have detached the thread.
    if (!this.closed) Atomics.add(this.i32, this.header + Field.errors, 1);
    this.onError(error);
  }

  /**
   * The answer of a call that may have been wrong: then it is reported, and the answer is 0.
   * @internal
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
   * @internal
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
   * @internal
   */
  noteLostList(address: number): void {
    this.lostLists.push(address);
  }

  /**
   * Reports what was noted. The heap must be consistent, and the caller's views are old afterwards.
   * @internal
   */
  tellLostLists(): void {
    // One after the other: the hook may use the heap, and so come here.
    for (let address = this.lostLists.shift(); address !== undefined; address = this.lostLists.shift())
      this.report(new AllocError('DoubleFree', `free: a block of the page at ${address} was freed twice`));
  }

  /**
   * Makes the views reach memory that has come since this thread looked last. The epoch stays: the next
   * generic allocation still has to hear of it.
   * @throws AllocError `InvalidParam` when this thread has detached
   * @internal
   */
  refresh(): void {
    if (this.i32 === NO_WORDS) throw new AllocError('InvalidParam', 'this mimalloc heap is detached');
    this.memory.refresh();
    // Not assigned unless it must be: a field that was assigned once is a constant to V8, and a pair is 2 ns
    // quicker.
    if (this.i32 === this.memory.i32) return;
    this.i32 = this.memory.i32;
    this.u8 = this.memory.u8;
  }

  /** @internal */
  close(): void {
    this.i32 = NO_WORDS;
    this.u8 = NO_BYTES;
  }

  /** Whether `detach` has been called. @internal */
  get closed(): boolean {
    return this.i32 === NO_WORDS;
  }
}

/**
 * Demands that the tables lie where `layOut` puts them. In secure mode the checksum tells more.
 * @throws AllocError `Corrupted`, naming the word
 */
function checkLayout(tld: Tld): void {
  const { header, root, emptyPage, firstSlot, slots, memory } = tld;
  if (memory.i32[header + Field.checksum] !== 0) return;
  const demand = (holds: boolean, name: string, found: number): void => {
    if (holds) return;
    throw new AllocError(
      'Corrupted',
      `cannot attach mimalloc at address ${header * 4}: its header was overwritten, ${name} cannot be ${found}`,
    );
  };
  const behindRoot = root + Math.max(LINE_WORDS, rootWords(tld.chunkShift));
  demand(root === header + HEADER_WORDS, 'the place of the page map', root * 4);
  demand(emptyPage === behindRoot, 'the place of the empty page', emptyPage * 4);
  // In secure mode there is a line of canaries in between.
  const behindPage = firstSlot - emptyPage - LINE_WORDS;
  demand(behindPage === 0 || behindPage === LINE_WORDS, 'the place of the thread table', firstSlot * 4);
  demand(slots >= 1 && slots <= MAX_SLOTS, 'the number of slots', slots);
  demand(firstSlot + slots * HEAP_WORDS <= memory.i32.length, 'the number of slots', slots);
}

function print(text: string): void {
  console.error(text.trimEnd());
}
