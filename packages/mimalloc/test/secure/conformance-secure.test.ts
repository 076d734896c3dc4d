import { conformance } from '@shmalloc/alloc-test';
import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';

const module = import.meta.resolve('@shmalloc/mimalloc');
/** One worker has nothing to do here that it has not in `conformance.test.ts`. */
const workers = [4];

conformance(
  test,
  {
    title: 'mimalloc, debug',
    algorithm: MiMalloc,
    exportName: 'MiMalloc',
    module,
    options: { grow: false, debug: true },
  },
  { workers, locks: false, grows: true, variant: true },
);

conformance(
  test,
  {
    title: 'mimalloc, secure 4',
    algorithm: MiMalloc,
    exportName: 'MiMalloc',
    module,
    // Which allocations are sampled is drawn by lot: a heap that is filled again need not hold the same number of blocks.
    options: { grow: false, secure: 4, sampleRate: 0 },
  },
  { workers, locks: false, grows: true },
);

conformance(
  test,
  {
    title: 'mimalloc, secure 4, one block in 20 guarded',
    algorithm: MiMalloc,
    exportName: 'MiMalloc',
    module,
    options: { grow: false, secure: 4, sampleRate: 20 },
  },
  {
    workers,
    locks: false,
    grows: true,
    variant: true,
    omit: {
      exhaustion: 'which blocks are guarded, and so larger, is drawn by lot',
      bytes: 'the same',
    },
  },
);
