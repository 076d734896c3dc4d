/** The C side of the footprint: `native/replay.c` in a fresh process for each trace. */

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Trace } from '@shmalloc/trace';
import { type CAllocator, programFor } from '../native/allocator.ts';
import { scratchFolder } from '../native/compiler.ts';
import { startProgram } from '../native/program.ts';
import { flatTrace } from './flat-trace.ts';

/**
 * The heap is looked at whenever a 64th of the peak was allocated, so 1.6 % of it is the most that a look can
 * come too late.
 */
const LOOKS_PER_PEAK = 64;
const PAGE_BYTES = 4096;

/**
 * What a replay in C found.
 * @internal
 */
export interface NativeReplay {
  readonly version: string;
  /** The most bytes live, as asked for. */
  readonly peakLiveBytes: number;
  /** The most bytes in private pages without a file, less those before the first operation. */
  readonly footprintBytes: number;
  /** The most bytes committed, by the allocator's own account; 0 when it keeps none. */
  readonly committedBytes: number;
  /** How often the heap was looked at. */
  readonly looks: number;
}

/**
 * Replays a trace on an allocator that is called from C.
 * @param allocator - which
 * @param trace - any trace
 * @param peakLiveBytes - of the trace
 * @throws Error of one line when it cannot be compiled, or fails
 * @internal
 */
export async function replayNative(
  allocator: CAllocator,
  trace: Trace,
  peakLiveBytes: number,
): Promise<NativeReplay> {
  const program = programFor('replay.c', allocator);
  const file = path.join(scratchFolder(), 'trace.flat');
  const stride = Math.max(PAGE_BYTES, Math.floor(peakLiveBytes / LOOKS_PER_PEAK));
  writeFileSync(file, flatTrace(trace, stride));
  const running = startProgram(program, [file]);
  try {
    const found = JSON.parse(await running.answer()) as NativeReplay;
    if (found.peakLiveBytes !== peakLiveBytes) {
      throw new Error(
        `replayed another trace: ${found.peakLiveBytes} bytes at its peak, not ${peakLiveBytes}`,
      );
    }
    return found;
  } finally {
    await running.close();
  }
}
