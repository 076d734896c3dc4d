/**
 * The textbook free list over boundary tags: first fit, best fit, worst fit.
 *
 * @packageDocumentation
 */

export { Basic, type BasicOptions, type Policy } from './basic.ts';
