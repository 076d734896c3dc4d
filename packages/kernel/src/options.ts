/** What `boot` takes, and the checks of it. */

import {
  AllocError,
  checkChoice,
  checkInteger,
  checkOptions,
  type HeapOptions,
  isPowerOfTwo,
  LOCK_KINDS,
  type LockKind,
} from '@shmalloc/allocator-api';
import { type AllocatorModule, type AllocatorName, lockFor } from './allocators.ts';
import { type HeapChoice, swapNames } from './heap/algorithms.ts';

/**
 * The most CPUs that a machine has.
 * @public
 */
export const MAX_CPUS = 64;

/**
 * What a machine with pages is told besides.
 * @public
 */
export interface PagedOptions {
  /**
   * How many pages of `vmalloc` may be resident at once: below the sum of what is reserved, there is
   * pressure. Default: all that there are.
   */
  frames?: number | undefined;
  /**
   * Which allocators may take the place of the one that it boots with: true for all, or names. Every CPU
   * loads their modules when it comes up, because it cannot in the middle of a program. Default: none.
   */
  swap?: boolean | readonly AllocatorName[] | undefined;
}

/**
 * A machine to be. The region is given as everywhere in shmalloc: `bytes` of new memory, or (a part of)
 * memory that exists.
 * @public
 */
export interface BootOptions extends Omit<HeapOptions, 'grow' | 'threads' | 'onError'> {
  /** How many CPUs, 1 … 64. Default 1. */
  cpus?: number | undefined;
  /** The allocator: a name of {@link ALLOCATORS}, or a module of your own. Default `'tlsf'`. */
  allocator?: AllocatorName | AllocatorModule | undefined;
  /**
   * How CPUs keep out of each other's way. Default: the first of the allocator's `locks` (`'spin'` where it
   * needs one); with one CPU `'outside'` (and `'none'` is taken for it), and then the main thread must not
   * allocate during a run.
   */
  lock?: LockKind | undefined;
  /**
   * Whether the machine has pages: the allocator then is a {@link KernelHeap}, which grows out of them and
   * can be swapped, and there are `vmalloc`, `vmfree` and `madvise`. Default false: the allocator has the
   * whole region, and nothing stands between it and a program.
   */
  paged?: boolean | PagedOptions | undefined;
  /** Gets every line of the console, without its newline. Default: `console.log`. */
  onPrint?: ((cpu: number, line: string) => void) | undefined;
  /**
   * How much a CPU can print before the main thread has to read, in bytes: a power of two, 256 … 2^24.
   * Default 64 KiB.
   */
  consoleBytes?: number | undefined;
  /**
   * How long a line waits when the console is full before it is lost (and counted), in milliseconds. Default
   * 1000.
   */
  consoleWaitMs?: number | undefined;
  /**
   * How long a CPU has to leave its program when the machine stops before it is terminated, in milliseconds
   * up to 2^31 − 1. Default 200.
   */
  graceMs?: number | undefined;
}

/** A timer that is to wait longer than this rings at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The options with their defaults, checked; those of the allocator apart. */
export interface BootPlan {
  readonly cpus: number;
  readonly allocator: AllocatorName | AllocatorModule;
  readonly allocatorOptions: HeapOptions;
  /** Undefined for a machine without pages. */
  readonly full: { readonly frames: number | undefined; readonly choice: HeapChoice } | undefined;
  readonly onPrint: (cpu: number, line: string) => void;
  readonly consoleBytes: number;
  readonly consoleWaitMs: number;
  readonly graceMs: number;
}

/** The keys that are handed to the allocator's `create`, which knows best what is wrong with them. */
const ALLOCATOR_KEYS = ['bytes', 'maxBytes', 'backing', 'memory', 'start', 'end', 'debug'] as const;

/** The rest of what {@link boot} takes. */
const BOOT_KEYS = [
  'cpus',
  'allocator',
  'lock',
  'paged',
  'onPrint',
  'consoleBytes',
  'consoleWaitMs',
  'graceMs',
];

/** The default console: what is printed in a machine appears as if the main thread had printed it. */
function printLine(_cpu: number, line: string): void {
  console.log(line);
}

/**
 * @throws TypeError for a value of the wrong kind, RangeError for a number that is no non-negative integer,
 *   AllocError `InvalidParam` for one that is out of range
 */
export function planBoot(options: BootOptions): BootPlan {
  if (typeof options !== 'object' || options === null)
    throw new TypeError(`boot options must be an object, got ${options}`);
  checkOptions(options, BOOT_KEYS, ALLOCATOR_KEYS);
  const { allocator = 'tlsf', onPrint = printLine } = options;
  const cpus = checkInteger('cpus', options.cpus ?? 1);
  if (cpus < 1 || cpus > MAX_CPUS)
    throw new AllocError('InvalidParam', `cpus must be 1 … ${MAX_CPUS}, got ${cpus}`);
  const consoleBytes = checkInteger('consoleBytes', options.consoleBytes ?? 65536);
  if (!isPowerOfTwo(consoleBytes) || consoleBytes < 256 || consoleBytes > 2 ** 24) {
    throw new AllocError(
      'InvalidParam',
      `consoleBytes must be a power of two, 256 … 2^24, got ${consoleBytes}`,
    );
  }
  if (typeof onPrint !== 'function') throw new TypeError(`onPrint must be a function, got ${typeof onPrint}`);
  if (options.bytes !== undefined) checkInteger('bytes', options.bytes);
  if (options.lock !== undefined) checkChoice('lock', options.lock, LOCK_KINDS);
  const lock = lockFor(allocator, cpus, options.lock);
  const graceMs = checkInteger('graceMs', options.graceMs ?? 200);
  if (graceMs > MAX_TIMER_MS)
    throw new AllocError('InvalidParam', `graceMs must be 0 … ${MAX_TIMER_MS}, got ${graceMs}`);
  const given = ALLOCATOR_KEYS.filter((key) => options[key] !== undefined);
  return {
    cpus,
    allocator,
    allocatorOptions: { ...Object.fromEntries(given.map((key) => [key, options[key]])), lock },
    full: planPages(options, allocator, cpus),
    onPrint,
    consoleBytes,
    consoleWaitMs: checkInteger('consoleWaitMs', options.consoleWaitMs ?? 1000),
    graceMs,
  };
}

function planPages(
  { paged = false, lock, debug, maxBytes }: BootOptions,
  allocator: AllocatorName | AllocatorModule,
  cpus: number,
): BootPlan['full'] {
  if (typeof paged !== 'boolean' && (typeof paged !== 'object' || paged === null))
    throw new TypeError(`paged must be true, false or an object, got ${String(paged)}`);
  if (paged === false) return undefined;
  if (paged !== true) checkOptions(paged, ['frames', 'swap'], []);
  const { frames, swap } = paged === true ? ({} as PagedOptions) : paged;
  if (frames !== undefined) checkInteger('paged.frames', frames);
  if (maxBytes !== undefined)
    throw new AllocError(
      'InvalidParam',
      `maxBytes (${maxBytes}): the memory of a machine with pages does not grow`,
    );
  // The main thread may allocate, and swaps, at any time: it counts as a CPU, and a lock must keep it apart
  // from a single one too.
  const threads = cpus + 1;
  // In a form that can be posted: any CPU may have to make a heap of it.
  const own = typeof allocator === 'string' ? allocator : { ...allocator, module: String(allocator.module) };
  const guard = lock === 'none' && cpus === 1 ? 'outside' : lock;
  return { frames, choice: { allocator: own, swap: swapNames(swap), lock: guard, debug, threads } };
}

/**
 * The URL of a program's module.
 * @throws TypeError when it is none, or is relative: every CPU would look for it beside the kernel's own
 *   modules
 */
export function programUrl(program: string | URL): string {
  if (program instanceof URL) return program.href;
  if (typeof program === 'string' && URL.canParse(program)) return program;
  throw new TypeError(
    `program must be an absolute URL, such as new URL('./program.js', import.meta.url); got ${JSON.stringify(program)}`,
  );
}
