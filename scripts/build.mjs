/**
 * Installs what the lockfile names and compiles every package; does neither when nothing has changed since
 * the last time. Needs nothing but Node and npm: it must run before anything is installed.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { embedWasm } from './wasm.mjs';

const PNPM = 'pnpm@12.21.0';
const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const stamp = path.join(root, 'node_modules', '.shmalloc-installed');

/** One digest over everything that decides what is installed. */
function manifestDigest() {
  const packages = readdirSync(path.join(root, 'packages')).map((name) => `packages/${name}/package.json`);
  const hash = createHash('sha256');
  for (const file of [
    'package.json',
    'pnpm-workspace.yaml',
    'pnpm-lock.yaml',
    'examples/package.json',
    'examples/lock-removal/package.json',
    ...packages,
  ]) {
    const full = path.join(root, file);
    if (existsSync(full)) hash.update(file).update(readFileSync(full));
  }
  return hash.digest('hex');
}

/**
 * Runs one command; what it prints goes to standard error, so that `--json` output of a later step stays
 * clean.
 */
function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

/**
 * Removes compiled files whose source is gone: the compiler leaves them, and the test runner would find them.
 */
function prune(folder, output, source) {
  const from = path.join(root, folder, output);
  if (!existsSync(from)) return;
  for (const file of readdirSync(from, { recursive: true })) {
    const stem = file.match(/^(.+?)(\.d\.ts|\.js)(\.map)?$/)?.[1];
    if (stem && !existsSync(path.join(root, folder, source, `${stem}.ts`))) rmSync(path.join(from, file));
  }
}

/**
 * Writes the one test file that has all tests of a package for which one thread is enough: to start a process
 * for each costs more than they do.
 */
function gatherUnits(folder) {
  const tests = path.join(root, folder, 'dist-test');
  const units = path.join(tests, 'unit');
  if (!existsSync(units)) return;
  const files = readdirSync(units).filter((file) => file.endsWith('.test.js'));
  const lines = files.map((file) => `import './unit/${file}';\n`);
  writeFileSync(path.join(tests, 'unit.test.js'), lines.join(''));
}

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`shmalloc needs Node 20.19 or later, this is ${process.versions.node}`);
  process.exit(1);
}

const digest = manifestDigest();
if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== digest) {
  const frozen = existsSync(path.join(root, 'pnpm-lock.yaml')) && !process.env.UPDATE_LOCK;
  console.error('Installing dependencies …');
  run('npx', ['--yes', PNPM, 'install', frozen ? '--frozen-lockfile' : '--no-frozen-lockfile']);
  writeFileSync(stamp, manifestDigest());
}
await embedWasm();
// Only now is anything installed that it needs.
const { forgetLost, inlineConstants } = await import('./constants-files.mjs');
const packages = readdirSync(path.join(root, 'packages')).map((name) => `packages/${name}`);
const inlined = [...packages, 'examples/lock-removal'].filter((folder) => folder !== 'packages/lab');
forgetLost(root, inlined);
run(process.execPath, [path.join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b']);
for (const folder of ['examples', 'examples/lock-removal', ...packages]) {
  prune(folder, 'dist', 'src');
  prune(folder, 'dist-test', 'test');
  gatherUnits(folder);
}
inlineConstants(root, inlined);
