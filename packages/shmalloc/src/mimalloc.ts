/**
 * mimalloc: a heap for each thread: all of `@shmalloc/mimalloc`.
 *
 * @packageDocumentation
 */

export * from '@shmalloc/mimalloc';
