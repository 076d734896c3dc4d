/**
 * One thread of the long run: everything that a program can do with a heap, at random, under the oracle. What
 * it has allocated it frees itself, leaves on the board for the others, or loses with a heap that it
 * destroys.
 *
 * ```
 *   held     its blocks, of all its heaps           ⇄ board ⇄   the other threads
 *   parts    heaps that will be deleted: their blocks live on among the held
 *   own      a heap that will be destroyed: its blocks go nowhere else
 * ```
 */

import type { CheckedAllocator } from '@shmalloc/alloc-test/oracle';
import { AllocError } from '@shmalloc/allocator-api';
import type { MiHeap } from '@shmalloc/mimalloc';
import { type Block, enlist, type Hand } from './crew.ts';
import { GROWING } from './growing.ts';
import { takeAt } from './harness.ts';
import { MIXTURES } from './mixtures.ts';

/** What a thread is told. */
export interface SoakJob {
  readonly operations: number;
}

/** Blocks that a thread holds at the most, and bytes. */
const HELD = 400;
const HELD_BYTES = 6 * 2 ** 20;

/** How often, of 10,000 operations. */
const HEAP_COMES = 25;
const HEAP_ENDS = 25;
const COLLECTS = 8;
const BECOMES_ANOTHER = 3;
const MEMORY_COMES = 3;
const CHANGES = 10;

class Soak {
  private readonly hand: Hand;
  private readonly held: Block[] = [];
  private bytes = 0;
  private parts: { readonly part: MiHeap; readonly checked: CheckedAllocator }[] = [];
  private own:
    | { readonly part: MiHeap; readonly checked: CheckedAllocator; readonly blocks: Block[] }
    | undefined;
  private mixture = MIXTURES[0];

  constructor(hand: Hand) {
    this.hand = hand;
  }

  /** One operation. */
  step(): void {
    const { random } = this.hand;
    let lot = random(10_000);
    for (const [often, act] of RARE) {
      if (lot < often) {
        act.call(this);
        return;
      }
      lot -= often;
    }
    const crowded = this.held.length >= HELD || this.bytes >= HELD_BYTES;
    const choice = random(100);
    if (choice < 45 && !crowded) this.allocate();
    else if (choice < 55) this.resize();
    else if (choice < 65) this.exchange();
    else this.release();
  }

  private hold(address: number, size: number): void {
    if (address === 0) return;
    this.held.push({ address, size });
    this.bytes += size;
  }

  private pick(): Block | undefined {
    const { held, hand } = this;
    if (held.length === 0) return undefined;
    const block = takeAt(held, hand.random(held.length));
    this.bytes -= block.size;
    return block;
  }

  private allocate(): void {
    const { random } = this.hand;
    const size = this.mixture(random);
    const { own } = this;
    if (own !== undefined && random(8) === 0) {
      const address = own.checked.malloc(size);
      if (address !== 0) own.blocks.push({ address, size });
      return;
    }
    const nth = random(2 * this.parts.length + 1);
    const { checked } = this.parts[nth] ?? this.hand;
    const kind = random(16);
    if (kind === 0) this.hold(checked.calloc(1, size), size);
    else if (kind === 1) this.hold(checked.alignedAlloc(16 << random(13), size), size);
    else this.hold(checked.malloc(size), size);
  }

  private resize(): void {
    const block = this.pick();
    if (block === undefined) return;
    const size =
      this.hand.random(4) === 0 ? Math.min(2 * block.size, 2 ** 20) : this.mixture(this.hand.random);
    const moved = this.hand.checked.realloc(block.address, block.size, 8, size);
    if (moved === 0) this.hold(block.address, block.size);
    else this.hold(moved, size);
  }

  /** Leaves blocks to whichever thread comes next, and takes what lies there. */
  private exchange(): void {
    const { board, random } = this.hand;
    const count = Math.min(1 + random(this.hand.post.capacity), this.held.length);
    const gift = Array.from({ length: count }, () => this.pick() as Block);
    const found = board.swap(random(board.parcels), gift) ?? gift;
    for (const { address, size } of found) this.hold(address, size);
  }

  private release(): void {
    const block = this.pick();
    if (block !== undefined) this.hand.free(block);
  }

  private newHeap(): MiHeap | undefined {
    try {
      return this.hand.heap.heapNew({ tag: this.hand.post.thread & 255 });
    } catch (error) {
      if (error instanceof AllocError && error.code === 'NoMemory') return undefined;
      throw error;
    }
  }

  private heapComes(): void {
    const { hand } = this;
    if (this.parts.length >= 3) return;
    const part = this.newHeap();
    if (part === undefined) return;
    // A part has no `memory` of its own, and may be gone when its block is freed.
    const view = (free: (address: number) => void): CheckedAllocator =>
      hand.check({
        memory: hand.heap.memory,
        malloc: (size) => part.malloc(size),
        calloc: (count, size) => part.calloc(count, size),
        realloc: (address, size) => part.realloc(address, size),
        alignedAlloc: (align, size) => part.alignedAlloc(align, size),
        usableSize: (address) => part.usableSize(address),
        free,
      });
    if (this.own === undefined) this.own = { part, checked: view(() => {}), blocks: [] };
    else this.parts.push({ part, checked: view((address) => part.free(address)) });
  }

  private heapEnds(): void {
    if (this.hand.random(2) === 0 && this.own !== undefined) this.destroyOwn();
    else this.parts.pop()?.part.delete();
  }

  private destroyOwn(): void {
    const { own } = this;
    if (own === undefined) return;
    // For the oracle they are freed one by one, for the heap all at once.
    for (const { address, size } of own.blocks) own.checked.free(address, size);
    own.part.destroy();
    this.own = undefined;
  }

  private collect(): void {
    this.hand.heap.collect(this.hand.random(2) === 0);
  }

  private becomeAnother(): void {
    this.destroyOwn();
    this.parts = [];
    this.hand.becomeAnother();
  }

  /** A thread adds memory itself, of a size that is no multiple of anything that counts. */
  private memoryComes(): void {
    const { heap, random, post } = this.hand;
    if (!post.growing) return;
    const bytes = 65_536 * (1 + random(4));
    heap.memory.refresh();
    if (heap.memory.byteLength + bytes > GROWING.maxBytes) return;
    let start: number;
    try {
      start = heap.memory.grow(bytes);
    } catch (error) {
      // Others have taken the last of it in between.
      if (error instanceof AllocError && error.code === 'NoMemory') return;
      throw error;
    }
    const cut = random(2) * 4096;
    heap.addMemory(start + cut, bytes - cut);
  }

  private change(): void {
    this.mixture = MIXTURES[this.hand.random(MIXTURES.length)];
  }

  /** What seldom happens. */
  static readonly rare: readonly (readonly [often: number, act: (this: Soak) => void])[] = [
    [HEAP_COMES, Soak.prototype.heapComes],
    [HEAP_ENDS, Soak.prototype.heapEnds],
    [COLLECTS, Soak.prototype.collect],
    [BECOMES_ANOTHER, Soak.prototype.becomeAnother],
    [MEMORY_COMES, Soak.prototype.memoryComes],
    [CHANGES, Soak.prototype.change],
  ];

  /** Everything that is this thread's goes. */
  end(): void {
    this.destroyOwn();
    for (const { part } of this.parts) part.delete();
    this.hand.freeAll(this.held);
  }
}

const RARE = Soak.rare;

enlist((hand) => {
  const { operations } = hand.post.job as SoakJob;
  const soak = new Soak(hand);
  hand.barrier.wait();
  for (let done = 0; done < operations; done++) soak.step();
  soak.end();
  return operations;
});
