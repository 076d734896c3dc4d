/**
 * The checks of `bounds/`: what they let pass, what they name, and that a stale view and an index off by one
 * are named in a package.
 */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { BoundsError, describe, takeFindings, throwing } from '../support/bounds/check.js';
import { DECLARED, type Declaration } from '../support/bounds/declared.js';
import { rewrite } from '../support/bounds/rewrite.js';

const folder = mkdtempSync(fileURLToPath(new URL('../bounds-', import.meta.url)));
test.after.always(() => rmSync(folder, { recursive: true }));
test.afterEach.always(() => {
  throwing(false);
  takeFindings();
});

let modules = 0;

/**
 * Runs the body of a function over a view of 8 words in rewritten code.
 * @returns its result, and what was found
 */
async function run(
  body: string,
  declared: readonly Declaration[] = [],
): Promise<{ result: unknown; found: string[]; view: Int32Array }> {
  const file = path.join(folder, `${modules++}.mjs`);
  const { text } = rewrite('here.js', `export function body(i32, more) {\n${body}\n}`, declared);
  writeFileSync(file, text);
  const view = new Int32Array(8);
  const { body: rewritten } = (await import(file)) as { body(view: Int32Array, more: object): unknown };
  takeFindings();
  const result = rewritten(view, { i32: view, list: [view], get: () => view, ref: { view } });
  return { result, found: takeFindings().map(describe), view };
}

// Each of them goes by the original's own result on a plain view.
for (const body of [
  'i32[0] = 5; i32[7] = i32[0]--; return [i32[0], i32[7]];',
  'i32[1] += 3; i32[1] <<= 2; ++i32[1]; return i32[1]++ + i32[1];',
  'let at = 0; i32[at++] = i32[at++] = 9; return [at, ...i32];',
  'return more.list[0][3] + more.get()[more.list[0][2]] + more.ref.view[(1, 2)];',
  '[i32[3], i32[4]] = [7, 8]; ({ a: i32[5] } = { a: 6 }); return [...i32];',
  'i32.fill(3, 2, 4); i32.copyWithin(4, 2, 4); i32.set(i32.subarray(2, 4), 6); return [...i32.slice(1)];',
  'return Atomics.add(i32, 2, 4) + Atomics.load(more.get(), 2) + Atomics.compareExchange(i32, 2, 4, 1);',
  'return more?.list?.[0]?.[5] ?? more.none?.[9];',
  'const table = { a: 1 }; const name = "a"; return table[name] + [1, 2][1] + "abc"[5] + "abc".slice(-1) + new Map().set(1, 2).size;',
  'return i32[i32[i32[i32[0] + 1] + 1] + 1] + i32.length + i32["length"];',
]) {
  test.serial(`code that stays inside does what it did, and nothing is found: ${body}`, async (t) => {
    const { result, found, view } = await run(body);
    const plain = new Int32Array(8);
    const original = new Function('i32', 'more', body);
    t.deepEqual(
      result,
      original(plain, { i32: plain, list: [plain], get: () => plain, ref: { view: plain } }),
    );
    t.deepEqual(view, plain);
    t.deepEqual(found, []);
  });
}

for (const [body, finding] of [
  ['return i32[8];', 'i32[8] at 8 of 8'],
  ['i32[8] = 1;', 'i32[8] at 8 of 8'],
  ['i32[-1]++;', 'i32[-1] at -1 of 8'],
  ['i32[1 / 2] |= 1;', 'i32[1 / 2] at 0.5 of 8'],
  ['return i32[undefined + 1];', 'i32[undefined + 1] at NaN of 8'],
  ['[i32[9]] = [1];', 'i32[9] at 9 of 8'],
  ['return more.get()[10];', 'more.get()[10] at 10 of 8'],
  ['return more.list[0]?.[11];', 'more.list[0]?.[11] at 11 of 8'],
  ['i32.fill(0, 4, 9);', 'i32.fill(0, 4, 9) at [4, 9) of 8'],
  ['i32.fill(0, 5, 4);', 'i32.fill(0, 5, 4) at [5, 4) of 8'],
  ['i32.copyWithin(6, 0, 3);', 'i32.copyWithin(6, 0, 3) at [6, 9) of 8'],
  ['return i32.subarray(-2);', 'i32.subarray(-2) at [-2, 8) of 8'],
] as const) {
  test.serial(`what leaves the view is named: ${body}`, async (t) => {
    t.deepEqual((await run(body)).found, [`here.js:2: ${finding}`]);
  });
}

test.serial('Atomics beyond the view are named, also where the error is caught', async (t) => {
  const { found } = await run(
    'try { Atomics.store(i32, 8, 1); } catch {} try { Atomics.or(more.get(), 9, 1); } catch {}',
  );
  t.deepEqual(found, [
    'here.js:2: Atomics.store(i32, 8, 1) at 8 of 8',
    'here.js:2: Atomics.or(more.get(), 9, 1) at 9 of 8',
  ]);
});

test.serial('a view that grows stale between the object and the index is the stale one', async (t) => {
  const { found } = await run('more.i32[(more.i32 = new Int32Array(20), 12)] = 1;');
  t.is(found.length, 1);
  t.regex(found[0], /at 12 of 8$/);
});

test.serial('operations between threads are held against the length that the memory has now', async (t) => {
  const { found } = await run(`
    const crossingsFor = (memory) => ({ claim: () => true, claimRun: () => 0, push: () => {} });
    const memory = { source: new SharedArrayBuffer(64, { maxByteLength: 128 }) };
    const crossings = crossingsFor(memory), own = { crossings };
    crossings.claim(15, 0, 1); crossings.claim(16, 0, 1); own.crossings.claimRun(14, 3, 1); own.crossings.push(3, -4);
    memory.source.grow(128);
    crossings.claim(16, 0, 1);`);
  t.deepEqual(
    found.map((line) => line.replace(/.*?: /, '')),
    [
      'crossings.claim(16, 0, 1) at 16 of 16',
      'own.crossings.claimRun(14, 3, 1) at [14, 17) of 16',
      'own.crossings.push(3, -4) at -4 of 16',
    ],
  );
});

test.serial('findings can be thrown', async (t) => {
  throwing(true);
  await t.throwsAsync(run('i32[8] = 1;'), { instanceOf: BoundsError, message: /i32\[8\] at 8 of 8/ });
});

const HERE = { file: 'here.js', expression: 'i32[8]', why: 'this is a test' };

test.serial('a declared read may go beyond, and is known to have needed it', async (t) => {
  throwing(true);
  const file = path.join(folder, 'declared.mjs');
  writeFileSync(file, rewrite('here.js', 'export const body = (i32) => i32[8] | 0;', [HERE]).text);
  const { body } = (await import(file)) as { body(view: Int32Array): number };
  t.is(body(new Int32Array(8)), 0);
  t.deepEqual(
    takeFindings().map(({ declared }) => declared),
    [0],
  );
});

test.serial('a view of no elements, which a detached heap has, may be read and not written', async (t) => {
  const { found } = await run(`
    const none = new Int32Array(0);
    none[3] = none[2] + none[NaN];`);
  t.deepEqual(found, ['here.js:4: none[3] at 3 of 0']);
});

test.serial('a write is not declared, though it reads the same', async (t) => {
  t.deepEqual((await run('i32[8] = 1; i32[8]++; [i32[8]] = [1];', [HERE])).found.length, 3);
  t.true(
    rewrite('here.js', 'i32[8] = i32[8];', [HERE]).places.filter(({ declared }) => declared === 0).length ===
      1,
  );
});

test.serial('each declaration is there for a read that the code has', (t) => {
  for (const { file, expression, why } of DECLARED) {
    const [name, ...inside] = file.split('/');
    const compiled = new URL(`../../../${name}/compiled/${inside.join('/')}`, import.meta.url);
    const { places } = rewrite(file, readFileSync(compiled, 'utf8'));
    t.true(
      places.some((place) => place.declared !== undefined && place.expression === expression),
      `${file} has no ${expression}`,
    );
    t.true(why.length > 20);
  }
});

test.serial('everything that the packages have compiled can be rewritten', (t) => {
  let all = 0;
  for (const name of [
    'allocator-api',
    'atomic-cell',
    'axalloc',
    'basic',
    'bitmap',
    'buddy',
    'heap-base',
    'mimalloc',
    'slab',
    'tlsf',
  ]) {
    const dist = fileURLToPath(new URL(`../../../${name}/compiled/`, import.meta.url));
    for (const file of readdirSync(dist, { recursive: true }) as string[]) {
      if (!file.endsWith('.js')) continue;
      all += rewrite(`${name}/${file}`, readFileSync(path.join(dist, file), 'utf8')).places.length;
    }
  }
  t.log(`${all} accesses`);
  t.true(all > 1000);
});
