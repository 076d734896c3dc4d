import { conformance } from '@shmalloc/alloc-test';
import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';

conformance(
  test,
  {
    name: 'mimalloc, full scale',
    allocator: MiMalloc,
    module: import.meta.resolve('@shmalloc/mimalloc'),
    // The kit adds memory itself, and wants to see the heap run out before.
    options: { grow: false },
  },
  { workers: [1, 4, 8], locks: false, scale: 'full' },
);
