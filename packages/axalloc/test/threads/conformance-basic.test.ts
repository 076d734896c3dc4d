import { conformance } from '@shmalloc/alloc-test';
import test from 'ava';
import { AxBasic, OMITTED } from '../support/tested.js';

conformance(
  test,
  {
    name: 'axalloc over basic',
    allocator: AxBasic,
    module: new URL('../support/tested.js', import.meta.url).href,
  },
  { variant: true, workers: [4], omit: OMITTED },
);
