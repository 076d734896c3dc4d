/** Options that several commands take, checked while they are read. */

import { LOCK_KINDS, type LockKind } from '@shmalloc/allocator-api';
import { ALLOCATORS, type AllocatorEntry, type AllocatorName, MAX_CPUS } from '@shmalloc/kernel';
import { InvalidArgumentError, Option } from 'commander';
import { UsageError } from '../errors.ts';
import type { Configuration } from '../job.ts';

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
 * Those of a list that were asked for.
 * @param only - names; undefined for all
 * @internal
 */
export function chosen<T extends { name: string }>(
  all: readonly T[],
  only: readonly string[] | undefined,
): readonly T[] {
  return only === undefined ? all : all.filter(({ name }) => only.includes(name));
}

/**
 * The registry's names.
 * @internal
 */
export const ALLOCATOR_NAMES: readonly AllocatorName[] = Object.keys(ALLOCATORS) as AllocatorName[];

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
 * @param preset - in words, what it is when left out
 * @internal
 */
export function lockOption(preset: string): Option {
  return new Option(
    '--lock <names>',
    `locks around them: spin, mutex, or none with --cpus 1 (default: ${preset}); a lock-free allocator has none`,
  ).argParser(names);
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
 * What the options choose.
 * @internal
 */
export interface Choice {
  alloc: string[];
  /** Undefined when the user did not say. */
  lock?: string[] | undefined;
  cpus: number;
}

/**
 * Every chosen allocator with every chosen lock. A lock-free allocator stands there once, whatever locks are
 * chosen.
 * @param choice - the options
 * @param preset - which of an allocator's locks are meant when none is chosen
 * @param registry - the allocators that there are
 * @throws UsageError for a name that is not known, or a lock that cannot keep two CPUs apart
 * @internal
 */
export function configurations(
  { alloc, lock, cpus }: Choice,
  preset: 'all' | 'usual',
  registry: Readonly<Record<string, Pick<AllocatorEntry, 'locks'>>> = ALLOCATORS,
): Configuration[] {
  checkNames('allocator', alloc, Object.keys(registry));
  if (lock !== undefined) checkNames('lock', lock, LOCK_KINDS);
  return alloc.flatMap((allocator) => {
    const { locks } = registry[allocator];
    return locksOf(locks).map((kind) => ({ allocator: allocator as AllocatorName, lock: kind }));
  });

  function locksOf(own: readonly LockKind[]): readonly LockKind[] {
    if (own.includes('none')) return ['none'];
    if (lock === undefined) return preset === 'all' ? own : own.slice(0, 1);
    const unguarded = lock.find((kind) => kind === 'none' || kind === 'outside');
    if (unguarded !== undefined && cpus > 1) {
      throw new UsageError(`lock '${unguarded}' is for one CPU (--cpus 1), not for ${cpus}`);
    }
    return lock as LockKind[];
  }
}

/**
 * A word of a command line, in quotes where a shell would take it apart.
 * @internal
 */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
