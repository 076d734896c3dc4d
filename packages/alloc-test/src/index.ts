/**
 * The conformance kit of shmalloc: what every allocator has to stand, and the shadow oracle that watches it.
 *
 * @packageDocumentation
 */

export { conformance, type TestContext, type TestFunction } from './kit/conformance.ts';
export { type DamageOptions, damage } from './kit/damage.ts';
export type { ExtraCalls } from './kit/damage-job.ts';
export { ForwardingHeap } from './kit/forwarding-heap.ts';
export { scaled, someOf } from './kit/scale.ts';
export type { ConformanceOptions, Group, Subject } from './kit/subject.ts';
export * from './oracle/index.ts';
