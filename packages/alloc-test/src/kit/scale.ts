/** How much a test runs: less in the test that everybody waits for, all of it where there is time. */

/**
 * One of two amounts, by `SCALE` of the environment.
 * @param quick - where it is not set, or is `quick`
 * @param more - where it is `medium` or `full`
 * @public
 */
export function scaled(quick: number, more: number): number {
  return (process.env.SCALE ?? 'quick') === 'quick' ? quick : more;
}

/**
 * Some of several variants of a test, drawn again in each run; all of them where `SCALE` is not `quick`. The
 * seed is `SEED` of the environment or by the clock; it is printed, with what is left out.
 * @param what - of what these are variants, for what is printed
 * @param all - the variants, by name
 * @param count - how many
 * @returns those that are to run, in their order
 * @public
 */
export function someOf<T>(
  what: string,
  all: Readonly<Record<string, T>>,
  count: number,
): [name: string, variant: T][] {
  const entries = Object.entries(all);
  if (scaled(0, 1) === 1 || count >= entries.length) return entries;
  const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
  let state = seed | 0;
  const below = (n: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return Math.floor(((state >>> 0) / 2 ** 32) * n);
  };
  // The first numbers of neighbouring seeds are alike.
  for (let turn = 0; turn < 8; turn++) below(2);
  const left = new Set(entries.map(([name]) => name));
  while (left.size > count) left.delete([...left][below(left.size)]);
  const out = entries.map(([name]) => name).filter((name) => !left.has(name));
  console.log(`${what}: seed ${seed} leaves out ${out.join(', ')}; all of them in npm run test:long`);
  return entries.filter(([name]) => left.has(name));
}
