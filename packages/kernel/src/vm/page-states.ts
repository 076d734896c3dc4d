/**
 * What becomes of one page: the word in the table says its state, and each change of it is one exchange: the
 * picture is in `page-table.ts`.
 */

import { type Address, AllocError } from '@shmalloc/allocator-api';
import { backOff } from '@shmalloc/atomic-cell';
import { type Frames, PAGE_BYTES } from './frames.ts';
import {
  BUSY,
  CLOCK,
  DROPPED,
  FREEABLE,
  FREEINGS,
  freeableSince,
  LENT,
  NONE,
  PAGES,
  REFUSED,
  RESERVED,
  RESIDENT,
  STATE_MASK,
  toTick,
} from './page-table.ts';

/** How long a call has waited for one page. */
interface Wait {
  round: number;
  /** When it is long enough; 0 before the first pause. */
  until: number;
}

/**
 * The first byte of a page that is not 0; −1 when all are. By words: a whole memory may have to be looked
 * through.
 * @param i32 - the memory
 * @param bytes - the pages
 */
function firstNonZero(i32: Int32Array, bytes: Uint8Array, page: number): number {
  const at = page * PAGE_BYTES;
  const first = (bytes.byteOffset + at) / 4;
  for (let word = first; word < first + PAGE_BYTES / 4; word++) {
    if (i32[word] !== 0) return bytes.subarray(at, at + PAGE_BYTES).findIndex((byte) => byte !== 0);
  }
  return -1;
}

/** The pages of an account. */
export class PageStates {
  private readonly frames: Frames;
  /** The memory. */
  private readonly i32: Int32Array;
  /** First byte of page 0. */
  private readonly start: Address;
  private readonly patienceMs: number;

  constructor(frames: Frames, i32: Int32Array, start: Address, patienceMs: number) {
    this.frames = frames;
    this.i32 = i32;
    this.start = start;
    this.patienceMs = patienceMs;
  }

  /** What is wrong with a page at this look; '' when nothing is. */
  brokenAt(page: number, quiet: boolean): string {
    const { words, bytes } = this.frames;
    const word = Atomics.load(words, PAGES + page);
    const state = word & STATE_MASK;
    if (state === BUSY && quiet) return `${this.nameOf(page)} is held by a CPU (its word is ${word})`;
    if (state > LENT || (state !== FREEABLE && word !== state))
      return `the word of ${this.nameOf(page)} is ${word}`;
    if (state !== NONE && state !== RESERVED) return '';
    const wrong = firstNonZero(this.i32, bytes, page);
    // It may have got a frame, and what was written, since the look at its word.
    return wrong === -1 || Atomics.load(words, PAGES + page) !== word
      ? ''
      : `${this.nameOf(page)} has no frame, and byte ${wrong} of it is not 0`;
  }

  /** Gives a page a frame, or makes sure of the one that it has. */
  commit(page: number): boolean {
    const { frames } = this;
    const { words } = frames;
    const wait: Wait = { round: 0, until: 0 };
    for (;;) {
      const word = Atomics.load(words, PAGES + page);
      switch (word & STATE_MASK) {
        case RESIDENT:
          return true;
        case FREEABLE:
          // Against the CPU that takes it under pressure: if that one wins, this page is BUSY now, and soon
          // RESERVED.
          if (Atomics.compareExchange(words, PAGES + page, word, RESIDENT) === word) return true;
          break;
        case BUSY:
          this.waitFor(page, wait);
          break;
        case RESERVED: {
          // Claimed before a frame is sought: two CPUs that touch the page at once must not take the last two
          // frames for it, nor may one of them be refused because the other holds the frame that both are to
          // have. Acquire: pairs with the store that ended the last drop, and finds its zeros.
          if (Atomics.compareExchange(words, PAGES + page, word, BUSY) !== word) break;
          const taken = frames.take();
          Atomics.store(words, PAGES + page, taken ? RESIDENT : RESERVED);
          if (!taken) Atomics.add(words, REFUSED, 1);
          return taken;
        }
        default:
          throw this.notReserved('touch', page);
      }
    }
  }

  /**
   * Pauses, since a CPU holds this page for as long as it takes to write 4096 zeros. It waits for nothing: a
   * page that is held for very much longer is held by none.
   * @throws AllocError `Corrupted`
   */
  private waitFor(page: number, wait: Wait): void {
    wait.round = backOff(wait.round);
    const now = performance.now();
    wait.until ||= now + this.patienceMs;
    if (now > wait.until)
      throw new AllocError('Corrupted', `${this.nameOf(page)} is held, and no CPU lets go of it`);
  }

  /**
   * Takes a page's frame away, if it has one, and leaves it in state `then`.
   * @returns whether something has changed
   */
  drop(page: number, then: typeof NONE | typeof RESERVED): boolean {
    const { frames } = this;
    const { words } = frames;
    const wait: Wait = { round: 0, until: 0 };
    for (;;) {
      const word = Atomics.load(words, PAGES + page);
      const state = word & STATE_MASK;
      if (state === NONE || state === LENT || word === then) return false;
      if (state === BUSY) {
        // Also when it is being dropped: after this call it has to read as zeros.
        this.waitFor(page, wait);
      } else if (
        Atomics.compareExchange(words, PAGES + page, word, state === RESERVED ? then : BUSY) === word
      ) {
        if (state === RESERVED) return true;
        frames.wipe(page);
        // Release: pairs with the exchange of the thread that commits or reserves the page next.
        Atomics.store(words, PAGES + page, then);
        frames.giveBack();
        Atomics.add(words, DROPPED, 1);
        return true;
      }
    }
  }

  /**
   * Lets pages be taken. A page that may be taken already keeps its age; one that has no frame, or is just
   * getting one, is left.
   */
  free(first: number, end: number): number {
    const { words } = this.frames;
    const since = freeableSince(toTick(Atomics.add(words, CLOCK, 1) + 1));
    let freed = 0;
    for (let page = first; page < end; page++) {
      // Release: pairs with the exchange of the CPU that takes it, whose zeros come after what was written
      // here.
      if (Atomics.compareExchange(words, PAGES + page, RESIDENT, since) === RESIDENT) freed++;
    }
    // After the pages: see Frames.take.
    if (freed > 0) Atomics.add(words, FREEINGS, 1);
    return freed;
  }

  /** Makes a page that was lent one that is reserved; false when another CPU does. */
  clean(page: number): boolean {
    const { frames } = this;
    const { words } = frames;
    if (Atomics.compareExchange(words, PAGES + page, LENT, BUSY) !== LENT) return false;
    frames.wipe(page);
    // Release: pairs with the exchange of the thread that commits the page next.
    Atomics.store(words, PAGES + page, RESERVED);
    return true;
  }

  stateOf(page: number): number {
    return Atomics.load(this.frames.words, PAGES + page) & STATE_MASK;
  }

  notReserved(name: string, page: number): AllocError {
    return new AllocError('NotAllocated', `${name}: ${this.nameOf(page)} is not reserved`);
  }

  nameOf(page: number): string {
    return `the page at ${this.start + page * PAGE_BYTES}`;
  }
}
