/**
 * What one thread knows of its heaps in figures. Heaps come and go with every swap; what they have told is added up.
 *
 * Algorithms tell different things, and a figure that nobody can tell is not 0: see {@link Told}.
 */

import type { ByteHeap } from '@shmalloc/axalloc';

/**
 * A figure that not every algorithm can tell: null when none of those in use could; `whole` is false when in truth it may be
 * more.
 * @public
 */
export type Told = { readonly value: number; readonly whole: boolean } | null;

/** The figures of one heap, as far as this thread can say. */
interface Figures {
  readonly lockWaits: number | undefined;
  readonly remoteFrees: number | undefined;
  readonly pagesHeld: number | undefined;
}

type Figure = keyof Figures;

const NOTHING: Figures = { lockWaits: undefined, remoteFrees: undefined, pagesHeld: undefined };

/** What algorithms tell in `stats()`, each what it can: of this thread, or of every CPU by the name of its thread. */
interface Tale {
  readonly lockWaits?: unknown;
  readonly pageBytes?: unknown;
  readonly cpus?: readonly {
    readonly threadId?: unknown;
    readonly lockWaits?: number;
    readonly remoteFrees?: number;
    readonly pages?: number;
  }[];
}

const PAGE_BYTES = 4096;

/**
 * One thread's meter.
 *
 * Figures are read while the thread allocates from the heap: of one that was swapped out, the memory may be somebody else's already. The last look at
 * it is when the thread attaches to the next; what it frees there afterwards is not counted, so such figures are told as "at least".
 */
export class HeapMeter {
  /** What was counted in a heap before this thread came: another one may have had its place. */
  private readonly before = new WeakMap<ByteHeap, Figures>();
  private readonly lockFree = new WeakSet<ByteHeap>();
  private current: (() => ByteHeap) | undefined;
  /** The heap that was looked at last, and what it told. */
  private heap: ByteHeap | undefined;
  private figures: Figures = NOTHING;
  /** What heaps told that this thread has left, added up. */
  private readonly gone: Record<Figure, Told> = { lockWaits: null, remoteFrees: null, pagesHeld: null };
  private left = 0;

  /** @param current - the heap that this thread allocates from */
  follow(current: () => ByteHeap): void {
    this.current = current;
    this.look();
  }

  /** A heap that this thread has made, or attached to. */
  watch(heap: ByteHeap, lockFree: boolean): ByteHeap {
    this.look();
    if (lockFree) this.lockFree.add(heap);
    this.before.set(heap, figuresOf(heap, lockFree));
    return heap;
  }

  /** A figure of this thread. What it holds is in the heap at hand; what it has done, in all that there were. */
  told(figure: Figure): Told {
    this.look();
    const value = this.figures[figure];
    const now = value === undefined ? null : { value, whole: true };
    if (figure === 'pagesHeld' || this.left === 0) return now;
    return add(this.gone[figure], now);
  }

  private look(): void {
    const heap = this.current?.();
    if (heap === undefined) return;
    if (this.heap !== undefined && this.heap !== heap) this.leave(this.heap);
    const lockFree = this.lockFree.has(heap);
    const before = this.before.get(heap) ?? NOTHING;
    const now = figuresOf(heap, lockFree);
    this.heap = heap;
    this.figures = {
      lockWaits: minus(now.lockWaits, before.lockWaits),
      remoteFrees: minus(now.remoteFrees, before.remoteFrees),
      pagesHeld: now.pagesHeld,
    };
  }

  /** What the last look has found is all that will be known. */
  private leave(heap: ByteHeap): void {
    for (const figure of ['lockWaits', 'remoteFrees'] as const) {
      const value = this.figures[figure];
      const whole = figure === 'lockWaits' && this.lockFree.has(heap);
      const told = value === undefined ? null : { value, whole };
      this.gone[figure] = this.left === 0 ? told : add(this.gone[figure], told);
    }
    this.left++;
  }
}

/** Both together: whole when both are. */
function add(one: Told, other: Told): Told {
  if (one === null && other === null) return null;
  return {
    value: (one?.value ?? 0) + (other?.value ?? 0),
    whole: one?.whole === true && other?.whole === true,
  };
}

function minus(now: number | undefined, before: number | undefined): number | undefined {
  return now === undefined ? undefined : now - (before ?? 0);
}

/** What an algorithm tells about this thread. */
function figuresOf(heap: ByteHeap, lockFree: boolean): Figures {
  const tale = heap.stats() as Tale;
  const cpu = tale.cpus?.find((each) => each.threadId === heap.threadId);
  const shared = typeof tale.lockWaits === 'number' ? tale.lockWaits : undefined;
  return {
    lockWaits: cpu?.lockWaits ?? shared ?? (lockFree ? 0 : undefined),
    remoteFrees: cpu?.remoteFrees,
    pagesHeld:
      cpu?.pages === undefined || typeof tale.pageBytes !== 'number'
        ? undefined
        : (cpu.pages * tale.pageBytes) / PAGE_BYTES,
  };
}
