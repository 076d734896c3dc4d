/**
 * The two-level global allocator: bytes that grow out of pages, both parts injected, the byte part swapped
 * while it runs.
 *
 * @packageDocumentation
 */

export { AllocatorRc } from './allocator-rc.ts';
export { AxAlloc } from './axalloc.ts';
export type { AxHandle } from './contract.ts';
export { GlobalPage } from './global-page.ts';
export type { AxAllocOptions, AxAttachOptions } from './options.ts';
export type { AxPages } from './page-face.ts';
export type { GrowthPolicy } from './policy.ts';
export type { AxStats, GenerationStats } from './stats.ts';
export type { View } from './thread-view.ts';
export type { TrackedBlock } from './tracking.ts';
export type { PageUsage, UsageKind, Usages } from './usages.ts';
