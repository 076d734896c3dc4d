/** The kill test: what its threads share, and how it is played. */

import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Handle, SharedMemory, SlotHandle } from '@shmalloc/allocator-api';
import type { Random } from './harness.ts';

/** What a worker is told. */
export interface KillOrder {
  readonly handle: Handle | SlotHandle;
  /** Addresses of live blocks, 0 for none. */
  readonly table: SharedArrayBuffer;
  /** Whether to stop; blocks that were not as they were left; operations of each worker. */
  readonly control: SharedArrayBuffer;
  readonly index: number;
  readonly seed: number;
  /** Whether the heap is behind one lock. */
  readonly locked: boolean;
  /** Whether its memory grows, in small steps. */
  readonly growing: boolean;
}

/** Mostly small, sometimes with a page or segments of its own. Multiples of 4, at least 8. */
export function sizeOf(random: Random): number {
  const lot = random(1000);
  if (lot < 900) return 8 + 4 * random(200);
  if (lot < 980) return 1000 + 4 * random(2000);
  if (lot < 998) return 10_000 + 4 * random(10_000);
  return 200_000 + 4 * random(30_000);
}

/** Writes where the block lies, and how large it is, into its first and last words. */
export function stamp(memory: SharedMemory, block: number, size: number): void {
  const words = memory.view('i32', block, size / 4);
  words[words.length - 1] = ~block;
  words[1] = size;
  words[0] = block;
}

export function isStamped(memory: SharedMemory, block: number): boolean {
  const [first, size] = memory.view('i32', block, 2);
  if (first >>> 0 !== block) return false;
  return size === 8 || memory.view('i32', block + size - 4, 1)[0] === ~block;
}

/** Workers on one table. */
export class Victims {
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly flags: Int32Array<SharedArrayBuffer>;
  private readonly workers: Worker[] = [];
  private readonly locked: boolean;
  private readonly growing: boolean;
  private readonly seat: () => Handle | SlotHandle;
  private readonly random: Random;
  private readonly names: number[] = [];

  constructor(
    count: number,
    slots: number,
    locked: boolean,
    random: Random,
    seat: () => Handle | SlotHandle,
    growing = false,
  ) {
    this.growing = growing;
    this.words = new Int32Array(new SharedArrayBuffer(slots * 4));
    this.flags = new Int32Array(new SharedArrayBuffer((2 + count) * 4));
    this.locked = locked;
    this.random = random;
    this.seat = seat;
    for (let index = 0; index < count; index++) this.start(index);
  }

  private start(index: number): void {
    const handle = this.seat();
    this.names[index] = (handle as Partial<SlotHandle>).threadId ?? 0;
    const order: KillOrder = {
      handle,
      table: this.words.buffer,
      control: this.flags.buffer,
      index,
      seed: this.random(2 ** 31),
      locked: this.locked,
      growing: this.growing,
    };
    this.workers[index] = new Worker(new URL('./kill-worker.js', import.meta.url), { workerData: order });
  }

  get faults(): number {
    return Atomics.load(this.flags, 1);
  }

  private operations(index: number): number {
    return Atomics.load(this.flags, 2 + index);
  }

  /**
   * Waits until every worker, or every one but this, has done something.
   * @returns whether that was within the bound
   */
  async moves(milliseconds: number, but = -1): Promise<boolean> {
    const indices = this.workers.map((_, index) => index).filter((index) => index !== but);
    const before = indices.map((index) => this.operations(index));
    for (const end = Date.now() + milliseconds; Date.now() < end; ) {
      if (indices.every((index, nth) => this.operations(index) !== before[nth])) return true;
      await sleep(1);
    }
    return false;
  }

  /** Kills a worker wherever it is. @returns which one it was */
  async kill(index: number): Promise<number> {
    await this.workers[index].terminate();
    return this.names[index];
  }

  replace(index: number): void {
    this.start(index);
  }

  /** Ends it: the workers detach. */
  async stop(): Promise<void> {
    const exits = this.workers.map((worker) => once(worker, 'exit'));
    Atomics.store(this.flags, 0, 1);
    await Promise.all(exits);
  }

  async terminate(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }
}
