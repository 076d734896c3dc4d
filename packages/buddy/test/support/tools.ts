import { AllocError, type AllocErrorCode } from '@shmalloc/allocator-api';
import type { ExecutionContext } from 'ava';

export const PAGE = 4096;

/** Demands an AllocError of this code; with `shown`, that its message names it. */
export function refused(t: ExecutionContext, code: AllocErrorCode, call: () => unknown, shown = ''): void {
  const error = t.throws(call, { instanceOf: AllocError });
  t.is(error?.code, code, error?.message);
  t.true(error?.message.includes(shown), `${error?.message} does not name ${shown}`);
}

export { randomOf, seedOf } from '../../../alloc-test/dist-test/support/threads.js';
