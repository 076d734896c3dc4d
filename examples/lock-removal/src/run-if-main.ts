/** A step's file as a program: `node step-N.js`. */

import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * Runs the step's experiment when its file is what Node was started with; does nothing when it is imported.
 * @param url - `import.meta.url` of the step's file
 */
export async function runIfMain(url: string): Promise<void> {
  const main = process.argv[1];
  if (main === undefined || realpathSync(main) !== fileURLToPath(url)) return;
  const { runProgram } = await import('./program.ts');
  await runProgram(url);
}
