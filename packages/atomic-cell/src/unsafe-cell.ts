/**
 * The place where all checking ends: a value that every thread reaches as its own, with nothing in between.
 *
 * In Rust the type takes a right away from the compiler, that of believing that what lies behind a shared
 * reference does not change. JavaScript never had the right, so what is left is the name. A thread that calls
 * {@link UnsafeCell.get} says: I know, by other means, that no other thread is writing what this value stands
 * for. A reader looking for data races starts at these calls.
 *
 * @example
 * ```ts
 * const cell = new UnsafeCell(memory.view('i32', 64, 4));
 * cell.get()[0]++; // not atomic: two threads that do this lose increments
 * ```
 * @public
 */
export class UnsafeCell<T> {
  readonly #value: T;

  /**
   * @param value - this thread's way to the shared thing: a view, an attached allocator
   */
  constructor(value: T) {
    this.#value = value;
  }

  /**
   * The value, without any check.
   *
   * Progress: wait-free. Cost: a field access.
   */
  get(): T {
    return this.#value;
  }
}
