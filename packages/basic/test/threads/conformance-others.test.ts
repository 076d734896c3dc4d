import { conformance, someOf } from '@shmalloc/alloc-test';
import { BasicBest, BasicWorst } from '@shmalloc/basic';
import test from 'ava';

const module = import.meta.resolve('@shmalloc/basic');

for (const [exportName, algorithm] of someOf('basic', { BasicBest, BasicWorst }, 1))
  conformance(test, { algorithm, exportName, module }, { workers: [4], variant: true });
