import { conformance } from '@shmalloc/alloc-test';
import test from 'ava';
import { AxBasic, OMITTED } from '../support/tested.js';

conformance(
  test,
  {
    title: 'axalloc over basic',
    algorithm: AxBasic,
    exportName: 'AxBasic',
    module: new URL('../support/tested.js', import.meta.url).href,
  },
  { variant: true, workers: [4], omit: OMITTED },
);
