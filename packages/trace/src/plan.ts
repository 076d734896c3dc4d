/**
 * A replay plan: which thread does which operation, and which waits for which. It is typed arrays over shared
 * memory, so it can be posted to every worker.
 *
 * ```
 *   stream of CPU 0                     stream of CPU 1                    a record, 20 bytes
 *   ┌──────────────────────────┐        ┌──────────────────────────┐       ┌─────────────────────────────┐
 *   │ malloc  1                │        │ malloc  2                │       │ op │ flags │ align << 8     │
 *   │ malloc  3       publish ─┼───┐    │ free    2                │       │ id                          │
 *   │ free    1                │   └────┼─▶ wait  free    3        │       │ size (of what is freed: its)│
 *   │ malloc  4       publish ─┼────────┼─▶ wait  realloc 4 → 5    │       │ oldId      (realloc)        │
 *   └──────────────────────────┘        └──────────────────────────┘       │ size of it (realloc)        │
 *                                                                          └─────────────────────────────┘
 *   control    ┌───────┬──────────┬──────────┬──────────┬──────────┬─       a cache line each: the value, then how many sleep
 *              │ abort │ started  │ finished │ live     │ CPU 0    │ …      on it. A CPU's value is its last sync point: how
 *              └───────┴──────────┴──────────┴──────────┴──────────┴─       many operations it had done when it published
 *   table      ┌───┬───┬───┬───┬───┬─
 *              │ 0 │ 1 │ 2 │ 3 │ 4 │ …     block → address; 0: not allocated yet
 *              └───┴───┴───┴───┴───┴─
 *   live       ┌──────────┬──────────┬─
 *              │ CPU 0    │ CPU 1    │ …    a cache line each: bytes that this CPU has allocated less those it has freed
 *              └──────────┴──────────┴─
 *   waits      (cpu, sync point) …         for each record with the flag `wait`, in the order of the stream
 * ```
 */

/** Words of a record, by place. */
export const RECORD_WORDS = 5;
export const RECORD_HEAD = 0;
export const RECORD_ID = 1;
export const RECORD_SIZE = 2;
export const RECORD_OLD_ID = 3;
export const RECORD_OLD_SIZE = 4;

/** The head: bits 0–2 the operation, then the flags, from bit 8 the logarithm of the alignment. */
export const HEAD_OP_MASK = 0x07;
export const HEAD_WAIT = 0x08;
export const HEAD_PUBLISH = 0x10;
export const HEAD_ALIGN_SHIFT = 8;

/** In `waits`, the top bit of the first word of a pair: another pair for the same record follows. */
export const WAIT_MORE = 0x8000_0000;

/** Words of `control`: a line of 64 bytes for each value. */
const LINE_WORDS = 16;
export const CONTROL_ABORT = 0;
export const CONTROL_STARTED: number = LINE_WORDS;
export const CONTROL_FINISHED: number = 2 * LINE_WORDS;
/** Bytes live over all CPUs, modulo 2^32, when all of them count. */
export const CONTROL_LIVE: number = 3 * LINE_WORDS;
/** The first CPU's line. */
const CONTROL_CPUS: number = 4 * LINE_WORDS;

/** Behind a value: how many threads sleep on it. */
export const CONTROL_SLEEPERS = 1;
/** Behind `live`, on which no thread sleeps: how many CPUs count. */
export const CONTROL_COUNTING: number = CONTROL_LIVE + 1;
/** In a CPU's line: whether a thread has taken this CPU. */
export const CONTROL_TAKEN = 2;

/** The word of `control` with a CPU's last sync point: the first of its line. */
export function progressWord(cpu: number): number {
  return CONTROL_CPUS + cpu * LINE_WORDS;
}

/** The element of `live` of a CPU. */
export function liveSlot(cpu: number): number {
  return cpu * (LINE_WORDS / 2);
}

/**
 * What one CPU does.
 * @public
 */
export interface ReplayStream {
  /** Records in `records`. */
  readonly operations: number;
  readonly records: Uint32Array;
  /** Pairs (CPU, sync point). */
  readonly waits: Uint32Array;
  /** Pairs (block, size) of the blocks that this CPU allocates and no thread frees. */
  readonly leaks: Uint32Array;
}

/**
 * A trace made ready for replay on a number of CPUs. Structured-cloneable; what is cloned shares its memory.
 * One replay at a time: before another {@link resetPlan}, and for another at the same time
 * {@link siblingPlan}.
 * @public
 */
export interface ReplayPlan {
  readonly cpus: number;
  /** Operations of all streams: those of the trace. */
  readonly operations: number;
  /** Blocks are 1 … blocks. */
  readonly blocks: number;
  /** Waits of all streams. */
  readonly syncPoints: number;
  /** Which CPU runs which recorded thread. */
  readonly cpuOf: Uint32Array;
  readonly streams: readonly ReplayStream[];
  /** The words that CPUs wait on. */
  readonly control: Int32Array;
  /** Block → address. */
  readonly table: Uint32Array;
  /** Bytes that each CPU has allocated less those it has freed, one in a line of 64 bytes. */
  readonly live: Float64Array;
}

/** What a replay changes of a plan. */
type PlanState = Pick<ReplayPlan, 'control' | 'table' | 'live'>;

/** The state of a plan that has not been replayed: all words are 0. */
export function freshState(cpus: number, blocks: number): PlanState {
  return {
    control: new Int32Array(new SharedArrayBuffer(4 * progressWord(cpus))),
    table: new Uint32Array(new SharedArrayBuffer(4 * (blocks + 1))),
    live: new Float64Array(new SharedArrayBuffer(8 * liveSlot(cpus))),
  };
}

/**
 * Makes a plan fresh again. The blocks of the last replay are forgotten, not freed. No CPU may be replaying
 * it.
 * @public
 */
export function resetPlan(plan: ReplayPlan): void {
  plan.control.fill(0);
  plan.table.fill(0);
  plan.live.fill(0);
}

/**
 * The same plan with a state of its own, so that both can be replayed at the same time. The streams, which
 * are most of a plan, are shared.
 * @returns the sibling, fresh whatever the state of `plan`; it takes 4 bytes a block and 128 a CPU
 * @public
 */
export function siblingPlan(plan: ReplayPlan): ReplayPlan {
  return { ...plan, ...freshState(plan.cpus, plan.blocks) };
}
