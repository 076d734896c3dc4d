/**
 * The measurement: for each workload every contestant takes its seat, then the rounds go round.
 *
 * ```
 *   round 1   Tlsf  Basic  AssemblyScript  …     one at a time, so that no two share the processor
 *   round 2         Basic  AssemblyScript  …  Tlsf     each round starts with another one
 *   …
 * ```
 *
 * All rounds of a workload lie close together in time, so whatever slows the machine down for a while slows
 * everybody down, and a ratio is taken between two rounds of the same number.
 */

import type { Contestant, Seat, SeatOrder } from './contestant.ts';
import { isolateSeat } from './isolate.ts';
import type { Workload } from './workload.ts';

/** @public */
export interface Plan extends Rounds {
  readonly workloads: readonly Workload[];
}

/**
 * What the rounds themselves need of a plan.
 * @public
 */
export interface Rounds {
  readonly contestants: readonly Contestant[];
  readonly workloads: readonly Pick<Workload, 'name' | 'title'>[];
  readonly rounds: number;
  /** How long a round of one contestant takes. */
  readonly roundSeconds: number;
  /** When a contestant stops settling at the latest. */
  readonly settleSeconds: number;
  /** Size of each region in bytes. */
  readonly bytes: number;
  readonly seed: number;
}

/**
 * What one contestant did in one workload.
 * @public
 */
export interface Sample {
  readonly contestant: string;
  readonly workload: string;
  /** Pairs in a round. */
  readonly pairs: number;
  /** Nanoseconds a pair, round by round. */
  readonly rounds: number[];
  /** Of the contestant, where its seat can tell. */
  readonly version?: string;
}

/**
 * Another thread that is not in the table, or not in a column, and why.
 * @public
 */
export interface Absence {
  readonly contestant: string;
  /** A workload, or `footprint` and perhaps a trace. Missing when it is absent altogether. */
  readonly workload?: string;
  readonly reason: string;
}

/** @public */
export interface Measurement {
  readonly samples: Sample[];
  readonly absences: Absence[];
}

/** How many steps {@link measure} will tell of. @public */
export function stepsOf({ contestants, workloads, rounds }: Plan): number {
  return contestants.length * (1 + workloads.length * (1 + rounds));
}

/**
 * Measures everybody. A thread that cannot take part is left out with the reason; no thread stops the others.
 * @param plan - which contestants, and what
 * @param step - called before each step, with what it is
 * @public
 */
export async function measure(plan: Rounds, step: (label: string) => void = () => {}): Promise<Measurement> {
  const samples: Sample[] = [];
  const absences: Absence[] = [];
  const prepared = new Map<Contestant, unknown>();

  for (const contestant of plan.contestants) {
    step(`${contestant.title}: prepare`);
    try {
      prepared.set(contestant, await contestant.prepare?.());
    } catch (error) {
      absences.push({ contestant: contestant.name, reason: reasonOf(error) });
    }
  }

  for (const workload of plan.workloads) {
    let table: { contestant: Contestant; seat: Seat; sample: Sample }[] = [];
    for (const [contestant, forSeat] of prepared) {
      step(`${contestant.title}, ${workload.title}: settle`);
      let seat: Seat | undefined;
      try {
        seat = await takeSeat(contestant, {
          workload: workload.name,
          bytes: plan.bytes,
          seed: plan.seed,
          prepared: forSeat,
        });
        const pairs = await seat.settle(plan.roundSeconds, plan.settleSeconds);
        const { version } = seat;
        const sample: Sample = {
          contestant: contestant.name,
          workload: workload.name,
          pairs,
          rounds: [],
          ...(version !== undefined && { version }),
        };
        table.push({ contestant, seat, sample });
      } catch (error) {
        absences.push({ contestant: contestant.name, workload: workload.name, reason: reasonOf(error) });
        await seat?.close();
      }
    }
    for (let round = 0; round < plan.rounds; round++) {
      for (const place of rotated(table, round)) {
        const { contestant, seat, sample } = place;
        step(`${contestant.title}, ${workload.title}: round ${round + 1}`);
        try {
          sample.rounds.push(await seat.round(sample.pairs));
        } catch (error) {
          absences.push({ contestant: contestant.name, workload: workload.name, reason: reasonOf(error) });
          await seat.close();
          table = table.filter((other) => other !== place);
        }
      }
    }
    for (const { seat, sample } of table) {
      samples.push(sample);
      await seat.close();
    }
  }
  return { samples, absences };
}

/** The same list, begun at another place. @internal */
export function rotated<T>(list: readonly T[], by: number): T[] {
  const start = list.length === 0 ? 0 : by % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}

function takeSeat(contestant: Contestant, order: SeatOrder): Promise<Seat> {
  return 'seat' in contestant ? contestant.seat(order) : isolateSeat(contestant, order);
}

/**
 * The first line of what went wrong; a missing package is said as such.
 * @internal
 */
export function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ERR_MODULE_NOT_FOUND') {
    return `not installed here (it is a development dependency): ${message.split('\n')[0]}`;
  }
  return (message ?? String(error)).split('\n')[0];
}
