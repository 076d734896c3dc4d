/**
 * The formatting of `printf`.
 *
 * ```
 *  %  -  0  8  .3  l  d
 *  │  │  │  │  │   │  └ conversion: d i u o x X p s c %
 *  │  │  │  │  │   └─── length: hh h l ll j z t
 *  │  │  │  │  └─────── precision: a number, * or nothing (0)
 *  │  │  │  └────────── width: a number, or *
 *  │  └──┴───────────── flags: - + space # 0
 *  └─────────────────── everything else is copied
 * ```
 *
 * It never throws, because a panic may be on its way: what cannot be printed is printed as `%!d(…)`.
 */

import type { SharedMemory } from '@shmalloc/allocator-api';
import { type Directive, showInteger, toInteger } from './integer.ts';

const DIRECTIVE = /%([-+ #0]*)(\*|\d+)?(?:\.(\*|\d*))?(hh|h|ll|l|j|z|t)?([diuoxXpsc%])/g;

/**
 * Widths and precisions end here: a template with a mistake must not ask for a string that the engine
 * refuses.
 */
const WIDEST = 65535;

/** What stands for a value that was not given. */
const MISSING = Symbol('missing');

/** What C prints for the address 0: under `%s`, and under `%p`. */
const NULL_STRING = '(null)';
const NULL_ADDRESS = '(nil)';

/**
 * Formats as C does.
 * @param template - with a directive for each value
 * @param values - what `*` and the conversions take, in order
 * @param memory - where the addresses under `%s` point to; without it a number there is shown as a number
 */
export function format(template: unknown, values: readonly unknown[], memory?: SharedMemory): string {
  let next = 0;
  const take = (): unknown => (next < values.length ? values[next++] : MISSING);
  const expand = (
    _: string,
    flags: string,
    width: string | undefined,
    precision: string | undefined,
    length: string | undefined,
    conversion: string,
  ): string => {
    if (conversion === '%') return '%';
    const wide = width === '*' ? take() : Number(width ?? 0);
    const exact = precision === '*' ? take() : precision === undefined ? -1 : Number(precision);
    const value = take();
    const columns = toColumns(wide);
    const digits = toColumns(exact);
    if (columns === undefined) return complaint('*', wide);
    if (digits === undefined) return complaint('*', exact);
    return convert(value, memory, {
      left: flags.includes('-') || columns < 0,
      plus: flags.includes('+'),
      space: flags.includes(' '),
      alternate: flags.includes('#'),
      zero: flags.includes('0'),
      width: Math.abs(columns),
      precision: digits < 0 ? undefined : digits,
      length: length ?? '',
      conversion,
    });
  };
  return show(template).replace(DIRECTIVE, expand);
}

/** A width or precision; undefined for what is no number. */
function toColumns(value: unknown): number | undefined {
  const integer = toInteger(value);
  return integer === undefined ? undefined : Math.max(-WIDEST, Math.min(Number(integer), WIDEST));
}

function convert(value: unknown, memory: SharedMemory | undefined, directive: Directive): string {
  const { conversion, precision } = directive;
  if (value === MISSING) return complaint(conversion, value);
  if (conversion === 's') {
    const text = typeof value === 'number' && memory ? textAt(memory, value, precision) : show(value);
    return text === undefined ? complaint('s', value) : pad(cut(text, precision), directive);
  }
  if (conversion === 'c' && typeof value === 'string')
    return pad(String.fromCodePoint(value.codePointAt(0) ?? 32), directive);
  const integer = toInteger(value);
  // As wide as what it stands for, so that columns stay where they are.
  if (integer === undefined) return pad(complaint(conversion, value), directive);
  if (conversion === 'c') return pad(character(integer), directive);
  if (conversion === 'p' && integer === 0n) return pad(NULL_ADDRESS, directive);
  return pad(showInteger(integer, typeof value === 'bigint' ? 64 : 32, directive), directive);
}

/** How a value reads that its conversion cannot show, or one that is not there. */
function complaint(conversion: string, value: unknown): string {
  return `%!${conversion}(${value === MISSING ? 'missing' : show(value)})`;
}

function character(code: bigint): string {
  return code >= 0n && code <= 0x10ffffn ? String.fromCodePoint(Number(code)) : '\ufffd';
}

/** The first characters of a text. */
function cut(text: string, characters: number | undefined): string {
  // A string has no more characters than UTF-16 units.
  if (characters === undefined || text.length <= characters) return text;
  return [...text].slice(0, characters).join('');
}

/**
 * The NUL-terminated string at an address, as UTF-8. Like C it reads no byte after the NUL, nor after `bytes`
 * bytes: with a precision a string needs no NUL. A character that this cuts in two is left out.
 * @returns undefined when that is no address
 */
function textAt(memory: SharedMemory, address: number, bytes: number | undefined): string | undefined {
  if (address === 0) return NULL_STRING;
  if (!Number.isInteger(address) || address < 0) return undefined;
  if (address >= memory.byteLength) memory.refresh();
  const { u8 } = memory;
  if (address >= u8.length) return undefined;
  const limit = bytes === undefined ? u8.length : Math.min(address + bytes, u8.length);
  let end = address;
  while (end < limit && u8[end] !== 0) end++;
  // `slice` copies into memory of our own: browsers do not decode shared memory.
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(u8.slice(address, end), { stream: true });
}

/** Any value as text. */
function show(value: unknown): string {
  try {
    return String(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}

/** Spaces to the width: in characters, not UTF-16 units, so that a column of names in any script lines up. */
function pad(text: string, { width, left }: Directive): string {
  if (text.length > 2 * width) return text;
  const missing = width - [...text].length;
  if (missing <= 0) return text;
  return left ? text + ' '.repeat(missing) : ' '.repeat(missing) + text;
}
