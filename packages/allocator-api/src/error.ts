/**
 * What can go wrong with an allocation, by name. The first four codes are those of ArceOS's `AllocError`.
 * @public
 */
export type AllocErrorCode =
  | 'InvalidParam'
  | 'MemoryOverlap'
  | 'NoMemory'
  | 'NotAllocated'
  | 'RegionTooSmall'
  | 'TooManyThreads'
  | 'DoubleFree'
  | 'Corrupted'
  | 'Unsupported';

/**
 * The error of every allocator.
 *
 * - `InvalidParam`: an argument that can never be right (an alignment of 3, a region outside the buffer, a
 *   foreign handle)
 * - `MemoryOverlap`: memory offered twice
 * - `NoMemory`: nothing free is large enough; the heap is as it was
 * - `NotAllocated`: a block handed back that is not handed out
 * - `RegionTooSmall`: a region, or memory to be added, that has no room for what an allocator needs at least
 * - `TooManyThreads`: no more threads can be attached
 * - `DoubleFree`: a block handed back that was freed already, where that can be told from `NotAllocated`
 * - `Corrupted`: something in the region cannot have been written by the allocator: a program wrote beyond a
 *   block, into a freed one, or through NULL
 * - `Unsupported`: what was asked for cannot be done here, by any argument (sharing a heap that was made for
 *   one thread)
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
