/** `shmalloc bench`: the allocators against others, on the same work, in one run. */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { recordings } from '@shmalloc/recordings';
import { readTrace } from '@shmalloc/trace';
import type { Command } from 'commander';
import { CONTESTANTS, type Contestant, REFERENCES } from '../bench/contestant.ts';
import {
  type Footprint,
  measureFootprint,
  type NamedTrace,
  withFootprint,
} from '../bench/footprint/footprint.ts';
import { type Garbage, meterGarbage } from '../bench/garbage.ts';
import { type Absence, measure, type Plan, stepsOf } from '../bench/measure.ts';
import { type BenchReport, renderReport } from '../bench/report.ts';
import { summarize } from '../bench/summary.ts';
import { WORKLOADS } from '../bench/workload.ts';
import { JobError, oneLine } from '../errors.ts';
import { outPath, writeFile } from '../files.ts';
import { describeMachine } from '../machine.ts';
import { type Progress, startProgress } from '../progress.ts';
import { checkNames, names, wholeNumber } from './options.ts';

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

interface BenchFlags {
  only?: string[];
  workload?: string[];
  rounds?: number;
  seed: number;
  quick?: boolean;
  garbage: boolean;
  footprint: boolean;
  json?: boolean;
  out?: string;
}

const EXAMPLES = `
Examples:
  shmalloc bench
  shmalloc bench --quick --only tlsf,assemblyscript
  shmalloc bench --workload churn --rounds 31 --json

Contestants: ${timed()
  .map(({ name }) => name)
  .join(', ')}
Those that are called from C or compiled to WASM need a compiler and their library; without, they are left out with a note.
Workloads:
${WORKLOADS.map(({ name, description }) => `  ${name.padEnd(11)} ${description}`).join('\n')}`;

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
    .option('--rounds <number>', 'how many rounds (default: 15, quick: 5)', (text) =>
      wholeNumber(text, 1, 10_000),
    )
    .option('--seed <number>', 'seed of sizes and slots', (text) => wholeNumber(text, 0, 2 ** 32 - 1), 2332)
    .option('--quick', 'half a minute instead of about three; the figures are rough')
    .option('--no-garbage', 'leave out the measurement of JavaScript garbage')
    .option('--no-footprint', 'leave out the memory that recorded programs take')
    .option('--json', 'print the results as JSON')
    .option('-o, --out <file>', 'where the JSON goes (default: out/bench.json)')
    .addHelpText('after', EXAMPLES)
    .action(bench);
}

async function bench(flags: BenchFlags): Promise<void> {
  const scale = flags.quick ? SCALES.quick : SCALES.full;
  const plan: Plan = {
    contestants: chosen('contestant', timed(), flags.only),
    workloads: chosen('workload', WORKLOADS, flags.workload),
    rounds: flags.rounds ?? scale.rounds,
    roundSeconds: scale.roundSeconds,
    settleSeconds: scale.settleSeconds,
    bytes: REGION_BYTES,
    seed: flags.seed,
  };
  const metered = flags.garbage ? meteredOf(plan) : [];
  const filled = flags.footprint ? withFootprint(plan.contestants) : [];
  const traces = filled.length === 0 ? [] : tracesOf(flags.quick === true);
  const progress = startProgress(
    stepsOf(plan) + metered.length * plan.workloads.length + filled.length * traces.length,
  );
  let report: BenchReport;
  try {
    const { samples, absences } = await measure(plan, (label) => progress.step(label));
    const garbage = await meterAll(plan, metered, scale.operations, scale.garbageSeconds, progress);
    const footprint = await footprintOf(filled, traces, absences, progress);
    const references = REFERENCES.map(({ contestant }) => contestant);
    const { rounds, roundSeconds, settleSeconds, bytes, seed } = plan;
    report = {
      machine: describeMachine(),
      plan: { rounds, roundSeconds, settleSeconds, bytes, seed },
      references,
      figures: summarize(samples, references),
      garbage,
      footprint,
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
  if (report.figures.length === 0) throw new JobError('nothing could be measured');
}

/** The recordings, in a hurry only those of programs that did little. */
function tracesOf(quick: boolean): NamedTrace[] {
  return recordings
    .filter(({ operations }) => !quick || operations <= QUICK_OPERATIONS)
    .map(({ name, url }) => ({ name, load: () => readTrace(readFileSync(url)) }));
}

/** Whoever is absent altogether has been told of, and is not tried again. */
async function footprintOf(
  contestants: readonly Contestant[],
  traces: readonly NamedTrace[],
  absences: readonly Absence[],
  progress: Progress,
): Promise<Footprint | null> {
  const gone = new Set(absences.filter((each) => each.workload === undefined).map((each) => each.contestant));
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

function chosen<T extends { name: string }>(
  what: string,
  all: readonly T[],
  only: readonly string[] | undefined,
): readonly T[] {
  if (only === undefined) return all;
  checkNames(
    what,
    only,
    all.map(({ name }) => name),
  );
  return all.filter(({ name }) => only.includes(name));
}
