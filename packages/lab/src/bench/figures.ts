/** How the bench's figures read. */

import { formatCount } from '../units.ts';

/** One decimal, and none where it says nothing. @internal */
export function formatNanoseconds(value: number): string {
  return value < 1000 ? value.toFixed(1) : formatCount(Math.round(value));
}

/** Half the distance between the quartiles, of the median. @internal */
export function formatSpread(figure: { nanoseconds: number; lower: number; upper: number }): string {
  return `±${((50 * (figure.upper - figure.lower)) / figure.nanoseconds).toFixed(1)} %`;
}

/** @internal */
export function formatQuotient(value: number): string {
  return value < 100 ? value.toFixed(2) : formatCount(Math.round(value));
}
