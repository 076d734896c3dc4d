import { conformance } from '@shmalloc/alloc-test';
import test from 'ava';
import { LockedInner } from '../support/locked-inner.js';

conformance(
  test,
  {
    name: 'MiAllocatorInner behind a lock',
    allocator: LockedInner,
    module: new URL('../support/locked-inner.js', import.meta.url).href,
    options: { grow: false },
  },
  { workers: [4], variant: true },
);
