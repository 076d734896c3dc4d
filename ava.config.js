/** Compiled tests of every package; each file runs in its own process, because several spawn workers of their own. */
export default {
  files: [
    'packages/*/dist-test/**/*.test.js',
    '!packages/*/dist-test/**/*.long.test.js',
    'examples/dist-test/**/*.test.js',
    'examples/lock-removal/dist-test/**/*.test.js',
  ],
  require: ['./scripts/coverage-of-main.mjs'],
  workerThreads: false,
  concurrency: 2,
  /** Without a result for so long the run hangs. No test comes near it, on a machine that is twenty times slower either. */
  timeout: '15m',
};
