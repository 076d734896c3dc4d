/**
 * What a heap can be told when it is made: in code, or by environment variables for what code does not say.
 */

import { AllocError, checkInteger, type RegionOptions } from '@shmalloc/allocator-api';
import type { Os } from './os.ts';

/**
 * Options of a heap. What is not given is taken from the environment variable beside it, and then from the default.
 * @public
 */
export interface MiMallocOptions extends RegionOptions {
  /**
   * Secure mode (`SHMALLOC_SECURE`), 0 … 4, each with everything before it. 1: guarded header. 2: encoded free lists in random order. 3: double
   * frees, wrong frees and writes past a block's end are found at free. 4: freed memory is poisoned, and some blocks are sampled for guards
   * all around. Default 0.
   */
  secure?: number | undefined;
  /** `true` is `secure: 3` at least (`SHMALLOC_DEBUG=1`): every wrong free is found. Default false. */
  debug?: boolean | undefined;
  /** Milliseconds that empty pages and segments wait before their memory is given back (`SHMALLOC_PURGE_DELAY`); −1 never. Default: what `os` says, which is 10 for the usual one. */
  purgeDelay?: number | undefined;
  /** Purge by `reset` (`MADV_FREE`) rather than by `decommit` (`SHMALLOC_PURGE_RESETS=1`). Default false. */
  purgeResets?: boolean | undefined;
  /** Generic allocations for which the only page of a size is kept when it is empty (`SHMALLOC_RETIRE_CYCLES`), 0 … 31. Default 16. */
  retireCycles?: number | undefined;
  /** Threads that can be attached at one time (`SHMALLOC_MAX_THREADS`), 1 … 1000. Default 8 to 64, by the region. */
  maxThreads?: number | undefined;
  /** Log2 of a segment's bytes (`SHMALLOC_SEGMENT_SHIFT`), 16 … 22. Default: 1/32 of the region, at most 22. */
  segmentShift?: number | undefined;
  /** Whether the heap may grow its memory up to `maxBytes` by itself (`SHMALLOC_GROW`). Default: when it has made the memory. */
  grow?: boolean | undefined;
  /** At `secure: 4`, one block in so many is guarded all around (`SHMALLOC_SAMPLE_RATE`); 0 none. Default 1000. */
  sampleRate?: number | undefined;
  /** Seed of all that is random in secure mode (`SHMALLOC_SEED`). Default: by the clock. */
  seed?: number | undefined;
  /** Who owns the memory. Default: nobody; it is counted. Not for the environment. */
  os?: Os | undefined;
}

/** All options of a heap but the region and the layer below. */
export type Settings = Required<{
  [K in Exclude<keyof MiMallocOptions, keyof RegionOptions | 'os' | 'debug'>]: number;
}>;

interface OptionRule {
  readonly variable: string;
  readonly least: number;
  readonly most: number;
  readonly usual: number;
  /** Whether code gives `true` or `false`. */
  readonly flag?: boolean;
}

/** Stands for "depends on the region, or on the layer below". */
export const BY_REGION = -2;

/** Every option that is a number or a flag. */
const RULES: Readonly<Record<keyof Settings | 'debug', OptionRule>> = {
  secure: { variable: 'SHMALLOC_SECURE', least: 0, most: 4, usual: 0 },
  debug: { variable: 'SHMALLOC_DEBUG', least: 0, most: 1, usual: 0, flag: true },
  purgeDelay: { variable: 'SHMALLOC_PURGE_DELAY', least: -1, most: 2 ** 30, usual: BY_REGION },
  purgeResets: { variable: 'SHMALLOC_PURGE_RESETS', least: 0, most: 1, usual: 0, flag: true },
  retireCycles: { variable: 'SHMALLOC_RETIRE_CYCLES', least: 0, most: 31, usual: 16 },
  maxThreads: { variable: 'SHMALLOC_MAX_THREADS', least: 1, most: 1000, usual: BY_REGION },
  segmentShift: { variable: 'SHMALLOC_SEGMENT_SHIFT', least: 16, most: 22, usual: BY_REGION },
  grow: { variable: 'SHMALLOC_GROW', least: 0, most: 1, usual: BY_REGION, flag: true },
  sampleRate: { variable: 'SHMALLOC_SAMPLE_RATE', least: 0, most: 2 ** 30, usual: 1000 },
  seed: { variable: 'SHMALLOC_SEED', least: 0, most: 2 ** 32 - 1, usual: BY_REGION },
};

const REGION_OPTIONS = ['bytes', 'maxBytes', 'backing', 'memory', 'start', 'end', 'lock', 'os'];

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
  const known = Object.values(RULES).map(({ variable }) => variable);
  for (const variable of Object.keys(env)) {
    if (variable.startsWith('SHMALLOC_') && !known.includes(variable)) {
      throw new AllocError(
        'InvalidParam',
        `unknown option ${variable} in the environment; known are ${known.join(', ')}`,
      );
    }
  }
  const names = Object.keys(RULES);
  for (const name of Object.keys(options)) {
    if (!names.includes(name) && !REGION_OPTIONS.includes(name)) {
      throw new AllocError(
        'InvalidParam',
        `unknown option ${name}; known are ${[...names, ...REGION_OPTIONS.filter((each) => each !== 'lock')].join(', ')}`,
      );
    }
  }
  const { debug, ...settings } = Object.fromEntries(
    Object.entries(RULES).map(([name, rule]) => {
      const given = options[name as keyof typeof RULES];
      const text = env[rule.variable];
      if (given !== undefined) return [name, checkOption(name, given, rule)];
      return [
        name,
        text === undefined ? rule.usual : checkOption(rule.variable, parse(text), { ...rule, flag: false }),
      ];
    }),
  ) as Settings & { debug: number };
  if (debug === 1) settings.secure = Math.max(3, settings.secure);
  return settings;
}

/** A variable's number; `true` and `false` for flags, too. */
function parse(text: string): unknown {
  if (text === 'true') return 1;
  if (text === 'false') return 0;
  return /^-?\d+$/.test(text) ? Number(text) : text;
}

function checkOption(name: string, value: unknown, { least, most, flag = false }: OptionRule): number {
  if (flag) {
    if (typeof value !== 'boolean')
      throw new TypeError(`${name} must be true or false, got ${String(value)}`);
    return value ? 1 : 0;
  }
  if (!(least < 0 && value === -1)) checkInteger(name, value);
  const number = value as number;
  if (number < least || number > most) {
    throw new AllocError('InvalidParam', `${name} must lie between ${least} and ${most}, got ${number}`);
  }
  return number;
}
