/**
 * The random-damage test can fail: heaps that hang, throw, hand out nonsense or meet no damage at all do not
 * pass it.
 */

import type { HeapAlgorithm } from '@shmalloc/allocator-api';
import test from 'ava';
import { damagedHeaps } from '../../dist/kit/damage.js';
import { Astray, Endless, Garbled, Immune } from '../support/damaged.js';

const module = new URL('../support/damaged.js', import.meta.url).href;

for (const [allocator, message] of [
  [Endless, /^SEED=\d+: a call did not come back in 1 s \(damaged: word \d+ = /],
  [Garbled, /^SEED=\d+: malloc\(\d+\): TypeError: undefined is not a block[\s\S]*damaged: word/],
  [Astray, /^SEED=\d+: malloc\(\d+\): .*leaves the memory/],
  [Immune, /no call has met any of the damage/],
] as const) {
  test(`damage: the ${allocator.name.toLowerCase()} heap fails`, async (t) => {
    const subject = {
      algorithm: allocator as unknown as HeapAlgorithm,
      exportName: allocator.name,
      module,
    };
    await t.throwsAsync(damagedHeaps(subject, { seed: 2332, rounds: 60, patience: 1 }), { message });
  });
}

test('damage: a module that does not export the class is named', async (t) => {
  class Nowhere extends Immune {}
  const algorithm = Nowhere as unknown as HeapAlgorithm;
  const subject = { algorithm, exportName: 'Nowhere', module };
  await t.throwsAsync(damagedHeaps(subject, {}), { message: /exports no Nowhere/ });
});
