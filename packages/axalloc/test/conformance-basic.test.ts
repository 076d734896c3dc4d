import { conformance } from '@shmalloc/alloc-test';
import test from 'ava';
import { AxBasic, OMITTED } from './tested.js';

conformance(
  test,
  { name: 'axalloc over basic', allocator: AxBasic, module: new URL('./tested.js', import.meta.url).href },
  { workers: [4], omit: OMITTED },
);
