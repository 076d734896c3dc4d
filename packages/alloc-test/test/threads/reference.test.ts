import { conformance } from '@shmalloc/alloc-test';
import test from 'ava';
import { Reference } from '../support/reference.js';

// A correct allocator passes everything. Its lists are slow, so one worker count must do.
conformance(
  test,
  {
    title: 'reference',
    algorithm: Reference,
    exportName: 'Reference',
    module: new URL('../support/reference.js', import.meta.url).href,
  },
  { workers: [2], locks: ['spin'], heapBytes: 256 * 1024 },
);
