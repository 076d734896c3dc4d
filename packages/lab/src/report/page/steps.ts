/** The part of the page that is about the removal of the lock. */

import { THREAD_COUNTS } from '@shmalloc/lock-removal';
import type { StepResult, StepsReport } from '../../steps/report.ts';
import { speedText, threadsHead } from '../../steps/table.ts';
import { escapeHtml } from './escape.ts';
import { HUE_COUNT } from './style.ts';

/**
 * Throughput by number of threads, a line a step.
 * @public
 */
export interface StepsPlot {
  /** Numbers of threads, the axis that all lines share. */
  threads: number[];
  /** In millions of pairs a second; null where a step is not measured. */
  lines: { label: string; hue: number; rates: (number | null)[] }[];
}

/** What the page's script needs to draw it. */
export function stepsPlot({ steps }: StepsReport): StepsPlot {
  return {
    threads: [...THREAD_COUNTS],
    lines: steps.map((step) => ({
      label: `${step.step} ${step.short}`,
      hue: step.step % HUE_COUNT,
      rates: THREAD_COUNTS.map((threads) => {
        const speed = step.speeds.find((each) => each.threads === threads);
        return speed === undefined ? null : speed.pairsPerSecond / 1e6;
      }),
    })),
  };
}

/**
 * The section: a plot, a table and what the experiments have shown.
 * @public
 */
export function stepsSection(report: StepsReport): string {
  return `<section id="steps">
<h2>Removing the lock, step by step</h2>
<p class="note">The same random replacement of blocks of 16–527 B, an eighth of them freed by another thread, over the same heap with something else around
it: millions of pairs of malloc and free a second, all threads together, higher is better. Medians of ${report.effort.rounds} rounds, measured in turns. Where a step corrupts
the heap or refuses a second thread, only one thread is measured. Make it again with <code>${escapeHtml(report.command)}</code>.</p>
<div class="plot"><h3>Throughput by number of threads, million pairs a second (logarithmic)</h3><div class="canvas" id="steps-plot"><p class="dim">The plot needs JavaScript.</p></div></div>
${table(report)}
${outcomes(report.steps)}
</section>`;
}

function table({ steps }: StepsReport): string {
  const head = ['step', 'what stands around the allocator', ...THREAD_COUNTS.map(threadsHead)];
  const rows = steps.map((step) => {
    const cells = THREAD_COUNTS.map((threads) => {
      const measured = step.speeds.some((speed) => speed.threads === threads);
      return `<td${measured ? '' : ' class="dim"'}>${escapeHtml(speedText(step, threads))}</td>`;
    });
    return `<tr><th scope="row">${step.step}</th><td class="words">${escapeHtml(step.guard)}</td>${cells.join('')}</tr>`;
  });
  return `<div class="scroll"><table class="steps"><thead><tr>${head.map((text) => `<th scope="col">${text}</th>`).join('')}</tr></thead><tbody>${rows.join('\n')}</tbody></table></div>`;
}

function outcomes(steps: readonly StepResult[]): string {
  const items = steps.flatMap(({ step, outcomes }) =>
    outcomes.map(
      ({ claim, shown, lines }) =>
        `<dt class="${shown ? 'good' : 'bad'}">${step}</dt><dd>${escapeHtml(claim)}${shown ? '' : ' <span class="bad">(not shown this time)</span>'}<pre>${escapeHtml(lines.join('\n'))}</pre></dd>`,
    ),
  );
  return items.length === 0
    ? ''
    : `<h3 class="apart">What the experiments have shown</h3><dl class="shown">${items.join('\n')}</dl>`;
}
