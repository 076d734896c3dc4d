import { type ConformanceOptions, conformance, someOf } from '@shmalloc/alloc-test';
import test from 'ava';
import { AxBasic, AxBuddy, AxSlab, AxTlsf, OMITTED } from '../support/tested.js';

const module = new URL('../support/tested.js', import.meta.url).href;

/** What each declares besides. */
const DECLARED: Readonly<Record<string, ConformanceOptions>> = {
  AxBuddy: { largestShare: 0.25 },
  AxSlab: { largestShare: 0.25, locks: false },
};

for (const [exportName, algorithm] of someOf('axalloc over', { AxBasic, AxBuddy, AxSlab, AxTlsf }, 1))
  conformance(
    test,
    { title: `axalloc: ${exportName}`, algorithm, exportName, module },
    { variant: true, workers: [4], omit: OMITTED, ...DECLARED[exportName] },
  );
