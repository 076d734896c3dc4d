/**
 * A loader of modules that gives the packages' compiled code with its checks (`rewrite.ts`); everything else
 * as it is.
 */

import { appendFileSync } from 'node:fs';
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

const COMPILED = new RegExp(`/packages/(${PACKAGES.join('|')})/dist/(.+\\.js)$`);

let log = '';

export const initialize: InitializeHook<{ log: string }> = (data) => {
  ({ log } = data);
};

export const load: LoadHook = async (url, context, next) => {
  const loaded = await next(url, context);
  const [, name, inside] = COMPILED.exec(url) ?? [];
  if (name === undefined || loaded.source === undefined || loaded.source === null) return loaded;
  const file = `${name}/${inside}`;
  const { text, places } = rewrite(file, Buffer.from(loaded.source as Uint8Array).toString());
  // Says that the checks were there: a run that checked nothing has found nothing.
  if (log !== '') appendFileSync(log, `${JSON.stringify({ loaded: file, places: places.length })}\n`);
  return { ...loaded, source: text };
};
