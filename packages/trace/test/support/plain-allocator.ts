/**
 * An allocator that never uses memory again, so that an address names one block for good; with a log of one
 * that did what, when.
 */
import { alignUp, SharedMemory } from '@shmalloc/allocator-api';
import type { ReplayAllocator } from '@shmalloc/trace';

/** Words at the start of the region: the next free address, and how many entries the log has. */
const NEXT = 2;
const LOGGED = 3;
const FIRST = 64;

export interface LogEntry {
  what: 'allocate' | 'free';
  address: number;
}

export class PlainAllocator implements ReplayAllocator {
  readonly memory: SharedMemory;
  readonly log: Uint32Array;
  readonly calls: string[] = [];
  /** Called before every operation. */
  before: () => void = () => {};
  /** Whether the next allocation shall fail. */
  fails: (size: number) => boolean = () => false;

  constructor(memory: SharedMemory, log: Uint32Array) {
    this.memory = memory;
    this.log = log;
  }

  static create(bytes: number, entries: number): PlainAllocator {
    const memory = SharedMemory.create({ bytes });
    memory.i32[NEXT] = FIRST;
    return new PlainAllocator(memory, new Uint32Array(new SharedArrayBuffer(4 * entries)));
  }

  malloc(size: number): number {
    return this.#allocate(16, size, `malloc ${size}`);
  }

  calloc(count: number, size: number): number {
    return this.#allocate(16, count * size, `calloc ${count} ${size}`);
  }

  alignedAlloc(align: number, size: number): number {
    return this.#allocate(align, size, `alignedAlloc ${align} ${size}`);
  }

  realloc(address: number, size: number): number {
    const moved = this.#allocate(16, size, `realloc ${address} ${size}`);
    if (moved !== 0 && address !== 0) {
      this.#note(address * 2 + 1);
      this.memory.u8.copyWithin(moved, address, address + size);
    }
    return moved;
  }

  free(address: number): void {
    this.before();
    this.calls.push(`free ${address}`);
    if (address !== 0) this.#note(address * 2 + 1);
  }

  usableSize(): number {
    return 2 ** 32;
  }

  /** What all threads did, in order. An allocation is noted after it, a free before it. */
  entries(): LogEntry[] {
    return [...this.log.subarray(0, this.memory.i32[LOGGED])].map((word) => ({
      what: word % 2 === 0 ? 'allocate' : 'free',
      address: (word - (word % 2)) / 2,
    }));
  }

  #allocate(align: number, size: number, call: string): number {
    this.before();
    this.calls.push(call);
    if (this.fails(size)) return 0;
    const room = alignUp(Math.max(size, 1), 16) + align;
    const address = alignUp(Atomics.add(this.memory.i32, NEXT, room), Math.max(align, 16));
    this.#note(address * 2);
    return address;
  }

  #note(word: number): void {
    this.log[Atomics.add(this.memory.i32, LOGGED, 1)] = word;
  }
}
