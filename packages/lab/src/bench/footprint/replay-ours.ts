/**
 * Our side of the footprint: a trace replayed on one CPU, in its order, on an allocator of the kernel's
 * registry.
 */

import type { Address, SharedMemory } from '@shmalloc/allocator-api';
import { type AllocatorName, createAllocator, type KernelAllocator } from '@shmalloc/kernel';
import { planReplay, type ReplayAllocator, replayOn, type Trace } from '@shmalloc/trace';
import { regionFor } from '../../replay/measure.ts';

/** How often the footprint is asked for, beside the end. */
const SAMPLES = 4096;
/** The operating system's, where C is measured. */
const PAGE_BYTES = 4096;
const PAGE_WORDS: number = PAGE_BYTES / 4;
/** What blocks are filled with; any value but 0, for which memory need not be there. */
const FILLING = 0xa5;

/**
 * Writes every byte of every block when it is handed out, as `native/replay.c` does.
 * @internal
 */
export class Filling implements ReplayAllocator {
  readonly memory: SharedMemory;
  readonly #allocator: KernelAllocator;

  constructor(allocator: KernelAllocator) {
    this.#allocator = allocator;
    this.memory = allocator.memory;
  }

  malloc(size: number): Address {
    return this.#filled(this.#allocator.malloc(size), size);
  }

  calloc(count: number, size: number): Address {
    return this.#filled(this.#allocator.calloc(count, size), count * size);
  }

  realloc(address: Address, size: number): Address {
    return this.#filled(this.#allocator.realloc(address, size), size);
  }

  alignedAlloc(align: number, size: number): Address {
    return this.#filled(this.#allocator.alignedAlloc(align, size), size);
  }

  free(address: Address): void {
    this.#allocator.free(address);
  }

  usableSize(address: Address): number {
    return this.#allocator.usableSize(address);
  }

  #filled(address: Address, size: number): Address {
    if (address !== 0) this.memory.u8.fill(FILLING, address, address + size);
    return address;
  }
}

/**
 * What a replay on an allocator of ours found.
 * @internal
 */
export interface OwnReplay {
  /** The most bytes of the region that the allocator had touched, its own header included. */
  readonly footprintBytes: number;
  /**
   * The region's pages that hold anything at the end, in bytes: the same in the unit that C is measured in.
   */
  readonly pageBytes: number;
}

/**
 * Replays a trace on a fresh allocator.
 * @param name - of the registry
 * @param trace - any trace
 * @param peakLiveBytes - of the trace
 * @throws Error when it could not make an allocation, or has come out of it broken
 * @internal
 */
export async function replayOurs(
  name: AllocatorName,
  trace: Trace,
  peakLiveBytes: number,
): Promise<OwnReplay> {
  const allocator = await createAllocator(name, { bytes: regionFor(peakLiveBytes), lock: 'none' });
  const { failedAllocations, samples } = replayOn(planReplay(trace, 1), 0, new Filling(allocator), {
    touch: false,
    footprint: () => allocator.footprintBytes(),
    maxSamples: SAMPLES,
  });
  allocator.validate();
  if (failedAllocations > 0) throw new Error(`${failedAllocations} allocations failed`);
  return {
    footprintBytes: Math.max(...samples.map(({ footprintBytes }) => footprintBytes)),
    pageBytes: PAGE_BYTES * writtenPages(allocator.memory.i32),
  };
}

/** Pages with a word that is not 0. */
function writtenPages(words: Int32Array): number {
  let pages = 0;
  for (let page = 0; page < words.length; page += PAGE_WORDS) {
    for (let at = page; at < page + PAGE_WORDS && at < words.length; at++) {
      if (words[at] !== 0) {
        pages++;
        break;
      }
    }
  }
  return pages;
}
