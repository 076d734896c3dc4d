/**
 * The crossings that a test runs with: the two implementations, and copies with a planted fault each. A test
 * that a fault passes unnoticed tests nothing; so the tests with threads run with the faults too, and must
 * find them.
 */

import type { SharedMemory } from '@shmalloc/allocator-api';
import { type Crossings, crossingsFor } from '@shmalloc/atomic-cell';
import { JsCrossings } from '../../dist/js-crossings.js';

/** The implementations, each with what its region may lie in. */
export const REAL = [
  { kind: 'wasm', backing: 'wasm' },
  { kind: 'js', backing: 'wasm' },
  { kind: 'js', backing: 'sab' },
] as const;

type Maker = new (memory: SharedMemory) => Crossings;

/** An anonymous class with private fields can be exported as something simpler only. */
const faulty = (copy: Maker): Maker => copy;

/** Each is the JavaScript implementation with one method as someone in a hurry might write it. */
export const FAULTS = {
  /** Two pushes at once: one block is lost. */
  'push by load and store': faulty(
    class extends JsCrossings {
      override push(place: number, block: number): void {
        wordsOf(this)[block] = this.load(place);
        this.store(place, block);
      }
    },
  ),
  /** What was pushed is in the list before its link is. */
  'link after the exchange': faulty(
    class extends JsCrossings {
      override push(place: number, block: number): void {
        let head = this.load(place);
        while (!this.claim(place, head, block)) head = this.load(place);
        wordsOf(this)[block] = head;
      }
    },
  ),
  /**
   * A loop that goes on with what it read first, as one translated from C11 does; it gives up before it hangs
   * the test.
   */
  'expected is never refreshed': faulty(
    class extends JsCrossings {
      override push(place: number, block: number): void {
        const head = this.load(place);
        wordsOf(this)[block] = head;
        for (let tries = 0; tries < 10 && !this.claim(place, head, block); tries++);
      }
    },
  ),
  /** What comes between the look and the write is lost. */
  'take by load and store': faulty(
    class extends JsCrossings {
      override takeAll(place: number): number {
        const first = this.load(place);
        if (first !== 0) this.store(place, 0);
        return first;
      }
    },
  ),
  /** Several bring the same news, or none does. */
  'mark cleared by whoever saw it': faulty(
    class extends JsCrossings {
      override pushUnlessMarked(place: number, block: number): boolean {
        if ((this.load(place) & 1) === 0) return super.pushUnlessMarked(place, block);
        this.clearBits(place, 1);
        return false;
      }
    },
  ),
  /** The mark goes into the link, and the block is in front of it. */
  'mark overlooked': faulty(
    class extends JsCrossings {
      override pushUnlessMarked(place: number, block: number): boolean {
        this.push(place, block);
        return true;
      }
    },
  ),
  /** No thread is told to bring news any more. */
  'mark taken with the list': faulty(
    class extends JsCrossings {
      override takeAllMarked(place: number): number {
        return this.takeAll(place) & ~1;
      }
    },
  ),
  /** Two threads can both have read that it is free. */
  'claim by load and store': faulty(
    class extends JsCrossings {
      override claim(place: number, from: number, to: number): boolean {
        if (this.load(place) !== from) return false;
        this.store(place, to);
        return true;
      }
    },
  ),
  /** Undoes what others did to the word in between. */
  'bits by load and store': faulty(
    class extends JsCrossings {
      override setBits(place: number, bits: number): number {
        const old = this.load(place);
        this.store(place, old | bits);
        return old;
      }
    },
  ),
  /** Bits that another thread has are claimed once more. */
  'run claimed unseen': faulty(
    class extends JsCrossings {
      override claimRunAt(place: number, first: number, count: number): boolean {
        for (let bit = first; bit < first + count; bit++)
          this.clearBits(place + (bit >>> 5), 1 << (bit & 31));
        return true;
      }
    },
  ),
  /** A word in which another thread has changed another bit counts as lost. */
  'run claimed in one try': faulty(
    class extends JsCrossings {
      override claimRunAt(place: number, first: number, count: number): boolean {
        for (let bit = first; bit < first + count; bit++) {
          const word = place + (bit >>> 5);
          const bits = this.load(word);
          if (this.claim(word, bits, bits & ~(1 << (bit & 31)))) continue;
          this.releaseRun(place, first, bit - first);
          return false;
        }
        return true;
      }
    },
  ),
  /** A run that was lost half-way is kept up to there. */
  'run not given back': faulty(
    class extends JsCrossings {
      override claimRunAt(place: number, first: number, count: number): boolean {
        for (let bit = first; bit < first + count; bit++) {
          const mask = 1 << (bit & 31);
          if ((this.clearBits(place + (bit >>> 5), mask) & mask) === 0) return false;
        }
        return true;
      }
    },
  ),
};

/** The region of a faulty copy, which its own class keeps to itself. */
const memories = new WeakMap<Crossings, SharedMemory>();

function wordsOf(crossings: Crossings): Int32Array {
  return memories.get(crossings)!.i32;
}

/** What a test can run with. */
export type UnderTest = 'wasm' | 'js' | keyof typeof FAULTS;

export function crossingsUnderTest(memory: SharedMemory, which: UnderTest): Crossings {
  if (which === 'wasm' || which === 'js') return crossingsFor(memory, which);
  const crossings = new FAULTS[which](memory);
  memories.set(crossings, memory);
  return crossings;
}
