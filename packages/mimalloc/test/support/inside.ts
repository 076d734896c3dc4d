/**
 * What stands behind the objects that programs hold: tests look there.
 */

import type { MiHeapCore, MiMallocCore } from '@shmalloc/mimalloc';
import type { Tld } from '../../dist/thread/thread-view.js';

/** What a thread knows of the region. */
export function tldOf(heap: MiMallocCore | MiHeapCore): Tld {
  return (heap as unknown as { readonly tld: Tld }).tld;
}

/** Where the record of a heap lies, in words. */
export function recordOf(heap: MiHeapCore): number {
  return (heap as unknown as { readonly record: number }).record;
}
