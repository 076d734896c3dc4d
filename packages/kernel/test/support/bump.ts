/**
 * The smallest allocator that a machine can boot: blocks lie one after another and never come back.
 * Lock-free.
 *
 * ```
 *  start    4      8        16
 *  ├────────┼──────┼────────┼──────────────────┬───────┤
 *  │ magic  │ next │ frees  │ blocks …         │ free  │
 *  └────────┴──────┴────────┴──────────────────┴───────┘
 * ```
 */
import {
  type Address,
  alignUp,
  checkAlign,
  checkHandle,
  checkInteger,
  type Handle,
  type RegionOptions,
  SharedMemory,
} from '@shmalloc/allocator-api';

export class Bump {
  readonly memory: SharedMemory;
  readonly options: object;

  protected constructor(memory: SharedMemory, options: object) {
    this.memory = memory;
    this.options = options;
  }

  static create({ lock, greeting, ...region }: RegionOptions & { lock?: string; greeting?: string }): Bump {
    const bump = new Bump(SharedMemory.create(region), { lock, greeting });
    bump.memory.i32[bump.memory.start / 4 + 1] = bump.memory.start + 16;
    return bump;
  }

  static attach(handle: Handle): Bump {
    checkHandle(handle, 'bump');
    return new Bump(SharedMemory.from(handle.memory, handle.start), {});
  }

  share(): Handle {
    return { algorithm: 'bump', memory: this.memory.source, start: this.memory.start };
  }

  detach(): void {}
  validate(): void {}
  registerError(): void {}
  collect(): void {}

  footprintBytes(): number {
    return Atomics.load(this.memory.i32, this.memory.start / 4 + 1) - this.memory.start;
  }

  stats(): { frees: number } {
    return { frees: Atomics.load(this.memory.i32, this.memory.start / 4 + 2) };
  }

  malloc(size: number): Address {
    return this.alignedAlloc(size < 16 ? 8 : 16, size);
  }

  calloc(count: number, size: number): Address {
    return this.malloc(count * size);
  }

  realloc(_address: Address, size: number): Address {
    return this.malloc(size);
  }

  alignedAlloc(align: number, size: number): Address {
    checkAlign('align', align);
    checkInteger('size', size);
    const { i32, start, end } = this.memory;
    const next = start / 4 + 1;
    for (;;) {
      const from = Atomics.load(i32, next);
      const address = alignUp(from, align);
      if (address + size > end) return 0;
      if (Atomics.compareExchange(i32, next, from, address + Math.max(size, 1)) === from) return address;
    }
  }

  free(address: Address): void {
    if (address !== 0) Atomics.add(this.memory.i32, this.memory.start / 4 + 2, 1);
  }

  usableSize(): number {
    return 0;
  }
}

/** Attaches nowhere but in the thread that made it. */
export class Stubborn extends Bump {
  static override attach(): Bump {
    throw new Error('I do not attach');
  }
}

/** Forgets about alignment. */
export class Crooked extends Bump {
  static override attach(handle: Handle): Crooked {
    return new Crooked(SharedMemory.from(handle.memory, handle.start), {});
  }

  override alignedAlloc(align: number, size: number): Address {
    return super.alignedAlloc(align, size) + 8;
  }
}

/** No allocator at all. */
export const notAClass = 7;
