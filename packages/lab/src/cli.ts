/** The command line: its subcommands, and what each kind of error ends with. */

import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { addBench } from './commands/bench.ts';
import { addRecord } from './commands/record.ts';
import { addReplay } from './commands/replay.ts';
import { addRun } from './commands/run.ts';
import { addSteps } from './commands/steps.ts';
import { addTrace } from './commands/trace.ts';
import { EXIT, JobError, oneLine, UsageError } from './errors.ts';

const EXAMPLES = `
Examples:
  shmalloc run                                     replay the recorded programs through every allocator
  shmalloc record -o sort.trace -- sort /etc/services
  shmalloc trace info sort.trace
  shmalloc replay sort.trace --alloc tlsf,basic-best --cpus 2
  shmalloc steps 4                                 the removal of the lock, one step of it
  shmalloc bench --quick                           ns for malloc + free, against other allocators for JavaScript

In the repository: npm run -s shmalloc -- COMMAND …

Exit codes: 0 fine, 1 violations found or the job failed, 2 wrong use.`;

/**
 * Runs one command.
 * @param args - what stands after the program's name
 * @returns the exit code
 * @public
 */
export async function main(args: readonly string[]): Promise<number> {
  try {
    await program().parseAsync([...args], { from: 'user' });
    return typeof process.exitCode === 'number' ? process.exitCode : EXIT.fine;
  } catch (error) {
    // Commander has printed its line (or the help) already.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.fine : EXIT.usage;
    if (error instanceof UsageError) return complain(error, EXIT.usage);
    if (error instanceof JobError) return complain(error, EXIT.failed);
    console.error(`shmalloc: ${error instanceof Error ? error.stack : String(error)}`);
    return EXIT.failed;
  }
}

function complain(error: Error, code: number): number {
  console.error(`shmalloc: ${oneLine(error)}`);
  return code;
}

function program(): Command {
  const root = new Command('shmalloc')
    .description('Memory allocators on real shared memory, from real threads: replayed, checked, measured.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(`shmalloc: ${oneLine(text).replace(/^error: /, '')}\n`),
    })
    .addHelpText('after', EXAMPLES);
  addRun(root);
  addReplay(root);
  addRecord(root);
  addTrace(root);
  addBench(root);
  addSteps(root);
  return root;
}

function version(): string {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
