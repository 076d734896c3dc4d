/**
 * Runs every compiled test under coverage, then repeats the test runner's summary, so that the last lines tell what happened whatever
 * the coverage table looks like. Fails when a test fails or coverage falls below the bounds in `.c8rc.json`.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const bin = (name) => path.join(root, 'node_modules', '.bin', name);
const env = { ...process.env, ...(process.stdout.isTTY ? { FORCE_COLOR: '1' } : {}) };
const run = spawn(bin('c8'), [bin('ava'), ...process.argv.slice(2)], {
  cwd: root,
  env,
  stdio: ['ignore', 'pipe', 'inherit'],
});

let output = '';
run.stdout.setEncoding('utf8');
run.stdout.on('data', (text) => {
  process.stdout.write(text);
  output += text;
});

run.on('close', (code, signal) => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what colours begin with
  const plain = output.replaceAll(/\u001b\[[0-9;]*m/g, '');
  /** How many tests the runner's own summary counts under one of its words. */
  const count = (word) =>
    Number(
      plain.match(
        new RegExp(`^ *(\\d+) (?:known )?(?:tests?|hooks?|uncaught exceptions?) ${word}`, 'm'),
      )?.[1] ?? 0,
    );
  const [passed, failed, skipped] = [count('passed'), count('failed'), count('skipped')];
  if (code !== 0 && failed === 0)
    console.log(`\nThe run itself failed (${signal ?? `exit code ${code}`}): see above.`);
  console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
  process.exit(code === 0 && passed > 0 && failed === 0 ? 0 : 1);
});
