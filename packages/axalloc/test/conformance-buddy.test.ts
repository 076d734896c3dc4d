import { conformance } from '@shmalloc/alloc-test';
import test from 'ava';
import { AxBuddy, OMITTED } from './tested.js';

conformance(
  test,
  { name: 'axalloc over buddy', allocator: AxBuddy, module: new URL('./tested.js', import.meta.url).href },
  { workers: [4], omit: OMITTED, largestShare: 0.25 },
);
