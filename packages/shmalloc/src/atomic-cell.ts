/**
 * Cells and locks over shared words: all of `@shmalloc/atomic-cell`.
 *
 * @packageDocumentation
 */

export * from '@shmalloc/atomic-cell';
