/**
 * Random damage: what a worker does to a heap, and what it then calls. Free of threads itself.
 *
 * ```
 *   0          start                 lowest block
 *   ├ NULL ────┼ header and tables ──┼── blocks ──────────────────┤
 *        ▲          ▲                     ▲ headers and links of blocks, freed ones above all
 *        └──────────┴─────────────────────┴── words that are overwritten
 * ```
 */

import {
  AllocError,
  type Handle,
  type Heap,
  type HeapAlgorithm,
  type HeapOptions,
} from '@shmalloc/allocator-api';

/** What a worker is posted. Structured-cloneable. */
export interface DamageJob {
  /** Where the algorithm's class comes from, and its name there. */
  readonly module: string;
  readonly exportName: string;
  readonly options: HeapOptions;
  readonly attachOptions: object;
  /** Bytes of the region; the memory has twice as many. */
  readonly bytes: number;
  /** Round n has the seed `seed + n`, so that it can be run alone. */
  readonly seed: number;
  readonly rounds: number;
  /** Calls after the damage in each round. */
  readonly calls: number;
  /** Words, counted from the header's first, that keep their values. */
  readonly spared: readonly number[];
  /** The URL of a module that exports {@link ExtraCalls} as `calls`. */
  readonly extra: string | undefined;
  /** Where the worker says what it is doing: see {@link Progress}. */
  readonly progress: SharedArrayBuffer;
}

/** What came of it. */
export interface DamageCounts {
  calls: number;
  /** Calls that gave a block or did what they are for. */
  served: number;
  /** Calls that threw an `AllocError`. */
  threw: number;
  /** Errors `Corrupted`, thrown or reported. */
  corrupted: number;
}

/**
 * Calls that only one algorithm has, by name.
 * @param heap - the instance to call
 * @param below - random numbers below `n`
 * @public
 */
export type ExtraCalls = (
  heap: Heap,
  below: (n: number) => number,
) => Readonly<Record<string, () => unknown>>;

/** What is in work at this moment: read by the main thread when a call does not come back. */
export class Progress {
  static readonly bytes = 256;
  /** Places of the words that were overwritten last. */
  static readonly #places = 24;
  readonly #words: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer);
  }

  /** Goes up with every call. */
  get ticks(): number {
    return Atomics.load(this.#words, 0);
  }

  get seed(): number {
    return this.#words[1];
  }

  get damage(): string {
    const count = this.#words[2];
    const shown = Math.min(count, Progress.#places);
    const pairs = Array.from({ length: shown }, (_, nth) => {
      const at = 4 + 2 * ((count - shown + nth) % Progress.#places);
      return `word ${this.#words[at]} = ${this.#words[at + 1]}`;
    });
    return pairs.join(', ') || 'nothing yet';
  }

  tick(): void {
    Atomics.add(this.#words, 0, 1);
  }

  begin(seed: number): void {
    this.#words[1] = seed;
    this.#words[2] = 0;
  }

  note(word: number, value: number): void {
    const at = 4 + 2 * (this.#words[2]++ % Progress.#places);
    this.#words[at] = word;
    this.#words[at + 1] = value;
  }
}

/** Numbers below `n` from a linear congruential generator. */
function generator(seed: number): (n: number) => number {
  let state = seed | 0;
  for (let warm = 0; warm < 4; warm++) state = (Math.imul(state, 1664525) + 1013904223) | 0;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return Math.floor(((state >>> 0) / 2 ** 32) * n);
  };
}

/**
 * All rounds.
 * @throws Error with the first call that threw something else than an AllocError, or gave what cannot be
 */
export async function damageRounds(job: DamageJob): Promise<DamageCounts> {
  const algorithm = ((await import(job.module)) as Record<string, HeapAlgorithm>)[job.exportName];
  if (algorithm === undefined) throw new Error(`${job.module} exports no ${job.exportName}`);
  const extra = job.extra === undefined ? undefined : ((await import(job.extra)).calls as ExtraCalls);
  const counts = { calls: 0, served: 0, threw: 0, corrupted: 0 };
  for (let round = 0; round < job.rounds; round++) new Round(job, algorithm, extra, round, counts).run();
  return counts;
}

/** One heap: made, used, damaged, and used on. */
class Round {
  readonly #job: DamageJob;
  readonly #class: HeapAlgorithm;
  readonly #extra: ExtraCalls | undefined;
  readonly #counts: DamageCounts;
  readonly #progress: Progress;
  readonly #seed: number;
  readonly #below: (n: number) => number;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #heaps: Heap[];
  readonly #handle: Handle;
  readonly #live: number[] = [];
  readonly #gone: number[] = [];
  /** Second half of the memory that was not added yet. */
  #rest: number;
  #lowest: number;

  constructor(
    job: DamageJob,
    algorithm: HeapAlgorithm,
    extra: ExtraCalls | undefined,
    nth: number,
    counts: DamageCounts,
  ) {
    this.#job = job;
    this.#class = algorithm;
    this.#extra = extra;
    this.#counts = counts;
    this.#seed = job.seed + nth;
    this.#below = generator(this.#seed);
    this.#progress = new Progress(job.progress);
    this.#progress.begin(this.#seed);
    const memory = new SharedArrayBuffer(2 * job.bytes);
    this.#words = new Int32Array(memory);
    this.#bytes = new Uint8Array(memory);
    this.#rest = job.bytes;
    this.#lowest = job.bytes;
    const heap = algorithm.create({ ...job.options, memory, end: job.bytes });
    this.#heaps = [this.#watched(heap)];
    this.#handle = heap.share();
  }

  run(): void {
    // A state with blocks of many sizes and with holes between them.
    for (let step = 0; step < 60; step++) this.#call(step % 3 === 2 ? this.#free : this.#malloc);
    for (let words = 1 + this.#below(4); words > 0; words--) this.#damage();
    for (let call = 0; call < this.#job.calls; call++) {
      if (this.#below(16) === 0) this.#damage();
      this.#call(this.#choose());
    }
    this.#call(() => ['validate()', () => this.#heap.validate()]);
  }

  /** One of the instances that are attached. */
  get #heap(): Heap {
    return this.#heaps[this.#below(this.#heaps.length)];
  }

  #watched(heap: Heap): Heap {
    heap.registerError((error) => {
      if (!(error instanceof AllocError)) throw new Error(`the error hook was given ${error}`);
      if (error.code === 'Corrupted') this.#counts.corrupted++;
    });
    return heap;
  }

  // ── Damage ──

  #damage(): void {
    const word = this.#victim();
    const header = this.#handle.start / 4;
    if (word >= this.#words.length || this.#job.spared.includes(word - header)) return;
    const value = this.#value(word);
    this.#words[word] = value;
    this.#progress.note(word, value);
  }

  #victim(): number {
    const below = this.#below;
    const header = this.#handle.start / 4;
    const kind = below(16);
    if (kind === 0) return below(header + 1);
    if (kind < 6) return header + below(64);
    if (kind < 9) return header + below(Math.max(1, this.#lowest / 4 - header));
    const blocks = kind < 14 && this.#gone.length > 0 ? this.#gone : this.#live;
    const block = blocks.length === 0 ? this.#lowest : blocks[below(blocks.length)];
    return Math.max(0, block / 4 - 2 + below(6)) | 0;
  }

  #value(word: number): number {
    const below = this.#below;
    const blocks = [...this.#live, ...this.#gone, this.#lowest];
    const block = blocks[below(blocks.length)];
    const old = this.#words[word];
    const values = [
      0,
      -1,
      2 ** 31 - 1,
      -(2 ** 31),
      below(64),
      4 << below(28),
      // Links: in bytes, in words, to a payload, to a header, to itself.
      block,
      block / 4,
      block / 4 - 1,
      word,
      word - 1,
      word - 2,
      word * 4,
      old + 1,
      old - 1,
      old ^ (1 << below(32)),
      old + (16 << below(8)),
      this.#words[below(this.#words.length)],
      below(this.#words.length),
      below(2 ** 32) | 0,
    ];
    return values[below(values.length)] | 0;
  }

  // ── Calls ──

  /** Runs one call. @throws Error with the seed, the call and the damage when it does what no call may */
  #call(prepare: () => [name: string, call: () => unknown]): void {
    const [name, call] = prepare.call(this);
    const header = this.#handle.start / 4;
    // Copies that a damaged heap makes may have covered them.
    for (const word of this.#job.spared) this.#words[header + word] = 0;
    this.#progress.tick();
    this.#counts.calls++;
    try {
      call();
      this.#counts.served++;
    } catch (error) {
      if (!(error instanceof AllocError)) throw this.#failure(name, error);
      this.#counts.threw++;
      if (error.code === 'Corrupted') this.#counts.corrupted++;
    }
  }

  #failure(name: string, error: unknown): Error {
    const shown = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return new Error(`SEED=${this.#seed}: ${name}: ${shown}\n(damaged: ${this.#progress.damage})`);
  }

  #choose(): () => [string, () => unknown] {
    const kind = this.#below(20);
    if (kind < 5) return this.#malloc;
    if (kind < 9) return this.#free;
    if (kind < 11) return this.#realloc;
    if (kind === 11) return this.#calloc;
    if (kind < 14) return this.#aligned;
    if (kind === 14) return this.#arceos;
    if (kind === 15) return this.#attach;
    if (kind === 16) return this.#detach;
    return this.#look;
  }

  #size(): number {
    return this.#below(2 ** (3 + this.#below(12)));
  }

  /** A block, or what might be taken for one. */
  #address(): number {
    const below = this.#below;
    const kind = below(12);
    if (kind < 9 && this.#live.length > 0) return this.#live.splice(below(this.#live.length), 1)[0];
    if (kind < 11 && this.#gone.length > 0) return this.#gone[below(this.#gone.length)];
    return below(this.#bytes.length / 8) * 8;
  }

  /** Notes what an allocation gave, and sometimes writes to it, as a program would. */
  #got(address: number, size: number): void {
    if (address === 0) return;
    // (Not `%`: an address is an unsigned integer whatever the damage.)
    if (!Number.isInteger(address) || address < 0 || address + size > this.#bytes.length)
      throw new Error(`the block [${address}, ${address + size}) leaves the memory`);
    this.#lowest = Math.min(this.#lowest, address & ~15);
    this.#live.push(address);
    if (this.#below(4) === 0) this.#bytes.fill(0x41 + this.#below(64), address, address + size);
  }

  #malloc(): [string, () => unknown] {
    const size = this.#size();
    return [`malloc(${size})`, () => this.#got(this.#heap.malloc(size), size)];
  }

  #calloc(): [string, () => unknown] {
    const size = this.#size();
    return [`calloc(1, ${size})`, () => this.#got(this.#heap.calloc(1, size), size)];
  }

  #aligned(): [string, () => unknown] {
    const size = this.#size();
    const align = 2 ** this.#below(14);
    return [`alignedAlloc(${align}, ${size})`, () => this.#got(this.#heap.alignedAlloc(align, size), size)];
  }

  #realloc(): [string, () => unknown] {
    const address = this.#address();
    const size = this.#size();
    return [`realloc(${address}, ${size})`, () => this.#got(this.#heap.realloc(address, size), size)];
  }

  #free(): [string, () => unknown] {
    const address = this.#address();
    this.#gone.push(address);
    return [`free(${address})`, () => this.#heap.free(address)];
  }

  #arceos(): [string, () => unknown] {
    const size = this.#size();
    if (this.#below(2) === 0) {
      const address = this.#address();
      return [`dealloc(${address}, ${size}, 8)`, () => this.#heap.dealloc(address, size, 8)];
    }
    const bytes = 4096 + this.#below(this.#job.bytes / 4);
    const start = this.#rest + this.#below(2) * 64;
    this.#rest = start + bytes;
    return [`addMemory(${start}, ${bytes})`, () => this.#heap.addMemory(start, bytes)];
  }

  #attach(): [string, () => unknown] {
    return [
      'attach()',
      () => {
        const heap = this.#class.attach(this.#handle, this.#job.attachOptions);
        this.#heaps.push(this.#watched(heap));
      },
    ];
  }

  #detach(): [string, () => unknown] {
    if (this.#heaps.length < 3) return this.#look();
    const [heap] = this.#heaps.splice(1 + this.#below(this.#heaps.length - 1), 1);
    return ['detach()', () => heap.detach()];
  }

  /** What changes nothing. */
  #look(): [string, () => unknown] {
    const heap = this.#heap;
    const address = this.#live.length > 0 ? this.#live[this.#below(this.#live.length)] : 4096;
    const looks: Record<string, () => unknown> = {
      'validate()': () => heap.validate(),
      'stats()': () => heap.stats(),
      'footprintBytes()': () => heap.footprintBytes(),
      'usedBytes()': () => heap.usedBytes(),
      'availableBytes()': () => heap.availableBytes(),
      'totalBytes()': () => heap.totalBytes(),
      'collect(true)': () => heap.collect(true),
      [`usableSize(${address})`]: () => heap.usableSize(address),
      ...this.#extra?.(heap, this.#below),
    };
    const names = Object.keys(looks);
    const name = names[this.#below(names.length)];
    return [name, looks[name]];
  }
}
