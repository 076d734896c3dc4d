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
