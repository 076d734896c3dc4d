/**
 * How much bytecode the engine has for `malloc` and `free`: what it inlines into a program's loop depends on
 * it. As modules and bundled; the figures of Node 20.20 are bounds.
 */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import test from 'ava';
import { build } from 'esbuild';

const folder = mkdtempSync(path.join(tmpdir(), 'shmalloc-bytecode-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

/** Bytes of bytecode of a method. */
function bytecodeOf(module: string, exportName: string, method: string): number {
  const program = path.join(folder, 'use.mjs');
  writeFileSync(
    program,
    `import { ${exportName} as Heap } from ${JSON.stringify(pathToFileURL(module).href)};
const heap = Heap.create({ bytes: 1 << 20 });
for (let turn = 0; turn < 10; turn++) heap.free(heap.malloc(64));
`,
  );
  const output = execFileSync(
    process.execPath,
    ['--print-bytecode', `--print-bytecode-filter=${method}`, program],
    { env: { ...process.env, NODE_V8_COVERAGE: '' }, encoding: 'utf8' },
  );
  // A bundle may have other functions of this name: the heap's is the largest.
  const lengths = [...output.matchAll(/Bytecode length: (\d+)/g)].map(([, length]) => Number(length));
  if (lengths.length === 0) throw new Error(`${method} of ${module} has no bytecode`);
  return Math.max(...lengths);
}

/**
 * As modules, and in a bundle. A bundle has one scope with more than 256 names, where the engine takes two
 * bytes more for each function that is called. Nothing else is longer there, for constants are literals in
 * both. mimalloc's methods fetch what the thread knows from a field first: 5 bytes. With copies of the
 * constants the figures were 175 and 394 (mimalloc), 145 and 330 (slab) as modules, 190 and 432, 153 and 350
 * in a bundle.
 */
const BOUNDS = {
  mimalloc: { exportName: 'MiMalloc', malloc: [166, 173], tryFree: [349, 349], free: [30, 30] },
  slab: { exportName: 'Slab', malloc: [133, 135], tryFree: [287, 287], free: [25, 25] },
} as const;

/** How much longer a bundle's may be on an engine that was not measured: its constants would cost more. */
const BUNDLED = 1.05;

for (const [name, { exportName, ...bounds }] of Object.entries(BOUNDS)) {
  test(`${name}: malloc and free have no more bytecode than their bounds, as modules and bundled`, async (t) => {
    const module = path.join(import.meta.dirname, '..', '..', '..', name, 'dist', 'index.js');
    const bundled = path.join(folder, `${name}.mjs`);
    await build({
      entryPoints: [module],
      bundle: true,
      format: 'esm',
      platform: 'node',
      outfile: bundled,
      logLevel: 'error',
    });
    // Another engine counts otherwise.
    const isMeasured = /^v20\.20\./.test(process.version);
    for (const [method, [bound, bundleBound]] of Object.entries(bounds)) {
      const length = bytecodeOf(module, exportName, method);
      const inBundle = bytecodeOf(bundled, exportName, method);
      t.log(`${method}: ${length} bytes as modules, ${inBundle} bundled`);
      if (isMeasured) t.true(length <= bound, `${method}: ${length} bytes as modules`);
      t.true(
        inBundle <= (isMeasured ? bundleBound : BUNDLED * length),
        `${method}: ${inBundle} bytes bundled, ${length} as modules`,
      );
    }
  });
}
