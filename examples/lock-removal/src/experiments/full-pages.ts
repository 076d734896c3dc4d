/**
 * Full pages that only other threads free into: steps 4 to 6.
 *
 * ```
 *   round 1, 2, 3:   thread 0 allocates a quarter of the heap ──list──▶ thread 1 frees every block
 *   then:            thread 1 asks for all the memory that it can get
 * ```
 *
 * With pages that come back, thread 0 uses the same quarter three times, and thread 1 gets the rest. With
 * pages that are lost, thread 0 has three quarters of the heap in the end and nothing in them.
 */

import { Crew } from '../crew.ts';
import { counted, mebibytes, type Outcome } from '../outcome.ts';

const ROUNDS = 3;
/** Bytes of a block. */
const BLOCK = 256;
/** Bytes of what thread 1 asks for in the end, time and again. */
const PIECE = 64 << 10;

/** @param announced - whether the step is to get the pages back */
export async function fullPages(program: string, announced: boolean): Promise<Outcome> {
  const crew = await Crew.of(program, 2);
  const [owner, other] = crew.hands;
  const { heap } = crew;
  const total = heap.totalBytes();
  const pages: number[] = [];
  let blocks = 0;
  for (let round = 0; round < ROUNDS; round++) {
    await owner.tell({ what: 'fill', size: BLOCK, bytes: total / 4 });
    blocks = (await other.tell({ what: 'empty' })) ?? 0;
    pages.push(pagesOf(crew, owner.threadId));
  }
  const available = heap.availableBytes();
  const got = (await other.tell({ what: 'hog', size: PIECE })) ?? 0;
  await crew.dismiss();
  const grown = pages[ROUNDS - 1] / pages[0];
  return {
    claim: announced
      ? 'full pages come back when another thread frees into them'
      : 'a full page that only others free into is lost',
    shown: announced
      ? grown < 1.5 && got > 0.6 * total
      : grown > 2.5 && got < 0.4 * total && available > 0.9 * total,
    lines: [
      `${ROUNDS} times thread 0 fills a quarter of ${mebibytes(total)} with ${counted(blocks)} blocks, and thread 1 frees them all`,
      `pages of thread 0 after each time: ${pages.map(counted).join(', ')}`,
      `then ${mebibytes(available)} are available, and malloc in thread 1 fails after ${mebibytes(got)}`,
    ],
    facts: { pages: pages.join(' '), blocks, totalBytes: total, availableBytes: available, gotBytes: got },
  };
}

/** Pages that a thread has. */
function pagesOf({ heap }: Crew, threadId: number): number {
  return heap
    .inspect()
    .segments.flatMap((segment) => segment.pages)
    .filter((page) => page.owner === threadId).length;
}
