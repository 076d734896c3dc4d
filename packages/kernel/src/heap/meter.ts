/**
 * What one thread knows of its heaps in figures. Heaps come and go with every swap; what they have told is
 * added up.
 *
 * Algorithms tell different things, and a figure that an algorithm cannot tell is not 0: see {@link Told}.
 */

import type { Heap } from '@shmalloc/allocator-api';

/**
 * A figure that not every algorithm can tell: null when none of those in use could; `whole` is false when in
 * truth it may be more.
 * @public
 */
export type Told = { readonly value: number; readonly whole: boolean } | null;

/** The figures of one heap, as far as this thread can say. */
interface Figures {
  readonly lockWaits: number | null;
  readonly remoteFrees: number | null;
  readonly pagesHeld: number | null;
  /** Whether it never waits: then its count of waits is whole, however long ago it was read. */
  readonly isLockFree: boolean;
}

type Figure = Exclude<keyof Figures, 'isLockFree'>;

const NOTHING: Figures = { lockWaits: null, remoteFrees: null, pagesHeld: null, isLockFree: false };

const PAGE_BYTES = 4096;

/**
 * One thread's meter.
 *
 * Figures are read while the thread allocates from the heap: of one that was swapped out, the memory may be
 * another thread's already. The last look at it is when the thread attaches to the next; what it frees there
 * afterwards is not counted, so such figures are told as "at least".
 */
export class HeapMeter {
  /** What was counted in a heap before this thread came: another one may have had its place. */
  private readonly before = new WeakMap<Heap, Figures>();
  private current: (() => Heap) | undefined;
  /** The heap that was looked at last, and what it told. */
  private heap: Heap | undefined;
  private figures: Figures = NOTHING;
  /** What heaps told that this thread has left, added up. */
  private readonly gone: Record<Figure, Told> = { lockWaits: null, remoteFrees: null, pagesHeld: null };
  private left = 0;

  /** @param current - the heap that this thread allocates from */
  follow(current: () => Heap): void {
    this.current = current;
    this.look();
  }

  /** A heap that this thread has made, or attached to. */
  watch(heap: Heap): Heap {
    this.look();
    this.before.set(heap, figuresOf(heap));
    return heap;
  }

  /**
   * A figure of this thread. What it holds is in the heap at hand; what it has done, in all that there were.
   */
  told(figure: Figure): Told {
    this.look();
    const value = this.figures[figure];
    const now = value === null ? null : { value, whole: true };
    if (figure === 'pagesHeld' || this.left === 0) return now;
    return add(this.gone[figure], now);
  }

  private look(): void {
    const heap = this.current?.();
    if (heap === undefined) return;
    if (this.heap !== undefined && this.heap !== heap) this.leave();
    const before = this.before.get(heap) ?? NOTHING;
    const now = figuresOf(heap);
    this.heap = heap;
    this.figures = {
      lockWaits: minus(now.lockWaits, before.lockWaits),
      remoteFrees: minus(now.remoteFrees, before.remoteFrees),
      pagesHeld: now.pagesHeld,
      isLockFree: now.isLockFree,
    };
  }

  /** What the last look has found is all that will be known. */
  private leave(): void {
    for (const figure of ['lockWaits', 'remoteFrees'] as const) {
      const value = this.figures[figure];
      const whole = figure === 'lockWaits' && this.figures.isLockFree;
      const told = value === null ? null : { value, whole };
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

function minus(now: number | null, before: number | null): number | null {
  return now === null ? null : now - (before ?? 0);
}

/** What an algorithm tells about this thread. */
function figuresOf(heap: Heap): Figures {
  const { lock, threads } = heap.stats();
  const mine = threads.find(({ threadId }) => threadId === heap.threadId);
  const held = mine?.heldBytes ?? null;
  return {
    lockWaits: mine?.lockWaits ?? null,
    remoteFrees: mine?.remoteFrees ?? null,
    pagesHeld: held === null ? null : held / PAGE_BYTES,
    isLockFree: lock === 'none',
  };
}
