/**
 * Loaded before each test file: coverage is counted in the file's own process, not in the workers and
 * processes that it starts. The tests start thousands of workers; to count in them would make the threads up
 * to half as slow again, and leave two gigabytes of figures to add up. This process counts since it started;
 * those that come after it look for the variable.
 *
 * Nor is it counted where much runs and nothing is reached that others do not reach (the engine's compiler
 * stands back from code that it counts: it takes twice as long): the conformance kit on the variants of a heap
 * that has been through it, what runs copies of the sources, and examples.
 */
import { stopCoverage } from 'node:v8';
import test from 'ava';

const UNCOUNTED = [
  /\/interleavings\//,
  /\/conformance-(mimalloc|inner|modes|secure)\.test\.js$/,
  /\/(ends|huge-ends|kill|reference)\.test\.js$/,
  /\/examples\//,
];

if (process.env.NODE_V8_COVERAGE !== undefined && UNCOUNTED.some((name) => name.test(test.meta.file)))
  stopCoverage();
delete process.env.NODE_V8_COVERAGE;
