import type { LockKind } from '@shmalloc/allocator-api';
import test from 'ava';
import { type Choice, configurations, shellWord } from '../../dist/commands/options.js';

/** Two allocators that need a lock and one that needs none. */
const REGISTRY: Record<string, { locks: readonly LockKind[] }> = {
  fit: { locks: ['spin', 'mutex'] },
  grown: { locks: ['mutex', 'spin'] },
  free: { locks: ['none'] },
};

function chosen(choice: Partial<Choice>, preset: 'all' | 'usual' = 'all'): string {
  const all = configurations({ alloc: Object.keys(REGISTRY), cpus: 2, ...choice }, preset, REGISTRY);
  return all.map(({ allocator, lock }) => `${allocator} ${lock}`).join(', ');
}

test('without --lock every allocator runs with the locks that it names, or with its usual one', (t) => {
  t.is(chosen({}), 'fit spin, fit mutex, grown mutex, grown spin, free none');
  t.is(chosen({}, 'usual'), 'fit spin, grown mutex, free none');
});

test('a lock-free allocator runs once, whatever locks are chosen', (t) => {
  t.is(chosen({ lock: ['spin', 'mutex'], alloc: ['free'] }), 'free none');
  t.is(chosen({ lock: ['none'], alloc: ['free'], cpus: 8 }), 'free none');
  t.is(chosen({ lock: ['mutex'] }), 'fit mutex, grown mutex, free none');
});

test('no lock is for one CPU', (t) => {
  t.is(chosen({ lock: ['none', 'spin'], alloc: ['fit'], cpus: 1 }), 'fit none, fit spin');
  t.throws(() => chosen({ lock: ['none'], alloc: ['free', 'fit'] }), {
    name: 'UsageError',
    message: "lock 'none' is for one CPU (--cpus 1), not for 2",
  });
});

test('unknown names are refused, and the known ones told', (t) => {
  t.throws(() => chosen({ alloc: ['slow'] }), {
    message: "unknown allocator 'slow'; there are fit, grown, free",
  });
  t.throws(() => chosen({ alloc: ['free'], lock: ['padlock'] }), { message: /^unknown lock 'padlock'/ });
});

test('a word of a command line is quoted where a shell would take it apart', (t) => {
  t.is(shellWord('a/b-c_1.trace'), 'a/b-c_1.trace');
  t.is(shellWord('two words'), "'two words'");
  t.is(shellWord("it's"), "'it'\\''s'");
});
