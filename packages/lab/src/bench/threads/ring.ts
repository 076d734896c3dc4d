/**
 * The queue between producer and consumer: batches of addresses in a ring, one thread on either end.
 * `native/threads.c` has the same.
 *
 * ```
 *   word 0    16      32       48        64
 *   ├ TAKEN  ┼ GIVEN ┼ CLOSED ┼ ASLEEP  ┼ batch 0: 4096 addresses │ batch 1 │ … │ batch 99 ┤
 *     by the   by the   1: no   how many   batch n lies in place n mod 100
 *     consumer producer more    sleep
 * ```
 *
 * At most one atomic store and two loads a batch on either side, so that a block's way costs a store and a
 * load of its address and nothing else. One that has to wait spins for about 100 µs, longer than a batch
 * usually takes, and then sleeps.
 */

import type { Stage } from './stage.ts';

/** Blocks that are passed at once. @internal */
export const BATCH = 4096;
/** The most batches that are under way. @internal */
export const BATCHES = 100;

const TAKEN = 0;
const GIVEN = 16;
const CLOSED = 32;
const ASLEEP = 48;
const FIRST = 64;

const LOOKS_BEFORE_SLEEP = 4096;
/** Bounds a sleep, so that a worker whose partner has died comes to look for itself. */
const SLEEP_MS = 100;

/** @internal */
export function newRing(): SharedArrayBuffer {
  return new SharedArrayBuffer(4 * (FIRST + BATCH * BATCHES));
}

/**
 * One thread's view of the ring.
 * @internal
 */
export class Ring {
  /** Addresses lie here, from the word that {@link Ring.room} or {@link Ring.take} has named. */
  readonly words: Int32Array;
  /** Nanoseconds that this thread has waited for the other one. */
  waited = 0;
  private readonly stage: Stage;

  constructor(buffer: SharedArrayBuffer, stage: Stage) {
    this.words = new Int32Array(buffer);
    this.stage = stage;
  }

  /** For the main thread, between rounds: empty and open. The message that starts a round publishes this. */
  clear(): void {
    for (const word of [TAKEN, GIVEN, CLOSED, ASLEEP]) Atomics.store(this.words, word, 0);
  }

  /** @returns the first word of a batch that the producer may fill; −1 when another thread has failed */
  room(): number {
    const given = this.words[GIVEN]; // only the producer writes it
    // Pairs with the store in `taken`: the consumer has read the batch that lay there.
    while (given - Atomics.load(this.words, TAKEN) >= BATCHES) {
      if (!this.await(TAKEN, given - BATCHES)) return -1;
    }
    return placeOf(given);
  }

  /** The batch is filled. */
  give(): void {
    // Publishes the addresses, and whatever was written into the blocks; pairs with the load in `take`.
    this.advance(GIVEN, this.words[GIVEN] + 1);
  }

  /** There will be no more. */
  close(): void {
    Atomics.store(this.words, CLOSED, 1);
    Atomics.notify(this.words, GIVEN);
  }

  /**
   * @returns the first word of a batch for the consumer; −1 when there will be none, or another thread has
   *   failed
   */
  take(): number {
    const taken = this.words[TAKEN]; // only the consumer writes it
    // Pairs with the store in `give`.
    while (Atomics.load(this.words, GIVEN) === taken) {
      // Closed after the last batch was given: one that sees that it is closed sees that batch.
      if (Atomics.load(this.words, CLOSED) !== 0) {
        if (Atomics.load(this.words, GIVEN) === taken) return -1;
      } else if (!this.await(GIVEN, taken)) return -1;
    }
    return placeOf(taken);
  }

  /** The batch is read. */
  taken(): void {
    this.advance(TAKEN, this.words[TAKEN] + 1);
  }

  private advance(word: number, value: number): void {
    Atomics.store(this.words, word, value);
    // Pairs with the addition in `await`: either the sleeper is seen here, or it sees the new value and does
    // not sleep.
    if (Atomics.load(this.words, ASLEEP) !== 0) Atomics.notify(this.words, word);
  }

  /**
   * Waits until a word is another one, or for a while.
   * @returns false when another thread has failed
   */
  private await(word: number, value: number): boolean {
    const start = performance.now();
    const fine = this.awaitChange(word, value);
    this.waited += (performance.now() - start) * 1e6;
    return fine;
  }

  private awaitChange(word: number, value: number): boolean {
    for (let looks = 0; looks < LOOKS_BEFORE_SLEEP; looks++) {
      if (Atomics.load(this.words, word) !== value) return true;
    }
    Atomics.add(this.words, ASLEEP, 1);
    if (Atomics.load(this.words, CLOSED) === 0) Atomics.wait(this.words, word, value, SLEEP_MS);
    Atomics.sub(this.words, ASLEEP, 1);
    return !this.stage.failed;
  }
}

function placeOf(batch: number): number {
  return FIRST + (batch % BATCHES) * BATCH;
}
