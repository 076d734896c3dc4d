/**
 * The suites of correct programs, on packages whose every access to shared memory is checked:
 * `npm run bounds`. Left out are those that damage a heap on purpose, and the one that plants faults in a
 * package with checks of its own.
 */
export default {
  files: [
    'packages/{axalloc,basic,buddy,slab,tlsf}/dist-test/threads/*.test.js',
    'packages/axalloc/dist-test/crash/deaths.test.js',
    'packages/slab/dist-test/crash/exits.test.js',
    'packages/bitmap/dist-test/{unit/{ids,pages},threads/threads}.test.js',
    'packages/slab/dist-test/unit/slab.test.js',
    'packages/mimalloc/dist-test/threads/*.test.js',
    'packages/mimalloc/dist-test/secure/conformance-secure.test.js',
    'packages/mimalloc/dist-test/unit/{aligned,growth,heaps,huge,realloc,regions,segments,slices}.test.js',
    'packages/mimalloc/dist-test/crash/{abandon,kill,reap}.test.js',
    '!packages/*/dist-test/**/*.long.test.js',
  ],
  // Without a lock a heap is to break.
  match: ['*', '!*two workers break the heap*'],
  workerThreads: false,
  concurrency: 2,
  timeout: '10m',
  nodeArguments: [
    `--import=${new URL('packages/alloc-test/dist-test/support/bounds/register.js', import.meta.url).href}`,
  ],
};
