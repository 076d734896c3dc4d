/**
 * Two-level segregated fit: all of `@shmalloc/tlsf`.
 *
 * @packageDocumentation
 */

export * from '@shmalloc/tlsf';
