/**
 * What a program gets that installs the tarballs with npm: in a project of its own, outside the workspace.
 */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const project = mkdtempSync(path.join(tmpdir(), 'shmalloc-installed-'));
const env = { ...process.env, NODE_V8_COVERAGE: '' };

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { cwd: project, env, encoding: 'utf8' });
}

/** What a library needs: the lab brings dependencies that are not in the workspace, and so the network. */
const LIBRARIES = /^shmalloc-(?!lab|lock-removal|trace|recordings)/;

test.before((t) => {
  t.timeout(300_000);
  const tarballs = path.join(project, 'tarballs');
  run(process.execPath, path.join(root, 'scripts', 'pack.mjs'), tarballs);
  const libraries = readdirSync(tarballs).filter((file) => LIBRARIES.test(file));
  writeFileSync(
    path.join(project, 'package.json'),
    '{ "name": "project", "private": true, "type": "module" }\n',
  );
  const files = libraries.map((file) => `./tarballs/${file}`);
  run('npm', 'install', '--offline', '--no-audit', '--no-fund', '--silent', ...files);
});
test.after.always(() => rmSync(project, { recursive: true, force: true }));

test('a worker allocates and frees, and the heap is sound', (t) => {
  writeFileSync(
    path.join(project, 'main.js'),
    `import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { MiMalloc } from 'shmalloc';

const heap = MiMalloc.create({ bytes: 16 << 20 });
const block = heap.malloc(1024);
if (block === 0) throw new Error('out of memory');
heap.memory.view('f64', block, 128).fill(1);
const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: { handle: heap.share(), block } });
const [sum] = await once(worker, 'message');
await once(worker, 'exit');
heap.validate({ quiet: true });
console.log(sum, heap.usedBytes(), heap.leaks().length);
heap.detach();
`,
  );
  writeFileSync(
    path.join(project, 'worker.js'),
    `import { parentPort, workerData } from 'node:worker_threads';
import { MiMalloc } from 'shmalloc/mimalloc';

const heap = MiMalloc.attach(workerData.handle);
const { block } = workerData;
const sum = heap.memory.view('f64', block, 128).reduce((a, b) => a + b, 0);
const own = heap.malloc(100);
if (own === 0) throw new Error('out of memory');
heap.free(own);
heap.free(block);
heap.detach();
parentPort.postMessage(sum);
`,
  );
  t.is(run(process.execPath, 'main.js').trim(), '128 0 0');
});

test('every algorithm is there by one name, and each subpath by its own', (t) => {
  writeFileSync(
    path.join(project, 'names.js'),
    `import * as all from 'shmalloc';
import { createAllocator } from 'shmalloc/kernel';

for (const name of ['MiMalloc', 'Slab', 'Tlsf', 'Buddy', 'BasicFirst', 'BasicBest', 'BasicWorst']) {
  const heap = all[name].create({ bytes: 1 << 20 });
  const block = heap.malloc(100);
  if (block === 0) throw new Error(name);
  heap.free(block);
  heap.validate({ quiet: true });
  console.log(all[name].algorithm);
}
for (const path of ['atomic-cell', 'axalloc', 'basic', 'bitmap', 'buddy', 'mimalloc', 'slab', 'tlsf'])
  if (Object.keys(await import('shmalloc/' + path)).length === 0) throw new Error(path);
const { algorithm } = (await createAllocator('tlsf', { bytes: 1 << 20 })).stats();
console.log(algorithm);
`,
  );
  t.deepEqual(run(process.execPath, 'names.js').trim().split('\n'), [
    'mimalloc',
    'slab',
    'tlsf',
    'buddy',
    'basic-first',
    'basic-best',
    'basic-worst',
    'tlsf',
  ]);
});

test('types are found', (t) => {
  symlinkSync(
    path.join(root, 'node_modules', 'typescript'),
    path.join(project, 'node_modules', 'typescript'),
  );
  writeFileSync(
    path.join(project, 'typed.ts'),
    `import { type Address, type Heap, type HeapAlgorithm, MiMalloc, Tlsf } from 'shmalloc';
import { Slab } from 'shmalloc/slab';

const algorithms: readonly HeapAlgorithm[] = [MiMalloc, Tlsf, Slab];
export const heaps: readonly Heap[] = algorithms.map((algorithm) => algorithm.create({ bytes: 1 << 20 }));
export const blocks: readonly Address[] = heaps.map((heap) => heap.malloc(8));
// @ts-expect-error: a size is a number
MiMalloc.create({ bytes: 1 << 20 }).malloc('8');
`,
  );
  const compiler = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  t.notThrows(() =>
    run(
      process.execPath,
      compiler,
      ...['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--types', '', 'typed.ts'],
    ),
  );
});
