import { conformance } from '@shmalloc/alloc-test';
import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';

conformance(
  test,
  {
    title: 'mimalloc',
    algorithm: MiMalloc,
    exportName: 'MiMalloc',
    module: import.meta.resolve('@shmalloc/mimalloc'),
    // The kit adds memory itself, and wants to see the heap run out before; a small region has slots for 8
    // threads, the kit sends more.
    options: { grow: false, threads: 24 },
  },
  // 1, 2 and 8 workers in `conformance.long.test.ts`.
  { workers: [4], locks: false, grows: true },
);
