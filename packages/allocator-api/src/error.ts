/**
 * What can go wrong with an allocation, by name. The four codes are those of ArceOS's `AllocError`.
 * @public
 */
export type AllocErrorCode = 'InvalidParam' | 'MemoryOverlap' | 'NoMemory' | 'NotAllocated';

/**
 * The error of every allocator.
 *
 * - `InvalidParam`: an argument that can never be right (an alignment of 3, a region outside the buffer, a foreign handle)
 * - `MemoryOverlap`: memory offered twice
 * - `NoMemory`: nothing free is large enough; the heap is as it was
 * - `NotAllocated`: a block handed back that is not handed out
 *
 * An argument of the wrong kind is a `TypeError`, a number that is no non-negative integer a `RangeError`.
 * @public
 */
export class AllocError extends Error {
  /** What went wrong, for programs; the message is for people. */
  readonly code: AllocErrorCode;

  constructor(code: AllocErrorCode, message: string) {
    super(message);
    this.name = 'AllocError';
    this.code = code;
  }
}
