/**
 * Compiles the part of a package that is written in AssemblyScript, and puts it as text into a module among
 * the package's sources: then it is there in every thread and every bundle, and there is no file to be
 * fetched. Does nothing when nothing has changed since the last time.
 *
 *   packages/atomic-cell/wasm/crossings.ts ──▶ packages/atomic-cell/src/generated/crossings-wasm.ts
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const folder = path.join(root, 'packages', 'atomic-cell');
const source = path.join(folder, 'wasm', 'crossings.ts');
const compiler = path.join(folder, 'node_modules', 'assemblyscript');
const target = path.join(folder, 'src', 'generated', 'crossings-wasm.ts');

/**
 * The memory is the region's: shared, of any size up to 4 GiB, not empty when the module arrives, so there
 * must be nothing in the module that writes to it on its own, as the other runtimes of AssemblyScript do.
 */
const FLAGS = [
  ...['--runtime', 'stub', '--importMemory', '--noExportMemory', '--sharedMemory'],
  ...['--initialMemory', '0', '--maximumMemory', '65536', '--enable', 'threads', '-O3', '--noAssert'],
];

/** The source in WebAssembly's binary format. */
async function compile(text) {
  const { default: asc } = await import(pathToFileURL(path.join(compiler, 'dist', 'asc.js')));
  let binary;
  const { error, stderr } = await asc.main(['crossings.ts', '--outFile', 'crossings.wasm', ...FLAGS], {
    readFile: (name) => (name === 'crossings.ts' ? text : null),
    writeFile: (name, contents) => {
      if (name === 'crossings.wasm') binary = contents;
    },
    listFiles: () => [],
  });
  if (error || !binary) throw new Error(`${source} does not compile: ${error}\n${stderr}`);
  return binary;
}

/** Brings the generated module up to date. */
export async function embedWasm() {
  const text = readFileSync(source, 'utf8');
  // Everything that decides what comes out.
  const digest = createHash('sha256')
    .update(readFileSync(fileURLToPath(import.meta.url)))
    .update(readFileSync(path.join(compiler, 'package.json')))
    .update(text)
    .digest('hex');
  if (existsSync(target) && readFileSync(target, 'utf8').includes(digest)) return;
  const binary = await compile(text);
  mkdirSync(path.dirname(target), { recursive: true });
  // In one step: another build may be reading.
  const draft = `${target}.${process.pid}`;
  writeFileSync(
    draft,
    `/**
 * Written by scripts/wasm.mjs, from wasm/crossings.ts: ${binary.length} bytes of WebAssembly.
 * ${digest}
 */
export const CROSSINGS_WASM: string =
  '${Buffer.from(binary).toString('base64')}';
`,
  );
  renameSync(draft, target);
  console.error(`Compiled ${path.relative(root, source)}: ${binary.length} bytes`);
}
