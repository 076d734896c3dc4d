/** What stands below the tables. */

import { LOCK_REFERENCE, THREAD_CONTESTANTS, TIME_REFERENCE } from './contestant.ts';
import type { Threads } from './report.ts';
import { THREAD_WORKLOADS } from './workload.ts';

/**
 * @param threads - the results
 * @returns lines
 * @public
 */
export function threadNotes({ plan, figures, samples }: Threads): string[] {
  if (figures.length === 0) return [];
  const lines = THREAD_WORKLOADS.filter(({ name }) => figures.some(({ workload }) => workload === name)).map(
    ({ title, description }) => `${title}: ${description}`,
  );
  lines.push(
    `Several threads: medians of ${plan.rounds} interleaved rounds of ${plan.roundSeconds * 1000} ms; wall time ÷ operations of all threads together.`,
    `${TIME_REFERENCE.head}: time ÷ time in the same round, below 1 is quicker. ${LOCK_REFERENCE.head}: throughput ÷ that of the same heap behind one lock, above 1 is quicker.`,
  );
  const versions = new Map(
    samples.flatMap(({ contestant, version }) => (version ? [[contestant, version]] : [])),
  );
  if (versions.size > 0) {
    const named = THREAD_CONTESTANTS.filter(({ name }) => versions.has(name)).map(
      ({ name, title }) => `${title} ${versions.get(name)}`,
    );
    lines.push(`Threads in C: ${named.join(', ')}.`);
  }
  return lines;
}
