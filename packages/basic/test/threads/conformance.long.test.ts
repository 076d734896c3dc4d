import { conformance } from '@shmalloc/alloc-test';
import { BasicBest, BasicFirst, BasicWorst } from '@shmalloc/basic';
import test from 'ava';

const module = import.meta.resolve('@shmalloc/basic');

for (const [exportName, algorithm] of Object.entries({ BasicFirst, BasicBest, BasicWorst })) {
  const title = `${algorithm.algorithm}, full scale`;
  conformance(test, { title, algorithm, exportName, module }, { workers: [1, 4], scale: 'full' });
}
