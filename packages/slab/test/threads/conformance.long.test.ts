import { conformance } from '@shmalloc/alloc-test';
import { Slab } from '@shmalloc/slab';
import test from 'ava';

conformance(
  test,
  {
    title: 'slab, full scale',
    algorithm: Slab,
    exportName: 'Slab',
    module: import.meta.resolve('@shmalloc/slab'),
    // A small region has slots for 8 CPUs, the kit sends more.
    options: { threads: 24 },
  },
  { workers: [1, 4, 8], locks: false, scale: 'full' },
);
