/** A short run of `npm run soak`, and that it sees what is wrong. */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { seedOf } from '../support/harness.ts';
import { type Package, plant, removeMutants } from '../support/mutants.ts';
import { soak } from '../support/soak.ts';

test.after.always(removeMutants);

const PROGRAM = fileURLToPath(new URL('../support/soak-run.js', import.meta.url));

test.serial('random programs on real workers, in memory that grows, with kills: the short run', (t) => {
  const seed = seedOf(t);
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [...process.execArgv, PROGRAM, '--operations', '60000', '--seed', `${seed}`],
    // Without coverage: a worker that is killed while it writes that complains on standard error.
    { encoding: 'utf8', env: { ...process.env, NODE_V8_COVERAGE: '' } },
  );
  t.log(stdout.trim().split('\n').at(-1));
  t.is(stderr, '');
  t.is(status, 0, stdout);
  t.true(stdout.startsWith(`seed ${seed}, from round 0`));
});

for (const { name, file, from, to } of [
  {
    name: 'what is zeroed is a word short',
    file: 'page/zeroed.js',
    from: 'i32.fill(0, first, first + words);',
    to: 'i32.fill(0, first, first + words - 1);',
  },
  {
    name: 'what is moved is a word short',
    file: 'alloc/realloc.js',
    from: 'i32.copyWithin(to, from, from + words);',
    to: 'i32.copyWithin(to, from, from + words - 1);',
  },
]) {
  test.serial(`it is found that ${name}, and which round shows it`, async (t) => {
    const module = plant({ name, file, from, to });
    const mi = (await import(module)) as typeof Package;
    const { fault, rounds } = await soak({ seed: 1, round: 2, operations: 500_000, planted: { module, mi } });
    t.log(`round ${rounds + 1}: ${fault.slice(0, 300)}`);
    t.not(fault, '');
  });
}

test.serial('what is no number is refused by its name', (t) => {
  const { status, stderr } = spawnSync(process.execPath, [PROGRAM, '--hours', 'many'], { encoding: 'utf8' });
  t.is(status, 2);
  t.regex(stderr, /--hours must be a number, got many/);
});
