/**
 * The normal form of a trace: what a program asked of its allocator, in the order in which it asked.
 *
 * An event is `{ thread, op, id, size, align?, oldId? }`. A trace holds no objects; it is six columns of
 * equal length:
 *
 * ```
 *              op         thread      id          size        alignLog2   oldId
 *           ┌──────────┬───────────┬───────────┬───────────┬───────────┬───────────┐
 *         0 │ malloc   │ 0         │ 1         │ 24        │ 0         │ 0         │
 *         1 │ aligned  │ 0         │ 2         │ 100       │ 6         │ 0         │  64 = 2^6
 *         2 │ realloc  │ 1         │ 3         │ 48        │ 0         │ 1         │  block 1 ends, block 3 begins
 *         3 │ free     │ 1         │ 2         │ 0         │ 0         │ 0         │  block 2 crosses threads
 *         4 │ exit     │ 1         │ 0         │ 0         │ 0         │ 0         │  thread 1 has ended
 *           └──────────┴───────────┴───────────┴───────────┴───────────┴───────────┘
 *     bytes   1          4           4           4           1           4              = 18 an operation
 * ```
 *
 * Invariants: threads are numbered from 0 in order of first appearance; blocks from 1 in order of allocation,
 * and no number is used twice; a block is freed or reallocated at most once, after its allocation; a thread
 * does nothing after its exit; id 0 is NULL, so that `free` of 0 is `free(NULL)` and `realloc` with oldId 0
 * is `realloc(NULL, size)`.
 */

/** `malloc(size)`. @public */
export const OP_MALLOC = 0;
/** `calloc`, count and size multiplied. @public */
export const OP_CALLOC = 1;
/** `realloc(oldId, size)`: the old block ends and a new one begins. @public */
export const OP_REALLOC = 2;
/** `aligned_alloc` and its kin. @public */
export const OP_ALIGNED = 3;
/** `free(id)`. @public */
export const OP_FREE = 4;
/** The thread has ended. @public */
export const OP_EXIT = 5;

/**
 * The operations by name; an operation's code is its place in this list.
 * @public
 */
export const OPS: readonly ['malloc', 'calloc', 'realloc', 'aligned', 'free', 'exit'] = [
  'malloc',
  'calloc',
  'realloc',
  'aligned',
  'free',
  'exit',
];

/** @public */
export type OpName = (typeof OPS)[number];

/** The largest size of a block in a trace, in bytes. @public */
export const MAX_SIZE: number = 2 ** 32 - 1;

/**
 * One operation, as an object: for tests and for people. The machinery works on columns.
 * @public
 */
export interface TraceEvent {
  /** One that did it. */
  readonly thread: number;
  readonly op: OpName;
  /** The block that was allocated or freed; 0 for `free(NULL)` and `exit`. */
  readonly id: number;
  /** Bytes asked for; 0 for `free` and `exit`. */
  readonly size: number;
  /** Bytes, a power of two; `aligned` alone has it. */
  readonly align?: number;
  /** The block that was reallocated, 0 for NULL; `realloc` alone has it. */
  readonly oldId?: number;
}

/**
 * A trace in memory: one entry an operation in every column.
 * @public
 */
export interface Trace {
  /** Operations, thread exits included: the length of every column. */
  readonly operations: number;
  /** Threads are 0 … threads − 1. */
  readonly threads: number;
  /** Blocks are 1 … blocks. */
  readonly blocks: number;
  /** `OP_MALLOC` … `OP_EXIT`. */
  readonly op: Uint8Array;
  readonly thread: Uint32Array;
  readonly id: Uint32Array;
  /** Bytes. */
  readonly size: Uint32Array;
  /** The logarithm of the alignment, 0 except for `OP_ALIGNED`. */
  readonly alignLog2: Uint8Array;
  /** 0 except for `OP_REALLOC`. */
  readonly oldId: Uint32Array;
}

/**
 * What can be wrong with a trace, by name.
 *
 * - `never-allocated`, `freed-twice`: of a block
 * - `thread-order` (a thread number was left out), `thread-ended`: of a thread
 * - `size`, `align`, `op`: a value that no trace can hold
 * - `magic`, `version`, `truncated`, `checksum`, `corrupt`: of a file in the compact format
 * - `format`: a file in no format that is known
 * @public
 */
export type TraceErrorReason =
  | 'never-allocated'
  | 'freed-twice'
  | 'thread-order'
  | 'thread-ended'
  | 'size'
  | 'align'
  | 'op'
  | 'magic'
  | 'version'
  | 'truncated'
  | 'checksum'
  | 'corrupt'
  | 'format';

/**
 * A trace that breaks an invariant of the normal form, or a file that holds none.
 * @public
 */
export class TraceError extends Error {
  readonly reason: TraceErrorReason;

  constructor(reason: TraceErrorReason, message: string) {
    super(message);
    this.name = 'TraceError';
    this.reason = reason;
  }
}

/**
 * One operation as an object.
 * @param trace - where from
 * @param index - 0 … operations − 1
 * @public
 */
export function eventAt(trace: Trace, index: number): TraceEvent {
  const op = OPS[trace.op[index]];
  const event = { thread: trace.thread[index], op, id: trace.id[index], size: trace.size[index] };
  if (op === 'aligned') return { ...event, align: 2 ** trace.alignLog2[index] };
  if (op === 'realloc') return { ...event, oldId: trace.oldId[index] };
  return event;
}

/**
 * All operations, one object at a time.
 * @public
 */
export function* events(trace: Trace): Generator<TraceEvent, void, void> {
  for (let index = 0; index < trace.operations; index++) yield eventAt(trace, index);
}
