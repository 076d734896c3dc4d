/** What stands below the tables. */

import { formatBytes, formatCount } from '../../units.ts';
import { LOCK_REFERENCE, THREAD_CONTESTANTS, TIME_REFERENCE } from './contestant.ts';
import type { ThreadSample } from './measure.ts';
import { MEMORY_WORKLOADS, type Memory } from './memory.ts';
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
    `Regions of ${formatBytes(plan.bytes)}; a thread of larson ends after ${formatCount(plan.life)} replacements.`,
    `${TIME_REFERENCE.head}: time ÷ time in the same round, below 1 is quicker. ${LOCK_REFERENCE.head}: throughput ÷ that of the same heap behind one lock, above 1 is quicker.`,
  );
  const sided = THREAD_WORKLOADS.flatMap(({ name, sides }) =>
    sides && figures.some(({ workload }) => workload === name) ? [sides] : [],
  );
  if (sided.length > 0) {
    lines.push(
      `${sided[0].join(', ')}: how many of those ns each side worked; the rest of the time it waited for the other.`,
    );
  }
  const robbed = robbedRounds(samples);
  if (robbed !== '') lines.push(robbed);
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

/** Processor time ÷ busy time in a round that no thread has disturbed, at the least. */
const UNDISTURBED = 0.9;

/**
 * Says so when the threads could not run when they wanted to. A thread that sleeps in a lock is no sign of
 * it.
 */
function robbedRounds(samples: readonly ThreadSample[]): string {
  const free = samples.filter((sample) =>
    THREAD_CONTESTANTS.some(({ name, kind }) => name === sample.contestant && kind !== 'locked'),
  );
  const rounds = free.flatMap(({ cpu }) => cpu);
  const robbed = rounds.filter((share) => share < UNDISTURBED).length;
  if (robbed === 0) return '';
  return `DISTURBED: in ${robbed} of ${rounds.length} rounds without a lock, something else had a processor that the threads could have used; two threads may then have shared one, and their figures mean little.`;
}

/**
 * @param memory - the results
 * @returns lines
 * @public
 */
export function memoryNotes({ figures }: Memory): string[] {
  if (figures.length === 0) return [];
  const own = MEMORY_WORKLOADS.filter(({ name }) => figures.some(({ workload }) => workload === name));
  return [
    `Memory over time: footprintBytes(), which never falls, and what is committed at the end, which may. ${own.map(({ name, description }) => `${name}: ${description}.`).join(' ')}`,
  ];
}
