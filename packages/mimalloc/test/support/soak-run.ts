/**
 * `npm run soak -- [--operations N] [--hours N] [--seed S] [--round R] [--each N]`: the long run of
 * `soak.ts`, a thousand million operations unless it says otherwise. Prints its seed first and a line a
 * minute; ends with 1, and with what plays the same round again, at the first fault.
 */

import { parseArgs } from 'node:util';
import { soak } from './soak.ts';

const OPTIONS = ['operations', 'hours', 'seed', 'round', 'each'] as const;
const { values } = parseArgs({
  options: Object.fromEntries(OPTIONS.map((name) => [name, { type: 'string' as const }])),
});

function numberOf(name: (typeof OPTIONS)[number]): number | undefined {
  const text = values[name] as string | undefined;
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && (name === 'hours' || Number.isSafeInteger(value))) return value;
  console.error(`--${name} must be a number, got ${text}`);
  process.exit(2);
}

const hours = numberOf('hours');
const operations = numberOf('operations') ?? 1e9;
const seed = numberOf('seed') ?? Date.now() >>> 0;
const round = numberOf('round') ?? 0;
// Operations of each thread in a round: to start a worker costs as much as some thousands of them.
const each = numberOf('each') ?? (operations >= 1e7 ? 300_000 : 30_000);

console.log(
  `seed ${seed}, from round ${round}: ${operations} operations${hours === undefined ? '' : `, ${hours} hours at most`}`,
);
const start = Date.now();
let minute = 0;
const progress = (done: number, at: number): void => {
  const minutes = Math.floor((Date.now() - start) / 60_000);
  if (minutes === minute) return;
  minute = minutes;
  console.log(`${minutes} min: ${done} operations in ${at - round + 1} rounds`);
};

const result = await soak({ seed, round, operations, hours, each, progress });
console.log(
  `${result.operations} operations in ${result.rounds} rounds, ${((Date.now() - start) / 60_000).toFixed(1)} min`,
);
if (result.fault !== '') {
  const failed = round + result.rounds - 1;
  console.error(`round ${failed} of seed ${seed}: ${result.fault}`);
  console.error(
    `play it again with: npm run soak -- --seed ${seed} --round ${failed} --each ${each} --operations 1`,
  );
  process.exit(1);
}
