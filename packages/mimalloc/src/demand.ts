import { AllocError } from '@shmalloc/allocator-api';

/**
 * Demands an invariant.
 * @param sentence - what does not hold, with an address or a number
 * @throws AllocError `Corrupted` unless it holds
 */
export function demand(holds: boolean, sentence: string): asserts holds {
  if (!holds) throw new AllocError('Corrupted', `mimalloc is broken: ${sentence}`);
}
