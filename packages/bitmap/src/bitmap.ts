/** What the two allocators have in common: making one, sharing it, looking at it. */

import {
  AllocError,
  checkChoice,
  checkInteger,
  type Handle,
  publishHeader,
  type RegionOptions,
  type SharedMemory,
} from '@shmalloc/allocator-api';
import { type Crossings, type CrossingsChoice, crossingsFor } from '@shmalloc/atomic-cell';
import { type Geometry, type Kind, openHeader } from './header.ts';
import { RunMap } from './run-map.ts';

/**
 * What this thread does atomic operations with.
 * @public
 */
export interface BitmapAttachOptions {
  /**
   * `'wasm'`, `'js'`, `'auto'` for WebAssembly where it can be had, or an implementation of your own. Threads need not choose alike.
   * Default `'auto'`.
   */
  crossings?: CrossingsChoice | Crossings | undefined;
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
  /** Words with free units that the summary does not tell of: more than 0 only while threads are at work, or after one has died. */
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

  /** @internal Use `create` or `attach` of a class. */
  constructor(memory: SharedMemory, kind: Kind, geometry: Geometry, crossings: Crossings) {
    this.memory = memory;
    this.kind = kind;
    this.crossings = crossings;
    this.stateStart = geometry.header * 4;
    this.stateEnd = geometry.end * 4;
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

  /** Ends this instance's use; what is handed out stays so. Any later call on this instance but `share` throws. */
  detach(): void {
    this.maps = null;
  }

  /** The same as {@link Bitmap.detach}. */
  [Symbol.dispose](): void {
    this.detach();
  }

  /**
   * Looks at every unit: none may be in two states. To be called while no other thread is at work.
   * @throws Error with the first broken invariant
   */
  validate(): void {
    const broken = this.map.broken();
    if (broken === null) return;
    const unit = broken.bit + this.map.geometry.base;
    throw new Error(`bitmap invariant broken: unit ${unit} is ${broken.states}`);
  }

  /**
   * Gives back what was lost with threads that died in the middle of a call, and mends the summary. To be called while no other thread is at
   * work: what another thread is about to get, or to give, looks just as lost.
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
): [memory: SharedMemory, geometry: Geometry, crossings: Crossings] {
  const { memory, geometry } = openHeader(handle, kind);
  return [memory, geometry, crossingsOf(memory, options.crossings)];
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
