/** Whether files below `unit/` are asked for by name: then each runs by itself. */
const byName = process.argv.some((argument) => argument.includes('/unit/'));

/** Where a file stands in the order. */
const FIRST = ['mimalloc/dist-test/unit', 'mimalloc', 'lab', 'lock-removal', 'kernel', 'axalloc'];
const rank = (file) => FIRST.findIndex((part) => file.includes(`/${part}`)) >>> 0;

/**
 * Compiled tests of every package. Each file runs in its own process, because many start workers of their
 * own; those in `unit/`, which do not, run all in one: `unit.test.js`, which the build writes.
 */
export default {
  files: [
    'packages/*/dist-test/**/*.test.js',
    '!packages/*/dist-test/**/*.long.test.js',
    byName ? '!packages/*/dist-test/unit.test.js' : '!packages/*/dist-test/unit/*.test.js',
    'examples/dist-test/**/*.test.js',
    'examples/lock-removal/dist-test/**/*.test.js',
  ],
  /** The packages whose tests take longest begin: two processes then end at the same time. */
  sortTestFiles: (a, b) => rank(a) - rank(b) || (a < b ? -1 : 1),
  require: ['./scripts/coverage-of-main.mjs'],
  workerThreads: false,
  concurrency: 2,
  /**
   * Without a result for so long the run hangs. No test comes near it, on a machine that is twenty times
   * slower either.
   */
  timeout: '15m',
};
