/**
 * `ltrace -f`, as well as it can be done.
 *
 * ```
 *   [pid 71] prog->malloc(24)                       = 0x55a2a0      [pid N] object->call = result; the object may be missing
 *   [pid 72] prog->malloc(24 <unfinished ...>                       another thread came between,
 *   [pid 71] prog->free(0x55a2a0)                   = <void>
 *   [pid 72] <... malloc resumed> )                 = 0x7f0010      the other half
 *   [pid 71] prog->_Znwm(4 <unfinished ...>                         or the call makes calls itself:
 *   [pid 71] libstdc++.so.6->malloc(4)              = 0x55a2c0      an inner call, which is part of the outer one
 *   [pid 71] <... _Znwm resumed> )                  = 0x55a2c0
 *   [pid 71] strlen("hello")                        = 5             another function
 *   [pid 72] +++ exited (status 0) +++
 *   72 free(0x7f0010)                               = <void>        with `-o FILE` the pid comes without brackets
 * ```
 *
 * There is one heap: a forked process cannot be told from a thread here. ltrace sees what a program calls
 * across objects. Calls within libc are missing: an address that comes back without a free is `in-use`, a
 * free of what libc allocated `unknown-block`. What `posix_memalign` hands out is not printed:
 * `unknown-address`. Of the heap calls of a thread the outermost counts. A free counts from its first half,
 * because the memory may go to another thread before the second; an allocation from its second.
 */

import { applyCall, type Call, callKind, emptyCall, readArguments } from './calls.ts';
import type { Outcome, Session } from './session.ts';

const SPACE = 0x20;

/** A heap call whose second half is to come. */
interface OpenCall {
  readonly name: string;
  readonly call: Call;
  readonly line: number;
}

/** The heap calls that are under way, by thread, innermost last. */
export class Ltrace {
  readonly #session: Session;
  readonly #open: Map<number, OpenCall[]> = new Map();
  #call: Call = emptyCall();

  constructor(session: Session) {
    this.#session = session;
  }

  /** Takes one line. */
  line(): Outcome {
    const session = this.#session;
    const scanner = session.scanner;
    if (scanner.done()) return 'ignored';
    const pid = this.#prefix();
    if (pid < 0) return session.malformed('"[pid N] call"');
    if (scanner.text('+++ ')) return scanner.text('exited') ? this.#exited(pid) : 'ignored';
    if (scanner.text('--- ')) return 'ignored';
    if (scanner.text('<... ')) return this.#resumed(pid);
    return this.#began(pid);
  }

  /** The file has ended. */
  end(): void {
    for (const pid of this.#open.keys()) this.#giveUp(pid);
  }

  /**
   * Reads what stands before the call: a process, and with -t, -r and -i a time and a place. Returns the
   * process, −1 where it is cut off.
   */
  #prefix(): number {
    const scanner = this.#session.scanner;
    let pid = 0;
    if (scanner.text('[pid ')) {
      if (!scanner.number() || !scanner.text(']')) return -1;
      pid = scanner.value;
      scanner.spaces();
    }
    while (scanner.number()) {
      // A number by itself is the process, as `-o` has it; in a time it is followed by a colon or a dot.
      if (scanner.peek() === SPACE) pid = scanner.value;
      while (scanner.text(':') || scanner.text('.')) scanner.number();
      scanner.spaces();
    }
    if (scanner.text('[')) {
      if (!scanner.address() || !scanner.text(']')) return -1;
      scanner.spaces();
    }
    return pid;
  }

  #began(pid: number): Outcome {
    const session = this.#session;
    const scanner = session.scanner;
    scanner.seek('->', '(');
    const name = scanner.name();
    if (name === 'operator') return session.malformed('mangled names (ltrace without -C)');
    if (!scanner.text('('))
      return scanner.seek('(') ? 'ignored' : session.malformed('"call(arguments) = result"');
    const kind = callKind(name);
    if (kind === undefined) return 'ignored';
    const open = this.#open.get(pid);
    const isInner = open !== undefined && open.length > 0;
    if (!readArguments(session, kind, this.#call)) return session.malformed(`the arguments of ${name}`);
    if (scanner.seek('<unfinished ...>')) {
      // An open posix_memalign hides no inner call: the memalign in it tells the address.
      if (name === 'posix_memalign') return 'ignored';
      return this.#unfinished(pid, name, isInner);
    }
    if (!scanner.seek(')')) return session.malformed(`"${name}(…) = result"`);
    return isInner ? 'ignored' : this.#finish(pid, name);
  }

  #unfinished(pid: number, name: string, isInner: boolean): Outcome {
    const open = { name, call: this.#call, line: this.#session.lineNumber };
    const calls = this.#open.get(pid);
    if (calls === undefined) this.#open.set(pid, [open]);
    else calls.push(open);
    this.#call = emptyCall();
    if (isInner) return 'ignored';
    return open.call.kind === 'free' ? applyCall(this.#session, pid, open.call, 0, 0) : 'taken';
  }

  #resumed(pid: number): Outcome {
    const session = this.#session;
    const scanner = session.scanner;
    const name = scanner.name();
    const kind = callKind(name);
    if (kind === undefined || name === 'posix_memalign') return 'ignored';
    const calls = this.#open.get(pid) ?? [];
    const open = calls.pop();
    if (open === undefined) return session.problem('unfinished', `${name} is resumed but never began`);
    if (open.name !== name) {
      return session.problem(
        'unfinished',
        `${name} is resumed where ${open.name} of line ${open.line} is open`,
      );
    }
    // An inner call is part of the outer one; a free has been taken at its first half.
    if (calls.length > 0 || kind === 'free') return 'ignored';
    if (!scanner.seek('resumed>') || !scanner.seek(')')) {
      return session.malformed(`"<... ${name} resumed> ) = result"`);
    }
    this.#call = open.call;
    return this.#finish(pid, name);
  }

  #finish(pid: number, name: string): Outcome {
    const session = this.#session;
    const scanner = session.scanner;
    scanner.spaces();
    if (!scanner.text('=')) return session.malformed(`"${name}(…) = result"`);
    scanner.spaces();
    if (this.#call.kind === 'free') return applyCall(session, pid, this.#call, 0, 0);
    if (name === 'posix_memalign')
      return session.problem('unknown-address', 'of what posix_memalign handed out');
    // With -T the time that the call took stands behind its result.
    if (!scanner.address() || !(scanner.done() || scanner.text('<')))
      return session.malformed(`the address that ${name} returned`);
    return applyCall(session, pid, this.#call, scanner.hi, scanner.lo);
  }

  #exited(pid: number): Outcome {
    this.#giveUp(pid);
    return this.#session.exit(pid);
  }

  /** Nothing of this thread will be resumed any more. */
  #giveUp(pid: number): void {
    for (const { name, line } of this.#open.get(pid) ?? []) {
      this.#session.problem('unfinished', `${name} of line ${line} was never resumed`);
    }
    this.#open.delete(pid);
  }
}
