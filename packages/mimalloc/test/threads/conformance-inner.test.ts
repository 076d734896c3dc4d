import { conformance } from '@shmalloc/alloc-test';
import test from 'ava';
import { LockedInner } from '../support/locked-inner.js';

conformance(
  test,
  {
    title: 'MiAllocatorInner behind a lock',
    algorithm: LockedInner,
    exportName: 'LockedInner',
    module: new URL('../support/locked-inner.js', import.meta.url).href,
    options: { grow: false },
  },
  { workers: [4], variant: true },
);
