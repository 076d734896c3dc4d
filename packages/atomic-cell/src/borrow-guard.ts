/**
 * Guards: proof of a borrow that is still on, and the one way to end it.
 */

import type { Claims } from './borrow-flag.ts';
import type { UnsafeCell } from './unsafe-cell.ts';

/**
 * Access to a borrowed value until it is released. `using` releases it at the end of the block; `release()`
 * is the same for engines that have no `Symbol.dispose`.
 *
 * A guard that is forgotten keeps its borrow for good: JavaScript runs nothing when it goes away.
 * @public
 */
export abstract class BorrowGuard<T> {
  readonly #data: UnsafeCell<T>;
  #claims: Claims | undefined;

  protected constructor(data: UnsafeCell<T>, claims: Claims) {
    this.#data = data;
    this.#claims = claims;
  }

  /**
   * The borrowed value. Not to be kept beyond the guard.
   *
   * Progress: wait-free. Cost: two field accesses.
   * @throws TypeError when the guard has been released
   */
  get value(): T {
    if (this.#claims === undefined) throw new TypeError('this borrow has been released');
    return this.#data.get();
  }

  /** Whether the borrow is over. */
  get released(): boolean {
    return this.#claims === undefined;
  }

  /**
   * Ends the borrow. The second time it does nothing, so a guard never gives back what another thread has
   * borrowed since.
   *
   * Progress and cost: those of the flag's release.
   */
  release(): void {
    const claims = this.#claims;
    if (claims === undefined) return;
    this.#claims = undefined;
    this.giveBack(claims);
  }

  /** The same as {@link BorrowGuard.release}, under the name that `using` calls. */
  [Symbol.dispose](): void {
    this.release();
  }

  /** Releases the claim that this kind of guard stands for. */
  protected abstract giveBack(claims: Claims): void;
}

/**
 * A shared borrow: others may read at the same time, no thread writes.
 * @public
 */
export class Ref<T> extends BorrowGuard<T> {
  /**
   * Made by a cell's `borrow`.
   * @param data - the value
   * @param claims - where a reader has been counted
   */
  constructor(data: UnsafeCell<T>, claims: Claims) {
    super(data, claims);
  }

  protected override giveBack(claims: Claims): void {
    claims.releaseRead();
  }
}

/**
 * An exclusive borrow: no other thread reads or writes.
 * @public
 */
export class RefMut<T> extends BorrowGuard<T> {
  /**
   * Made by a cell's `borrowMut`.
   * @param data - the value
   * @param claims - where the writer has been marked
   */
  constructor(data: UnsafeCell<T>, claims: Claims) {
    super(data, claims);
  }

  protected override giveBack(claims: Claims): void {
    claims.releaseWrite();
  }
}
