/** The tests that need more than a few seconds each, at full scale. */
export default {
  files: ['packages/*/dist-test/**/*.long.test.js'],
  workerThreads: false,
  concurrency: 1,
  timeout: '30m',
};
