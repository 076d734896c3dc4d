/**
 * The `.rep` files of CS:APP's malloc lab.
 *
 * ```
 *   20000        heap size (2002)   or   weight (2016)           the first four numbers are the header
 *   3            ids
 *   5            operations
 *   1            weight (2002)      or   largest heap (2016)
 *   a 0 512      allocate id, size
 *   r 0 640      reallocate id, size; of an id that is not live: allocate
 *   f 0          free id; −1 is NULL
 * ```
 *
 * An id names a block until it is freed, and may then come back. There is one thread. Operations and ids are
 * checked against the header at the end.
 */

import { OP_MALLOC } from '../normal-form.ts';
import type { Outcome, Session } from './session.ts';

/** The upper half of an id's key, so that id 0 is no NULL. */
export const ID_SPACE = 1;

/** How far the header has been read, and what was counted. */
export class Rep {
  readonly #session: Session;
  readonly #header: number[] = [];
  #operations = 0;
  #largestId = -1;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Takes one line. */
  line(): Outcome {
    const session = this.#session;
    const scanner = session.scanner;
    if (scanner.done()) return 'ignored';
    if (this.#header.length < 4) return this.#headerLine();
    const isAllocate = scanner.text('a ');
    if (isAllocate || scanner.text('r ')) {
      const id = this.#id();
      scanner.spaces();
      if (id < 0 || !scanner.number() || !scanner.done())
        return session.malformed('"a id size" or "r id size"');
      const size = scanner.value;
      this.#count(id);
      if (isAllocate) return session.allocate(OP_MALLOC, 0, ID_SPACE, id, size, 0);
      if (session.isLive(ID_SPACE, id)) return session.reallocate(0, ID_SPACE, id, ID_SPACE, id, size);
      return session.reallocate(0, 0, 0, ID_SPACE, id, size);
    }
    if (!scanner.text('f ')) return session.malformed('"a id size", "r id size" or "f id"');
    scanner.spaces();
    const isNull = scanner.text('-1');
    const id = isNull ? -1 : this.#id();
    if ((id < 0 && !isNull) || !scanner.done()) return session.malformed('"f id"');
    this.#count(id);
    return isNull ? session.free(0, 0, 0) : session.free(0, ID_SPACE, id);
  }

  /** The file has ended: does it hold what its header announces? */
  end(): void {
    const [, ids, operations] = this.#header;
    if (this.#header.length < 4) {
      this.#session.problem('header', 'the file ends within its header');
      return;
    }
    if (operations !== this.#operations) {
      this.#session.problem(
        'header',
        `announces ${operations} operations, the file holds ${this.#operations}`,
      );
    }
    if (this.#largestId >= ids) {
      this.#session.problem('header', `announces ${ids} ids, the file uses id ${this.#largestId}`);
    }
  }

  /** Header lines hold one number each, or several. */
  #headerLine(): Outcome {
    const scanner = this.#session.scanner;
    while (!scanner.done()) {
      if (this.#header.length === 4 || !scanner.number()) {
        return this.#session.malformed('a header of four numbers');
      }
      this.#header.push(scanner.value);
    }
    return 'ignored';
  }

  /** An id, or −1. */
  #id(): number {
    const scanner = this.#session.scanner;
    scanner.spaces();
    return scanner.number() && scanner.value <= 0xffffffff ? scanner.value : -1;
  }

  #count(id: number): void {
    this.#operations++;
    if (id > this.#largestId) this.#largestId = id;
  }
}
