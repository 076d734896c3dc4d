/**
 * The tests that need more than a few seconds each, at full scale; and the conformance tests of every mode and wrapper, which `npm test` runs at the
 * kit's quick scale, at its medium one.
 */
export default {
  files: ['packages/*/dist-test/**/*.long.test.js', 'packages/*/dist-test/conformance*.test.js'],
  environmentVariables: { SCALE: 'medium' },
  workerThreads: false,
  concurrency: 1,
  timeout: '30m',
};
