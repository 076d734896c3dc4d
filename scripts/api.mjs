/** Compares each package's public interface with its report in `etc/`; `--local` writes the reports anew. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const extractor = path.join(root, 'node_modules', '@microsoft', 'api-extractor', 'bin', 'api-extractor');
const flags = process.argv.slice(2);
const drifted = [];

for (const name of readdirSync(path.join(root, 'packages')).sort()) {
  const config = path.join(root, 'packages', name, 'api-extractor.json');
  if (!existsSync(config)) continue;
  mkdirSync(path.join(root, 'packages', name, 'etc'), { recursive: true });
  const { status, stdout, stderr } = spawnSync(process.execPath, [extractor, 'run', '-c', config, ...flags], {
    encoding: 'utf8',
  });
  console.log(`${status === 0 ? 'ok   ' : 'DRIFT'} packages/${name}/etc/${name}.api.md`);
  if (status !== 0) {
    console.log(stdout + stderr);
    drifted.push(name);
  }
}
if (drifted.length > 0) {
  console.error(
    `API report out of date: ${drifted.join(', ')}. Look at the difference; then \`npm run api:update\`.`,
  );
  process.exit(1);
}
