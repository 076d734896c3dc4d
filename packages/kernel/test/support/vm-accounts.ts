/** Virtual-memory accounts for tests, correct ones and such with a fault that a check has to find. */
import { SharedMemory } from '@shmalloc/allocator-api';
import { VmAccount } from '@shmalloc/kernel';
import { Frames } from '../../dist/vm/frames.js';

export const PAGE = 4096;

/** What a frame's keeper can do wrong. */
export type Fault = 'keeps contents' | 'forgets to count' | 'takes what is in use';

const PAGES_AT = 16;
const RESIDENT = 2;

class FaultyFrames extends Frames {
  readonly #fault: Fault;
  #misses = 0;

  constructor(frames: Frames, fault: Fault) {
    super(frames.words, frames.bytes, frames.limit);
    this.#fault = fault;
  }

  override wipe(page: number): void {
    if (this.#fault !== 'keeps contents') super.wipe(page);
  }

  override giveBack(): void {
    if (this.#fault !== 'forgets to count' || ++this.#misses % 50 !== 0) super.giveBack();
  }

  override take(): boolean {
    if (super.take()) return true;
    if (this.#fault !== 'takes what is in use') return false;
    const page = this.words.indexOf(RESIDENT, PAGES_AT) - PAGES_AT;
    if (page < 0) return false;
    this.wipe(page);
    this.words[PAGES_AT + page] = 1;
    return true;
  }
}

/** An account of `pages` pages from address 1 MiB on, in new memory or in that of another thread. */
export function accountOf(
  pages: number,
  frames: number,
  memory = SharedMemory.create({ bytes: (1 << 20) + pages * PAGE }),
  fault?: Fault,
): VmAccount {
  const account = new VmAccount(memory, { table: 4096, start: 1 << 20, pages, frames });
  const inside = account as unknown as { frames: Frames; states: { frames: Frames } };
  if (fault !== undefined) {
    inside.frames = new FaultyFrames(inside.frames, fault);
    inside.states.frames = inside.frames;
  }
  return account;
}
