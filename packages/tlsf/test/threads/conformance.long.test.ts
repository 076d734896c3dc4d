import { conformance } from '@shmalloc/alloc-test';
import { Tlsf } from '@shmalloc/tlsf';
import test from 'ava';

const module = import.meta.resolve('@shmalloc/tlsf');

conformance(
  test,
  { title: 'tlsf, full scale', algorithm: Tlsf, exportName: 'Tlsf', module },
  { workers: [1, 4, 8], scale: 'full' },
);
