/** What `node step-N.js` does: the experiments of the one step, as text. */

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { overlap } from './experiments/watched.ts';
import type { Outcome } from './outcome.ts';
import { STEPS } from './steps.ts';

/**
 * Runs the experiments of a step's file and prints what they show.
 * @param url - of the file
 */
export async function runProgram(url: string): Promise<void> {
  const program = path.basename(fileURLToPath(url), '.js');
  const step = STEPS.find((each) => each.program === program);
  const experiments = step?.experiments ?? [
    () => overlap(program, 'a flag that is not checked changes nothing'),
  ];
  for (const experiment of experiments) {
    const outcome = await experiment();
    console.log(tell(outcome));
    if (!outcome.shown) process.exitCode = 1;
  }
}

/**
 * An outcome as lines of text.
 * @public
 */
export function tell({ claim, shown, lines }: Outcome): string {
  return [`${shown ? '✓' : '✗ not shown this time:'} ${claim}`, ...lines.map((line) => `    ${line}`)].join(
    '\n',
  );
}
