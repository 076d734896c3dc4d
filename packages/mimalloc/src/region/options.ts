/**
 * What a heap can be told when it is made: in code, or by environment variables for what code does not say.
 */

import {
  AllocError,
  checkInteger,
  checkOptions,
  type HeapOptions,
  type RegionOptions,
} from '@shmalloc/allocator-api';
import type { Crossings, CrossingsChoice } from '@shmalloc/atomic-cell';
import type { Os } from '../thread/os.ts';

/**
 * Options of a heap. What is not given is taken from the environment variable beside it, and then from the
 * default.
 * @public
 */
export interface MiMallocOptions extends HeapOptions {
  /**
   * Secure mode (`SHMALLOC_SECURE`), 0 … 4, each with everything before it. 1: guarded header. 2: encoded
   * free lists in random order. 3: double frees, wrong frees and writes past a block's end are found at free.
   * 4: freed memory is poisoned, and some blocks are sampled for guards all around. Default 0.
   */
  secure?: number | undefined;
  /** `true` is `secure: 3` at least (`SHMALLOC_DEBUG=1`): every wrong free is found. Default false. */
  debug?: boolean | undefined;
  /**
   * Milliseconds that empty pages and segments wait before their memory is given back
   * (`SHMALLOC_PURGE_DELAY`); −1 never. Default: what `os` says, which is 10 for the usual one.
   */
  purgeDelay?: number | undefined;
  /** Purge by `reset` (`MADV_FREE`) rather than by `decommit` (`SHMALLOC_PURGE_RESETS=1`). Default false. */
  purgeResets?: boolean | undefined;
  /**
   * Generic allocations for which the only page of a size is kept when it is empty
   * (`SHMALLOC_RETIRE_CYCLES`), 0 … 31. Default 16.
   */
  retireCycles?: number | undefined;
  /**
   * Threads that can be attached at one time (`SHMALLOC_THREADS`), 1 … 1000. Default 8 to 64, by the region.
   */
  threads?: number | undefined;
  /**
   * Log2 of a segment's bytes (`SHMALLOC_SEGMENT_SHIFT`), 16 … 22. Default: that of 1/16 of the region, at
   * most 22.
   */
  segmentShift?: number | undefined;
  /**
   * Whether the heap may grow its memory up to `maxBytes` by itself (`SHMALLOC_GROW`). Default: when it has
   * made the memory.
   */
  grow?: boolean | undefined;
  /**
   * Whether a thread that frees into a segment which an ended thread has left behind adopts it
   * (`SHMALLOC_RECLAIM_ON_FREE`), instead of leaving it to a thread that needs memory. Default false.
   */
  reclaimOnFree?: boolean | undefined;
  /**
   * At `secure: 4`, one block in so many is guarded all around (`SHMALLOC_SAMPLE_RATE`); 0 none. Default
   * 1000.
   */
  sampleRate?: number | undefined;
  /** Seed of all that is random in secure mode (`SHMALLOC_SEED`). Default: a random number. */
  seed?: number | undefined;
  /**
   * How the creating thread does what crosses threads (a foreign free, claiming a segment): `'wasm'` over a
   * `WebAssembly.Memory`, a third of the time; `'js'` anywhere; an object of one's own for studies. `'auto'`,
   * the default, is the first that can be had. Not for the environment.
   */
  crossings?: CrossingsChoice | Crossings | undefined;
  /** The owner of the memory. Default: none; it is counted. Not for the environment. */
  os?: Os | undefined;
}

/** Options that are no settings of the heap: the region, what it stands on, what it has no use for. */
type Unsettled = keyof RegionOptions | 'os' | 'crossings' | 'lock' | 'onError';

/** All options of a heap but the region and the layer below. */
export type Settings = Required<{
  [K in Exclude<keyof MiMallocOptions, Unsettled>]: number;
}>;

/** Stands for "depends on the region, or on the layer below". */
export const BY_REGION = -2;

/** Every option that is a number or a flag: the least value, the largest, the usual. */
const RULES: Readonly<Record<keyof Settings, readonly [least: number, most: number, usual: number]>> = {
  secure: [0, 4, 0],
  debug: [0, 1, 0],
  purgeDelay: [-1, 2 ** 30, BY_REGION],
  purgeResets: [0, 1, 0],
  retireCycles: [0, 31, 16],
  threads: [1, 1000, BY_REGION],
  segmentShift: [16, 22, BY_REGION],
  grow: [0, 1, BY_REGION],
  reclaimOnFree: [0, 1, 0],
  sampleRate: [0, 2 ** 30, 1000],
  seed: [0, 2 ** 32 - 1, BY_REGION],
};

/** Those that code gives as `true` or `false`. */
const FLAGS = ['debug', 'purgeResets', 'grow', 'reclaimOnFree'];

/** Those that are about what the heap stands on; an attaching thread has these alone. */
const OUTER_OPTIONS = ['os', 'crossings'];

/**
 * Demands that every option of an attaching thread is a known one.
 * @returns the options
 * @throws TypeError when they are no object, AllocError `InvalidParam` for an unknown name
 */
export function checkAttach<T extends object>(options: T): T {
  checkOptions(options, OUTER_OPTIONS);
  return options;
}

const PREFIX = 'SHMALLOC_';

/** `purgeDelay` in code is `SHMALLOC_PURGE_DELAY` in the environment. */
function variableOf(name: string): string {
  return PREFIX + name.replace(/[A-Z]/g, '_$&').toUpperCase();
}

/** The environment, where there is one. */
function environment(): Readonly<Record<string, string | undefined>> {
  const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
  return process?.env ?? {};
}

/**
 * Fills in what was not said.
 * @throws TypeError, RangeError or AllocError `InvalidParam`, naming the option or the variable
 */
export function settingsOf(options: MiMallocOptions): Settings {
  const env = environment();
  const names = Object.keys(RULES) as (keyof typeof RULES)[];
  const variables = Object.keys(env).filter((variable) => variable.startsWith(PREFIX));
  demandVariables(variables, names.map(variableOf));
  checkOptions(options, [...names, ...OUTER_OPTIONS]);
  const found: Record<string, number> = {};
  for (const name of names) {
    const value = options[name];
    const variable = variableOf(name);
    const text = env[variable];
    if (value !== undefined) {
      found[name] = checkOption(name, name, FLAGS.includes(name) ? flagValue(name, value) : value);
    } else found[name] = text === undefined ? RULES[name][2] : checkOption(variable, name, textValue(text));
  }
  const settings = found as Settings;
  if (settings.debug === 1) settings.secure = Math.max(3, settings.secure);
  return settings;
}

function demandVariables(given: readonly string[], known: readonly string[]): void {
  for (const name of given) {
    if (known.includes(name)) continue;
    throw new AllocError(
      'InvalidParam',
      `unknown option ${name} in the environment; known are ${known.join(', ')}`,
    );
  }
}

function flagValue(name: string, value: unknown): unknown {
  if (typeof value !== 'boolean') throw new TypeError(`${name} must be true or false, got ${String(value)}`);
  return Number(value);
}

/** A variable's number; `true` and `false` for flags, too. */
function textValue(text: string): unknown {
  if (text === 'true' || text === 'false') return Number(text === 'true');
  return /^-?\d+$/.test(text) ? Number(text) : text;
}

/** @param called - what the caller calls it, for the message */
function checkOption(called: string, name: keyof typeof RULES, value: unknown): number {
  const [least, most] = RULES[name];
  const number = least < 0 && value === -1 ? -1 : checkInteger(called, value);
  if (number >= least && number <= most) return number;
  throw new AllocError('InvalidParam', `${called} must lie between ${least} and ${most}, got ${number}`);
}
