import { conformance } from '@shmalloc/alloc-test';
import { Tlsf } from '@shmalloc/tlsf';
import test from 'ava';

conformance(
  test,
  { algorithm: Tlsf, exportName: 'Tlsf', module: import.meta.resolve('@shmalloc/tlsf') },
  { workers: [1, 4] },
);
