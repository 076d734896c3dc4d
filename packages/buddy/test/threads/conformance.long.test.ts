import { conformance } from '@shmalloc/alloc-test';
import { Buddy } from '@shmalloc/buddy';
import test from 'ava';

conformance(
  test,
  { name: 'buddy, full scale', allocator: Buddy, module: import.meta.resolve('@shmalloc/buddy') },
  { workers: [1, 4, 8], scale: 'full', largestShare: 0.5 },
);
