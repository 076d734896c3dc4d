/** Options that several commands take, checked while they are read. */

import { ALLOCATORS, type AllocatorName, type LockKind } from '@shmalloc/kernel';
import { InvalidArgumentError, Option } from 'commander';
import { UsageError } from '../errors.ts';
import type { Configuration } from '../job.ts';

/** More CPUs than this would measure the scheduler. */
const MAX_CPUS = 64;

/**
 * A list of names: `a,b`.
 * @internal
 */
export function names(text: string): string[] {
  const list = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (list.length === 0) throw new InvalidArgumentError('It must be a name, or several separated by commas.');
  return [...new Set(list)];
}

/**
 * A number of CPUs.
 * @internal
 */
export function cpuCount(text: string): number {
  return wholeNumber(text, 1, MAX_CPUS);
}

/**
 * A whole number within bounds.
 * @internal
 */
export function wholeNumber(text: string, low: number, high: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < low || value > high) {
    throw new InvalidArgumentError(`It must be a whole number from ${low} to ${high}.`);
  }
  return value;
}

/**
 * Demands that every name is known.
 * @param what - what the names are of, for the message
 * @throws UsageError that lists the known ones
 * @internal
 */
export function checkNames(what: string, given: readonly string[], known: readonly string[]): void {
  for (const name of given) {
    if (!known.includes(name))
      throw new UsageError(`unknown ${what} '${name}'; there are ${known.join(', ')}`);
  }
}

/**
 * The registry's names.
 * @internal
 */
export const ALLOCATOR_NAMES: readonly AllocatorName[] = Object.keys(ALLOCATORS) as AllocatorName[];

const LOCKS: readonly LockKind[] = ['spin', 'mutex', 'none'];

/**
 * `--alloc`: all of them when left out.
 * @internal
 */
export function allocOption(): Option {
  return new Option('--alloc <names>', `allocators: ${ALLOCATOR_NAMES.join(', ')}`)
    .argParser(names)
    .default([...ALLOCATOR_NAMES], 'all');
}

/**
 * `--lock`.
 * @internal
 */
export function lockOption(preset: readonly LockKind[]): Option {
  return new Option('--lock <names>', 'locks around them: spin, mutex, or none (with --cpus 1)')
    .argParser(names)
    .default([...preset], preset.join(','));
}

/**
 * `--cpus`.
 * @internal
 */
export function cpusOption(): Option {
  return new Option('--cpus <n>', 'real threads; more recorded threads than that share them')
    .argParser(cpuCount)
    .default(2);
}

/**
 * Every allocator with every lock.
 * @throws UsageError for a name that is not known, or a lock that cannot keep two CPUs apart
 * @internal
 */
export function configurations(options: { alloc: string[]; lock: string[]; cpus: number }): Configuration[] {
  checkNames('allocator', options.alloc, ALLOCATOR_NAMES);
  checkNames('lock', options.lock, LOCKS);
  if (options.lock.includes('none') && options.cpus > 1) {
    throw new UsageError(`lock 'none' is for one CPU (--cpus 1), not for ${options.cpus}`);
  }
  return options.alloc.flatMap((allocator) =>
    options.lock.map((lock) => ({ allocator: allocator as AllocatorName, lock: lock as LockKind })),
  );
}
