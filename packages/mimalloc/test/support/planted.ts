/**
 * Damage for `validate` to find: a heap that has one of everything, and a list of what can be broken in it.
 */
import type { MiMalloc } from '@shmalloc/mimalloc';
import { BIN_DIRECT_FIRST, BIN_FULL, binOf } from '../../dist/layout/bins.js';
import { HEAP_QUEUES, Heap } from '../../dist/layout/heap.js';
import { IN_FULL, Page } from '../../dist/layout/page.js';
import { Chunk, chunkAt, segmentAt } from '../../dist/layout/page-map.js';
import { firstPage } from '../../dist/page/queue.js';
import { ABANDONED_SEGMENT, FREE_SEGMENT, Segment } from '../../dist/segment/segment.js';
import { fill, pageAt, small } from './harness.ts';
import { tldOf } from './inside.ts';

/** Where everything is in the heap that damage is planted into. */
export interface Scene {
  readonly heap: MiMalloc;
  readonly i32: Int32Array;
  /** The heap's record. */
  readonly record: number;
  /** A page of blocks of 112 bytes that has live blocks, and some on each of its own lists. */
  readonly page: number;
  /** The page in front of it in its queue. */
  readonly front: number;
  /** A full page. */
  readonly full: number;
  /** A page of eight slices. */
  readonly medium: number;
  /** A large block's page. */
  readonly large: number;
  /** The segment of `page`, and a free one. */
  readonly segment: number;
  readonly free: number;
  /** The chunk of both. */
  readonly chunk: number;
  /** Words of live blocks of `page`. */
  readonly live: readonly number[];
}

const SIZE = 112;
export const BIN: number = binOf(SIZE);

export function scene(): Scene {
  const heap = small({ bytes: 1 << 22 });
  const { i32 } = tldOf(heap);
  const blocks = fill(heap, SIZE, 800);
  const full = firstPage(tldOf(heap), tldOf(heap).heap, BIN_FULL);
  const front = pageAt(heap, blocks[799]);
  // A full page that comes back: three blocks on local_free, which a collection makes free ones, and three
  // more.
  const page = i32[full + Page.next];
  const mine = blocks.filter((block) => pageAt(heap, block) === page);
  for (const block of mine.slice(0, 3)) heap.free(block);
  heap.collect(false);
  for (const block of mine.slice(3, 6)) heap.free(block);
  const medium = pageAt(heap, heap.malloc(tldOf(heap).mediumMax));
  const large = pageAt(heap, heap.malloc(3 * tldOf(heap).mediumMax));
  heap.validate();
  const segment = segmentAt(tldOf(heap), i32[page + Page.start]);
  const free = segmentAt(tldOf(heap), (heap.memory.end >>> 2) - 1);
  const chunk = chunkAt(tldOf(heap), i32[page + Page.start] >>> tldOf(heap).chunkShift);
  const live = mine.slice(6).map((block) => block / 4);
  return {
    heap,
    i32,
    record: tldOf(heap).heap,
    page,
    front,
    full,
    medium,
    large,
    segment,
    free,
    chunk,
    live,
  };
}

/** The first slice of a segment that is in a page. */
function lowestInUse(i32: Int32Array, segment: number): number {
  const used = i32[segment + Segment.presentLow] & ~i32[segment + Segment.freeLow];
  return 31 - Math.clz32(used & -used);
}

/** Each fault: what is broken, the sentence that must name it, and how. */
export const FAULTS: [name: string, sentence: RegExp, plant: (scene: Scene) => void][] = [
  // Pages
  [
    'a page counts one block too few',
    /used \d+ \+ \|free\| 3 \+ \|local_free\| 3 .*≠ capacity/,
    ({ i32, page }) => i32[page + Page.used]--,
  ],
  [
    'a page counts one block too many',
    /used \d+ \+ \|free\| 3 \+ \|local_free\| 3 .*≠ capacity/,
    ({ i32, page }) => i32[page + Page.used]++,
  ],
  [
    'a page has linked more blocks than it has room for',
    /capacity \d+ > reserved \d+/,
    ({ i32, page }) => (i32[page + Page.capacity] = i32[page + Page.reserved] + 1),
  ],
  [
    'a page has linked fewer blocks than there are',
    /≠ capacity|is no block of it/,
    ({ i32, page }) => i32[page + Page.capacity]--,
  ],
  [
    'a page has room for one block less',
    /has room for another number of blocks/,
    ({ i32, full }) => i32[full + Page.reserved]++,
  ],
  [
    'a page has another bin',
    /has blocks of another size than its bin/,
    ({ i32, page }) => i32[page + Page.shape]++,
  ],
  ['a page has no bin', /has bin 0/, ({ i32, page }) => (i32[page + Page.shape] &= ~0x7f)],
  [
    'a page has the bin of full pages',
    /has bin 91/,
    ({ i32, page }) => (i32[page + Page.shape] = (i32[page + Page.shape] & ~0x7f) | BIN_FULL),
  ],
  [
    'a page has blocks of another size',
    /has blocks of another size than its bin/,
    ({ i32, page }) => (i32[page + Page.blockWords] += 4),
  ],
  [
    'a page has a slice more',
    /has room for another number of blocks/,
    ({ i32, page }) => (i32[page + Page.shape] += 1 << 12),
  ],
  ['a page starts elsewhere', /is no block of it/, ({ i32, page }) => (i32[page + Page.start] += 4)],
  [
    'a page starts in another page’s slice',
    /has a descriptor that is not its first slice's|is no block of it/,
    ({ heap, i32, full }) => (i32[full + Page.start] += 1 << tldOf(heap).sliceShift),
  ],
  [
    'a slice of a page leads to another page',
    /slice 3 of the page at \d+ does not lead to it/,
    ({ i32, medium, page }) => (i32[medium + 3 * 16 + Page.start] = page),
  ],
  [
    'a slice of a page leads nowhere',
    /slice 7 of the page at \d+ does not lead to it/,
    ({ i32, medium }) => (i32[medium + 7 * 16 + Page.start] = 0),
  ],
  [
    'a slice of a large block leads nowhere',
    /slice 2 of the page at \d+ does not lead to it/,
    ({ i32, large }) => (i32[large + 2 * 16 + Page.start] = 0),
  ],
  [
    'a large block’s page holds two',
    /is to hold one block and holds 2/,
    ({ i32, large }) => (i32[large + Page.capacity] = i32[large + Page.reserved] = 2),
  ],
  [
    'a large block’s page holds none',
    /is to hold one block and holds 0/,
    ({ i32, large }) => (i32[large + Page.capacity] = 0),
  ],
  [
    'a page belongs to another thread',
    /a page of the segment at \d+ has another owner/,
    ({ i32, page }) => (i32[page + Page.xthreadId] += 8),
  ],
  [
    'a page belongs to no thread',
    /a page of the segment at \d+ has another owner/,
    ({ i32, page }) => (i32[page + Page.xthreadId] = 0),
  ],
  // Lists of blocks
  [
    'a free block’s link leads into the middle of a block',
    /free of the page at \d+ leads to \d+, which is no block of it/,
    ({ i32, page }) => i32[i32[page + Page.free]]++,
  ],
  [
    'a free block’s link leads out of the page',
    /free of the page at \d+ leads to 8, which is no block of it/,
    ({ i32, page }) => (i32[i32[page + Page.free]] = 2),
  ],
  [
    'a free block’s link leads beyond the capacity',
    /free of the page at \d+ leads to \d+, which is no block of it/,
    ({ i32, front }) =>
      (i32[i32[front + Page.free]] = i32[front + Page.start] + i32[front + Page.capacity] * 28),
  ],
  [
    'a free block’s link is negative',
    /free of the page at \d+ leads to -\d+, which is no block of it/,
    ({ i32, page }) => (i32[i32[page + Page.free]] = -28),
  ],
  [
    'a free list goes in a circle',
    /free of the page at \d+ does not end/,
    ({ i32, page }) => (i32[i32[i32[page + Page.free]]] = i32[page + Page.free]),
  ],
  ['a free list is cut off', /\|free\| 1 /, ({ i32, page }) => (i32[i32[page + Page.free]] = 0)],
  ['a page has lost its free list', /\|free\| 0 /, ({ i32, page }) => (i32[page + Page.free] = 0)],
  [
    'a live block is on the free list',
    /\|free\| 2 |≠ capacity/,
    ({ i32, page, live }) => {
      i32[live[0]] = i32[i32[i32[page + Page.free]]];
      i32[page + Page.free] = live[0];
    },
  ],
  [
    'the owner’s list leads out of the page',
    /local_free of the page at \d+ leads to 8, which is no block of it/,
    ({ i32, page }) => (i32[page + Page.localFree] = 2),
  ],
  [
    'the owner’s list goes in a circle',
    /local_free of the page at \d+ does not end/,
    ({ i32, page }) => (i32[i32[page + Page.localFree]] = i32[page + Page.localFree]),
  ],
  [
    'the list of the others leads out of the page',
    /thread_free of the page at \d+ leads to 8, which is no block of it/,
    ({ i32, page }) => (i32[page + Page.xthreadFree] = 2),
  ],
  [
    'the list of the others goes in a circle',
    /thread_free of the page at \d+ does not end/,
    ({ i32, page, live }) => (i32[page + Page.xthreadFree] = i32[live[0]] = live[0]),
  ],
  [
    'the list of the others is longer than the page has blocks in use',
    /\|thread_free\| 1 > used 0/,
    ({ i32, large }) => {
      i32[large + Page.xthreadFree] = i32[large + Page.start];
      i32[i32[large + Page.start]] = 0;
      i32[large + Page.used] = 0;
      i32[large + Page.free] = i32[large + Page.start];
    },
  ],
  // Queues
  [
    'a page is in no queue',
    /queue \d+ ends elsewhere|the queues hold \d+ pages, \d+ are counted/,
    ({ i32, front }) => (i32[front + Page.next] = 0),
  ],
  [
    'a page’s link back is wrong',
    /in queue \d+ has a wrong link/,
    ({ i32, page, full }) => (i32[page + Page.prev] = full),
  ],
  [
    'a queue’s last page is another',
    /queue 8 ends elsewhere/,
    ({ i32, record, page }) => (i32[record + HEAP_QUEUES + BIN * 2 + 1] = page === 0 ? 1 : 0),
  ],
  ['a queue goes in a circle', /has a wrong link/, ({ i32, page, front }) => (i32[page + Page.next] = front)],
  [
    'a queue holds what is no page',
    /in queue \d+ is no page/,
    ({ i32, page, medium }) => (i32[page + Page.next] = medium + 16),
  ],
  [
    'a page is in the queue of another bin',
    /is of bin 8/,
    ({ i32, record, page, front }) => {
      i32[front + Page.next] = 0;
      i32[record + HEAP_QUEUES + BIN * 2 + 1] = front;
      i32[record + HEAP_QUEUES + 60 * 2] = i32[record + HEAP_QUEUES + 60 * 2 + 1] = page;
      i32[page + Page.prev] = i32[page + Page.next] = 0;
    },
  ],
  [
    'a page is of another heap',
    /belongs to another heap/,
    ({ i32, page, record }) => (i32[page + Page.xheap] = record + 16),
  ],
  [
    'a page in its queue is flagged as full',
    /has the wrong flag in_full/,
    ({ i32, page }) => (i32[page + Page.xthreadId] |= IN_FULL),
  ],
  [
    'a full page has lost its flag',
    /has the wrong flag in_full/,
    ({ i32, full }) => (i32[full + Page.xthreadId] &= ~IN_FULL),
  ],
  [
    'the heap counts one page too many',
    /the queues hold \d+ pages, \d+ are counted/,
    ({ i32, record }) => i32[record + Heap.pageCount]++,
  ],
  [
    'the heap counts one page too few',
    /the queues hold more than \d+ pages/,
    ({ i32, record }) => i32[record + Heap.pageCount]--,
  ],
  [
    'an entry of the direct table is the empty page though there is one',
    /entry 14 of the direct table is not the first page of queue 8/,
    ({ heap, i32, record }) => (i32[record + Heap.direct + 14] = tldOf(heap).emptyPage),
  ],
  [
    'the first entry of a bin in the direct table is another page',
    /entry 13 of the direct table/,
    ({ i32, record, full }) => (i32[record + Heap.direct + BIN_DIRECT_FIRST[BIN]] = full),
  ],
  [
    'an entry of the direct table is a page of a queue without pages',
    /entry 128 of the direct table/,
    ({ i32, record, page }) => (i32[record + Heap.direct + 128] = page),
  ],
  [
    'the empty page has a block',
    /the empty page has a block/,
    ({ heap, i32, live }) => (i32[tldOf(heap).emptyPage] = live[0]),
  ],
  // Segments
  [
    'a slice in a page is marked free',
    /free slices \+ \d+ in pages ≠ /,
    ({ i32, segment }) => (i32[segment + Segment.freeLow] |= 1 << lowestInUse(i32, segment)),
  ],
  [
    'a free slice is marked as in a page',
    /free slices \+ \d+ in pages ≠ /,
    ({ i32, segment, free }) => {
      const at = i32[segment + Segment.freeLow] === 0 ? free : segment;
      i32[at + Segment.freeLow] &= i32[at + Segment.freeLow] - 1;
    },
  ],
  [
    'a slice is free that is not there',
    /has free slices that it does not have/,
    ({ i32, free }) => (i32[free + Segment.presentLow] &= ~1),
  ],
  [
    'a slice of the upper half is free that is not there',
    /has free slices that it does not have/,
    ({ i32, free }) => (i32[free + Segment.freeHigh] |= 1 << 31),
  ],
  [
    'a segment counts a page too many',
    /counts \d+ pages and has \d+/,
    ({ i32, segment }) => i32[segment + Segment.used]++,
  ],
  [
    'a segment in use says that it is free',
    /and the bitmap of free segments say different things/,
    ({ i32, segment }) => (i32[segment + Segment.threadId] = FREE_SEGMENT),
  ],
  [
    'a free segment has an owner',
    /segments belong to this thread, \d+ are counted|bitmap of free segments|is not in the list/,
    ({ heap, i32, free }) => (i32[free + Segment.threadId] = heap.threadId),
  ],
  [
    'a segment in use says that it is abandoned',
    /and the bitmap of abandoned segments say different things/,
    ({ i32, segment }) => (i32[segment + Segment.threadId] = ABANDONED_SEGMENT),
  ],
  [
    'a segment in use belongs to another thread',
    /has another owner/,
    ({ i32, segment }) => (i32[segment + Segment.threadId] += 8),
  ],
  [
    'the bitmap of free segments lacks one',
    /bitmap of free segments/,
    ({ i32, chunk }) => (i32[chunk + Chunk.free] &= i32[chunk + Chunk.free] - 1),
  ],
  [
    'the bitmap of abandoned segments has one in use',
    /bitmap of abandoned segments/,
    ({ i32, chunk }) => (i32[chunk + Chunk.abandoned] |= 1),
  ],
  [
    'the bitmap of segments with memory lacks one',
    /has memory, and its bit/,
    ({ i32, chunk }) => (i32[chunk + Chunk.present] &= i32[chunk + Chunk.present] - 1),
  ],
  [
    'a free segment has a page',
    /has no owner and 1 pages|free slices \+/,
    ({ heap, i32, free, large }) => {
      const page =
        tldOf(heap).i32[tldOf(heap).root + (i32[free + Segment.base] >>> tldOf(heap).chunkShift)] +
        ((i32[free + Segment.base] >>> tldOf(heap).sliceShift) << 4);
      i32.copyWithin(page, large, large + 16);
      i32[page + Page.start] = i32[free + Segment.base];
      i32[page + Page.shape] = 90 | (1 << 12);
      i32[page + Page.xthreadId] = 0;
    },
  ],
];
