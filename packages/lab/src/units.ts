/**
 * How figures read: bytes in binary units (1 KiB = 1024 bytes, 1 MiB = 1024 KiB), rates in millions of
 * operations a second. Three significant digits and at most three decimals, never an exponent.
 */

const BINARY_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** Three significant digits: `0.123`, `1.23`, `12.3`, `123`, `1230`. */
function threeDigits(value: number): string {
  if (value === 0) return '0';
  const digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : value >= 0.9995 ? 2 : 3;
  return value.toFixed(digits);
}

/**
 * @param bytes - a non-negative number
 * @returns `812 B`, `1.50 KiB`, `24.0 MiB`
 * @public
 */
export function formatBytes(bytes: number): string {
  let unit = 0;
  let value = bytes;
  while (value >= 1023.5 && unit < BINARY_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? Math.round(value) : threeDigits(value)} ${BINARY_UNITS[unit]}`;
}

/**
 * @param count - an integer
 * @returns with separators: `1,234,567`
 * @public
 */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

/**
 * A count and its noun, in the right number.
 * @returns `1 thread`, `1,200 threads`
 * @public
 */
export function plural(count: number, noun: string, nouns: string = `${noun}s`): string {
  return `${formatCount(count)} ${count === 1 ? noun : nouns}`;
}

/**
 * @param operations - how many
 * @param seconds - in which time
 * @returns millions of operations a second, without the unit
 * @public
 */
export function formatMops(operations: number, seconds: number): string {
  return seconds > 0 ? threeDigits(operations / seconds / 1e6) : '–';
}

/**
 * @returns `85 µs`, `12.3 ms`, `4.56 s`
 * @public
 */
export function formatSeconds(seconds: number): string {
  if (seconds < 0.001) return `${threeDigits(seconds * 1e6)} µs`;
  return seconds < 1 ? `${threeDigits(seconds * 1e3)} ms` : `${threeDigits(seconds)} s`;
}

/**
 * @returns a quotient with two decimals, or a dash where there is none
 * @public
 */
export function formatRatio(value: number, base: number): string {
  return base > 0 ? (value / base).toFixed(2) : '–';
}

/**
 * @returns a share of the whole: `12.3 %`, `0 %`, `< 0.1 %`
 * @public
 */
export function formatPercent(part: number, whole: number): string {
  if (part === 0 || whole === 0) return '0 %';
  const percent = (100 * part) / whole;
  if (percent < 0.1) return '< 0.1 %';
  return `${threeDigits(percent)} %`;
}
