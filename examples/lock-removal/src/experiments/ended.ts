/**
 * A thread ends, as a program lets it end: steps 5 and 6.
 *
 * ```
 *   thread 0   allocates half the heap ──list──▶ ends           its segments: whose?
 *   thread 1                                     frees every block, then asks for all the memory that it can get
 * ```
 */

import { Crew } from '../crew.ts';
import { mebibytes, type Outcome } from '../outcome.ts';

const BLOCK = 256;
const PIECE = 64 << 10;

/** @param adopted - whether the step is to let others have the segments */
export async function ended(program: string, adopted: boolean): Promise<Outcome> {
  const crew = await Crew.of(program, 2);
  const [ending, staying] = crew.hands;
  const total = crew.heap.totalBytes();
  await ending.tell({ what: 'fill', size: BLOCK, bytes: total / 2 });
  await ending.tell({ what: 'leave' });
  await crew.kill(ending);
  const left = segmentsOf(crew, ending.threadId) + abandoned(crew);
  await staying.tell({ what: 'empty' });
  const available = crew.heap.availableBytes();
  const got = (await staying.tell({ what: 'hog', size: PIECE })) ?? 0;
  const stranded = segmentsOf(crew, ending.threadId);
  await crew.dismiss();
  return {
    claim: adopted ? 'what a thread leaves behind is adopted' : 'a thread that ends strands its segments',
    shown:
      left > 0 && (adopted ? stranded === 0 && got > 0.8 * total : stranded === left && got < 0.6 * total),
    lines: [
      `thread 0 fills half of ${mebibytes(total)} and ends with ${left} segments; thread 1 frees all of its blocks`,
      `then ${mebibytes(available)} are available; malloc in thread 1 fails after ${mebibytes(got)}, and ${stranded} segments are no thread's to use`,
    ],
    facts: { segments: left, stranded, totalBytes: total, availableBytes: available, gotBytes: got },
  };
}

function segmentsOf({ heap }: Crew, threadId: number): number {
  return heap.inspect().segments.filter((segment) => segment.owner === threadId).length;
}

function abandoned({ heap }: Crew): number {
  return heap.stats().abandonedSegments;
}
