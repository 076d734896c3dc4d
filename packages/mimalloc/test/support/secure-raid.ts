/**
 * What the threads of secure-threads.test.ts share.
 */

import type { Handle } from '@shmalloc/allocator-api';

/** What a worker is given. */
export interface Raid {
  readonly handle: Handle;
  /** Two words: how many have come, how often all were there. */
  readonly barrier: Int32Array<SharedArrayBuffer>;
  /** The blocks of this round. */
  readonly addresses: Uint32Array<SharedArrayBuffer>;
  readonly rounds: number;
  readonly parties: number;
}

/** Waits until all parties have come. */
export function meet(barrier: Int32Array<SharedArrayBuffer>, parties: number): void {
  const times = Atomics.load(barrier, 1);
  if (Atomics.add(barrier, 0, 1) === parties - 1) {
    Atomics.store(barrier, 0, 0);
    Atomics.add(barrier, 1, 1);
    Atomics.notify(barrier, 1);
  } else while (Atomics.load(barrier, 1) === times) Atomics.wait(barrier, 1, times, 100);
}
