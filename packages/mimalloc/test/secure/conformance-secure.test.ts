import { type ConformanceOptions, conformance, someOf } from '@shmalloc/alloc-test';
import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';

const module = import.meta.resolve('@shmalloc/mimalloc');

/** One worker has nothing to do here that it has not in `conformance.test.ts`. */
const COMMON: ConformanceOptions = { workers: [4], locks: false, grows: true, variant: true };

const MODES: Record<string, { options: object; declared?: ConformanceOptions }> = {
  debug: { options: { debug: true } },
  // Which allocations are sampled is drawn by lot: a heap that is filled again need not hold the same number
  // of blocks.
  'secure 4': { options: { secure: 4, sampleRate: 0 } },
  'secure 4, one block in 20 guarded': {
    options: { secure: 4, sampleRate: 20 },
    declared: {
      omit: { exhaustion: 'which blocks are guarded, and so larger, is drawn by lot', bytes: 'the same' },
    },
  },
};

for (const [mode, { options, declared }] of someOf('mimalloc', MODES, 1))
  conformance(
    test,
    {
      title: `mimalloc, ${mode}`,
      algorithm: MiMalloc,
      exportName: 'MiMalloc',
      module,
      options: { grow: false, ...options },
    },
    { ...COMMON, ...declared },
  );
