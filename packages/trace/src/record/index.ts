/**
 * Recording: runs a program on Linux and gives its allocations as traces. Needs Node and a C compiler.
 *
 * @packageDocumentation
 */

export { RecordError } from './error.ts';
export {
  type Recorded,
  type RecordedTrace,
  type RecordOptions,
  type RecordProblem,
  record,
} from './run.ts';
