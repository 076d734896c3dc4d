/**
 * The shadow oracle: a witness for any allocator, apart from the conformance kit. Free of Node.
 *
 * @packageDocumentation
 */

export { CheckedAllocator, type CheckedRange } from './checked-allocator.ts';
export { Oracle, type OracleHandle, type OracleOptions } from './oracle.ts';
export type { LiveBlock, ShadowBuffers } from './shadow.ts';
export type { Finding, Operation, Violation, ViolationKind } from './violation.ts';
