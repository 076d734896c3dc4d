/**
 * Secure mode: four levels, each with everything before it.
 *
 * ```
 *   1 sealed     canaries around the header and the tables, a checksum over what never changes
 *   2 encoded    free lists with keys, in random order
 *   3 padded     every block knows whether it is in use, and by how many bytes
 *   4 poisoned   freed memory is filled, and some blocks have zones all around
 * ```
 */

import { Field } from '../layout/header.ts';
import type { Guard } from '../thread/guard.ts';
import type { Tld } from '../thread/thread-view.ts';
import { EncodedGuard } from './encoded.ts';
import { PaddedGuard } from './padded.ts';
import { PoisonedGuard } from './poisoned.ts';
import { SealedGuard } from './sealed.ts';

/**
 * Secure mode at the level that a region's header says.
 * @throws AllocError `InvalidParam` when the header is damaged
 */
export function makeGuard(tld: Tld): Guard {
  const level = tld.i32[tld.header + Field.secure];
  if (level === 2) return new EncodedGuard(tld);
  if (level === 3) return new PaddedGuard(tld);
  if (level === 4) return new PoisonedGuard(tld);
  // 1; and what was overwritten, which is refused there.
  return new SealedGuard(tld);
}
