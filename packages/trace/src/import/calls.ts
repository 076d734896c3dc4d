/**
 * A call written as C: `malloc(24)`, `memalign(al 64, size 100)`, `_ZdlPv(0x55a2a0)`. valgrind and ltrace
 * both print these.
 */

import { OP_ALIGNED, OP_CALLOC, OP_MALLOC } from '../normal-form.ts';
import type { Outcome, Session } from './session.ts';

/** What a function does to the heap, and with that what its arguments mean. */
export type CallKind =
  | 'malloc'
  | 'calloc'
  | 'realloc'
  | 'reallocArray'
  | 'aligned'
  | 'sizeFirst'
  | 'pages'
  | 'free';

/**
 * The alignment of `valloc` and `pvalloc`, in bytes: of the recorded machine nothing is known, so the most
 * common page.
 */
const PAGE_BYTES = 4096;

/**
 * The functions by name. C++'s operators come mangled: `_Zn` new, `_Zd` delete, `w` one object, `a` an array,
 * `m` 64-bit, `j` 32-bit.
 */
const KINDS: ReadonlyMap<string, CallKind> = new Map([
  ['malloc', 'malloc'],
  ['valloc', 'pages'],
  ['pvalloc', 'pages'],
  ['calloc', 'calloc'],
  ['realloc', 'realloc'],
  ['reallocarray', 'reallocArray'],
  ['memalign', 'aligned'],
  ['aligned_alloc', 'aligned'],
  ['posix_memalign', 'aligned'],
  ['free', 'free'],
  ['cfree', 'free'],
]);

/** What a function of this name does, undefined when it has nothing to do with the heap. */
export function callKind(name: string): CallKind | undefined {
  const known = KINDS.get(name);
  if (known !== undefined || !name.startsWith('_Z')) return known;
  if (/^_Zd[la]Pv/.test(name)) return 'free';
  // operator new(unsigned long, std::align_val_t): the size comes first.
  if (/^_Zn[wa][mj]St11align_val_t/.test(name)) return 'sizeFirst';
  return /^_Zn[wa][mj]/.test(name) ? 'malloc' : undefined;
}

/** One call, its arguments taken apart: at most an address and two numbers. */
export interface Call {
  kind: CallKind;
  hi: number;
  lo: number;
  first: number;
  second: number;
}

/** A call with nothing in it yet. */
export function emptyCall(): Call {
  return { kind: 'malloc', hi: 0, lo: 0, first: 0, second: 0 };
}

/**
 * Reads the arguments of a call, from behind its `(` up to what follows the last of them. Arguments may be
 * labelled (`al 64, size 100`), and more of them than needed may follow.
 * @returns false when they are no arguments for this kind of call
 */
export function readArguments(session: Session, kind: CallKind, call: Call): boolean {
  const scanner = session.scanner;
  call.kind = kind;
  call.first = 0;
  call.second = 0;
  scanner.spaces();
  if (kind === 'free' || kind === 'realloc' || kind === 'reallocArray') {
    if (!scanner.address()) return false;
    call.hi = scanner.hi;
    call.lo = scanner.lo;
    if (kind === 'free') return true;
    if (!comma(session)) return false;
  }
  if (!labelled(session)) return false;
  call.first = scanner.value;
  if (kind === 'malloc' || kind === 'realloc' || kind === 'pages') return true;
  if (!comma(session) || !labelled(session)) return false;
  call.second = scanner.value;
  return true;
}

/** Tells the session what a call that returned this address has done. */
export function applyCall(session: Session, tid: number, call: Call, hi: number, lo: number): Outcome {
  switch (call.kind) {
    case 'free':
      return session.free(tid, call.hi, call.lo);
    case 'realloc':
      return session.reallocate(tid, call.hi, call.lo, hi, lo, call.first);
    case 'reallocArray':
      return session.reallocate(tid, call.hi, call.lo, hi, lo, call.first * call.second);
    case 'pages':
      return session.allocate(OP_ALIGNED, tid, hi, lo, call.first, PAGE_BYTES);
    case 'calloc':
      return session.allocate(OP_CALLOC, tid, hi, lo, call.first * call.second, 0);
    case 'aligned':
      return session.allocate(OP_ALIGNED, tid, hi, lo, call.second, call.first);
    case 'sizeFirst':
      return session.allocate(OP_ALIGNED, tid, hi, lo, call.first, call.second);
    case 'malloc':
      return session.allocate(OP_MALLOC, tid, hi, lo, call.first, 0);
  }
}

function comma(session: Session): boolean {
  const scanner = session.scanner;
  scanner.spaces();
  if (!scanner.text(',')) return false;
  scanner.spaces();
  return true;
}

/** A number, perhaps behind a word. */
function labelled(session: Session): boolean {
  const scanner = session.scanner;
  if (scanner.number()) return true;
  scanner.name();
  scanner.spaces();
  return scanner.number();
}
