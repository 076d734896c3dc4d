import { conformance } from '@shmalloc/alloc-test';
import test from 'ava';
import { AxSlab, OMITTED } from '../support/tested.js';

conformance(
  test,
  {
    title: 'axalloc over slab',
    algorithm: AxSlab,
    exportName: 'AxSlab',
    module: new URL('../support/tested.js', import.meta.url).href,
  },
  { variant: true, workers: [4], omit: OMITTED, locks: false, largestShare: 0.25 },
);
