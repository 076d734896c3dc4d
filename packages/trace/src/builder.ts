/**
 * Builds a trace, one operation at a time, and refuses every operation that would break an invariant of the
 * normal form.
 */

import {
  MAX_SIZE,
  OP_ALIGNED,
  OP_CALLOC,
  OP_EXIT,
  OP_FREE,
  OP_MALLOC,
  OP_REALLOC,
  type Trace,
  TraceError,
  type TraceErrorReason,
  type TraceEvent,
} from './normal-form.ts';

/** What is known of a block number. */
const NEVER = 0;
const LIVE = 1;
const FREED = 2;

/**
 * Collects operations into a {@link Trace}. A refused operation throws and leaves the builder as it was, so
 * the caller may go on.
 *
 * @example
 * ```ts
 * const builder = new TraceBuilder();
 * const block = builder.malloc(0, 24); // thread 0 asks for 24 bytes: block 1
 * builder.free(1, block);              // thread 1 frees them
 * const trace = builder.build();
 * ```
 * @public
 */
export class TraceBuilder {
  #op = new Uint8Array(1024);
  #thread = new Uint32Array(1024);
  #id = new Uint32Array(1024);
  #size = new Uint32Array(1024);
  #alignLog2 = new Uint8Array(1024);
  #oldId = new Uint32Array(1024);
  #operations = 0;

  /** By block: NEVER, LIVE or FREED. Block 0 is NULL. */
  #state = new Uint8Array(1024);
  #blocks = 0;

  /** By thread: whether it has ended. */
  #ended: boolean[] = [];

  /** Operations so far. */
  get operations(): number {
    return this.#operations;
  }

  /** Threads so far; the next new thread has this number. */
  get threads(): number {
    return this.#ended.length;
  }

  /** Blocks so far; the next one has this number plus one. */
  get blocks(): number {
    return this.#blocks;
  }

  /**
   * @param thread - one that allocates: a thread already seen, or the next new number
   * @param size - bytes, 0 … 2^32 − 1
   * @returns the block's number
   * @throws TraceError `thread-order`, `thread-ended`, `size`
   */
  malloc(thread: number, size: number): number {
    return this.#allocate(OP_MALLOC, thread, size, 0, 0);
  }

  /**
   * @param thread - one that allocates
   * @param size - bytes in all, count and size multiplied
   * @returns the block's number
   * @throws as {@link TraceBuilder.malloc}
   */
  calloc(thread: number, size: number): number {
    return this.#allocate(OP_CALLOC, thread, size, 0, 0);
  }

  /**
   * @param thread - one that allocates
   * @param align - bytes, a power of two up to 2^31
   * @param size - bytes
   * @returns the block's number
   * @throws as {@link TraceBuilder.malloc}, and `align`
   */
  aligned(thread: number, align: number, size: number): number {
    if (align >>> 0 !== align || align === 0 || (align & (align - 1)) !== 0) {
      throw this.#refuse('align', `alignment ${align} is no power of two up to 2^31`);
    }
    return this.#allocate(OP_ALIGNED, thread, size, 31 - Math.clz32(align), 0);
  }

  /**
   * @param thread - that reallocates
   * @param oldId - the block that ends, or 0 for NULL
   * @param size - bytes
   * @returns the number of the block that begins
   * @throws as {@link TraceBuilder.malloc}, and `never-allocated`, `freed-twice`
   */
  realloc(thread: number, oldId: number, size: number): number {
    this.#checkLive(oldId);
    const id = this.#allocate(OP_REALLOC, thread, size, 0, oldId);
    if (oldId !== 0) this.#state[oldId] = FREED;
    return id;
  }

  /**
   * @param thread - one that frees
   * @param id - the block, or 0 for NULL
   * @throws TraceError `never-allocated`, `freed-twice`, `thread-order`, `thread-ended`
   */
  free(thread: number, id: number): void {
    this.#checkLive(id);
    this.#append(OP_FREE, thread, id, 0, 0, 0);
    if (id !== 0) this.#state[id] = FREED;
  }

  /**
   * The thread has ended; it may not appear again.
   * @throws TraceError `thread-order`, `thread-ended`
   */
  exit(thread: number): void {
    this.#append(OP_EXIT, thread, 0, 0, 0, 0);
    this.#ended[thread] = true;
  }

  /**
   * The same for an event that is an object. `event.id` is looked at by `free` alone: allocations are
   * numbered here.
   * @returns the number of the block that was allocated or freed, 0 for `exit`
   * @throws TraceError, for every reason above, and `op` for an unknown operation
   */
  add(event: TraceEvent): number {
    switch (event.op) {
      case 'malloc':
        return this.malloc(event.thread, event.size);
      case 'calloc':
        return this.calloc(event.thread, event.size);
      case 'realloc':
        return this.realloc(event.thread, event.oldId ?? 0, event.size);
      case 'aligned':
        return this.aligned(event.thread, event.align ?? 1, event.size);
      case 'free':
        this.free(event.thread, event.id);
        return event.id;
      case 'exit':
        this.exit(event.thread);
        return 0;
      default:
        throw this.#refuse('op', `there is no operation ${JSON.stringify((event as TraceEvent).op)}`);
    }
  }

  /** The trace so far. The builder can go on and build a longer one. */
  build(): Trace {
    const length = this.#operations;
    return {
      operations: length,
      threads: this.threads,
      blocks: this.#blocks,
      op: this.#op.slice(0, length),
      thread: this.#thread.slice(0, length),
      id: this.#id.slice(0, length),
      size: this.#size.slice(0, length),
      alignLog2: this.#alignLog2.slice(0, length),
      oldId: this.#oldId.slice(0, length),
    };
  }

  #allocate(op: number, thread: number, size: number, alignLog2: number, oldId: number): number {
    if (!Number.isInteger(size) || size < 0 || size > MAX_SIZE) {
      throw this.#refuse('size', `size ${size} is no integer from 0 to 2^32 − 1`);
    }
    const id = this.#blocks + 1;
    this.#append(op, thread, id, size, alignLog2, oldId);
    if (id === this.#state.length) this.#state = longer(this.#state, new Uint8Array(2 * id));
    this.#state[id] = LIVE;
    this.#blocks = id;
    return id;
  }

  #append(op: number, thread: number, id: number, size: number, alignLog2: number, oldId: number): void {
    if (thread !== this.#ended.length) {
      if (this.#ended[thread] === undefined) {
        throw this.#refuse(
          'thread-order',
          `thread ${thread} appears, but the next new one is ${this.threads}`,
        );
      }
      if (this.#ended[thread]) throw this.#refuse('thread-ended', `thread ${thread} has ended`);
    } else this.#ended.push(false);
    const at = this.#operations;
    if (at === this.#op.length) this.#grow();
    this.#op[at] = op;
    this.#thread[at] = thread;
    this.#id[at] = id;
    this.#size[at] = size;
    this.#alignLog2[at] = alignLog2;
    this.#oldId[at] = oldId;
    this.#operations = at + 1;
  }

  #checkLive(id: number): void {
    if (id === 0) return;
    const state = this.#state[id] ?? NEVER;
    if (state === LIVE) return;
    if (state === FREED) throw this.#refuse('freed-twice', `block ${id} has been freed already`);
    throw this.#refuse('never-allocated', `block ${id} was never allocated`);
  }

  #refuse(reason: TraceErrorReason, what: string): TraceError {
    return new TraceError(reason, `operation ${this.#operations}: ${what}`);
  }

  #grow(): void {
    const length = 2 * this.#op.length;
    this.#op = longer(this.#op, new Uint8Array(length));
    this.#thread = longer(this.#thread, new Uint32Array(length));
    this.#id = longer(this.#id, new Uint32Array(length));
    this.#size = longer(this.#size, new Uint32Array(length));
    this.#alignLog2 = longer(this.#alignLog2, new Uint8Array(length));
    this.#oldId = longer(this.#oldId, new Uint32Array(length));
  }
}

/** Copies a column to the front of a longer one. */
function longer<T extends Uint8Array | Uint32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
