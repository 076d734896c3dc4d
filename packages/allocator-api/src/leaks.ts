/** What a program has not freed. */

import type { Heap, LiveBlock } from './heap.ts';

/**
 * The live blocks of a heap, largest first.
 * @param heap - whose `visitBlocks` is used
 * @param siteOf - where a block was allocated, if that is known
 * @returns O(blocks · log blocks)
 * @public
 */
export function liveBlocks(
  heap: Pick<Heap, 'visitBlocks'>,
  siteOf: (address: number) => string | null = () => null,
): LiveBlock[] {
  const found: LiveBlock[] = [];
  heap.visitBlocks((address, size, tag, threadId) => {
    found.push({ address, size, tag, threadId, site: siteOf(address) });
  });
  return found.sort((one, other) => other.size - one.size || one.address - other.address);
}
