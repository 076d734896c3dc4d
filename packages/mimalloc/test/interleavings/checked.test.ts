/**
 * Memory comes in the middle of every operation, in the package with a check at every access; and the checks
 * name faults that are planted.
 */

import type * as Package from '@shmalloc/mimalloc';
import test from 'ava';
import { describe, takeFindings } from '../../../alloc-test/dist-test/support/bounds/check.js';
import { type Copy, writeChecked } from '../../../alloc-test/dist-test/support/bounds/copy.js';
import { OPERATIONS, playEach } from '../support/checked-scenes.js';

const copies: Copy[] = [];
test.after.always(() => {
  for (const copy of copies) copy.remove();
});

/** The package with checks, and with one piece of a file changed. */
async function checked(file = '', from = /^/, to = ''): Promise<typeof Package> {
  let places = 0;
  const copy = writeChecked('mimalloc', import.meta.url, (name, text) => {
    if (name !== file) return text;
    places = text.split(from).length - 1;
    return text.replace(from, to);
  });
  copies.push(copy);
  if (file !== '' && places === 0) throw new Error(`${from} does not stand in ${file}`);
  return (await import(copy.url)) as typeof Package;
}

let whole: typeof Package;
test.before(async () => {
  whole = await checked();
});

const SETTINGS = [
  { backing: 'wasm', grows: true, secure: 0 },
  { backing: 'sab', grows: false, secure: 4 },
] as const;

for (const [name, operation] of Object.entries(OPERATIONS)) {
  for (const setting of SETTINGS) {
    const { backing, grows, secure } = setting;
    test.serial(
      `memory comes before each atomic operation of ${name} (${backing}, secure ${secure}${grows ? ', both grow' : ''})`,
      (t) => {
        const { plays, wrong } = playEach(whole, operation, setting);
        t.log(`${plays} moments, ${wrong.length} findings`);
        // Without memory for it an operation may end at its first look.
        t.true(plays > 0 || !grows);
        t.deepEqual(wrong.slice(0, 5), []);
      },
    );
  }
}

/** A heap that grows, is used up to its last byte, and is freed. @returns what the checks found */
function useUp({ MiMalloc }: typeof Package): string[] {
  takeFindings();
  const heap = MiMalloc.create({ bytes: 1 << 20, maxBytes: 2 << 20 });
  heap.registerError(() => {});
  try {
    // Twice: what has been used must be zeroed, up to the last byte.
    for (let times = 0; times < 2; times++) {
      const blocks: number[] = [];
      for (const size of [65_536, 60_000, 8000, 100]) {
        for (let block = heap.calloc(1, size); block !== 0; block = heap.calloc(1, size)) {
          heap.memory.u8.fill(1, block, block + size);
          blocks.push(block);
        }
      }
      for (const block of blocks) heap.free(block);
      heap.collect(true);
    }
  } catch {
    // With a fault planted, anything may happen: what counts is what is found.
  }
  return takeFindings()
    .filter(({ declared }) => declared === undefined)
    .map(describe);
}

test.serial('a heap that grows and is used up leaves no view', (t) => {
  t.deepEqual(useUp(whole), []);
});

test.serial(
  'a view that is kept across an allocation which makes the memory grow is named where it is used',
  async (t) => {
    const stale = await checked(
      'alloc/realloc.js',
      /const moved = align === 1([\s\S]*?)copyWords\(tld, /,
      'const { i32: kept } = tld; const moved = align === 1$1copyWords({ i32: kept }, ',
    );
    const { wrong } = playEach(stale, OPERATIONS['realloc to some segments'], {
      backing: 'wasm',
      grows: true,
    });
    const named = wrong.filter((line) =>
      /mimalloc\/alloc\/realloc\.js:\d+: i32.copyWithin\(.+\) at .+ of \d+$/.test(line),
    );
    t.log(named[0]);
    t.true(named.length > 0);
  },
);

test.serial('a range that is one word too long is named at the end of the memory', async (t) => {
  const found = useUp(await checked('page/zeroed.js', /first \+ words/, 'first + words + 1'));
  t.log(found[0]);
  t.true(
    found.some((line) =>
      /^mimalloc\/page\/zeroed\.js:\d+: i32\.fill\(0, first, first \+ words \+ 1\) at/.test(line),
    ),
  );
});
