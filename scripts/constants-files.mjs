/**
 * Puts integer constants into the compiled modules as literals. The source has each constant and each field
 * offset once, at the place that owns it; an engine loads an imported binding at every use, and a bundler
 * makes a `var` of a `const`, which it loads as well.
 *
 * ```
 *   tsc ──▶ dist/free.js ──▶ compiled/free.js    as tsc wrote it: what tests rewrite
 *                        └─▶ dist/free.js        i32[page + Page.localFree]  becomes  i32[page + 1 with its name]
 * ```
 *
 * tsc writes only what has changed, over what this pass wrote. The stamp tells the two apart: it has a digest of
 * each file as the pass left it. It is gone while the pass writes. Without it everything is compiled again, so
 * a build that was stopped, or whose node_modules were removed, repairs itself.
 *
 * Source maps lead through both steps to the TypeScript.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import remapping from '@jridgewell/remapping';
import { Program } from './constants.mjs';

const STAMP = ['node_modules', '.shmalloc-literals.json'];
const SELF = ['constants-files.mjs', 'constants.mjs'];

const digest = (...texts) => {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(text).update('\0');
  return hash.digest('hex');
};

/** The compiled modules below a folder. */
function modulesIn(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .map((file) => file.replaceAll(path.sep, '/'))
    .filter((file) => file.endsWith('.js'));
}

/** Where a module's two files are; `id` is `folder!file`. */
const placesOf = (root, id) => ({
  dist: path.join(root, id.replace('!', '/dist/')),
  compiled: path.join(root, id.replace('!', '/compiled/')),
});

function readStamp(root) {
  const file = path.join(root, ...STAMP);
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : null;
}

/**
 * Before tsc: lets it compile again what the pass could not tell from its own output, or has lost.
 * @param root - of the workspace
 * @param folders - of the packages
 */
export function forgetLost(root, folders) {
  const stamp = readStamp(root);
  for (const folder of folders) {
    const lost =
      stamp === null ||
      Object.keys(stamp.files).some((id) => {
        const { dist, compiled } = placesOf(root, id);
        return id.startsWith(`${folder}!`) && existsSync(dist) !== existsSync(compiled);
      });
    if (lost) rmSync(path.join(root, folder, 'dist', '.tsbuildinfo'), { force: true });
  }
}

/** Gives what a module imports, by the packages' manifests. */
function finderOf(root, folders) {
  const packages = folders.map((folder) => {
    const manifest = JSON.parse(readFileSync(path.join(root, folder, 'package.json'), 'utf8'));
    // The pass removes imports of which it has replaced every use.
    if (manifest.sideEffects !== false) throw new Error(`${folder}/package.json must say sideEffects: false`);
    return { folder, ...manifest };
  });
  return (importer, specifier) => {
    if (specifier.startsWith('.')) {
      const [folder, file] = importer.split('!');
      return `${folder}!${path.posix.normalize(path.posix.join(path.posix.dirname(file), specifier))}`;
    }
    for (const { folder, name, exports } of packages) {
      if (specifier !== name && !specifier.startsWith(`${name}/`)) continue;
      const file = exports?.[`.${specifier.slice(name.length)}`]?.default;
      return file === undefined ? undefined : `${folder}!${file.replace('./dist/', '')}`;
    }
    return undefined;
  };
}

/**
 * After tsc: runs the pass over the packages; does nothing when nothing has changed since the last time.
 * @param root - of the workspace
 * @param folders - of the packages
 */
export function inlineConstants(root, folders) {
  const stampFile = path.join(root, ...STAMP);
  const self = digest(...SELF.map((file) => readFileSync(new URL(file, import.meta.url), 'utf8')));
  const stamp = readStamp(root);
  const ids = folders.flatMap((folder) =>
    modulesIn(path.join(root, folder, 'dist')).map((file) => `${folder}!${file}`),
  );
  const fresh = [];
  for (const id of ids) {
    const { dist, compiled } = placesOf(root, id);
    const [text, map] = [readFileSync(dist, 'utf8'), readFileSync(`${dist}.map`, 'utf8')];
    if (stamp?.files[id] !== digest(text, map) || !existsSync(compiled)) fresh.push({ compiled, text, map });
  }
  const known = Object.keys(stamp?.files ?? {});
  if (fresh.length === 0 && stamp?.self === self && known.length === ids.length) return;

  rmSync(stampFile, { force: true });
  for (const { compiled, text, map } of fresh) {
    mkdirSync(path.dirname(compiled), { recursive: true });
    writeFileSync(compiled, text);
    writeFileSync(`${compiled}.map`, map);
  }
  const all = new Set(ids);
  for (const folder of folders)
    for (const file of modulesIn(path.join(root, folder, 'compiled'))) {
      const id = `${folder}!${file}`;
      if (all.has(id)) continue;
      for (const suffix of ['', '.map']) rmSync(placesOf(root, id).compiled + suffix, { force: true });
    }

  const program = new Program(
    (id) => (all.has(id) ? readFileSync(placesOf(root, id).compiled, 'utf8') : undefined),
    finderOf(root, folders),
    ids,
  );
  const files = {};
  for (const id of ids) {
    const { dist, compiled } = placesOf(root, id);
    const out = program.transform(id);
    const step = out.generateMap({ source: path.basename(id), hires: true });
    const own = JSON.parse(readFileSync(`${compiled}.map`, 'utf8'));
    // Null as a source's content would be taken for an empty one: coverage of nothing is complete.
    const composed = remapping([step, own], () => null, { excludeContent: true });
    const text = out.toString();
    const map = JSON.stringify({ ...composed, file: path.posix.basename(dist) });
    writeFileSync(dist, text);
    writeFileSync(`${dist}.map`, map);
    files[id] = digest(text, map);
  }
  writeFileSync(stampFile, JSON.stringify({ self, files }));
}
