/**
 * The pass of the build that puts constants into the compiled modules: what it replaces, and what it must
 * not.
 */

import { readFileSync } from 'node:fs';
import { createRequire, SourceMap } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const root = fileURLToPath(new URL('../../../../', import.meta.url));

interface PassProgram {
  transform(id: string): { toString(): string };
}
const { Program } = createRequire(import.meta.url)(path.join(root, 'scripts', 'constants.mjs')) as {
  Program: new (
    read: (id: string) => string | undefined,
    find: (importer: string, specifier: string) => string,
    ids: readonly string[],
  ) => PassProgram;
};

/** The module `main` of some. */
function transformed(modules: Readonly<Record<string, string>>): string {
  const program = new Program(
    (id) => modules[id],
    (_, specifier) => specifier.replace('./', ''),
    Object.keys(modules),
  );
  return program.transform('main').toString();
}

test('named imports, renamed ones, namespaces and fields become literals, and imports that are used no more go', (t) => {
  const other = `export const A = 4; export const B = A << 2; export const Field = { x: 0, y: B + 1 };`;
  t.is(
    transformed({
      other,
      main: `import { A, B as C, Field } from './other';\nimport * as at from './other';\nuse(A, C, Field.y, at.B, at.Field.x, at.Field[k]);\n`,
    }),
    `import * as at from './other';\nuse(4 /* A */, 16 /* C */, 17 /* Field.y */, 16 /* at.B */, 0 /* at.Field.x */, at.Field[k]);\n`,
  );
});

test('constants of constants are followed through re-exports, stars and packages', (t) => {
  t.is(
    transformed({
      deep: 'const a = 3; export { a as THREE };',
      middle: `export * from './deep'; export { THREE as ALSO } from './deep';`,
      main: `import { ALSO, THREE } from './middle';\nuse(ALSO * THREE);\n`,
    }),
    'use(3 /* ALSO */ * 3 /* THREE */);\n',
  );
});

test('a module’s own constants are put in, but for their declarations and exports', (t) => {
  t.is(
    transformed({ main: 'export const A = 7;\nconst B = ~A;\nuse(A, B, { A });\nexport { B };\n' }),
    'export const A = 7;\nconst B = ~7 /* A */;\nuse(7 /* A */, (-8) /* B */, { A: 7 });\nexport { B };\n',
  );
});

test('what is shadowed anywhere in a module stays, and so does what is no integer', (t) => {
  const main = `import { A, HALF, NAME, make } from './other';\nuse(A, HALF, NAME, make());\nfunction f(A) { return A; }\nlet B = 1; B++;\n`;
  t.is(
    transformed({
      other: `export const A = 1; export const HALF = 0.5; export const NAME = 'n'; export const make = () => 1;`,
      main,
    }),
    main,
  );
});

test('constants that are made of each other, or of what nobody knows, have no value', (t) => {
  const main = `import { A } from './other';\nimport { B } from './nowhere';\nuse(A, B);\n`;
  t.is(
    transformed({
      other: `import { C } from './third'; export const A = C;`,
      third: `import { A } from './other'; export const C = A;`,
      main,
    }),
    main,
  );
});

test('an object is no constant when any module writes to it or hands it on', (t) => {
  const ways = [
    'Field.x = 1;',
    'Field.x += 1;',
    'Field.x++;',
    'delete Field.x;',
    '[Field.x] = [1];',
    '({ a: Field.x } = other);',
    '({ ...Field.x } = other);',
    'for (Field.x of list) use();',
    'Field[key] = 1;',
    'change(Field);',
    'Object.assign(Field, other);',
    'const same = Field;',
    '[Field].forEach(change);',
  ];
  const main = `import { Field } from './other';\nuse(Field.x);\n`;
  for (const way of ways) {
    const importer = `import { Field } from './other'; ${way}`;
    t.is(transformed({ other: 'export const Field = { x: 0 };', third: importer, main }), main, way);
    const namespace = `import * as at from './other'; ${way.replaceAll('Field', 'at.Field')}`;
    t.is(transformed({ other: 'export const Field = { x: 0 };', third: namespace, main }), main, namespace);
    t.is(
      transformed({ other: `export const Field = { x: 0 }; ${way}`, main }),
      main,
      `its own module: ${way}`,
    );
    const own = `const Field = { x: 0 };\n${way}\nuse(Field.x);\n`;
    t.is(transformed({ main: own }), own);
  }
});

test('an object that is only looked at is a constant', (t) => {
  const ways = ['Object.keys(Field);', 'Object.freeze(Field);', 'use(Field[key]);', 'const { x } = Field;'];
  for (const way of ways) {
    const modules = {
      other: `export const Field = { x: 5 }; ${way}`,
      main: `import { Field } from './other';\nuse(Field.x);\n`,
    };
    t.is(transformed(modules), 'use(5 /* Field.x */);\n', way);
  }
});

test('negative zero stays: a division tells it from zero', (t) => {
  const main = 'const A = -0;\nconst B = -4 % 2;\nuse(1 / A, 1 / B);\n';
  t.is(transformed({ main }), main);
});

test('what is left of an import is an import still, with a default, a namespace or names', (t) => {
  const other = 'export const A = 1; export const b = make(); export default b;';
  const imports = (line: string, rest: string) =>
    transformed({ other, main: `import ${line} from './other';\nuse(A, ${rest});\n` }).split('\n')[0];
  t.is(imports('d, { A, b }', 'd, b'), `import d, { b } from './other';`);
  t.is(imports('d, { A }', 'd'), `import d from './other';`);
  t.is(imports('{ A, b as c }', 'c'), `import { b as c } from './other';`);
  t.is(imports('{ A }', '0'), 'use(1 /* A */, 0);');
  t.is(transformed({ other, main: `import './other';\n` }), `import './other';\n`);
});

test('names that are no uses stay', (t) => {
  const other = 'export const A = 3;';
  const main = (use: string) =>
    `import { A } from './other';\nclass X { A = 1; get A() { return this.A + ${use}; } }\nA: for (;;) break A;\nuse({ A: 1 }, x.A);\n`;
  t.is(transformed({ other, main: main('A') }), main('3 /* A */').slice(main('').indexOf('class')));
});

test('a second time it changes nothing', (t) => {
  const once = transformed({ other: 'export const A = 4;', main: `import { A } from './other';\nuse(A);\n` });
  t.is(transformed({ main: once }), once);
});

test('source maps lead from the literals to the TypeScript', (t) => {
  const folder = path.join(root, 'packages', 'mimalloc', 'dist', 'api');
  const lines = readFileSync(path.join(folder, 'core-thread.js'), 'utf8').split('\n');
  const line = lines.findIndex((text) => /i32\[page \+ 1 \/\* Page\.localFree \*\/\] = block;/.test(text));
  t.true(line > 0, 'the line in free that puts a block onto its page’s list');
  const map = new SourceMap(JSON.parse(readFileSync(path.join(folder, 'core-thread.js.map'), 'utf8')));
  for (const piece of ['i32[page', 'block;']) {
    const entry = map.findEntry(line, lines[line].indexOf(piece));
    t.true('originalSource' in entry && entry.originalSource.endsWith('src/api/core-thread.ts'));
    const source = readFileSync(
      path.join(root, 'packages', 'mimalloc', 'src', 'api', 'core-thread.ts'),
      'utf8',
    );
    const original = source.split('\n')['originalLine' in entry ? entry.originalLine : -1];
    t.is(original.trim(), 'i32[page + Page.localFree] = block;');
  }
});
