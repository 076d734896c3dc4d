/**
 * Recorded allocations of real programs, in the compact format of `@shmalloc/trace`.
 *
 * @packageDocumentation
 */

export { type Recording, recordings } from './recordings.ts';
