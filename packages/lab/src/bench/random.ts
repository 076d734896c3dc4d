/**
 * The same numbers for everybody: a small generator with a seed, drawn into typed arrays before anything is
 * measured.
 */

/**
 * Mulberry32, a 32-bit generator that passes the usual tests and needs one word of state (T. Ettinger, 2017,
 * public domain).
 * @param seed - any integer
 * @returns a function that gives the next unsigned 32-bit number
 * @public
 */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return (x ^ (x >>> 14)) >>> 0;
  };
}

/**
 * @param count - how many numbers
 * @param min - the smallest
 * @param max - the largest, at most 65,535
 * @param seed - any integer
 * @returns uniform numbers from `min` to `max`
 * @public
 */
export function drawn(count: number, min: number, max: number, seed: number): Uint16Array {
  const next = generator(seed);
  return Uint16Array.from({ length: count }, () => min + Math.floor((next() / 2 ** 32) * (max - min + 1)));
}
