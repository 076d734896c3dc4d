/**
 * What a trace is like: the figures by which recordings are described and compared.
 */

import { OP_EXIT, OP_FREE, OP_REALLOC, OPS, type OpName, type Trace } from './normal-form.ts';

/**
 * The figures of one trace.
 * @public
 */
export interface TraceInfo {
  /** Operations of every kind, thread exits included. */
  readonly operations: number;
  /** How many of each kind. */
  readonly counts: Readonly<Record<OpName, number>>;
  readonly threads: number;
  /**
   * The most threads at once; a thread lives from its first operation to its exit, or to the end of the
   * trace.
   */
  readonly maxConcurrentThreads: number;
  /** Blocks allocated, by whichever operation. */
  readonly blocks: number;
  /** The most bytes live at once, as asked for. */
  readonly peakLiveBytes: number;
  /** The most blocks live at once. */
  readonly peakLiveBlocks: number;
  /** Frees of a block (not of NULL) by another thread than the one that allocated it. */
  readonly crossThreadFrees: number;
  /** {@link TraceInfo.crossThreadFrees} over all frees, 0 … 1. */
  readonly crossThreadShare: number;
  /** Reallocations of a block by another thread than the one that allocated it. */
  readonly crossThreadReallocs: number;
  /** Blocks never freed. */
  readonly leakedBlocks: number;
  /** Bytes of the blocks never freed. */
  readonly leakedBytes: number;
  /**
   * `sizeHistogram[k]`: allocations of more than 2^(k−1) and up to 2^k bytes; `[0]` holds sizes 0 and 1. 33
   * entries.
   */
  readonly sizeHistogram: readonly number[];
}

/**
 * Describes a trace. Two passes; 8 bytes for each block of the trace meanwhile.
 * @public
 */
export function traceInfo(trace: Trace): TraceInfo {
  const { operations, blocks, threads, op, thread, id, size, oldId } = trace;
  const counts = new Array<number>(OPS.length).fill(0);
  const sizeHistogram = new Array<number>(33).fill(0);
  const sizeOf = new Uint32Array(blocks + 1);
  const ownerOf = new Uint32Array(blocks + 1);
  let liveBytes = 0;
  let liveBlocks = 0;
  let peakLiveBytes = 0;
  let peakLiveBlocks = 0;
  let crossThreadFrees = 0;
  let crossThreadReallocs = 0;
  for (let index = 0; index < operations; index++) {
    const kind = op[index];
    counts[kind]++;
    if (kind === OP_EXIT) continue;
    const gone = kind === OP_FREE ? id[index] : kind === OP_REALLOC ? oldId[index] : 0;
    if (gone !== 0) {
      liveBlocks--;
      liveBytes -= sizeOf[gone];
      if (ownerOf[gone] !== thread[index]) {
        if (kind === OP_FREE) crossThreadFrees++;
        else crossThreadReallocs++;
      }
    }
    if (kind === OP_FREE) continue;
    const bytes = size[index];
    sizeHistogram[bucket(bytes)]++;
    sizeOf[id[index]] = bytes;
    ownerOf[id[index]] = thread[index];
    liveBlocks++;
    liveBytes += bytes;
    if (liveBytes > peakLiveBytes) peakLiveBytes = liveBytes;
    if (liveBlocks > peakLiveBlocks) peakLiveBlocks = liveBlocks;
  }
  const frees = counts[OP_FREE];
  return {
    operations,
    counts: Object.fromEntries(OPS.map((name, code) => [name, counts[code]])) as Record<OpName, number>,
    threads,
    maxConcurrentThreads: maxConcurrent(trace),
    blocks,
    peakLiveBytes,
    peakLiveBlocks,
    crossThreadFrees,
    crossThreadShare: frees === 0 ? 0 : crossThreadFrees / frees,
    crossThreadReallocs,
    leakedBlocks: liveBlocks,
    leakedBytes: liveBytes,
    sizeHistogram,
  };
}

/** The smallest k with `bytes` ≤ 2^k. */
function bucket(bytes: number): number {
  return bytes <= 1 ? 0 : 32 - Math.clz32(bytes - 1);
}

/** Threads are numbered by first appearance: thread n begins where n threads have begun already. */
function maxConcurrent({ operations, thread, op }: Trace): number {
  let begun = 0;
  let alive = 0;
  let most = 0;
  for (let index = 0; index < operations; index++) {
    if (thread[index] === begun) {
      begun++;
      alive++;
      if (alive > most) most = alive;
    }
    if (op[index] === OP_EXIT) alive--;
  }
  return most;
}
