import { conformance } from '@shmalloc/alloc-test';
import test from 'ava';
import { AxTlsf, OMITTED } from '../support/tested.js';

conformance(
  test,
  {
    title: 'axalloc over tlsf',
    algorithm: AxTlsf,
    exportName: 'AxTlsf',
    module: new URL('../support/tested.js', import.meta.url).href,
  },
  { variant: true, workers: [4], omit: OMITTED },
);
