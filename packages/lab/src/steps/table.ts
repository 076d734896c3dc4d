/** The throughput of the steps as a table on the terminal. */

import { THREAD_COUNTS } from '@shmalloc/lock-removal';
import { renderTable } from '../table.ts';
import { formatMops } from '../units.ts';
import type { StepResult, StepsReport } from './report.ts';

/**
 * One line a step, one column a number of threads, in millions of pairs of malloc and free a second.
 * @public
 */
export function stepsTable({ steps }: StepsReport): string {
  return renderTable(
    [
      { head: 'step', align: 'left' },
      { head: 'what stands around the allocator', align: 'left' },
      ...THREAD_COUNTS.map((threads) => ({ head: threadsHead(threads), align: 'point' as const })),
    ],
    steps.map((step) => [
      String(step.step),
      step.short,
      ...THREAD_COUNTS.map((threads) => speedText(step, threads)),
    ]),
  );
}

/** The head of a column. */
export function threadsHead(threads: number): string {
  return threads === 1 ? '1 thread' : `${threads} threads`;
}

/**
 * What a step does with so many threads: millions of pairs a second, or what happens instead.
 * @public
 */
export function speedText(step: StepResult, threads: number): string {
  const speed = step.speeds.find((each) => each.threads === threads);
  return speed === undefined ? step.why || '–' : formatMops(speed.pairsPerSecond, 1);
}

/** What the figures mean. @public */
export const STEPS_LEGEND: string = [
  'Millions of pairs of malloc and free a second, all threads together, more is better. Medians, measured in turns in one run.',
  'corrupts, fails: several threads are not measured, because that is what happens to them.',
].join('\n');
