/**
 * Allocation traces: formats in, one normal form, a compact file, and replay with real threads.
 *
 * @packageDocumentation
 */

export { TraceBuilder } from './builder.ts';
export { isCompact, readTrace, writeTrace } from './compact.ts';
export { foldThreads } from './fold.ts';
export type { ReplayAllocator } from './heap.ts';
export { TEXT_FORMATS, type TextFormat, TRACE_FORMATS, type TraceFormat } from './import/formats.ts';
export { type ImportOptions, type ImportResult, importTrace } from './import/import.ts';
export {
  type ImportProblem,
  type ImportProblems,
  type ProblemReason,
  problemText,
} from './import/problems.ts';
export { type TraceInfo, traceInfo } from './info.ts';
export {
  eventAt,
  events,
  MAX_SIZE,
  OP_ALIGNED,
  OP_CALLOC,
  OP_EXIT,
  OP_FREE,
  OP_MALLOC,
  OP_REALLOC,
  OPS,
  type OpName,
  type Trace,
  TraceError,
  type TraceErrorReason,
  type TraceEvent,
} from './normal-form.ts';
export { type ReplayPlan, type ReplayStream, resetPlan, siblingPlan } from './plan.ts';
export { type PlanOptions, planReplay } from './planner.ts';
export {
  abortReplay,
  type ReplayOptions,
  type ReplayResult,
  type ReplaySample,
  replayOn,
} from './replay.ts';
export { ReplayError, type ReplayErrorReason } from './wait.ts';
