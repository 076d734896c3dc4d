import { packageOf } from '../build.ts';
import type { IsolateContestant, Subject } from '../contestant.ts';

const HEAPS = 3;
/**
 * A block's number is its address with the heap's number above it. With three heaps it stays below 2^30, a
 * small integer for V8.
 */
const HEAP_SHIFT = 28;
const ADDRESS_MASK: number = 2 ** HEAP_SHIFT - 1;
const MAX_BYTES: number = 2 ** HEAP_SHIFT;

/** Enough calls on each heap that V8 compiles `malloc` and `free` with all three in sight. */
const WARM_PAIRS = 20_000;
const WARM_BLOCKS = 64;

/** Mallocs in a row that one heap gets: a batch of the pairs. */
const TURN = 64;

/**
 * Turns from heap to heap every 64 mallocs; a free finds its heap by the number. What that costs is part of
 * the row: a counter, a look into an array, a shift and a mask, some 2 ns a pair.
 */
class Three implements Subject {
  private readonly heaps: readonly Subject[];
  private done = 0;
  private turn = 0;

  constructor(heaps: readonly Subject[]) {
    this.heaps = heaps;
  }

  malloc(size: number): number {
    this.done = (this.done + 1) & (TURN - 1);
    if (this.done === 0) this.turn = this.turn === HEAPS - 1 ? 0 : this.turn + 1;
    const address = this.heaps[this.turn].malloc(size);
    return address === 0 ? 0 : address | (this.turn << HEAP_SHIFT);
  }

  free(address: number): void {
    this.heaps[address >>> HEAP_SHIFT].free(address & ADDRESS_MASK);
  }
}

/** Calls that see one heap after the other. */
function warmUp(heap: Subject): void {
  const blocks = new Uint32Array(WARM_BLOCKS);
  for (let done = 0; done < WARM_PAIRS; done += WARM_BLOCKS) {
    for (let i = 0; i < WARM_BLOCKS; i++) blocks[i] = heap.malloc(8 + 16 * i);
    for (let i = 0; i < WARM_BLOCKS; i++) heap.free(blocks[i]);
  }
}

/**
 * A program with several heaps: code that V8 has compiled for one heap alone, with its arrays taken for
 * constants, is no use to it. Three heaps, each in a memory of its own, take turns; the row `mimalloc` is
 * what the first of them does alone.
 * @public
 */
export const mimallocThree: IsolateContestant = {
  name: 'mimalloc-three',
  title: 'MiMalloc, one of three heaps',
  kind: 'ours',
  package: 'mimalloc',
  async open(bytes, _prepared, build) {
    if (bytes > MAX_BYTES) throw new Error(`three heaps have at most ${MAX_BYTES} bytes each, not ${bytes}`);
    const { MiMalloc } = await packageOf<typeof import('@shmalloc/mimalloc')>('mimalloc', build);
    const heaps = Array.from({ length: HEAPS }, () => MiMalloc.create({ bytes }));
    for (const heap of heaps) warmUp(heap);
    return new Three(heaps);
  },
};
