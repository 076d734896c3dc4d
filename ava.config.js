/** Whether files below `unit/` are asked for by name: then each runs by itself. */
const byName = process.argv.some((argument) => argument.includes('/unit/'));

/**
 * Compiled tests of every package. Each file runs in its own process, because many start workers of their own; those in `unit/`, which do not, run all
 * in one: `unit.test.js`, which the build writes.
 */
export default {
  files: [
    'packages/*/dist-test/**/*.test.js',
    '!packages/*/dist-test/**/*.long.test.js',
    byName ? '!packages/*/dist-test/unit.test.js' : '!packages/*/dist-test/unit/*.test.js',
    'examples/dist-test/**/*.test.js',
    'examples/lock-removal/dist-test/**/*.test.js',
  ],
  require: ['./scripts/coverage-of-main.mjs'],
  workerThreads: false,
  concurrency: 2,
  /** Without a result for so long the run hangs. No test comes near it, on a machine that is twenty times slower either. */
  timeout: '15m',
};
