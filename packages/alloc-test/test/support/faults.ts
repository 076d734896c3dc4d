/**
 * Allocators that are broken on purpose, each in one way.
 */

import { isMainThread } from 'node:worker_threads';
import { AllocError } from '@shmalloc/allocator-api';
import { Reference } from './reference.ts';

/** Counts calls, so that a fault shows now and then and the rest is as it should be. */
class Faulty extends Reference {
  #calls = 0;

  protected every(n: number): boolean {
    return ++this.#calls % n === 0;
  }
}

/** Hands out the latest block once more. */
export class Overlapping extends Faulty {
  #latest = 0;

  override malloc(size: number): number {
    if (this.#latest !== 0 && this.isLive(this.#latest) && this.every(5)) return this.#latest;
    this.#latest = super.malloc(size);
    return this.#latest;
  }
}

/** Forgets the alignment that was asked for. */
export class Unaligned extends Faulty {
  override alignedAlloc(_align: number, size: number): number {
    return this.malloc(size);
  }
}

/** Addresses in the middle of nowhere. */
export class Crooked extends Faulty {
  override malloc(size: number): number {
    const address = super.malloc(size + 8);
    return address === 0 ? 0 : address + 4;
  }

  override usableSize(address: number): number {
    return super.usableSize(address - 4) - 4;
  }

  override free(address: number): void {
    super.free(address - 4);
  }
}

/** Now and then free does nothing: the memory never comes back. */
export class Leaking extends Faulty {
  override free(address: number): void {
    if (!this.every(7)) super.free(address);
  }
}

/** Free takes the block behind a freed one with it, as a wrong merge would. */
export class Overmerging extends Faulty {
  override free(address: number): void {
    const next = address + super.usableSize(address) + 8;
    super.free(address);
    if (this.every(3) && this.isLive(next)) super.free(next);
  }
}

/** Moves a block and forgets to bring its contents along. */
export class Forgetful extends Faulty {
  override realloc(address: number, size: number): number {
    if (address === 0 || size <= this.usableSize(address)) return super.realloc(address, size);
    const moved = this.malloc(size);
    if (moved !== 0) this.free(address);
    return moved;
  }
}

/** Frees the old block although there is no new one. */
export class Impatient extends Faulty {
  override realloc(address: number, size: number): number {
    const moved = super.realloc(address, size);
    if (moved === 0) this.free(address);
    return moved;
  }
}

/** Leaves in a calloc block what was there. */
export class Unclean extends Faulty {
  override calloc(count: number, size: number): number {
    return this.malloc(count * size);
  }
}

/** Computes count × size in 32 bits. */
export class Wrapping extends Faulty {
  override calloc(count: number, size: number): number {
    return super.calloc(1, Math.imul(count, size) >>> 0);
  }
}

/** Promises less than was asked for. */
export class Understating extends Faulty {
  override usableSize(address: number): number {
    return Math.max(0, super.usableSize(address) - 16);
  }
}

/** Promises more than there is. */
export class Overstating extends Faulty {
  override usableSize(address: number): number {
    const usable = super.usableSize(address);
    return usable === 0 ? 0 : usable + 16;
  }
}

/** Hands out what lies behind the region. */
export class Straying extends Faulty {
  override malloc(size: number): number {
    return this.every(4) ? this.memory.end - 8 : super.malloc(size);
  }
}

/** Hands out what is no address. */
export class Senseless extends Faulty {
  override malloc(): number {
    return undefined as unknown as number;
  }
}

/** Writes its own notes into a live block. */
export class Scribbling extends Faulty {
  #victim = 0;

  override malloc(size: number): number {
    if (this.#victim !== 0 && this.isLive(this.#victim)) this.memory.u8[this.#victim + 2] ^= 0x40;
    this.#victim = super.malloc(size);
    return this.#victim;
  }
}

/** Gives up long before the memory is used. */
export class Stingy extends Faulty {
  override malloc(size: number): number {
    return size > this.memory.byteLength / 2 ? 0 : super.malloc(size);
  }
}

/** Runs out of patience. */
export class Throwing extends Faulty {
  override malloc(size: number): number {
    if (this.every(3)) throw new Error('out of patience');
    return super.malloc(size);
  }

  override calloc(): number {
    throw new Error('out of patience');
  }

  override alignedAlloc(): number {
    throw new Error('out of patience');
  }

  override realloc(): number {
    throw new Error('out of patience');
  }

  override free(): void {
    throw new Error('out of patience');
  }
}

/** All requests for 0 bytes get the same address. */
export class Sharing extends Faulty {
  #zero = 0;

  override malloc(size: number): number {
    if (size > 0) return super.malloc(size);
    if (this.#zero === 0) this.#zero = super.malloc(0);
    return this.#zero;
  }
}

/** Believes every free. */
export class Trusting extends Faulty {
  override registerError(): void {}
}

/** Takes every size and alignment for a number. */
export class Tolerant extends Faulty {
  override malloc(size: number): number {
    return super.malloc(Math.max(0, Math.floor(Number(size)) || 0));
  }

  override alignedAlloc(_align: number, size: number): number {
    return this.malloc(size);
  }
}

/** Never dies. */
export class Immortal extends Faulty {
  override detach(): void {}
}

/** Takes all its memory for available at any time. */
export class Miscounting extends Faulty {
  override availableBytes(): number {
    return this.totalBytes();
  }
}

/** Forgets the range that it is given. */
export class Ungrateful extends Faulty {
  #ranges = 0;

  override addMemory(start: number, size: number): void {
    if (this.#ranges++ < 2) super.addMemory(start, size);
  }
}

/** Takes a range that starts at address 0 for none. */
export class Squeamish extends Faulty {
  override addMemory(start: number, size: number): void {
    if (start !== 0) super.addMemory(start, size);
  }
}

/** Forgets its blocks before it looks at the range that is to replace them. */
export class Hasty extends Faulty {
  override init(start: number, size: number): void {
    super.init(this.memory.end - 4096, 4096);
    super.init(start, size);
  }
}

/**
 * Remembers where a range ended when another one has long continued it, and hands out nothing that ends
 * there.
 */
export class Seamed extends Faulty {
  readonly #ends = new Set<number>();

  override addMemory(start: number, size: number): void {
    super.addMemory(start, size);
    this.#ends.add(start + size - 8);
  }

  override free(address: number): void {
    if (!this.#ends.has(address + super.usableSize(address))) super.free(address);
  }
}

/** Adds memory for itself, and not for those that have attached. */
export class Selfish extends Faulty {
  override addMemory(start: number, size: number): void {
    if (start + size <= this.memory.byteLength / 7 || this.memory.byteLength < 2 ** 17) {
      super.addMemory(start, size);
    }
  }
}

/** Reports every second free, and does it. */
export class Slandering extends Faulty {
  #hook: (error: AllocError) => void = () => {};

  override registerError(hook: (error: AllocError) => void): void {
    this.#hook = hook;
  }

  override free(address: number): void {
    super.free(address);
    if (this.every(2)) this.#hook(new AllocError('NotAllocated', `free(${address})`));
  }
}

/** Puts off every free; `collect(true)` does them all. */
export class Deferring extends Faulty {
  readonly #deferred: number[] = [];

  override free(address: number): void {
    if (address === 0 || !this.isLive(address)) super.free(address);
    else this.#deferred.push(address);
  }

  override malloc(size: number): number {
    const address = super.malloc(size);
    if (address !== 0) return address;
    this.collect(true);
    return super.malloc(size);
  }

  override collect(force = false): void {
    if (force) for (const address of this.#deferred.splice(0)) super.free(address);
  }
}

/** The same, but no thread can make it. */
export class Hoarding extends Deferring {
  override collect(): void {}
}

/** Leaves its thread without a word. */
export class Deserting extends Faulty {
  override malloc(size: number): number {
    if (!isMainThread) process.exit(7);
    return super.malloc(size);
  }
}

/** Zeroes a little beyond its region. */
export class Spilling extends Faulty {
  override malloc(size: number): number {
    if (this.memory.end < this.memory.byteLength) this.memory.u8[this.memory.end] = 0;
    return super.malloc(size);
  }
}

/** Goes round in circles. */
export class Circling extends Faulty {
  override malloc(size: number): number {
    if (size > 64) for (;;) Atomics.load(this.memory.i32, 0);
    return super.malloc(size);
  }
}

/** All of them, by name. */
export const FAULTS = {
  Overlapping,
  Unaligned,
  Crooked,
  Leaking,
  Overmerging,
  Forgetful,
  Impatient,
  Unclean,
  Wrapping,
  Understating,
  Overstating,
  Straying,
  Senseless,
  Scribbling,
  Stingy,
  Throwing,
  Sharing,
  Trusting,
  Tolerant,
  Immortal,
  Miscounting,
  Ungrateful,
  Squeamish,
  Hasty,
  Seamed,
  Selfish,
  Slandering,
  Deferring,
  Hoarding,
  Deserting,
  Spilling,
  Circling,
} as const;
