/** What the freeze test's threads share, and the statements before which one of them stops. */
import type { SlotHandle } from '@shmalloc/allocator-api';

/** What the worker that freezes is told. */
export interface FreezeOrder {
  readonly handle: SlotHandle;
  /** The rewritten package. */
  readonly url: string;
  readonly file: string;
  /** How the statement begins. */
  readonly statement: string;
  /** Addresses of live blocks, 0 for none. */
  readonly table: SharedArrayBuffer;
  /** 1: it has come to a stop; 2: it has not, whatever it did. And a word on which no thread ever calls. */
  readonly control: SharedArrayBuffer;
  readonly seed: number;
}

/** A moment of a protocol: what has been done and what not, and the statement that would come next. */
export type Moment = readonly [what: string, file: string, statement: string];

export const MOMENTS: readonly Moment[] = [
  ['malloc: a block is off its list, and not counted', 'api/core-thread.js', 'i32[page + Page.used]++'],
  [
    'free: a block is linked, and not the first of its list',
    'api/core-thread.js',
    'i32[page + Page.localFree] = block',
  ],
  ['free: a block is in its list, and still counted', 'api/core-thread.js', 'i32[page + Page.used] = used'],
  [
    'extend: new blocks are linked, and beyond the capacity',
    'page/blocks.js',
    'i32[page + Page.capacity] = capacity + count',
  ],
  [
    'collect: the same list is the free one and the owner’s',
    'page/blocks.js',
    'i32[page + Page.localFree] = 0',
  ],
  [
    'collect: blocks freed by others are the owner’s, and still on their list',
    'thread-heap/remote-frees.js',
    'if (crossings.claim(remote, word',
  ],
  [
    'collect: blocks freed by others are gathered, and still counted',
    'page/blocks.js',
    'tld.i32[page + Page.used] -= count',
  ],
  [
    'foreign free: the mark of a full page is taken, and the news not brought',
    'foreign/foreign.js',
    'crossings.push(',
  ],
  [
    'delayed frees: noted, and not taken',
    'foreign/delayed.js',
    'if (crossings.claim(heap + Heap.delayedFree, first, 0))',
  ],
  ['delayed frees: taken, and none freed', 'foreign/delayed.js', 'freeTaken(tld, heap)'],
  [
    'delayed frees: the note has moved on, and the block is not free',
    'foreign/delayed.js',
    'if (ownerOf(tld, page) === tld.threadId)',
  ],
  [
    'full page: marked, and not looked through',
    'page/full.js',
    'if (i32[page + Page.xthreadFree] === DELAYED)',
  ],
  ['full page: on its way back to its queue', 'page/full.js', 'unfillPage('],
  ['segment: claimed, and its bit still says free', 'segment/arena.js', 'crossings.clearBits('],
  ['segment: its bit says free, and it is not let go', 'segment/arena.js', 'crossings.store('],
  ['page: its slices are taken, and it is not made', 'segment/segment.js', 'initPage(tld, page, base, plan)'],
  ['page: made, and nobody’s', 'layout/page.js', 'i32[page + Page.xthreadId] = name |'],
  ['page: nobody’s, and still there', 'layout/page.js', 'i32[page + Page.blockWords] = 0'],
  [
    'huge block: some of its segments are claimed',
    'huge/huge.js',
    'i32[segment + Segment.kind] = base === first',
  ],
  [
    'huge block: made, and not handed out',
    'huge/huge-block.js',
    'tld.crossings.store(segment + Segment.threadId, HUGE_SEGMENT)',
  ],
  [
    'huge block: taken to be freed, and still there',
    'huge/huge-block.js',
    'const segments = countOf(tld, segment)',
  ],
  [
    'huge block: its page is gone, and its segments are not let go',
    'huge/huge-block.js',
    'for (let index = segments - 1',
  ],
  ['heap: deleted, and its pages half moved', 'heaps/heap-delete.js', 'appendPage(tld, keeper, bin, page)'],
  ['heap: its record is in no list, and not let go', 'heaps/heap-records.js', 'resetHeap(tld, heap)'],
  ['heap records: known, and their slice still managed', 'heaps/heap-records.js', 'dropSlice(tld, first)'],
  ['detach: pages are nobody’s, and their segments are not let go', 'exit/abandon.js', 'forEachSegment('],
  [
    'detach: the bit says abandoned, and the segment is not let go',
    'exit/abandon.js',
    'crossings.store(segment',
  ],
  [
    'detach: all is abandoned, and the slot is still taken',
    'exit/abandon.js',
    'tld.crossings.store(heap + Heap.threadId, 0)',
  ],
  ['adopt: the segment is claimed, and its pages are nobody’s', 'exit/reclaim.js', 'const pages = []'],
  [
    'reap: a segment is taken over, and its tails are not',
    'exit/take-over.js',
    'i32[tld.heap + Heap.segmentCount] += extentOf(tld, segment)',
  ],
  ['reap: a page’s lists are half mended', 'exit/mend.js', 'cutRemoteFrees(tld, page'],
  [
    'reap: all is abandoned, and the dead thread’s slot is still taken',
    'exit/reap.js',
    'finishRange(tld, heap)',
  ],
  [
    'memory: it has grown, and nothing of it is managed',
    'region/memory.js',
    'layRange(tld, from, to, arena, tables)',
  ],
  ['memory: tables are laid, and no slice is there', 'region/memory.js', 'widen(tld, from >>> chunkShift'],
  [
    'attach: the slot is taken, and the thread not there',
    'region/thread-table.js',
    'i32[record + Heap.backing] = record',
  ],
];
