/**
 * The SMP runtime: all of `@shmalloc/kernel`.
 *
 * @packageDocumentation
 */

export * from '@shmalloc/kernel';
