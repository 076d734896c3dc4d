/**
 * Brings what `shmalloc steps` has printed into the pages of docs/lock-removal: the output of each step's
 * experiments, and the table of throughput.
 *
 *     npm run -s shmalloc -- steps && node scripts/steps-docs.mjs
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const folder = path.join(root, 'docs', 'lock-removal');
const { steps } = JSON.parse(readFileSync(path.join(root, 'out', 'steps.json'), 'utf8'));

function printed({ outcomes }) {
  return outcomes
    .flatMap(({ claim, lines }) => [`✓ ${claim}`, ...lines.map((line) => `    ${line}`)])
    .join('\n');
}

/** A row of the table with the figures that are in it replaced, whatever language it is in. */
function row(line) {
  const step = steps.find((each) => line.startsWith(`| [${each.step}](`));
  if (step === undefined) return line;
  const cells = line.split('|');
  for (const { threads, pairsPerSecond } of step.speeds)
    cells[4 + Math.log2(threads)] = ` ${(pairsPerSecond / 1e6).toFixed(1)} `;
  return cells.join('|');
}

if (steps.length < 7 || steps.some(({ outcomes }) => outcomes.some(({ shown }) => !shown))) {
  console.error('out/steps.json lacks steps, or an experiment that has shown what it is to show');
  process.exit(1);
}
for (const name of readdirSync(folder)) {
  const file = path.join(folder, name);
  const text = readFileSync(file, 'utf8');
  const step = steps.find((each) => name.startsWith(`${each.step}-`));
  writeFileSync(
    file,
    step === undefined
      ? text.split('\n').map(row).join('\n')
      : // The output is the block that begins with a mark.
        text.replace(/```text\n✓.*?\n```/s, () => `\`\`\`text\n${printed(step)}\n\`\`\``),
  );
}
console.log('Now: npm run fix');
