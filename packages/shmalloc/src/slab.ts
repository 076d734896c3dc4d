/**
 * A slab for each CPU, and object caches: all of `@shmalloc/slab`.
 *
 * @packageDocumentation
 */

export * from '@shmalloc/slab';
