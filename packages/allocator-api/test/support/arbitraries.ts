import type { ExecutionContext } from 'ava';
import fc from 'fast-check';

/** Powers of two from 1 to 2^31. */
export const aligns: fc.Arbitrary<number> = fc.integer({ min: 0, max: 31 }).map((bit) => 2 ** bit);

/** Addresses of the whole range 0 … 2^32, crowded around the places where 32-bit arithmetic breaks. */
export const addresses: fc.Arbitrary<number> = fc.oneof(
  fc.integer({ min: 0, max: 2 ** 32 }),
  fc.integer({ min: -4096, max: 4096 }).map((offset) => 2 ** 31 + offset),
  fc.integer({ min: 0, max: 4096 }).map((offset) => 2 ** 32 - offset),
  fc.integer({ min: 0, max: 4096 }),
);

/** Runs a property and logs its seed, so that a failure can be run again with `SEED=… npx ava …`. */
export function checkProperty<T>(t: ExecutionContext, property: fc.IProperty<T>, numRuns = 500): void {
  const seed = Number(process.env.SEED ?? Date.now() >>> 0);
  t.log(`seed ${seed}`);
  fc.assert(property, { seed, numRuns });
}
