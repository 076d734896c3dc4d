/** The races of `races.ts`: with every pair of stops of two threads, on real workers at full speed, and with the faults that bring them back. */
import test from 'ava';
import type { Package } from './mutants.ts';
import { PACKAGE, plant, removeMutants } from './mutants.ts';
import { RACES } from './races.ts';
import { everyStop, Rival } from './stops.ts';

test.after.always(removeMutants);

for (const { title, duels, faults } of RACES) {
  for (const [name, make] of Object.entries(duels)) {
    test.serial(`${title}: ${name}`, async (t) => {
      const rival = new Rival(PACKAGE);
      try {
        const plays = everyStop(await import(PACKAGE), rival, make);
        t.log(`${plays} interleavings`);
        t.true(plays > 4);
      } finally {
        await rival.end();
      }
    });
  }

  for (const fault of faults) {
    test.serial(`${title}: found when ${fault.name}`, async (t) => {
      const module = plant(fault);
      const mi = (await import(module)) as typeof Package;
      let found = '';
      for (const [name, make] of Object.entries(duels)) {
        if (found !== '') break;
        const rival = new Rival(module);
        try {
          everyStop(mi, rival, make);
        } catch (error) {
          found = `${name}: ${error instanceof Error ? error.message.split('\n')[0] : error}`;
        } finally {
          await rival.end();
        }
      }
      t.log(found);
      t.not(found, '', 'no duel noticed');
    });
  }
}
