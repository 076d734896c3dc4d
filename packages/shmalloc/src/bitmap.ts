/**
 * Pages and ids out of a bitmap: all of `@shmalloc/bitmap`.
 *
 * @packageDocumentation
 */

export * from '@shmalloc/bitmap';
