/**
 * Compares each package's public interface with its report in `etc/`; `--local` writes the reports. Two
 * packages at a time; one of which nothing has changed since it was last in order is not looked at again.
 */
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const stampFile = path.join(root, 'node_modules', '.shmalloc-api.json');
const flags = process.argv.slice(2);

const folderOf = (name) => path.join(root, 'packages', name);
const declarations = (name) =>
  readdirSync(path.join(folderOf(name), 'dist'), { recursive: true })
    .filter((file) => file.endsWith('.d.ts'))
    .sort()
    .map((file) => path.join(folderOf(name), 'dist', file));

/**
 * Everything that a package's report follows from: its declarations and those of the others, the settings,
 * the report.
 */
function digestOf(name, names) {
  const hash = createHash('sha256');
  const report = path.join(folderOf(name), 'etc', `${name}.api.md`);
  const files = [path.join(root, 'api-extractor.base.json'), path.join(root, 'package.json'), report];
  for (const file of [...files, ...names.flatMap(declarations)])
    if (existsSync(file)) hash.update(path.relative(root, file)).update(readFileSync(file));
  return hash.digest('hex');
}

/** One process that checks package after package: to start one for each costs as much as to check it. */
class Checker {
  constructor() {
    this.process = fork(fileURLToPath(new URL('./api-checker.mjs', import.meta.url)), flags);
    this.process.on('exit', (code) => this.answer?.(`the checker has ended with exit code ${code}`));
  }

  /** @returns what the extractor says when the report differs, or null */
  check(name) {
    mkdirSync(path.join(folderOf(name), 'etc'), { recursive: true });
    return new Promise((resolve) => {
      this.answer = resolve;
      this.process.once('message', resolve);
      this.process.send(path.join(folderOf(name), 'api-extractor.json'));
    });
  }

  end() {
    this.answer = undefined;
    this.process.disconnect();
  }
}

const names = readdirSync(path.join(root, 'packages'))
  .filter((name) => existsSync(path.join(folderOf(name), 'api-extractor.json')))
  .sort();
const before = existsSync(stampFile) ? JSON.parse(readFileSync(stampFile, 'utf8')) : {};
const inOrder = {};
const drifted = [];
const queue = names.filter((name) => {
  if (flags.length > 0 || before[name] !== digestOf(name, names)) return true;
  inOrder[name] = before[name];
  return false;
});

async function work() {
  if (queue.length === 0) return;
  const checker = new Checker();
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    const difference = await checker.check(name);
    console.log(`${difference === null ? 'ok   ' : 'DRIFT'} packages/${name}/etc/${name}.api.md`);
    if (difference === null) inOrder[name] = digestOf(name, names);
    else {
      console.log(difference);
      drifted.push(name);
    }
  }
  checker.end();
}
await Promise.all([work(), work()]);
writeFileSync(stampFile, JSON.stringify(inOrder));
if (drifted.length > 0) {
  console.error(
    `API report out of date: ${drifted.join(', ')}. Look at the difference; then \`npm run api:update\`.`,
  );
  process.exit(1);
}
