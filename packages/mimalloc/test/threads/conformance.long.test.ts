import { conformance } from '@shmalloc/alloc-test';
import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';

conformance(
  test,
  {
    title: 'mimalloc, full scale',
    algorithm: MiMalloc,
    exportName: 'MiMalloc',
    module: import.meta.resolve('@shmalloc/mimalloc'),
    // The kit adds memory itself, and wants to see the heap run out before; a small region has slots for 8
    // threads, the kit sends more.
    options: { grow: false, threads: 24 },
  },
  { workers: [1, 2, 4, 8], locks: false, grows: true, scale: 'full' },
);
