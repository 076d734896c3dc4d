/**
 * `valgrind --trace-malloc=yes`.
 *
 * ```
 *   ==4242== Memcheck, a memory error detector               a banner
 *   --4242-- malloc(24) = 0x4A4C040                          --pid-- call = address
 *   --4242-- calloc(4,16) = 0x4A4C0A0
 *   --4242-- realloc(0x4A4C040,48) = 0x4A4C120
 *   --4242-- realloc(0x0,33)malloc(33) = 0x4A4C190           realloc(NULL, …): what it called is the operation
 *   --4242-- realloc(0x4A4C190,0)free(0x4A4C190)             realloc(…, 0), then a line of " = 0"
 *   --4242-- memalign(al 64, size 100) = 0x4A4C200
 *   --4242-- _Znwm(8) = 0x4A4C2C0                            operator new, mangled
 *   --4242-- free(0x4A4C0A0)
 * ```
 *
 * valgrind runs one thread at a time and does not say which: everything is thread 0. With
 * `--trace-children=yes` processes mix; the first one is taken.
 */

import { applyCall, type Call, callKind, emptyCall, readArguments } from './calls.ts';
import type { Outcome, Session } from './session.ts';

const SPACE = 0x20;

/** The process whose heap this is, and the call at hand. */
export class Valgrind {
  readonly #session: Session;
  readonly #call: Call = emptyCall();
  #pid = -1;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Takes one line. */
  line(): Outcome {
    const session = this.#session;
    const scanner = session.scanner;
    if (scanner.done()) return 'ignored';
    const quote = scanner.text('--') || scanner.text('**');
    if (!quote) return scanner.text('==') ? 'ignored' : session.malformed('"--pid-- call"');
    // With --time-stamp=yes a clock comes before the pid.
    if (!this.#pidBefore()) return session.malformed('"--pid-- call"');
    const pid = scanner.value;
    scanner.spaces();
    // The result of a call that has been taken by what it called; other talk of valgrind itself has no call
    // in it.
    if (scanner.text('=')) return 'ignored';
    const name = scanner.name();
    const kind = callKind(name);
    if (kind === undefined || !scanner.text('(')) return 'ignored';
    if (this.#pid < 0) this.#pid = pid;
    if (pid !== this.#pid)
      return session.problem('other-process', `process ${pid}; this is the trace of ${this.#pid}`);
    if (!readArguments(session, kind, this.#call)) return session.malformed(`the arguments of ${name}`);
    return this.#result(name);
  }

  #result(name: string): Outcome {
    const session = this.#session;
    const scanner = session.scanner;
    scanner.seek(')');
    if (this.#call.kind === 'realloc' && scanner.peek() !== SPACE) {
      const inner = callKind(scanner.name());
      if (inner === undefined || !scanner.text('(') || !readArguments(session, inner, this.#call)) {
        return session.malformed('a call behind realloc');
      }
      scanner.seek(')');
    }
    if (this.#call.kind === 'free') {
      if (!scanner.done()) return session.malformed('"free(address)"');
      return applyCall(session, 0, this.#call, 0, 0);
    }
    scanner.spaces();
    if (!scanner.text('= ') || !scanner.address() || !scanner.done())
      return session.malformed(`"${name}(…) = address"`);
    return applyCall(session, 0, this.#call, scanner.hi, scanner.lo);
  }

  /** Reads up to the second `--` or `**`; the number before it is the pid. */
  #pidBefore(): boolean {
    const scanner = this.#session.scanner;
    while (scanner.number()) {
      if (scanner.text('--') || scanner.text('**')) return true;
      if (!scanner.text(':') && !scanner.text('.')) scanner.spaces();
    }
    return false;
  }
}
