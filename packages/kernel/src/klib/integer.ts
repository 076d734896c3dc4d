/**
 * Integers as `printf` shows them.
 *
 * ```
 *   ⎵⎵⎵ + 0x 000 2a ⎵⎵⎵
 *    │  │ │   │  │   └ spaces to the width, with the flag -
 *    │  │ │   │  └──── digits
 *    │  │ │   └─────── zeros to the precision; or to the width, with the flag 0
 *    │  │ └─────────── with the flag #
 *    │  └───────────── sign: of signed conversions only
 *    └──────────────── spaces to the width
 * ```
 */

/** Everything between `%` and the conversion, with the conversion. */
export interface Directive {
  /** Flag `-`: pad at the right. */
  readonly left: boolean;
  /** Flag `+`. */
  readonly plus: boolean;
  /** Flag ` `: a space where a sign would be. */
  readonly space: boolean;
  /** Flag `#`: octal starts with 0, hexadecimal with 0x. */
  readonly alternate: boolean;
  /** Flag `0`: pad numbers with zeros. */
  readonly zero: boolean;
  /** Characters, at least. */
  readonly width: number;
  /** Digits, at least; of a string its characters, at most. `undefined`: none was given. */
  readonly precision: number | undefined;
  /** `hh h l ll j z t`, or nothing. */
  readonly length: string;
  /** `d i u o x X p s c`. */
  readonly conversion: string;
}

/** Bits of a length as C has them where addresses have 64; `undefined` for one that was not given. */
const BITS: Readonly<Record<string, number | undefined>> = {
  hh: 8,
  h: 16,
  l: 64,
  ll: 64,
  j: 64,
  z: 64,
  t: 64,
};

/** The value as a whole number, or undefined when it is none. Fractions are cut off. */
export function toInteger(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'boolean') return BigInt(value);
  return typeof value === 'number' && Number.isFinite(value) ? BigInt(Math.trunc(value)) : undefined;
}

/**
 * The integer under the directive, unpadded by spaces.
 * @param value - what was given
 * @param own - bits of the kind of number that it came as: 32 for a number, 64 for a bigint
 */
export function showInteger(value: bigint, own: number, directive: Directive): string {
  const { conversion, precision, plus, space, alternate, zero, left, width } = directive;
  const signed = conversion === 'd' || conversion === 'i';
  const shown = signed ? toSigned(value, directive) : toUnsigned(value, own, directive);
  const hexadecimal = 'xXp'.includes(conversion);
  let digits = (shown < 0n ? -shown : shown).toString(hexadecimal ? 16 : conversion === 'o' ? 8 : 10);
  if (shown === 0n && precision === 0) digits = '';
  if (precision !== undefined) digits = digits.padStart(precision, '0');
  if (alternate && conversion === 'o' && !digits.startsWith('0')) digits = `0${digits}`;
  let prefix = '';
  if (signed) prefix = shown < 0n ? '-' : plus ? '+' : space ? ' ' : '';
  else if (conversion === 'p' || (alternate && hexadecimal && shown !== 0n)) prefix = '0x';
  // A precision and the flag - each overrule the flag 0.
  if (zero && !left && precision === undefined) digits = digits.padStart(width - prefix.length, '0');
  const text = prefix + digits;
  return conversion === 'X' ? text.toUpperCase() : text;
}

/** Without a length nothing is cut off: a count of 2^40 stays one. */
function toSigned(value: bigint, { length }: Directive): bigint {
  const bits = BITS[length];
  return bits === undefined ? value : BigInt.asIntN(bits, value);
}

/** Without a length only a negative value needs a number of bits, and what it came as tells how many. */
function toUnsigned(value: bigint, own: number, { length }: Directive): bigint {
  const bits = BITS[length];
  if (bits !== undefined) return BigInt.asUintN(bits, value);
  return value < 0n ? BigInt.asUintN(own, value) : value;
}
