/**
 * The suites of correct programs, on packages whose every access to shared memory is checked:
 * `npm run bounds`. Left out are those that damage a heap on purpose, and the one that plants faults in a
 * package with checks of its own.
 */
export default {
  files: [
    'packages/{axalloc,basic,buddy,slab,tlsf}/dist-test/**/conformance*.test.js',
    'packages/axalloc/dist-test/{deaths,growth,swap}.test.js',
    'packages/bitmap/dist-test/{ids,pages,threads}.test.js',
    'packages/slab/dist-test/{exits,remote,slab}.test.js',
    'packages/mimalloc/dist-test/{abandon,aligned,conformance,conformance-inner,conformance-secure,growth,heaps,heaps-ending,huge}.test.js',
    'packages/mimalloc/dist-test/{kill,realloc,reap,regions,segments,slices,soak,workloads}.test.js',
    '!packages/*/dist-test/**/*.long.test.js',
  ],
  // Without a lock a heap is to break.
  match: ['*', '!*two workers break the heap*'],
  workerThreads: false,
  concurrency: 2,
  timeout: '10m',
  nodeArguments: [
    `--import=${new URL('packages/alloc-test/dist-test/bounds/register.js', import.meta.url).href}`,
  ],
};
