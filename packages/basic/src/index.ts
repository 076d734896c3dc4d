/**
 * The textbook free list over boundary tags: first fit, best fit, worst fit.
 *
 * @packageDocumentation
 */

export { Basic, BasicBest, BasicFirst, type BasicOptions, BasicWorst, type Policy } from './basic.ts';
