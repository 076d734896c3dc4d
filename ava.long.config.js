/**
 * The tests that need more than a few seconds each, at full scale; and at the kit's medium scale those that
 * `npm test` runs at its quick one: the conformance tests of every mode and wrapper, damage, threads that
 * stop for good, looks at a heap under load, swaps, bounds of steps.
 */
export default {
  files: [
    'packages/*/dist-test/**/*.long.test.js',
    'packages/*/dist-test/*/conformance*.test.js',
    'packages/*/dist-test/*/{damage,freeze,load,validate}.test.js',
    'packages/{axalloc/dist-test/threads/swap,tlsf/dist-test/steps/steps}.test.js',
    'packages/mimalloc/dist-test/{crash/{huge-ends,kill},interleavings/huge-frees}.test.js',
    'packages/mimalloc/dist-test/interleavings/races.test.js',
    'packages/kernel/dist-test/threads/{null,panic}.test.js',
    'packages/slab/dist-test/unit/slab.test.js',
    'packages/mimalloc/dist-test/unit/heaps.test.js',
    'packages/axalloc/dist-test/unit/faults.test.js',
    'packages/lab/dist-test/threads/{bench,bench-threads}.test.js',
    'examples/lock-removal/dist-test/experiments.test.js',
  ],
  environmentVariables: { SCALE: 'medium' },
  workerThreads: false,
  concurrency: 1,
  timeout: '30m',
};
