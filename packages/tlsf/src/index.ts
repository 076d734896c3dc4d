/**
 * Two-level segregated fit: an allocator with a constant bound on the time of every operation.
 *
 * @packageDocumentation
 */

export { Tlsf } from './tlsf.ts';
