/** Heaps that do with damage what none may, each in one way; and one that meets none. */

import { SharedMemory } from '@shmalloc/allocator-api';

/** Hands out nothing and knows nothing: no damage can harm it. */
export class Immune {
  readonly memory: SharedMemory;

  constructor(memory: SharedMemory) {
    this.memory = memory;
  }

  static create<H extends Immune>(this: new (memory: SharedMemory) => H, options: object): H {
    return new this(SharedMemory.create(options));
  }

  static attach<H extends Immune>(this: new (memory: SharedMemory) => H, handle: never): H {
    return new this(SharedMemory.from((handle as { memory: SharedArrayBuffer }).memory));
  }

  share(): object {
    return { algorithm: 'immune', memory: this.memory.source, start: 64 };
  }

  malloc(_size: number): number {
    return 0;
  }

  calloc = (): number => 0;
  realloc = (): number => 0;
  alignedAlloc = (): number => 0;
  alloc = (): number => 0;
  usableSize = (): number => 0;
  totalBytes = (): number => 0;
  usedBytes = (): number => 0;
  availableBytes = (): number => 0;
  tryFree = (): null => null;
  footprintBytes = (): number => 0;
  stats = (): object => ({});
  collect(): void {}
  free(): void {}
  dealloc(): void {}
  init(): void {}
  addMemory(): void {}
  detach(): void {}
  registerError(): void {}
  validate(): void {}
  [Symbol.dispose](): void {}
}

/** Whether a word of the header is not what `create` left there. */
function isDamaged(heap: Immune): boolean {
  return heap.memory.i32.subarray(16, 80).some((word) => word !== 0);
}

/** Goes round in circles. */
export class Endless extends Immune {
  override malloc(): number {
    while (isDamaged(this));
    return 0;
  }
}

/** Trips over what it reads. */
export class Garbled extends Immune {
  override malloc(): number {
    if (isDamaged(this)) throw new TypeError('undefined is not a block');
    return 0;
  }
}

/** Believes what it reads. */
export class Astray extends Immune {
  override malloc(size: number): number {
    return isDamaged(this) ? this.memory.byteLength - size + 8 : 0;
  }
}
