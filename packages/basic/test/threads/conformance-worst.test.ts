import { conformance } from '@shmalloc/alloc-test';
import { BasicWorst } from '@shmalloc/basic';
import test from 'ava';

const module = import.meta.resolve('@shmalloc/basic');

conformance(
  test,
  { algorithm: BasicWorst, exportName: 'BasicWorst', module },
  { workers: [4], variant: true },
);
