/**
 * First, best and worst fit: all of `@shmalloc/basic`.
 *
 * @packageDocumentation
 */

export * from '@shmalloc/basic';
