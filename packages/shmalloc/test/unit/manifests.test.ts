/**
 * What package managers and bundlers read: every published package by publint's rules, and what it does not
 * know.
 */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

const root = fileURLToPath(new URL('../../../../', import.meta.url));

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly [field: string]: unknown;
}

const { publishedPackages } = createRequire(import.meta.url)(path.join(root, 'scripts', 'pack.mjs')) as {
  publishedPackages(): Map<string, { folder: string; manifest: Manifest }>;
};

for (const [name, { folder, manifest }] of publishedPackages()) {
  test(`${name}: publint has nothing to say, and the manifest is complete`, async (t) => {
    const { messages } = await publint({ pkgDir: folder, strict: true, pack: false });
    t.deepEqual(
      messages.map((message) => formatMessage(message, manifest)),
      [],
    );
    t.like(manifest, { license: 'MIT', author: 'The shmalloc authors', type: 'module', sideEffects: false });
    t.true(Array.isArray(manifest.keywords) && manifest.keywords.length >= 5);
    t.is((manifest.exports as Record<string, unknown>)['./package.json'], './package.json');
    for (const field of ['repository', 'homepage', 'bugs']) t.is(manifest[field], undefined);
  });
}

test('all packages have one version', (t) => {
  const versions = new Set([...publishedPackages().values()].map(({ manifest }) => manifest.version));
  t.is(versions.size, 1);
  t.is(
    JSON.parse(readFileSync(path.join(root, 'packages', 'shmalloc', 'package.json'), 'utf8')).version,
    [...versions][0],
  );
});
