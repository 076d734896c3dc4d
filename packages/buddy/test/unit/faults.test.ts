/** Each invariant is broken once, and the walker names it. */

import { Buddy } from '@shmalloc/buddy';
import test from 'ava';
import { ASKED, FREE_FRAMES, HEADS, MAP } from '../../dist/orders.js';
import { layOutPool } from '../../dist/pool.js';

/** Words of the header, in front of the state. */
const HEADER_WORDS = 48;

interface Anatomy {
  readonly words: Int32Array;
  /** First word of the header and of the state. */
  readonly header: number;
  readonly state: number;
  readonly bytes: Uint8Array;
  /** Where the tag of the granule, and the code of the page, at an address lie. */
  tag(address: number): number;
  code(address: number): number;
  /** A block of 64 bytes in use, its free buddy, and a block of four pages in use. */
  readonly used: number;
  readonly free: number;
  readonly large: number;
  readonly heap: Buddy;
}

function anatomy(): Anatomy {
  const heap = Buddy.create({ memory: new SharedArrayBuffer(2 ** 20) });
  const large = heap.malloc(16_384);
  const used = heap.alignedAlloc(128, 64);
  const { i32: words, u8: bytes } = heap.memory;
  const header = heap.share().start / 4;
  const state = header + HEADER_WORDS;
  const from = words[state];
  const layout = layOutPool(from, words[from + 1]);
  if (layout === null) throw new Error('no pool');
  const page = layout.lo >>> 10;
  return {
    heap,
    words,
    header,
    state,
    bytes,
    used,
    free: used + 64,
    large,
    tag: (address) => layout.rows * 4 + (address >>> 4) - page * 256,
    code: (address) => layout.codes * 4 + (address >>> 12) - page,
  };
}

const FAULTS: readonly [message: RegExp, plant: (on: Anatomy) => void][] = [
  [/no block starts at/, ({ bytes, tag, used }) => (bytes[tag(used)] = 0)],
  [/has the tag 255|more slack/, ({ bytes, tag, used }) => (bytes[tag(used)] = 255)],
  [/has the tag 144/, ({ bytes, tag, used }) => (bytes[tag(used)] = 144)],
  [/no block starts at/, ({ bytes, code, large }) => (bytes[code(large)] = 0)],
  [/has the code 5/, ({ bytes, code, large }) => (bytes[code(large)] = 5)],
  [/inside it .* is tagged as a block/, ({ bytes, tag, used }) => (bytes[tag(used) + 3] = 130)],
  [
    /inside it the page at .* has a code of its own/,
    ({ bytes, code, large }) => (bytes[code(large) + 2] = 12),
  ],
  [
    /does not lie at a multiple of its size/,
    ({ bytes, tag, used, free }) => {
      bytes[tag(used)] = 192 + 5;
      bytes[tag(used) + 2] = 192 + 6;
      bytes[tag(free) + 2] = 192 + 5;
      bytes[tag(free)] = 0;
    },
  ],
  [/row was never cleared/, ({ bytes, code, used }) => (bytes[code(used)] &= ~64)],
  [/and its buddy are both free/, ({ bytes, tag, used }) => (bytes[tag(used)] = 128 + 6)],
  [/words are free, counted are/, ({ bytes, tag, free }) => (bytes[tag(free)] = 192 + 6)],
  [/bytes were asked for, counted are/, ({ words, state }) => words[state + ASKED]++],
  [/bytes were asked for, counted are/, ({ bytes, tag, used }) => (bytes[tag(used) + 1] = 5)],
  [/whole pages are free, counted are/, ({ words, state }) => words[state + FREE_FRAMES]--],
  [/the map and the head of list 6 differ/, ({ words, state }) => (words[state + MAP] &= ~64)],
  [/the map and the head of list 5 differ/, ({ words, state }) => (words[state + MAP] |= 32)],
  [
    /list 6 holds word .*, which is no free block of it/,
    ({ words, state, used }) => (words[state + HEADS + 6] = used / 4),
  ],
  [/links of list 6 differ/, ({ words, free }) => (words[free / 4 + 1] = 99)],
  [/list 6 holds more than|links of list 6 differ/, ({ words, free }) => (words[free / 4] = free / 4)],
  [
    /list 6 holds 0 of/,
    ({ words, state }) => {
      words[state + HEADS + 6] = 0;
      words[state + MAP] &= ~64;
    },
  ],
  [/list of pools is longer/, ({ words, state }) => (words[words[state]] = words[state])],
  [/pools are listed, .* were added/, ({ words, header }) => words[header + 36]++],
  [/words in pools, counted are/, ({ words, header }) => words[header + 33]++],
];

for (const [nth, [message, plant]] of FAULTS.entries()) {
  test(`check finds fault ${nth}: ${message.source}`, (t) => {
    const on = anatomy();
    t.is(on.heap.check(), null);
    plant(on);
    t.regex(on.heap.check() ?? 'nothing found', message);
  });
}

test('a page in use that does not count as touched is found', (t) => {
  const { heap, words, state, large } = anatomy();
  const from = words[state];
  const layout = layOutPool(from, words[from + 1]);
  if (layout === null) return t.fail();
  const page = (large >>> 12) - (layout.lo >>> 10);
  words[layout.touched + (page >>> 5)] &= ~(1 << page);
  t.regex(heap.check() ?? '', /does not count as touched/);
});
