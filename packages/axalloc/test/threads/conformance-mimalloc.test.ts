import { conformance } from '@shmalloc/alloc-test';
import test from 'ava';
import { AxMimalloc, OMITTED } from '../support/tested.js';

conformance(
  test,
  {
    title: 'axalloc over mimalloc',
    algorithm: AxMimalloc,
    exportName: 'AxMimalloc',
    module: new URL('../support/tested.js', import.meta.url).href,
  },
  { workers: [4], omit: OMITTED, locks: false, largestShare: 0.25 },
);
