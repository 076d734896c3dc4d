/**
 * The formatting of `printf`.
 *
 * ```
 *  %  -  0  8  l  d
 *  │  │  │  │  │  └ conversion: d i u x X p s c %
 *  │  │  │  │  └─── length: h l z, accepted and ignored
 *  │  │  │  └────── width in characters
 *  │  │  └───────── pad numbers with zeros
 *  │  └──────────── pad at the right
 *  └─────────────── everything else is copied
 * ```
 *
 * It never throws, because a panic may be on its way: what cannot be printed is printed as `%!d(…)`.
 */

const CONVERSION = /%([-0]*)(\d*)[hlz]*([diuxXpsc%])/g;

/** The sign bit of 32-bit arithmetic: negative numbers wrap here under %u and %x. */
const WORD = 2 ** 32;

/**
 * Formats as C's `sprintf`: `%d %i %u %x %X %p %s %c %%` with width, `0` and `-`.
 *
 * Numbers may be `number` (fractions are cut off) or `bigint`. `%u` and `%x` show a negative number as its two's complement of 32 bits
 * (64 for a bigint), `%p` an address as `0x` and at least 8 digits. `%c` takes a code point or a string's first character.
 * @param format - the template; a conversion that is not known is copied as it stands
 * @param values - one for each conversion; a missing one reads `%!d(missing)`, one of the wrong kind `%!d(value)`
 * @public
 */
export function sprintf(format: string, ...values: readonly unknown[]): string {
  let next = 0;
  return String(format).replace(CONVERSION, (_, flags: string, width: string, conversion: string) => {
    if (conversion === '%') return '%';
    if (next === values.length) return `%!${conversion}(missing)`;
    const text = convert(conversion, values[next++]);
    return pad(text, Number(width), flags, conversion);
  });
}

function convert(conversion: string, value: unknown): string {
  if (conversion === 's') return show(value);
  if (conversion === 'c' && typeof value === 'string')
    return String.fromCodePoint(value.codePointAt(0) ?? 32);
  const integer = toInteger(value);
  if (integer === undefined) return `%!${conversion}(${show(value)})`;
  switch (conversion) {
    case 'c':
      return integer >= 0 && integer <= 0x10ffff ? String.fromCodePoint(Number(integer)) : '\ufffd';
    case 'u':
      return unsigned(integer).toString();
    case 'x':
      return unsigned(integer).toString(16);
    case 'X':
      return unsigned(integer).toString(16).toUpperCase();
    case 'p':
      return `0x${unsigned(integer).toString(16).padStart(8, '0')}`;
    default:
      return integer.toString();
  }
}

/** The value as a whole number, or undefined when it is none. */
function toInteger(value: unknown): number | bigint | undefined {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'boolean') return Number(value);
  return typeof value === 'number' && Number.isFinite(value) ? Math.trunc(value) + 0 : undefined;
}

function unsigned(value: number | bigint): number | bigint {
  if (value >= 0) return value;
  return typeof value === 'bigint' ? BigInt.asUintN(64, value) : ((value % WORD) + WORD) % WORD;
}

function show(value: unknown): string {
  try {
    return String(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}

function pad(text: string, width: number, flags: string, conversion: string): string {
  // Characters, not UTF-16 units, so that a column of names in any script lines up.
  const missing = width - [...text].length;
  if (missing <= 0) return text;
  if (flags.includes('-')) return text + ' '.repeat(missing);
  if (!flags.includes('0') || !'diuxX'.includes(conversion) || text.startsWith('%!'))
    return ' '.repeat(missing) + text;
  const sign = text.startsWith('-') ? 1 : 0;
  return text.slice(0, sign) + '0'.repeat(missing) + text.slice(sign);
}
