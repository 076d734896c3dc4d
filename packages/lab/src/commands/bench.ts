/** `shmalloc bench`: the allocators against others, on the same work, in one run. */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { recordings } from '@shmalloc/recordings';
import { readTrace } from '@shmalloc/trace';
import { type Command, Option } from 'commander';
import { CONTESTANTS, type Contestant, REFERENCES } from '../bench/contestant.ts';
import {
  type Footprint,
  measureFootprint,
  type NamedTrace,
  withFootprint,
} from '../bench/footprint/footprint.ts';
import { type Garbage, meterGarbage } from '../bench/garbage.ts';
import { measure, type Plan, stepsOf } from '../bench/measure.ts';
import { measurePages, PAGES_STEPS, renderPages } from '../bench/pages.ts';
import { type BenchReport, renderReport } from '../bench/report.ts';
import { summarize } from '../bench/summary.ts';
import { THREAD_CONTESTANTS } from '../bench/threads/contestant.ts';
import { leak, MEMORY_WORKLOADS } from '../bench/threads/memory.ts';
import { THREAD_WORKLOADS } from '../bench/threads/workload.ts';
import { WORKLOADS } from '../bench/workload.ts';
import { JobError, oneLine, UsageError } from '../errors.ts';
import { outPath, writeFile } from '../files.ts';
import { describeMachine } from '../machine.ts';
import { type Progress, startProgress } from '../progress.ts';
import { AGAINST_NAMES, benchAgainst } from './bench-against.ts';
import { type ThreadFlags, threadJob } from './bench-threads.ts';
import { checkNames, chosen, names, wholeNumber } from './options.ts';

const REGION_BYTES = 64 * 1024 * 1024;

/** How much is done, at leisure and in a hurry. */
const SCALES = {
  full: { rounds: 15, roundSeconds: 0.2, settleSeconds: 2, operations: 10_000_000, garbageSeconds: 5 },
  quick: { rounds: 5, roundSeconds: 0.03, settleSeconds: 0.3, operations: 1_000_000, garbageSeconds: 0.5 },
} as const;

/** The longest recording that is replayed in a hurry. */
const QUICK_OPERATIONS = 115_000;

/** The contestant that shows that the garbage meter can see garbage. It has no row among the times. */
const METER_CONTROL = 'boxes';

interface BenchFlags extends ThreadFlags {
  garbage: boolean;
  footprint: boolean;
  pages?: boolean;
  against?: string;
  alloc?: string[];
  json?: boolean;
  out?: string;
}

const EXAMPLES = `
Examples:
  shmalloc bench
  shmalloc bench --quick --only tlsf,assemblyscript
  shmalloc bench --workload churn --rounds 31 --json
  shmalloc bench --pages
  shmalloc bench --against ../main --alloc mimalloc   this build against the one in that folder
  shmalloc bench --against .                          how far two equal builds differ

Contestants: ${timed()
  .map(({ name }) => name)
  .join(', ')}
Those that are called from C or compiled to WASM need a compiler and their library; without, they are left out with a note.
With several threads: ${THREAD_CONTESTANTS.map(({ name }) => name).join(', ')}
Workloads:
${[...WORKLOADS, ...THREAD_WORKLOADS, leak]
  .map(({ name, description }) => `  ${name.padEnd(13)} ${description}`)
  .join('\n')}`;

/**
 * Adds the subcommand.
 * @internal
 */
export function addBench(root: Command): void {
  root
    .command('bench')
    .description('measure the allocators against others in one run')
    .option('--only <names>', 'only these contestants, separated by commas', names)
    .option('--workload <names>', 'only these workloads, separated by commas', names)
    .option(
      '--rounds <number>',
      'how many rounds (default: 15 and, with several threads, 5; quick: 5 and 3)',
      (text) => wholeNumber(text, 1, 10_000),
    )
    .option('--seed <number>', 'seed of sizes and slots', (text) => wholeNumber(text, 0, 2 ** 32 - 1), 2332)
    .option('--quick', 'about a minute instead of eight; the figures are rough')
    .option('--no-garbage', 'leave out the measurement of JavaScript garbage')
    .option('--no-footprint', 'leave out the memory that recorded programs take')
    .option('--no-threads', 'leave out the workloads of several threads')
    .option(
      '--footprint-seconds <number>',
      'how long each heap’s memory is watched while threads come and go (default: 60, quick: 3); 0 not at all',
      (text) => wholeNumber(text, 0, 86_400),
    )
    .option('--pages', 'measure the page allocators instead, on a fragmented map of up to 2^20 pages')
    .addOption(
      new Option(
        '--against <dir>',
        'measure this build against that of another built checkout instead, in turns, and say what differs by more than the spread',
      ).conflicts(['pages', 'only', 'footprintSeconds']),
    )
    .option(
      '--alloc <names>',
      `with --against: which allocators (default: mimalloc, slab, tlsf, buddy); there are ${AGAINST_NAMES.join(', ')}`,
      names,
    )
    .option('--json', 'print the results as JSON')
    .option(
      '-o, --out <file>',
      'where the JSON goes (default: out/bench.json, out/bench-pages.json, out/bench-against.json)',
    )
    .addHelpText('after', EXAMPLES)
    .action(bench);
}

async function bench(flags: BenchFlags): Promise<void> {
  const { against, ...others } = flags;
  if (against !== undefined) return benchAgainst({ ...others, against });
  if (flags.alloc !== undefined)
    throw new UsageError("'--alloc' belongs to '--against'; here it is '--only'");
  if (flags.pages) return benchPages(flags);
  checkChoice('contestant', flags.only, [timed(), THREAD_CONTESTANTS]);
  checkChoice('workload', flags.workload, [WORKLOADS, THREAD_WORKLOADS, MEMORY_WORKLOADS]);
  const scale = flags.quick ? SCALES.quick : SCALES.full;
  const workloads = chosen(WORKLOADS, flags.workload);
  const plan: Plan = {
    // One that asks for work of several threads only gets nothing else.
    contestants: workloads.length > 0 ? chosen(timed(), flags.only) : [],
    workloads,
    rounds: flags.rounds ?? scale.rounds,
    roundSeconds: scale.roundSeconds,
    settleSeconds: scale.settleSeconds,
    bytes: REGION_BYTES,
    seed: flags.seed,
  };
  const metered = flags.garbage ? meteredOf(plan) : [];
  const filled = flags.footprint ? withFootprint(plan.contestants) : [];
  const traces = filled.length === 0 ? [] : tracesOf(flags.quick === true);
  const several = threadJob(flags);
  const progress = startProgress(
    stepsOf(plan) + metered.length * plan.workloads.length + filled.length * traces.length + several.steps,
  );
  let report: BenchReport;
  try {
    const { samples, absences } = await measure(plan, (label) => progress.step(label));
    const garbage = await meterAll(plan, metered, scale.operations, scale.garbageSeconds, progress);
    const gone = new Set(
      absences.filter(({ workload }) => workload === undefined).map((each) => each.contestant),
    );
    const footprint = await footprintOf(filled, traces, gone, progress);
    const { threads, memory } = await several.run(gone, progress);
    const references = REFERENCES.map(({ contestant }) => contestant);
    const { rounds, roundSeconds, settleSeconds, bytes, seed } = plan;
    report = {
      machine: describeMachine(),
      plan: { rounds, roundSeconds, settleSeconds, bytes, seed },
      references,
      figures: summarize(samples, references),
      garbage,
      footprint,
      threads,
      memory,
      absences,
      samples,
    };
  } finally {
    progress.done();
  }
  const json = `${JSON.stringify(report, null, 2)}\n`;
  const file = outPath(path.join('out', 'bench.json'), flags.out);
  writeFile(file, json);
  process.stdout.write(
    flags.json ? json : `${renderReport(report, { ...plan, contestants: CONTESTANTS })}\n\n${file}\n`,
  );
  const { figures, threads, memory } = report;
  if ([figures, threads?.figures ?? [], memory?.figures ?? []].flat().length === 0)
    throw new JobError('nothing could be measured');
}

/** The page allocators; neither contestants nor workloads are theirs to choose. */
function benchPages({ quick, rounds, seed, json: asJson, out }: BenchFlags): void {
  const plan = { rounds: rounds ?? (quick ? 5 : 15), calls: quick ? 20_000 : 200_000, seed };
  const progress = startProgress(PAGES_STEPS);
  try {
    const figures = measurePages(plan, (label) => progress.step(label));
    const json = `${JSON.stringify({ machine: describeMachine(), plan, figures }, null, 2)}\n`;
    const file = outPath(path.join('out', 'bench-pages.json'), out);
    writeFile(file, json);
    process.stdout.write(asJson ? json : `${renderPages(figures)}\n\n${file}\n`);
  } finally {
    progress.done();
  }
}

/** The recordings, in a hurry only those of programs that did little. */
function tracesOf(quick: boolean): NamedTrace[] {
  return recordings
    .filter(({ operations }) => !quick || operations <= QUICK_OPERATIONS)
    .map(({ name, url }) => ({ name, load: () => readTrace(readFileSync(url)) }));
}

/** A thread that is absent altogether has been told of, and is not tried again. */
async function footprintOf(
  contestants: readonly Contestant[],
  traces: readonly NamedTrace[],
  gone: ReadonlySet<string>,
  progress: Progress,
): Promise<Footprint | null> {
  const present = contestants.filter(({ name }) => !gone.has(name));
  if (present.length === 0) return null;
  return measureFootprint(present, traces, (label) => progress.step(label));
}

/** Ours that were chosen and, if there are any, the control. */
function meteredOf(plan: Plan): Contestant[] {
  const ours = plan.contestants.filter(({ kind }) => kind === 'ours');
  return ours.length === 0 ? [] : [...ours, ...CONTESTANTS.filter(({ name }) => name === METER_CONTROL)];
}

async function meterAll(
  plan: Plan,
  metered: readonly Contestant[],
  operations: number,
  limitSeconds: number,
  progress: Progress,
): Promise<Garbage[]> {
  const results: Garbage[] = [];
  for (const contestant of metered) {
    for (const workload of plan.workloads) {
      progress.step(`${contestant.title}, ${workload.title}: garbage`);
      if (!('open' in contestant)) continue;
      const order = { workload: workload.name, bytes: plan.bytes, seed: plan.seed, prepared: undefined };
      try {
        results.push(await meterGarbage(contestant, { ...order, operations, limitSeconds }));
      } catch (error) {
        progress.note(`garbage of ${contestant.title} not measured: ${oneLine(error)}`);
      }
    }
  }
  return results;
}

/** Contestants that have a row among the times. */
function timed(): Contestant[] {
  return CONTESTANTS.filter(({ name }) => name !== METER_CONTROL);
}

type Named = readonly { name: string }[];

function checkChoice(what: string, only: readonly string[] | undefined, lists: readonly Named[]): void {
  const known = lists.flatMap((list) => list.map(({ name }) => name));
  if (only !== undefined) checkNames(what, only, [...new Set(known)]);
}
