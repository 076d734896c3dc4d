/**
 * The two-level global allocator: all of `@shmalloc/axalloc`.
 *
 * @packageDocumentation
 */

export * from '@shmalloc/axalloc';
