/**
 * glibc's `mtrace`.
 *
 * ```
 *   = Start
 *   @ ./a.out:(main+0x1e)[0x55a1] + 0x55a2a0 0x18      where, then + address size       (any allocation; size 0 prints as 0)
 *   @ ./a.out:[0x55b2] - 0x55a2a0                      free
 *   @ ./a.out:[0x55c3] < 0x55a2a0                      reallocation: the old address, and on the next line
 *   @ ./a.out:[0x55c3] > 0x55a2c0 0x30                     the new one and the size
 *   @ ./a.out:[0x55d4] ! 0x55a2c0 0x30                 reallocation that failed
 *   = End
 * ```
 *
 * There are no thread ids: everything is thread 0. `where` may be missing and may hold spaces, so the mark is
 * looked for from the end of the line, where only addresses follow it.
 */

import { OP_MALLOC } from '../normal-form.ts';
import type { Outcome, Session } from './session.ts';

const SPACE = 0x20;

/** The state between a `<` and its `>`. */
export class Mtrace {
  readonly #session: Session;
  #oldHi = 0;
  #oldLo = 0;
  #pending = false;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Takes one line. */
  line(): Outcome {
    const session = this.#session;
    const scanner = session.scanner;
    if (scanner.done() || scanner.text('= ')) return 'ignored';
    const mark = this.#findMark();
    if (this.#pending && mark !== '>') this.#unfinished();
    if (mark === '') return session.malformed('"+", "-", "<", ">" or "!" and an address');
    if (!scanner.address()) return session.malformed(`an address behind "${mark}"`);
    const { hi, lo } = scanner;
    if (mark === '-' || mark === '<') {
      if (!scanner.done()) return session.malformed(`nothing behind the address of "${mark}"`);
      if (mark === '-') return session.free(0, hi, lo);
      this.#oldHi = hi;
      this.#oldLo = lo;
      this.#pending = true;
      return 'taken';
    }
    scanner.spaces();
    if (!scanner.number() || !scanner.done())
      return session.malformed(`an address and a size behind "${mark}"`);
    const size = scanner.value;
    if (mark === '+') return session.allocate(OP_MALLOC, 0, hi, lo, size, 0);
    if (mark === '!') return session.problem('failed', `the program got no memory for ${size} bytes`);
    if (!this.#pending) return session.problem('unfinished', '">" without a "<" before it');
    this.#pending = false;
    return session.reallocate(0, this.#oldHi, this.#oldLo, hi, lo, size);
  }

  /** The file has ended. */
  end(): void {
    if (this.#pending) this.#unfinished();
  }

  #unfinished(): void {
    this.#pending = false;
    this.#session.problem('unfinished', '"<" without a ">" behind it');
  }

  /** Finds the last of `+ - < > !` that stands alone, and puts the scanner behind it. */
  #findMark(): string {
    const scanner = this.#session.scanner;
    const { bytes, at: start } = scanner;
    for (let at = scanner.end - 2; at >= start; at--) {
      if (bytes[at + 1] !== SPACE || (at > start && bytes[at - 1] !== SPACE)) continue;
      const mark = String.fromCharCode(bytes[at]);
      if (!'+-<>!'.includes(mark)) continue;
      scanner.at = at + 2;
      return mark;
    }
    return '';
  }
}
