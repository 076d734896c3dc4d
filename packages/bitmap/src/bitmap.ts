/** What the two allocators have in common: making one, sharing it, looking at it. */

import {
  AllocError,
  broken,
  checkChoice,
  checkInteger,
  checkNullZone,
  checkOptions,
  type Handle,
  publishHeader,
  type RegionOptions,
  type SharedMemory,
  takeNullWrite,
} from '@shmalloc/allocator-api';
import { type Crossings, type CrossingsChoice, crossingsFor } from '@shmalloc/atomic-cell';
import { brokenUnit } from './broken.ts';
import { type Geometry, type Kind, openHeader } from './header.ts';
import { RunMap } from './run-map.ts';

/**
 * What this thread does atomic operations with.
 * @public
 */
export interface BitmapAttachOptions {
  /**
   * `'wasm'`, `'js'`, `'auto'` for WebAssembly where it can be had, or an implementation of your own. Threads
   * need not choose alike. Default `'auto'`.
   */
  crossings?: CrossingsChoice | Crossings | undefined;
  /** Where a write through NULL goes that a call has noticed; see `registerError`. Default: the console. */
  onError?: ((error: AllocError) => void) | undefined;
}

/** Names of the options that every kind has besides those of a region. */
export const OWN_OPTIONS = ['crossings', 'onError'] as const;

/**
 * What `validate` may take for granted.
 * @public
 */
export interface BitmapValidateOptions {
  /**
   * Whether no other thread is inside a call, and none was terminated there: then everything is checked.
   * Default false.
   */
  readonly quiet?: boolean | undefined;
}

/**
 * Where the region comes from, and what this thread does atomic operations with.
 * @public
 */
export interface BitmapOptions extends RegionOptions, BitmapAttachOptions {}

/**
 * Figures about a bitmap allocator; those of one moment when no other thread is at work.
 * @public
 */
export interface BitmapStats {
  readonly algorithm: string;
  /** Units (pages, or ids) under management. */
  readonly total: number;
  /** Units that are handed out. */
  readonly used: number;
  /** Units that may be claimed. */
  readonly available: number;
  /** Units that are changing hands, or were lost with a thread that died in the middle of a call. */
  readonly inTransit: number;
  /**
   * Words with free units that the summary does not tell of: more than 0 only while threads are at work, or
   * after one has died.
   */
  readonly hiddenWords: number;
  /** How often a run was claimed in part and given back, because another thread was quicker. */
  readonly retreats: number;
  /** Bytes of header and maps. */
  readonly stateBytes: number;
  /** Which implementation of the atomic operations this thread uses. */
  readonly crossings: 'wasm' | 'js';
}

const CHOICES: readonly CrossingsChoice[] = ['auto', 'wasm', 'js'];

/** @throws TypeError or AllocError `InvalidParam` when the choice is none */
export function crossingsOf(memory: SharedMemory, choice: unknown = 'auto'): Crossings {
  if (typeof choice === 'object' && choice !== null && 'claimRunAt' in choice) return choice as Crossings;
  return crossingsFor(memory, checkChoice('crossings', choice, CHOICES));
}

/**
 * A lock-free hierarchical bitmap in shared memory.
 * @public
 */
export abstract class Bitmap {
  /** The region. */
  readonly memory: SharedMemory;
  private readonly kind: Kind;
  private readonly crossings: Crossings;
  /** First and last word of header and maps, as bytes. */
  protected readonly stateStart: number;
  protected readonly stateEnd: number;
  private maps: RunMap | null;
  private readonly nullWords: number;
  private onError: (error: AllocError) => void = (error) =>
    console.error(`${error.name} ${error.code}: ${error.message}`);

  /** @internal Use `create` or `attach` of a class. */
  constructor(memory: SharedMemory, kind: Kind, geometry: Geometry, options: BitmapAttachOptions) {
    const crossings = crossingsOf(memory, options.crossings);
    this.memory = memory;
    this.kind = kind;
    this.crossings = crossings;
    this.stateStart = geometry.header * 4;
    this.stateEnd = geometry.end * 4;
    this.nullWords = geometry.nullWords;
    if (options.onError !== undefined) this.registerError(options.onError);
    this.maps = new RunMap(memory, geometry, crossings);
  }

  /**
   * The maps.
   * @internal
   */
  protected get map(): RunMap {
    if (this.maps === null)
      throw new AllocError('InvalidParam', `this instance of ${this.kind.algorithm} is detached`);
    return this.maps;
  }

  /** What to post to another thread, for `attach` there. Structured-cloneable. */
  share(): Handle {
    return { algorithm: this.kind.algorithm, memory: this.memory.source, start: this.stateStart };
  }

  /**
   * Ends this instance's use; what is handed out stays so. Any later call on this instance but `share`
   * throws. A write through NULL that no call has told of goes to the error hook.
   */
  detach(): void {
    if (this.maps === null) return;
    this.maps = null;
    this.tellNullWrite();
  }

  /**
   * Says where a write through NULL goes, in this thread. The default prints it. A call that finds no room,
   * adds memory or detaches looks for one; `validate` throws it.
   * @param hook - gets an AllocError `Corrupted`
   */
  registerError(hook: (error: AllocError) => void): void {
    if (typeof hook !== 'function') throw new TypeError(`onError must be a function, got ${typeof hook}`);
    this.onError = hook;
  }

  /**
   * Looks for a write through NULL, and lays the pattern there again. Of a region that does not start at
   * address 0 there is none.
   * @returns an error `Corrupted` that names the address, or null
   */
  takeNullWrite(): AllocError | null {
    return takeNullWrite(this.memory.i32, this.nullWords);
  }

  /** The same, told to the error hook. */
  protected tellNullWrite(): void {
    const error = this.takeNullWrite();
    if (error !== null) this.onError(error);
  }

  /** The same as {@link Bitmap.detach}. */
  [Symbol.dispose](): void {
    this.detach();
  }

  /**
   * Looks at every unit: none may be in two states. Other threads may be at work: what is told was seen
   * unchanged more than once.
   * @param options - with `quiet`, a unit in no state is told as well, and a summary that misses a word
   * @throws AllocError `Corrupted` with the first broken invariant, or with a write through NULL
   */
  validate(options: BitmapValidateOptions = {}): void {
    const { map } = this;
    const written = checkNullZone(this.memory.i32, this.nullWords);
    if (written !== null) throw written;
    const quiet = options.quiet === true;
    const wrong = map.broken(quiet);
    if (wrong !== null) throw brokenUnit(wrong.bit + map.geometry.base, wrong.states);
    const hidden = quiet ? map.countHidden() : 0;
    if (hidden > 0) throw broken('bitmap', `the summary misses ${hidden} words with free units`);
  }

  /**
   * Gives back what was lost with threads that died in the middle of a call, and mends the summary. To be
   * called while no other thread is at work: what another thread is about to get, or to give, looks just as
   * lost.
   * @returns how many units came back
   */
  repair(): number {
    return this.map.repair();
  }

  /** Figures. Cost: a look at every word of the maps. */
  stats(): BitmapStats {
    const { map } = this;
    const total = map.countManaged();
    const used = map.countUsed();
    const available = map.countFree();
    return {
      algorithm: this.kind.algorithm,
      total,
      used,
      available,
      inTransit: total - used - available,
      hiddenWords: map.countHidden(),
      retreats: map.countRetreats(),
      stateBytes: this.stateEnd - this.stateStart,
      crossings: this.crossings.kind,
    };
  }
}

/** Attaches to what a handle names. */
export function openMaps(
  handle: Handle,
  kind: Kind,
  options: BitmapAttachOptions,
): [memory: SharedMemory, geometry: Geometry, options: BitmapAttachOptions] {
  checkOptions(options, OWN_OPTIONS, []);
  const { memory, geometry } = openHeader(handle, kind);
  return [memory, geometry, options];
}

/** Makes a new allocator known to threads that attach. */
export function publish(bitmap: Bitmap): void {
  publishHeader(bitmap.memory.i32, bitmap.share().start / 4);
}

/** Demands a count of units. */
export function checkCount(count: number): number {
  if (checkInteger('count', count) === 0)
    throw new AllocError('InvalidParam', 'count must be at least 1, got 0');
  return count;
}
