/**
 * Threads that are stopped, or die, in the middle of an operation: right before one of its atomic accesses.
 * What two threads know of each other they know by those, or by what is published with them. Over a
 * `SharedArrayBuffer`, where all of them are JavaScript's.
 */

const NAMES = ['load', 'store', 'exchange', 'compareExchange', 'add', 'sub', 'or', 'and'] as const;
type Access = (...args: unknown[]) => unknown;

/** A thread that has died: what it leaves is what stands in memory. */
export class Death extends Error {}

/**
 * Runs an operation, and something else right before its `at`-th atomic access.
 * @returns whether there are so many
 */
export function stopAt(at: number, meanwhile: () => void, run: () => void): boolean {
  const atomics = Atomics as unknown as Record<string, Access>;
  const originals = NAMES.map((name) => [name, atomics[name]] as const);
  const restore = (): void => {
    for (const [name, original] of originals) atomics[name] = original;
  };
  let seen = 0;
  for (const [name, original] of originals) {
    atomics[name] = (...args) => {
      if (++seen === at) {
        restore();
        meanwhile();
      }
      return original(...args);
    };
  }
  try {
    run();
  } finally {
    restore();
  }
  return seen >= at;
}

/**
 * Runs an operation until its thread dies right before its `at`-th atomic access. The dead one makes no
 * further access, in no `finally` either.
 * @returns whether there are so many, and it has died
 */
export function dieAt(at: number, run: () => void): boolean {
  const atomics = Atomics as unknown as Record<string, Access>;
  const originals = NAMES.map((name) => [name, atomics[name]] as const);
  const end = new Death('the thread has died');
  let seen = 0;
  for (const [name, original] of originals) {
    atomics[name] = (...args) => {
      if (++seen >= at) throw end;
      return original(...args);
    };
  }
  try {
    run();
  } catch (error) {
    if (error !== end) throw error;
  } finally {
    for (const [name, original] of originals) atomics[name] = original;
  }
  return seen >= at;
}

/**
 * Plays a scene once for each place at which an operation can be stopped, until there are no more.
 * @returns how many there are
 */
export function everyStop(play: (at: number) => boolean): number {
  let at = 1;
  while (play(at)) at++;
  return at - 1;
}
