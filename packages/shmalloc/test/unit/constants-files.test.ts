/**
 * The pass over the files of a workspace: it tells tsc's output from its own, whatever has happened between
 * two builds. A small workspace stands in, and a function that writes what tsc would.
 */

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const repository = fileURLToPath(new URL('../../../../', import.meta.url));
interface Pass {
  forgetLost(root: string, folders: readonly string[]): void;
  inlineConstants(root: string, folders: readonly string[]): void;
}
const { forgetLost, inlineConstants } = createRequire(import.meta.url)(
  path.join(repository, 'scripts', 'constants-files.mjs'),
) as Pass;

const SOURCES: Readonly<Record<string, string>> = {
  'packages/a!fields.js': 'export const FREE = 4;\n',
  'packages/a!none.js': 'export function none() {}\n',
  'packages/b!use.js': `import { FREE } from '@x/a/fields';\nuse(FREE);\n`,
  'packages/b!zone.js': 'export function zone() {}\n',
};
const FOLDERS = ['packages/a', 'packages/b'];

/** A workspace on disk, and what a build of it does. */
class Workspace {
  readonly root: string = mkdtempSync(path.join(tmpdir(), 'shmalloc-constants-'));
  sources: Record<string, string> = { ...SOURCES };
  /** What tsc's own state says was written. */
  private written: Record<string, string> = {};

  constructor() {
    mkdirSync(path.join(this.root, 'node_modules'));
    for (const folder of FOLDERS) {
      mkdirSync(path.join(this.root, folder), { recursive: true });
      const exports = { './fields': { default: './dist/fields.js' } };
      const manifest = { name: folder.replace('packages', '@x'), sideEffects: false, exports };
      writeFileSync(path.join(this.root, folder, 'package.json'), JSON.stringify(manifest));
    }
  }

  file(output: 'dist' | 'compiled', id: string): string {
    return path.join(this.root, id.replace('!', `/${output}/`));
  }

  read(output: 'dist' | 'compiled', id: string): string {
    return readFileSync(this.file(output, id), 'utf8');
  }

  /** Writes what has changed since the last time, and everything where its state is gone. */
  tsc(): void {
    for (const folder of FOLDERS) {
      const state = path.join(this.root, folder, 'dist', '.tsbuildinfo');
      const all = !existsSync(state);
      mkdirSync(path.dirname(state), { recursive: true });
      writeFileSync(state, '');
      for (const [id, text] of Object.entries(this.sources)) {
        if (!id.startsWith(`${folder}!`) || (!all && this.written[id] === text)) continue;
        this.written[id] = text;
        writeFileSync(this.file('dist', id), text);
        const sources = [`../src/${path.basename(id.split('!')[1], '.js')}.ts`];
        const map = { version: 3, file: id.split('!')[1], sources, names: [], mappings: 'AAAA;AACA' };
        writeFileSync(`${this.file('dist', id)}.map`, JSON.stringify(map));
      }
    }
  }

  build(): void {
    forgetLost(this.root, FOLDERS);
    this.tsc();
    inlineConstants(this.root, FOLDERS);
  }
}

function workspace(t: { teardown(undo: () => void): void }): Workspace {
  const made = new Workspace();
  t.teardown(() => rmSync(made.root, { recursive: true, force: true }));
  return made;
}

/** The output is right, and beside it lies what tsc wrote. */
function isBuilt(space: Workspace, free = 4): boolean {
  return (
    space.read('dist', 'packages/b!use.js') === `use(${free} /* FREE */);\n` &&
    Object.entries(space.sources).every(([id, text]) => space.read('compiled', id) === text)
  );
}

test('a constant of another package is put in, and a second build writes nothing', (t) => {
  const space = workspace(t);
  space.build();
  t.true(isBuilt(space));
  const use = space.file('dist', 'packages/b!use.js');
  const { mtimeMs } = statSync(use);
  space.build();
  t.is(statSync(use).mtimeMs, mtimeMs);
});

test('a map names its source, and says nothing of what the source contains', (t) => {
  const space = workspace(t);
  space.build();
  for (const id of Object.keys(space.sources)) {
    const map = JSON.parse(readFileSync(`${space.file('dist', id)}.map`, 'utf8'));
    t.deepEqual(map.sources, [`../src/${path.basename(id.split('!')[1], '.js')}.ts`]);
    // Coverage takes null for an empty source: all of one line, and that line is covered.
    t.false('sourcesContent' in map);
  }
});

test('a module follows a constant that changes in another', (t) => {
  const space = workspace(t);
  space.build();
  space.sources['packages/a!fields.js'] = 'export const FREE = 6;\n';
  space.build();
  t.true(isBuilt(space, 6));
});

test('a build whose stamp is lost, as with node_modules, is made again from the source', (t) => {
  const space = workspace(t);
  space.build();
  rmSync(path.join(space.root, 'node_modules', '.shmalloc-literals.json'));
  space.build();
  t.true(isBuilt(space));
});

test('a build that stops while the pass writes is repaired by the next one', (t) => {
  const space = workspace(t);
  space.build();
  space.sources['packages/a!fields.js'] = 'export const FREE = 6;\n';
  forgetLost(space.root, FOLDERS);
  space.tsc();
  // It comes to this one last, and cannot read it; what is before it is written.
  rmSync(`${space.file('compiled', 'packages/b!zone.js')}.map`);
  t.throws(() => inlineConstants(space.root, FOLDERS), { code: 'ENOENT' });
  t.true(space.read('dist', 'packages/b!use.js').includes('6 /* FREE */'));
  space.build();
  t.true(isBuilt(space, 6));
});

test('outputs that were removed come back, both or one of them', (t) => {
  const space = workspace(t);
  for (const removed of [['dist', 'compiled'], ['dist'], ['compiled']]) {
    space.build();
    for (const output of removed)
      for (const folder of FOLDERS) rmSync(path.join(space.root, folder, output), { recursive: true });
    space.build();
    t.true(isBuilt(space), removed.join());
  }
});

test('a module that goes takes its copy with it', (t) => {
  const space = workspace(t);
  space.build();
  delete space.sources['packages/a!none.js'];
  for (const suffix of ['', '.map']) rmSync(space.file('dist', 'packages/a!none.js') + suffix);
  space.build();
  t.false(existsSync(space.file('compiled', 'packages/a!none.js')));
  t.true(isBuilt(space));
});

test('a package that has side effects is refused: imports of it are not to go', (t) => {
  const space = workspace(t);
  writeFileSync(path.join(space.root, 'packages', 'a', 'package.json'), '{ "name": "@x/a" }');
  t.throws(() => space.build(), { message: /packages\/a\/package.json must say sideEffects: false/ });
});
