/**
 * How the main thread hears from the CPUs: it sleeps until the bell on the board rings, without blocking.
 *
 * The bell is set to 0 *before* the news are looked at: what arrives while the thread looks sets it to 1
 * again, and then the sleep ends at once. So no news is missed, and a CPU makes a system call only when
 * another thread sleeps.
 */

import { BELL, type Board } from './board.ts';

/** `Atomics.waitAsync`, where the engine has it. */
export type WaitAsync = typeof Atomics.waitAsync;

/** Milliseconds between two looks where the engine cannot wait asynchronously. */
const PERIOD = 4;

/** Calls `attend` whenever the bell has rung, until it is closed. */
export class BellWatch {
  readonly #board: Board;
  readonly #waitAsync: WaitAsync | null;
  #closed = false;

  constructor(board: Board, attend: () => void, waitAsync: WaitAsync | null = Atomics.waitAsync ?? null) {
    this.#board = board;
    this.#waitAsync = waitAsync;
    void this.#watch(attend);
  }

  /**
   * Ends a sleep whether or not the bell rings: for the case that a CPU was killed after it had set the bell
   * and before it had woken anybody.
   */
  wake(): void {
    Atomics.notify(this.#board.words, BELL);
  }

  close(): void {
    this.#closed = true;
    this.wake();
  }

  async #watch(attend: () => void): Promise<void> {
    const { words } = this.#board;
    // The first look is not taken inside the constructor.
    await undefined;
    while (!this.#closed) {
      Atomics.store(words, BELL, 0);
      attend();
      const sleep = this.#waitAsync?.(words, BELL, 0);
      if (sleep?.async) await sleep.value;
      // Through the event loop in any case: CPUs that ring without end must not keep messages and timers from
      // running.
      else await new Promise((resolve) => setTimeout(resolve, sleep ? 0 : PERIOD));
    }
  }
}
