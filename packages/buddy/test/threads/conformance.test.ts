import { conformance } from '@shmalloc/alloc-test';
import { Buddy } from '@shmalloc/buddy';
import test from 'ava';

conformance(
  test,
  { algorithm: Buddy, exportName: 'Buddy', module: import.meta.resolve('@shmalloc/buddy') },
  // A request is rounded up to a power of two and lies at a multiple of it: of an almost empty heap half can
  // be had for certain.
  { workers: [1, 4], largestShare: 0.5 },
);
