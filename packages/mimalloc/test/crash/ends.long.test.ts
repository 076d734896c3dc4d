/**
 * A thread may end anywhere: the same as `ends.test.ts` with more statements, a tenth of a million and more.
 */
import test from 'ava';
import { everyEnd, REGIONS, SCENES } from '../support/ends-scenes.ts';
import { randomOf, seedOf } from '../support/harness.ts';
import { importStepped, type Stepped, writeStepped } from '../support/stepped.ts';

const MOST = 1500;

const written = writeStepped('ends-long');
let stepped: Stepped;
test.before(async () => {
  stepped = await importStepped(written.url);
});
test.after.always(() => written.remove());

for (const [region, options] of Object.entries({
  ...REGIONS,
  'secure mode 4': { secure: 4, seed: 1, sampleRate: 0 },
})) {
  for (const [what, scene] of Object.entries(SCENES)) {
    if ('maxBytes' in options && /memory/.test(what)) continue;
    test(`a thread ends anywhere while ${what} (${region})`, (t) => {
      t.timeout(20 * 60_000);
      const random = randomOf(seedOf(t));
      const { steps, played, faults } = everyEnd({ stepped, options, scene, random, most: MOST });
      t.log(`${played} of ${steps} statements`);
      t.true(played > 10);
      t.deepEqual(faults, []);
    });
  }
}
