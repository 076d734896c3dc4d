/**
 * The suites of correct programs, on packages whose every access to shared memory is checked: `npm run bounds`. Left out are those that damage a heap on purpose.
 */
export default {
  files: [
    'packages/{axalloc,basic,bitmap,buddy,slab,tlsf}/dist-test/**/conformance*.test.js',
    'packages/mimalloc/dist-test/{abandon,aligned,conformance,conformance-inner,growing,growth,heaps-ending,huge,kill,promises,realloc,reap,regions,segments,slices,soak,workloads}.test.js',
    '!packages/*/dist-test/**/*.long.test.js',
  ],
  workerThreads: false,
  concurrency: 2,
  timeout: '10m',
  nodeArguments: [
    `--import=${new URL('packages/alloc-test/dist-test/bounds/register.js', import.meta.url).href}`,
  ],
};
