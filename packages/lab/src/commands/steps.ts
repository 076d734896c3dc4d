/** `shmalloc steps`: the removal of the lock, step by step. */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { STEPS, type Step, tell } from '@shmalloc/lock-removal';
import { type Command, InvalidArgumentError } from 'commander';
import { EXIT } from '../errors.ts';
import { outPath, writeFile } from '../files.ts';
import { startProgress } from '../progress.ts';
import type { Report } from '../report/report.ts';
import { writeReport } from '../report/write.ts';
import { LEISURE, progressOf, takeSteps } from '../steps/job.ts';
import type { StepsReport } from '../steps/report.ts';
import { STEPS_LEGEND, stepsTable } from '../steps/table.ts';
import { colors } from '../table.ts';

interface StepsFlags {
  json?: boolean;
  out?: string;
}

/**
 * Adds the subcommand.
 * @internal
 */
export function addSteps(root: Command): void {
  root
    .command('steps')
    .description('take the lock out of an allocator, step by step: what each step shows, and how fast it is')
    .argument('[step]', `one of them, 0 to ${STEPS.length - 1} (default: all)`, stepNumber)
    .option('--json', 'print the results as JSON in place of text')
    .option('--out <folder>', 'where steps.json and report.html go (default: out)')
    .addHelpText(
      'after',
      `
Each step is a short program, examples/lock-removal/src/step-N.ts, and differs from the one before by what the step is about. Real
threads run it; an experiment shows why it is not enough, or that it is. All of them take about half a minute.

${STEPS.map(({ step, guard }) => `  ${step}  ${guard}`).join('\n')}

The report of the last run gets the results, too. docs/lock-removal tells the story, in English and Chinese.

Examples:
  shmalloc steps
  shmalloc steps 4
  shmalloc steps --json > steps.json`,
    )
    .action(steps);
}

function stepNumber(text: string): number {
  const step = Number(text);
  if (!/^\d+$/.test(text) || step >= STEPS.length)
    throw new InvalidArgumentError(`It must be a whole number from 0 to ${STEPS.length - 1}.`);
  return step;
}

async function steps(only: number | undefined, { json, out }: StepsFlags): Promise<void> {
  const chosen = STEPS.filter(({ step }) => only === undefined || step === only);
  const job = {
    steps: chosen,
    experiments: true,
    effort: LEISURE,
    command: `npm run -s shmalloc -- steps${only === undefined ? '' : ` ${only}`}`,
  };
  const progress = startProgress(progressOf(job));
  let report: StepsReport;
  try {
    report = await takeSteps({ ...job, progress });
  } finally {
    progress.done();
  }
  const text = `${JSON.stringify(report, null, 2)}\n`;
  const folder = outPath('out', out);
  const file = path.join(folder, 'steps.json');
  writeFile(file, text);
  const page = writeReport(withSteps(folder, report), folder).html;
  if (json) process.stdout.write(text);
  else
    console.log(
      `${story(report, chosen)}\n\n${stepsTable(report)}\n\n${colors.dim(STEPS_LEGEND)}\n\n${page}\n${file}`,
    );
  if (report.steps.some(({ outcomes }) => outcomes.some(({ shown }) => !shown))) {
    console.error('shmalloc: an experiment did not show what it is to show');
    process.exitCode = EXIT.failed;
  }
}

/** What the experiments say, a paragraph a step. */
function story(report: StepsReport, chosen: readonly Step[]): string {
  return chosen
    .map(({ step, guard }, index) =>
      [colors.bold(`step ${step}: ${guard}`), ...report.steps[index].outcomes.map(tell)].join('\n'),
    )
    .join('\n\n');
}

/** The report of the last run with these steps in it; one without replays when there is none. */
function withSteps(folder: string, steps: StepsReport): Report {
  const { command, machine, seconds } = steps;
  const bare: Report = { schema: 1, command, machine, seconds, traces: [], results: [] };
  try {
    const last = JSON.parse(readFileSync(path.join(folder, 'report.json'), 'utf8')) as Report;
    return { ...(last.schema === 1 && Array.isArray(last.results) ? last : bare), steps };
  } catch {
    return { ...bare, steps };
  }
}
