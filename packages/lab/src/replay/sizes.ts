/** How large the blocks of a trace are, by powers of two. */

import { OP_EXIT, OP_FREE, type Trace } from '@shmalloc/trace';
import type { SizeClass } from '../report/report.ts';

/** The smallest class: sizes 0 to 8. */
const SMALLEST = 3;

/**
 * @param trace - any trace
 * @returns every power of two from the smallest to the largest that occurs, those between included
 * @public
 */
export function sizeClasses(trace: Trace): SizeClass[] {
  const { op, size, operations } = trace;
  const blocks = new Array<number>(33).fill(0);
  const bytes = new Array<number>(33).fill(0);
  let low = 33;
  let high = 0;
  for (let index = 0; index < operations; index++) {
    if (op[index] === OP_FREE || op[index] === OP_EXIT) continue;
    const power = size[index] <= 8 ? SMALLEST : 32 - Math.clz32(size[index] - 1);
    blocks[power]++;
    bytes[power] += size[index];
    if (power < low) low = power;
    if (power > high) high = power;
  }
  const classes: SizeClass[] = [];
  for (let power = low; power <= high; power++) {
    classes.push({ upTo: 2 ** power, blocks: blocks[power], bytes: bytes[power] });
  }
  return classes;
}
