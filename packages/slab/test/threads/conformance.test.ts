import { conformance } from '@shmalloc/alloc-test';
import { Slab } from '@shmalloc/slab';
import test from 'ava';

conformance(
  test,
  { algorithm: Slab, exportName: 'Slab', module: import.meta.resolve('@shmalloc/slab') },
  { workers: [1, 4], locks: false },
);
