/** A trace in the form that `native/replay.c` maps: its header has the picture. */

import type { Trace } from '@shmalloc/trace';

const HEADER_WORDS = 4;
const WORDS = 4;
const ALIGN_SHIFT = 8;

/**
 * @param trace - any trace
 * @param stride - after how many allocated bytes the heap is looked at
 * @returns the file's words
 * @internal
 */
export function flatTrace(trace: Trace, stride: number): Uint32Array<ArrayBuffer> {
  const { operations, blocks, op, alignLog2, id, size, oldId } = trace;
  const words = new Uint32Array(HEADER_WORDS + WORDS * operations);
  words.set([operations, blocks, stride]);
  for (let index = 0, at = HEADER_WORDS; index < operations; index++) {
    words[at++] = op[index] | (alignLog2[index] << ALIGN_SHIFT);
    words[at++] = id[index];
    words[at++] = size[index];
    words[at++] = oldId[index];
  }
  return words;
}
