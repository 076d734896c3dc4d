import { conformance } from '@shmalloc/alloc-test';
import { Slab } from '@shmalloc/slab';
import test from 'ava';

const module = import.meta.resolve('@shmalloc/slab');
/** One worker has nothing to do here that it has not in `conformance.test.ts`. */
const workers = [4];

conformance(
  test,
  { title: 'slab, debug', algorithm: Slab, exportName: 'Slab', module, options: { debug: true } },
  { workers, locks: false, variant: true },
);

conformance(
  test,
  { title: 'slab, mutex', algorithm: Slab, exportName: 'Slab', module, options: { lock: 'mutex' } },
  { workers, locks: false, variant: true },
);
