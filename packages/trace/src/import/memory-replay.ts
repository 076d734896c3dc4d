/**
 * Android's `memory_replay`.
 *
 * ```
 *   202: malloc 0xb4827400 1024                  tid: what address size
 *   202: calloc 0xb4827400 4 16                       count, size
 *   202: memalign 0xb4827400 64 100                   alignment, size
 *   202: realloc 0xb4827500 0xb4827400 2048           new, old, size
 *   202: free 0xb4827500 1640995200123 1640995200125  two optional time stamps after any of them
 *   202: thread_done 0x0
 * ```
 */

import { OP_ALIGNED, OP_CALLOC, OP_MALLOC } from '../normal-form.ts';
import type { Outcome, Session } from './session.ts';

const COLON = 0x3a;

/** Takes one line. */
export function memoryReplayLine(session: Session): Outcome {
  const scanner = session.scanner;
  if (scanner.done()) return 'ignored';
  if (!scanner.number() || scanner.peek() !== COLON) return session.malformed('"tid: operation"');
  const tid = scanner.value;
  scanner.at++;
  scanner.spaces();
  if (scanner.text('free ')) {
    if (!scanner.address() || !ends(session)) return session.malformed('"free address"');
    return session.free(tid, scanner.hi, scanner.lo);
  }
  if (scanner.text('malloc ')) {
    if (!scanner.address()) return session.malformed('"malloc address size"');
    const { hi, lo } = scanner;
    if (!next(session)) return session.malformed('"malloc address size"');
    const size = scanner.value;
    if (!ends(session)) return session.malformed('"malloc address size"');
    return session.allocate(OP_MALLOC, tid, hi, lo, size, 0);
  }
  if (scanner.text('realloc ')) {
    if (!scanner.address()) return session.malformed('"realloc new old size"');
    const { hi, lo } = scanner;
    scanner.spaces();
    if (!scanner.address()) return session.malformed('"realloc new old size"');
    const { hi: oldHi, lo: oldLo } = scanner;
    if (!next(session)) return session.malformed('"realloc new old size"');
    const size = scanner.value;
    if (!ends(session)) return session.malformed('"realloc new old size"');
    return session.reallocate(tid, oldHi, oldLo, hi, lo, size);
  }
  const calloc = scanner.text('calloc ');
  if (calloc || scanner.text('memalign ')) {
    const expected = calloc ? '"calloc address count size"' : '"memalign address alignment size"';
    if (!scanner.address()) return session.malformed(expected);
    const { hi, lo } = scanner;
    if (!next(session)) return session.malformed(expected);
    const first = scanner.value;
    if (!next(session)) return session.malformed(expected);
    const second = scanner.value;
    if (!ends(session)) return session.malformed(expected);
    if (calloc) return session.allocate(OP_CALLOC, tid, hi, lo, first * second, 0);
    return session.allocate(OP_ALIGNED, tid, hi, lo, second, first);
  }
  if (scanner.text('thread_done')) {
    if (!scanner.done() && !(scanner.address() && ends(session)))
      return session.malformed('"thread_done 0x0"');
    return session.exit(tid);
  }
  return session.malformed('malloc, calloc, realloc, memalign, free or thread_done');
}

/** The next number, behind spaces. */
function next(session: Session): boolean {
  session.scanner.spaces();
  return session.scanner.number();
}

/** Nothing more, or two time stamps. The scanner's address is left alone. */
function ends(session: Session): boolean {
  return session.scanner.done() || (next(session) && next(session) && session.scanner.done());
}
