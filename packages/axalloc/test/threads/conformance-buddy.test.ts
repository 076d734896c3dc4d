import { conformance } from '@shmalloc/alloc-test';
import test from 'ava';
import { AxBuddy, OMITTED } from '../support/tested.js';

conformance(
  test,
  {
    title: 'axalloc over buddy',
    algorithm: AxBuddy,
    exportName: 'AxBuddy',
    module: new URL('../support/tested.js', import.meta.url).href,
  },
  { variant: true, workers: [4], omit: OMITTED, largestShare: 0.25 },
);
