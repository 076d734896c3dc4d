/**
 * Two builds of the same allocators, measured against each other.
 *
 * ```
 *   round 1   both builds open a heap each, in workers of their own, and settle;   here there  there here  here there  …
 *   round 2   fresh workers and heaps, the other build first;                      there here  here there  there here  …
 *   …
 * ```
 *
 * What V8 inlines, and where a heap's memory lies, differs from one isolate to the next by more than the loop
 * differs from one turn to the next. So a round begins with fresh ones, and gives one ratio: what a run says
 * is that of all its rounds. Of a build's turns in a round the quickest counts: whatever else the machine
 * does only ever makes one slower.
 */

import { CONTESTANTS, type IsolateContestant, type Seat, type SeatOrder } from '../contestant.ts';
import { isolateSeat } from '../isolate.ts';
import { type Absence, measure } from '../measure.ts';
import { type HeapContestant, THREAD_CONTESTANTS } from '../threads/contestant.ts';
import { gatherCrew } from '../threads/crew.ts';
import { THREAD_WORKLOADS, type ThreadWorkload } from '../threads/workload.ts';
import { WORKLOADS } from '../workload.ts';

/** Turns that each build has in a round; even, so that each is first as often as the other. */
const TURNS = 12;
/**
 * A turn of two threads is so many times as long: they have to come to work, and to fill the queue between
 * them.
 */
const LONGER = 5;

/** Operations after which a thread ends, in workloads where they do. */
const LIFE = 100_000;

/** @public */
export interface AgainstPlan {
  /** Folder of the other checkout. */
  readonly there: string;
  readonly rounds: number;
  readonly turnSeconds: number;
  /** When an allocator stops settling at the latest. */
  readonly settleSeconds: number;
  /** Size of each region in bytes. */
  readonly bytes: number;
  readonly seed: number;
}

/**
 * One allocator in one workload.
 * @internal
 */
export interface Row {
  readonly allocator: string;
  /** Of the allocator, above its table. */
  readonly title: string;
  readonly workload: string;
  /** Of the workload. */
  readonly work: string;
  /** Takes the seat of one build. */
  seat(order: SeatOrder): Promise<Seat>;
}

/**
 * What both builds did in one row.
 * @public
 */
export interface AgainstSample {
  readonly allocator: string;
  readonly workload: string;
  /** Nanoseconds an operation, round by round: the quickest of each build's turns. */
  readonly here: number[];
  readonly there: number[];
}

/** Ours, each of which comes from one package. @internal */
export const COMPARABLE: readonly IsolateContestant[] = CONTESTANTS.flatMap((each) =>
  'package' in each ? [each] : [],
);

/**
 * @param allocators - which of {@link COMPARABLE}
 * @param workloads - names, of one thread and of two; undefined for all
 * @internal
 */
export function rowsOf(
  allocators: readonly IsolateContestant[],
  workloads: readonly string[] | undefined,
): Row[] {
  const wanted = ({ name }: { name: string }): boolean => workloads?.includes(name) ?? true;
  return allocators.flatMap((contestant): Row[] => {
    const { name: allocator, title } = contestant;
    const threaded = THREAD_CONTESTANTS.find((each) => each.name === allocator);
    return [
      ...WORKLOADS.filter(wanted).map((workload) => ({
        allocator,
        title,
        workload: workload.name,
        work: workload.title,
        seat: (order: SeatOrder) => isolateSeat(contestant, order),
      })),
      ...(threaded === undefined || !('load' in threaded) ? [] : THREAD_WORKLOADS.filter(wanted)).map(
        (workload) => ({
          allocator,
          title,
          workload: workload.name,
          work: workload.title,
          seat: (order: SeatOrder) => crewSeat(threaded as HeapContestant, workload, order),
        }),
      ),
    ];
  });
}

/** A crew as the seat of one build: a turn is one round of it. */
async function crewSeat(
  contestant: HeapContestant,
  workload: ThreadWorkload,
  { workload: name, bytes, seed, build }: SeatOrder,
): Promise<Seat> {
  const crew = await gatherCrew(contestant, workload, { workload: name, bytes, seed, build, life: LIFE });
  const workers = Math.max(...workload.crews);
  let seconds = 0;
  return {
    async settle(turnSeconds, limitSeconds) {
      seconds = LONGER * turnSeconds;
      await crew.round(workers, Math.min(2 * seconds, limitSeconds));
      return 1;
    },
    async round() {
      const { nanoseconds, operations } = await crew.round(workers, seconds);
      return nanoseconds / operations;
    },
    close: () => crew.close(),
  };
}

/**
 * Measures every row. A row that one build cannot do is left out with the reason.
 * @param step - called before each round of each row, with what it is
 * @internal
 */
export async function measureAgainst(
  rows: readonly Row[],
  { there, rounds, turnSeconds, settleSeconds, bytes, seed }: AgainstPlan,
  step: (label: string) => void = () => {},
): Promise<{ samples: AgainstSample[]; absences: Absence[] }> {
  const samples: AgainstSample[] = [];
  const absences: Absence[] = [];
  for (const { allocator, title, workload, work, seat } of rows) {
    const builds = [
      { name: 'here', title, kind: 'ours' as const, seat },
      {
        name: 'there',
        title,
        kind: 'ours' as const,
        seat: (order: SeatOrder) => seat({ ...order, build: there }),
      },
    ];
    const sample: AgainstSample = { allocator, workload, here: [], there: [] };
    for (let round = 0; round < rounds; round++) {
      step(`${title}, ${work}: round ${round + 1}`);
      const one = await measure({
        contestants: round % 2 === 0 ? builds : builds.toReversed(),
        workloads: [{ name: workload, title: work }],
        rounds: TURNS,
        roundSeconds: turnSeconds,
        settleSeconds,
        bytes,
        seed,
      });
      absences.push(
        ...one.absences.map(({ contestant, reason }) => ({
          contestant: `${allocator} ${contestant}`,
          workload,
          reason,
        })),
      );
      if (one.absences.length > 0) break;
      for (const build of ['here', 'there'] as const) {
        sample[build].push(Math.min(...one.samples.find(({ contestant }) => contestant === build)!.rounds));
      }
    }
    if (sample.here.length === rounds) samples.push(sample);
  }
  return { samples, absences };
}
