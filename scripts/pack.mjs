/**
 * Makes a tarball of every package that is published: `node scripts/pack.mjs [folder]`, by default into
 * `tarballs`. npm installs them: dependencies on packages of this workspace are exact versions, and each
 * tarball has the licence. Expects that everything is built.
 */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const target = path.resolve(process.argv[2] ?? path.join(root, 'tarballs'));

/** The folders of all packages that are published, by the packages' names. */
export function publishedPackages() {
  const folders = [
    ...readdirSync(path.join(root, 'packages')).map((name) => path.join(root, 'packages', name)),
    path.join(root, 'examples', 'lock-removal'),
  ].filter((folder) => existsSync(path.join(folder, 'package.json')));
  const manifests = folders.map((folder) => [
    folder,
    JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')),
  ]);
  return new Map(
    manifests
      .filter(([, { private: isPrivate }]) => isPrivate !== true)
      .map(([folder, manifest]) => [manifest.name, { folder, manifest }]),
  );
}

/**
 * What a published manifest says: versions in place of `workspace:`, nothing that only this workspace needs.
 */
function publishedManifest(manifest, packages) {
  const { devDependencies: _, ...published } = manifest;
  const dependencies = Object.entries(manifest.dependencies ?? {}).map(([name, range]) => {
    if (!range.startsWith('workspace:')) return [name, range];
    const found = packages.get(name);
    if (found === undefined) throw new Error(`${manifest.name} depends on ${name}, which is not published`);
    return [name, found.manifest.version];
  });
  if (dependencies.length > 0) published.dependencies = Object.fromEntries(dependencies);
  return published;
}

function pack() {
  const packages = publishedPackages();
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  const staging = mkdtempSync(path.join(tmpdir(), 'shmalloc-pack-'));
  try {
    const copies = [];
    for (const [name, { folder, manifest }] of packages) {
      const copy = path.join(staging, name.replace('/', '-'));
      mkdirSync(copy);
      for (const entry of manifest.files.filter((each) => !each.startsWith('!')))
        cpSync(path.join(folder, entry), path.join(copy, entry), { recursive: true });
      cpSync(path.join(root, 'LICENSE'), path.join(copy, 'LICENSE'));
      const text = JSON.stringify(publishedManifest(manifest, packages), null, 2);
      writeFileSync(path.join(copy, 'package.json'), `${text}\n`);
      copies.push(copy);
    }
    const { status, stderr } = spawnSync(
      'npm',
      ['pack', '--silent', '--pack-destination', target, ...copies],
      {
        encoding: 'utf8',
        shell: process.platform === 'win32',
      },
    );
    if (status !== 0) throw new Error(`npm pack failed: ${stderr}`);
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
  return readdirSync(target).sort();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const file of pack()) console.log(path.join(target, file));
}
