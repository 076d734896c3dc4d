import { conformance, someOf } from '@shmalloc/alloc-test';
import { Slab } from '@shmalloc/slab';
import test from 'ava';

const module = import.meta.resolve('@shmalloc/slab');
const MODES = { debug: { debug: true }, mutex: { lock: 'mutex' } };

/** One worker has nothing to do here that it has not in `conformance.test.ts`. */
for (const [mode, options] of someOf('slab', MODES, 1))
  conformance(
    test,
    { title: `slab, ${mode}`, algorithm: Slab, exportName: 'Slab', module, options },
    { workers: [4], locks: false, variant: true },
  );
