/**
 * A thread may end anywhere: before each statement of each operation. Here so many of them as time allows,
 * drawn by lot; see `ends.long.test.ts`.
 */
import { someOf } from '@shmalloc/alloc-test';
import test from 'ava';
import { everyEnd, REGIONS, SCENES } from '../support/ends-scenes.ts';
import { randomOf, seedOf } from '../support/harness.ts';
import { importStepped, type Stepped, writeStepped } from '../support/stepped.ts';

const MOST = 11;

const written = writeStepped('ends');
let stepped: Stepped;
test.before(async () => {
  stepped = await importStepped(written.url);
});
test.after.always(() => written.remove());

const { 'as usual': usual, ...others } = REGIONS;

for (const [region, options] of [['as usual', usual] as const, ...someOf('ends', others, 1)]) {
  for (const [what, scene] of Object.entries(SCENES)) {
    if (options.maxBytes !== undefined && /memory/.test(what)) continue;
    test(`a thread ends anywhere while ${what} (${region})`, (t) => {
      t.timeout(15 * 60_000);
      const random = randomOf(seedOf(t));
      const { steps, played, faults } = everyEnd({ stepped, options, scene, random, most: MOST });
      t.log(`${played} of ${steps} statements`);
      t.true(played > 10);
      t.deepEqual(faults, []);
    });
  }
}

/** Orders of writes that would lose more than a block, or worse. Each must be found. */
const PLANTED: readonly (readonly [
  what: string,
  file: string,
  right: string,
  wrong: string,
  scene: string,
])[] = [
  [
    'the owner’s list is emptied before the free list has it',
    'page/blocks.js',
    'i32[page + Page.free] = local;\n        i32[page + Page.localFree] = 0;',
    'i32[page + Page.localFree] = 0;\n        i32[page + Page.free] = local;',
    'it gathers what others have freed',
  ],
  [
    'new blocks count before they are linked',
    'page/blocks.js',
    'const first = i32[page + Page.start] + capacity * size;',
    'const first = i32[page + Page.start] + capacity * size; i32[page + Page.capacity] = capacity + count;',
    'it allocates small blocks',
  ],
  [
    'a list is taken before its blocks are the owner’s',
    'thread-heap/remote-frees.js',
    'if (first !== have) {',
    'if (first !== have) { if (have === 0) crossings.takeAllMarked(remote);',
    'it gathers what others have freed',
  ],
  [
    'a heap’s delayed blocks are taken before they are noted',
    'foreign/delayed.js',
    'i32[heap + Heap.taken] = first;\n        if (crossings.claim(heap + Heap.delayedFree, first, 0))\n            break;',
    'if (crossings.claim(heap + Heap.delayedFree, first, 0)) { ; i32[heap + Heap.taken] = first; break; }',
    'it gathers what others have freed',
  ],
  [
    'a delayed block is freed before the note has moved on',
    'foreign/delayed.js',
    'tld.i32[heap + Heap.taken] = nextDelayed(tld, page, block);',
    'const behind = nextDelayed(tld, page, block); freeForeign(tld, page, block); tld.i32[heap + Heap.taken] = behind; continue;',
    'it gathers what others have freed',
  ],
  [
    'a segment is let go before its bit says so',
    'segment/arena.js',
    'crossings.setBits(',
    'crossings.store(segment + Segment.threadId, FREE_SEGMENT); crossings.setBits(',
    'it frees its own blocks',
  ],
  [
    'a segment is abandoned before its bit says so',
    'exit/abandon.js',
    'crossings.setBits(',
    'crossings.store(segment + Segment.threadId, ABANDONED_SEGMENT); crossings.setBits(',
    'it detaches',
  ],
  [
    'the page of a huge block goes before its segments have the name',
    'huge/huge-block.js',
    'const base = i32[segment + Segment.base];',
    'const base = i32[segment + Segment.base]; i32[page + Page.blockWords] = 0; ;',
    'it frees huge blocks of others, of one that has gone among them',
  ],
  [
    'a huge block is no thread’s before its segments are given back',
    'huge/huge-block.js',
    'let strangers = 0;',
    'let strangers = 0; tld.crossings.store(segment + Segment.threadId, FREE_SEGMENT);',
    'it frees huge blocks of others, of one that has gone among them',
  ],
  [
    'memory that is being added is not noted',
    'region/memory.js',
    'i32[heap + Heap.addTo] = to;',
    ';',
    'it adds memory',
  ],
];

for (const [what, file, right, wrong, scene] of PLANTED) {
  test(`planted: ${what}`, async (t) => {
    t.timeout(15 * 60_000);
    const faulty = writeStepped(`planted-${PLANTED.findIndex(([each]) => each === what)}`, (name, text) => {
      if (name !== file) return text;
      t.true(text.includes(right), `${file} has ${right}`);
      return text.replace(right, wrong);
    });
    try {
      const random = randomOf(seedOf(t));
      const search = {
        stepped: await importStepped(faulty.url),
        options: {},
        scene: SCENES[scene],
        random,
        most: 400,
      };
      const { faults } = everyEnd({ ...search, only: (statement) => statement.startsWith(`${file}:`) });
      t.log(faults[0] ?? 'nothing found');
      t.true(faults.length > 0);
    } finally {
      faulty.remove();
    }
  });
}
