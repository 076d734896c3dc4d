import { conformance } from '@shmalloc/alloc-test';
import { Buddy } from '@shmalloc/buddy';
import test from 'ava';

conformance(
  test,
  {
    title: 'buddy, full scale',
    algorithm: Buddy,
    exportName: 'Buddy',
    module: import.meta.resolve('@shmalloc/buddy'),
  },
  { workers: [1, 4, 8], scale: 'full', largestShare: 0.5 },
);
