/**
 * A loader of modules that gives the packages' compiled code with its checks (`rewrite.ts`); everything else
 * as it is. In place of `dist`, it reads what the compiler made of it (`compiled`), where constants still
 * have their names: declarations name expressions as they are written.
 */

import { appendFileSync, readFileSync } from 'node:fs';
import type { InitializeHook, LoadHook } from 'node:module';
import { rewrite } from './rewrite.ts';

/** The packages that keep something in views. */
const PACKAGES = [
  'allocator-api',
  'atomic-cell',
  'axalloc',
  'basic',
  'bitmap',
  'buddy',
  'heap-base',
  'mimalloc',
  'slab',
  'thread-heap',
  'tlsf',
];

const BUILT = new RegExp(`/packages/(${PACKAGES.join('|')})/dist/(.+\\.js)$`);

let log = '';

export const initialize: InitializeHook<{ log: string }> = (data) => {
  ({ log } = data);
};

export const load: LoadHook = async (url, context, next) => {
  const [, name, inside] = BUILT.exec(url) ?? [];
  if (name === undefined) return next(url, context);
  const file = `${name}/${inside}`;
  const compiled = readFileSync(new URL(url.replace(BUILT, '/packages/$1/compiled/$2')), 'utf8');
  const { text, places } = rewrite(file, compiled);
  // Says that the checks were there: a run that checked nothing has found nothing.
  if (log !== '') appendFileSync(log, `${JSON.stringify({ loaded: file, places: places.length })}\n`);
  return { format: 'module', source: text, shortCircuit: true };
};
