/**
 * How many bytes a package brings to a page: its entry with all that it imports in one file, that file
 * minified, that gzipped.
 *
 *   node scripts/size.mjs                                   packages/mimalloc/dist/index.js
 *   node scripts/size.mjs packages/tlsf/dist/index.js …     other entries, compiled before
 *
 * Every export of the entry counts. What is imported from Node by name (`node:…`) stays outside: a page does
 * not have it.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const given = process.argv.slice(2);
const entries = given.length > 0 ? given : ['packages/mimalloc/dist/index.js'];
/** Relative names start where the user stands, and the preset in the root. */
const base = given.length > 0 ? (process.env.INIT_CWD ?? process.cwd()) : root;

/** The entry as one ES module. */
async function bundle(entry, minify) {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    minify,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    target: 'es2022',
    external: ['node:*'],
    legalComments: 'none',
    write: false,
    logLevel: 'error',
  });
  return outputFiles[0].contents;
}

const bytes = (count) => `${count.toLocaleString('en-US')} B`.padStart(12);

console.log(`${'bundled'.padStart(12)}${'minified'.padStart(12)}${'gzipped'.padStart(12)}`);
for (const name of entries) {
  const entry = path.resolve(base, name);
  if (!existsSync(entry)) {
    console.error(`there is no ${name}; npm run build compiles the packages`);
    process.exit(1);
  }
  const bundled = await bundle(entry, false);
  const minified = await bundle(entry, true);
  const gzipped = gzipSync(minified, { level: 9 });
  console.log(`${[bundled, minified, gzipped].map(({ length }) => bytes(length)).join('')}  ${name}`);
}
