/**
 * Runs every compiled test under coverage, then repeats the test runner's summary, so that the last lines
 * tell what happened whatever the coverage table looks like. Fails when a test fails or coverage falls below
 * the bounds in `.c8rc.json`.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'acorn';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const bin = (name) => path.join(root, 'node_modules', '.bin', name);
const env = { ...process.env, ...(process.stdout.isTTY ? { FORCE_COLOR: '1' } : {}) };

/** Whether a compiled module has nothing that could run: then it only had types, and no program loads it. */
const isEmpty = (file) =>
  parse(readFileSync(file, 'utf8'), { ecmaVersion: 'latest', sourceType: 'module' }).body.every(
    ({ type, declaration, source, specifiers }) =>
      type === 'ExportNamedDeclaration' && !declaration && !source && specifiers.length === 0,
  );

/** Such modules, with their sources: coverage would count each as a function that is never called. */
const empty = readdirSync(path.join(root, 'packages'))
  .map((name) => path.join('packages', name, 'dist'))
  .flatMap((dist) =>
    readdirSync(path.join(root, dist), { recursive: true }).map((file) => path.join(dist, file)),
  )
  .filter((file) => file.endsWith('.js') && isEmpty(path.join(root, file)))
  .flatMap((file) => [file, file.replace('/dist/', '/src/').replace(/js$/, 'ts')]);
const exclude = ['**/*.d.ts', ...empty].flatMap((pattern) => ['--exclude', pattern]);

const run = spawn(bin('c8'), [...exclude, bin('ava'), ...process.argv.slice(2)], {
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
  const lines = output.replaceAll(/\u001b\[[0-9;]*m/g, '').split('\n');
  const passed = lines.filter((line) => /^ {2}✔ /.test(line)).length;
  /** How many the runner's own summary counts under a word: it names those that passed only when all did. */
  const count = (word) =>
    lines
      .map((line) => line.match(new RegExp(`^ *(\\d+) [a-z ]+ ${word}$`))?.[1])
      .reduce((sum, n) => sum + Number(n ?? 0), 0);
  const [failed, skipped] = [count('failed') + count('remaining'), count('skipped')];
  if (code !== 0) {
    // What the runner says of the failures stands between its list of tests and the coverage table, which is
    // long: again, last.
    const from = lines.findIndex((line) => line.trim() === '─');
    const table = lines.findIndex((line) => /^-+\|/.test(line));
    console.log(`\nThe run failed (${signal ?? `exit code ${code}`}):\n`);
    for (const line of lines) if (/^ {2}✘ /.test(line)) console.log(line);
    console.log(lines.slice(from, table < 0 ? undefined : table).join('\n'));
  }
  console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
  process.exit(code === 0 && passed > 0 && failed === 0 ? 0 : 1);
});
