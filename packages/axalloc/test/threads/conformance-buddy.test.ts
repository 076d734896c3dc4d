import { conformance } from '@shmalloc/alloc-test';
import test from 'ava';
import { AxBuddy, OMITTED } from '../support/tested.js';

conformance(
  test,
  {
    name: 'axalloc over buddy',
    allocator: AxBuddy,
    module: new URL('../support/tested.js', import.meta.url).href,
  },
  { variant: true, workers: [4], omit: OMITTED, largestShare: 0.25 },
);
