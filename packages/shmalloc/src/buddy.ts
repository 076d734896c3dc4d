/**
 * The binary buddy system: all of `@shmalloc/buddy`.
 *
 * @packageDocumentation
 */

export * from '@shmalloc/buddy';
