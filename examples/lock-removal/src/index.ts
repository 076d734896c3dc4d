/**
 * Removing the lock from an allocator, step by step: the steps, their experiments and their speed.
 *
 * @packageDocumentation
 */

export type { Outcome } from './outcome.ts';
export { tell } from './program.ts';
export type { Allocator, Shared } from './step.ts';
export { STEPS, type Step } from './steps.ts';
export { type Effort, measureThroughput, type Speed, THREAD_COUNTS } from './throughput.ts';
