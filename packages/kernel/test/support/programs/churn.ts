/**
 * Allocates, reallocates and frees under the oracle, until it is told to stop. Blocks lie in slots that all
 * CPUs share, so that any CPU frees what any other has allocated.
 *
 * ```
 *  words     0     1 … CPUs            64 + 4 n
 *  ├─────────┼──────────────────┼──╌╌──┼───────────────────────────────────┼──╌╌
 *  │ stop    │ rounds of a CPU  │      │ lock · address · size · alignment │  a slot
 *  └─────────┴──────────────────┴──╌╌──┴───────────────────────────────────┴──╌╌
 * ```
 */
import { CheckedAllocator, Oracle, type OracleHandle } from '@shmalloc/alloc-test/oracle';
import { type Cpu, cpuBarrier, swap } from '@shmalloc/kernel';

export const STOP = 0;
export const ROUNDS = 1;
export const SLOTS = 64;
export const SLOT_WORDS = 4;

export interface ChurnArgument {
  readonly oracle: OracleHandle;
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly seed: number;
  /** The most bytes of a block. */
  readonly largest: number;
  /** Rounds after which a CPU stops by itself; 0: when it is told. */
  readonly rounds: number;
  /** What CPU 0 swaps in, in turn, every hundred rounds. */
  readonly swaps?: readonly string[];
}

export default function churn(cpu: Cpu, argument: unknown): { rounds: number; nulls: number } {
  const { oracle, words, seed, largest, rounds: most, swaps } = argument as ChurnArgument;
  const heap = new CheckedAllocator(cpu.allocator, Oracle.attach(oracle), cpu.id);
  const slots = (words.length - SLOTS) / SLOT_WORDS;
  let state = (seed ^ Math.imul(cpu.id + 1, 0x9e3779b1)) | 1;
  const below = (n: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % n;
  };
  const counts = { rounds: 0, nulls: 0 };
  const keep = (slot: number, address: number, size: number): void => {
    words[slot + 1] = address;
    words[slot + 2] = size;
  };
  while (Atomics.load(words, STOP) === 0 && (most === 0 || counts.rounds < most)) {
    counts.rounds++;
    Atomics.store(words, ROUNDS + cpu.id, counts.rounds);
    if (swaps !== undefined && cpu.id === 0 && counts.rounds % 100 === 0)
      swap(swaps[(counts.rounds / 100) % swaps.length]);
    const slot = SLOTS + SLOT_WORDS * below(slots);
    // A slot that another CPU is just using is left alone.
    if (Atomics.compareExchange(words, slot, 0, 1) !== 0) continue;
    const [address, size] = [words[slot + 1] >>> 0, words[slot + 2]];
    const wanted = below(100) < 95 ? below(600) : below(largest);
    const action = below(8);
    if (address === 0 || action < 5) {
      if (address !== 0) heap.free(address, size);
      const given =
        action === 0
          ? heap.calloc(1, wanted)
          : action === 1
            ? heap.alignedAlloc(1 << below(13), wanted)
            : heap.malloc(wanted);
      keep(slot, given, wanted);
      if (given === 0) counts.nulls++;
    } else if (action === 5) {
      const moved = heap.realloc(address, size, 1, wanted);
      if (moved === 0) counts.nulls++;
      else keep(slot, moved, wanted);
    } else {
      heap.free(address, size);
      keep(slot, 0, 0);
    }
    Atomics.store(words, slot, 0);
  }
  cpuBarrier();
  for (let slot = SLOTS + SLOT_WORDS * cpu.id; slot < words.length; slot += SLOT_WORDS * cpu.count) {
    heap.free(words[slot + 1] >>> 0, words[slot + 2]);
    keep(slot, 0, 0);
  }
  return counts;
}
