import { conformance } from '@shmalloc/alloc-test';
import { Basic } from '@shmalloc/basic';
import test from 'ava';

const module = import.meta.resolve('@shmalloc/basic');

conformance(
  test,
  { name: 'basic-best', allocator: Basic, module, options: { policy: 'best' } },
  { workers: [4], variant: true },
);
