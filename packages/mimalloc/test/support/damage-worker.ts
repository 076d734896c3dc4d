/**
 * Heaps that are damaged at random, and then used: each call comes back, with an answer or an error that says
 * what is wrong.
 *
 * ```
 *   progress   │ calls │ seed │ call │ word │ value │        what the main thread tells when a call does not come back
 * ```
 */
import { parentPort, workerData } from 'node:worker_threads';
import { AllocError } from '@shmalloc/allocator-api';
import { MiMalloc } from '@shmalloc/mimalloc';
import { headerField, pageAt, type Random, randomOf } from './harness.ts';
import { tldOf } from './inside.ts';

/** What the worker is to do. */
export interface DamageJob {
  readonly progress: Int32Array<SharedArrayBuffer>;
  readonly seed: number;
  readonly rounds: number;
  readonly secure: number;
  readonly backing: 'wasm' | 'sab';
}

/** What it found. */
export interface DamageAnswer {
  readonly calls: number;
  /** Errors `Corrupted`, thrown or reported. */
  readonly corrupted: number;
  /** What was thrown that must not be. */
  readonly wrong: readonly string[];
}

const SIZES = [1, 8, 48, 100, 500, 1000, 3000, 8000, 30_000, 70_000, 200_000, 5_000_000];

/** The calls by name; the number tells which one does not come back. */
export const CALLS: readonly (readonly [name: string, call: (scene: DamagedHeap) => unknown])[] = [
  ['malloc', ({ heap, size }) => heap.malloc(size())],
  ['free', ({ heap, block }) => heap.free(block())],
  ['realloc', ({ heap, block, size }) => heap.realloc(block(), size())],
  ['calloc', ({ heap, size }) => heap.calloc(1, Math.min(100_000, size()))],
  ['alignedAlloc', ({ heap, size, below }) => heap.alignedAlloc(1 << below(18), size())],
  ['another thread’s malloc', ({ other, size }) => other.malloc(size())],
  ['another thread’s free', ({ other, block }) => other.free(block())],
  ['usableSize', ({ heap, block }) => heap.usableSize(block())],
  ['collect', ({ heap, below }) => heap.collect(below(2) === 0)],
  ['another thread’s collect', ({ other, below }) => other.collect(below(2) === 0)],
  ['validate', ({ heap, below }) => heap.validate({ quiet: below(2) === 0 })],
  ['stats', ({ heap }) => heap.stats()],
  ['inspect', ({ heap }) => heap.inspect()],
  ['visitBlocks', ({ heap }) => heap.visitBlocks(() => true)],
  ['visitAbandoned', ({ heap }) => heap.visitAbandoned(() => true)],
  ['heapNew', (scene) => scene.parts.push(scene.heap.heapNew())],
  ['a part’s malloc', ({ part, size }) => part()?.malloc(size())],
  ['heap delete', ({ part }) => part()?.delete()],
  ['heap destroy', ({ part }) => part()?.destroy()],
  ['attach', (scene) => scene.watch(MiMalloc.attach(scene.heap.share())).detach()],
  ['shareSlot and reap', ({ heap }) => heap.reap(heap.shareSlot().threadId)],
  ['reap', ({ heap, dead }) => heap.reap(dead)],
  ['addMemory', ({ heap, below }) => heap.addMemory((1 << 20) + (below(8) << 17), 1 << 17)],
  ['containsBlock', ({ heap, block }) => heap.containsBlock(block())],
  ['detach', ({ heap, other }) => (other.threadId === heap.threadId ? undefined : other.detach())],
];

/** A heap of three threads, one of which has died, with a bit of everything in it. */
export class DamagedHeap {
  readonly heap: MiMalloc;
  readonly other: MiMalloc;
  readonly dead: number;
  readonly below: Random;
  readonly blocks: number[] = [];
  readonly parts: ReturnType<MiMalloc['heapNew']>[] = [];
  corrupted = 0;

  constructor(seed: number, { secure, backing }: DamageJob) {
    this.below = randomOf(seed);
    const memory =
      backing === 'sab'
        ? new SharedArrayBuffer(2 << 20)
        : new WebAssembly.Memory({ initial: 32, maximum: 32, shared: true });
    this.heap = MiMalloc.create({ memory, end: 1 << 20, secure, seed: 1, reclaimOnFree: seed % 2 === 0 });
    this.other = MiMalloc.attach(this.heap.share());
    const gone = MiMalloc.attach(this.heap.share());
    const dying = MiMalloc.attach(this.heap.share());
    this.dead = dying.threadId;
    for (const heap of [this.heap, this.other, gone, dying]) this.watch(heap);
    this.parts.push(this.heap.heapNew(), this.heap.heapNew());
    for (let step = 0; step < 120; step++) {
      const from = [this.heap, this.heap, this.other, gone, dying, this.parts[0]][this.below(6)];
      const block = from.malloc(SIZES[this.below(10)]);
      if (block !== 0) this.blocks.push(block);
      if (step % 3 === 2) [this.heap, this.other][this.below(2)].free(this.take());
    }
    gone.detach();
  }

  /** Counts what a thread reports. */
  watch(heap: MiMalloc): MiMalloc {
    heap.registerError(({ code }) => {
      if (code === 'Corrupted') this.corrupted++;
    });
    return heap;
  }

  readonly size = (): number => SIZES[this.below(SIZES.length)];

  readonly block = (): number => (this.blocks.length === 0 ? 0 : this.take());

  readonly part = (): ReturnType<MiMalloc['heapNew']> | undefined =>
    this.parts[this.below(this.parts.length)];

  private take(): number {
    const index = this.below(this.blocks.length);
    const block = this.blocks[index];
    this.blocks[index] = this.blocks[this.blocks.length - 1];
    this.blocks.pop();
    return block;
  }

  /** A word of the heap's own state, or of a block. */
  victim(): number {
    const { heap, below } = this;
    const { header } = tldOf(heap);
    const line = (descriptor: number): number => descriptor + below(16);
    const block = this.blocks[below(this.blocks.length)] ?? 0;
    switch (below(8)) {
      case 0:
        return header + below(48);
      case 1:
        return tldOf(heap).root + below(tldOf(heap).emptyPage - tldOf(heap).root);
      case 2:
        return tldOf([heap, this.other][below(2)]).heap + below(32);
      case 3:
        return tldOf([heap, this.other][below(2)]).heap + below(352);
      case 4:
        return line(pageAt(heap, block));
      case 5:
        // Words of chunks and segments lie at the end of a table.
        return headerField(heap, 'end') - 1 - below(16 * 32 + 16);
      case 6:
        return (
          headerField(heap, 'homeTables') + below(headerField(heap, 'end') - headerField(heap, 'homeTables'))
        );
      default:
        return block >>> 2;
    }
  }

  /** Something adversarial. */
  value(word: number): number {
    const { heap, below } = this;
    const some = [
      0,
      1,
      -1,
      2,
      2 ** 31 - 1,
      -(2 ** 31),
      word,
      word + 1,
      word & ~15,
      tldOf(heap).i32.length,
      tldOf(heap).i32.length - 1,
      tldOf(heap).header,
      tldOf(heap).heap,
      tldOf(this.other).heap,
      pageAt(heap, this.blocks[below(this.blocks.length)] ?? 0),
      (this.blocks[below(this.blocks.length)] ?? 0) >>> 2,
      tldOf(heap).i32[word] + 1,
      tldOf(heap).i32[word] - 1,
      below(2 ** 20),
    ];
    return some[below(some.length)];
  }
}

function run(job: DamageJob): DamageAnswer {
  const { progress } = job;
  const wrong: string[] = [];
  let calls = 0;
  let corrupted = 0;
  for (let seed = job.seed; seed < job.seed + job.rounds; seed++) {
    const scene = new DamagedHeap(seed, job);
    const told: string[] = [];
    for (let damage = scene.below(3); damage >= 0; damage--) {
      const word = scene.victim();
      const value = scene.value(word);
      progress[3] = word;
      progress[4] = value;
      told.push(`word ${word} = ${value}`);
      tldOf(scene.heap).i32[word] = value;
    }
    progress[1] = seed;
    for (let step = 0; step < 40; step++) {
      const which = scene.below(CALLS.length);
      progress[2] = which;
      Atomics.add(progress, 0, 1);
      const [name, call] = CALLS[which];
      calls++;
      try {
        call(scene);
      } catch (error) {
        if (error instanceof AllocError) {
          if (error.code === 'Corrupted') corrupted++;
        } else wrong.push(`seed ${seed}, ${told.join(', ')}: ${name}: ${(error as Error).stack}`);
      }
    }
    corrupted += scene.corrupted;
  }
  return { calls, corrupted, wrong };
}

if (parentPort !== null) parentPort.postMessage(run(workerData as DamageJob));
