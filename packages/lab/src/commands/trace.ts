/** `shmalloc trace`: looks at traces and converts them. */

import { TRACE_FORMATS, type TraceFormat, type TraceInfo, traceInfo, writeTrace } from '@shmalloc/trace';
import { type Command, Option } from 'commander';
import { JobError } from '../errors.ts';
import { userPath, writeFile } from '../files.ts';
import { sizeClasses } from '../replay/sizes.ts';
import { sizeRange } from '../report/page/charts.ts';
import { colors, renderTable } from '../table.ts';
import { loadTrace, printProblems } from '../trace-file.ts';
import { formatBytes, formatCount, formatPercent, plural } from '../units.ts';

/** Width of the longest bar of the histogram, in characters. */
const BAR = 32;

interface FormatOption {
  format?: TraceFormat;
}

/**
 * Adds the subcommand.
 * @internal
 */
export function addTrace(root: Command): void {
  const trace = root
    .command('trace')
    .description('look at traces and convert them')
    .addHelpText(
      'after',
      `
Examples:
  shmalloc trace info sort.trace
  shmalloc trace info sort.trace --json
  shmalloc trace convert malloc.mtrace sort.trace
  shmalloc trace convert --format valgrind valgrind.log sort.trace --strict`,
    );

  trace
    .command('info')
    .description('print what a trace asks of an allocator')
    .argument('<file...>', 'traces, in the compact format or in any that can be imported')
    .addOption(formatOption())
    .option('--json', 'print JSON: one object for each file')
    .action(info);

  trace
    .command('convert')
    .description('import a trace and write it in the compact format')
    .argument('<in>', 'the file to read')
    .argument('[out]', 'the file to write; by default IN with the extension .trace')
    .addOption(formatOption())
    .option('--strict', 'exit with 1, and write nothing, when a line has a problem')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Lines that cannot be taken as they stand are printed to standard error (file:line: reason), counted, and left out or mended.
The exit code is 0 all the same, unless --strict is given.`,
    )
    .action(convert);
}

function formatOption(): Option {
  return new Option('-f, --format <name>', 'the format of the input; found out when left out').choices(
    TRACE_FORMATS,
  );
}

async function info(files: string[], options: FormatOption & { json?: boolean }): Promise<void> {
  const described: object[] = [];
  for (const [index, name] of files.entries()) {
    const { trace, problems, format } = await loadTrace(name, options.format);
    printProblems(name, problems);
    const figures = traceInfo(trace);
    if (options.json) described.push({ file: name, format, problems: problems.total, ...figures });
    else
      console.log(
        `${index > 0 ? '\n' : ''}${describe(name, format, figures)}\n\n${histogram(sizeClasses(trace))}`,
      );
  }
  if (options.json) console.log(JSON.stringify(files.length === 1 ? described[0] : described, null, 2));
}

function describe(name: string, format: string, figures: TraceInfo): string {
  const { counts } = figures;
  const kinds = Object.entries(counts).filter(([, count]) => count > 0);
  const lines: [string, string][] = [
    ['format', format],
    ['operations', formatCount(figures.operations)],
    ...kinds.map(([op, count]): [string, string] => [`  ${op}`, formatCount(count)]),
    [
      'threads',
      `${formatCount(figures.threads)} (at most ${formatCount(figures.maxConcurrentThreads)} at once)`,
    ],
    ['blocks', formatCount(figures.blocks)],
    [
      'peak live',
      `${formatBytes(figures.peakLiveBytes)} in at most ${plural(figures.peakLiveBlocks, 'block')}`,
    ],
    [
      'cross-thread frees',
      `${formatCount(figures.crossThreadFrees)} (${formatPercent(figures.crossThreadFrees, counts.free)} of the frees)`,
    ],
    ['cross-thread reallocs', formatCount(figures.crossThreadReallocs)],
    ['never freed', `${plural(figures.leakedBlocks, 'block')}, ${formatBytes(figures.leakedBytes)}`],
  ];
  const width = Math.max(...lines.map(([label]) => label.length));
  return [
    colors.bold(name),
    ...lines.map(([label, text]) => `${colors.dim(label.padEnd(width))}  ${text}`),
  ].join('\n');
}

/** Blocks by size, a line for each power of two from the smallest to the largest. */
function histogram(sizes: ReturnType<typeof sizeClasses>): string {
  if (sizes.length === 0) return 'It allocates nothing.';
  const blocks = sizes.reduce((sum, size) => sum + size.blocks, 0);
  const most = Math.max(...sizes.map((size) => size.blocks));
  return renderTable(
    [
      { head: 'block size', align: 'right' },
      { head: 'blocks', align: 'right' },
      { head: 'share', align: 'right' },
      { head: '', align: 'left' },
    ],
    sizes.map((size) => [
      sizeRange(size.upTo),
      formatCount(size.blocks),
      formatPercent(size.blocks, blocks),
      '█'.repeat(Math.ceil((BAR * size.blocks) / most)),
    ]),
  );
}

async function convert(
  input: string,
  output: string | undefined,
  options: FormatOption & { strict?: boolean; json?: boolean },
): Promise<void> {
  const { trace, problems, format } = await loadTrace(input, options.format);
  const count = printProblems(input, problems);
  if (options.strict && count > 0)
    throw new JobError(`${input}: ${plural(count, 'problem')}, nothing written (--strict)`);
  const full = userPath(output ?? compactName(input));
  const bytes = writeTrace(trace);
  writeFile(full, bytes);
  const perOperation = trace.operations > 0 ? bytes.length / trace.operations : 0;
  if (options.json) {
    const { operations, threads, blocks } = trace;
    console.log(
      JSON.stringify({
        input,
        format,
        output: full,
        operations,
        threads,
        blocks,
        bytes: bytes.length,
        problems: count,
      }),
    );
    return;
  }
  console.log(
    `${full}: ${plural(trace.operations, 'operation')} of ${plural(trace.threads, 'thread')} in ${formatBytes(bytes.length)} (${perOperation.toFixed(2)} bytes each), from ${format}`,
  );
}

/** `a/b.rep` → `a/b.trace`; a file that already ends so gets a second ending, and is not overwritten. */
function compactName(input: string): string {
  return input.endsWith('.trace') ? `${input}.trace` : `${input.replace(/\.[^./]+$/, '')}.trace`;
}
