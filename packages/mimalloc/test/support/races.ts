/**
 * The races that an allocator of this kind is known to have had, each with the operations that meet in it.
 * The numbers are those of the tracker of mimalloc in C.
 *
 * For each: which line of the source carries the argument that it cannot happen here, the duels that look for
 * it, and faults that bring it back.
 */

import type { Handle } from '@shmalloc/allocator-api';
import type { MiHeap, MiMalloc, MiMallocOptions } from '@shmalloc/mimalloc';
import { Heap } from '../../dist/layout/heap.js';
import { Page } from '../../dist/layout/page.js';
import { pageAt } from './harness.ts';
import { recordOf, tldOf } from './inside.ts';
import type { Fault, Package } from './mutants.ts';
import { Stage } from './pauses.ts';
import type { DuelMaker, Rival } from './stops.ts';

/** One race. */
export interface Race {
  readonly title: string;
  readonly duels: Readonly<Record<string, DuelMaker>>;
  readonly faults: readonly Fault[];
}

const SIZE = 500;

/** Everyone on one new region, whose atomic accesses can be seen: plain shared memory has JavaScript's. */
function company(
  mi: typeof Package,
  rival: Rival,
  options: MiMallocOptions = {},
): { a: MiMalloc; c: MiMalloc; stage: Stage } {
  const a = mi.MiMalloc.create({ bytes: 1 << 20, backing: 'sab', grow: false, threads: 4, ...options });
  const c = mi.MiMalloc.attach(a.share());
  rival.attach(a.share());
  for (const heap of [a, c]) {
    heap.registerError((error) => {
      throw error;
    });
    // At its first generic allocation a thread learns that it is not alone.
    heap.free(heap.malloc(3000));
    heap.collect(true);
  }
  return { a, c, stage: new Stage(a, c) };
}

/** Allocates from a heap of a thread. */
function takeFrom(stage: Stage, part: MiHeap, count: number): number[] {
  const blocks = Array.from({ length: count }, () => part.malloc(SIZE)).filter((block) => block !== 0);
  for (const block of blocks) stage.live.add(block);
  return blocks;
}

/** The first page of these blocks, which is full when there are two pages more. */
function firstPageOf(heap: MiMalloc, blocks: readonly number[]): number[] {
  return blocks.filter((block) => pageAt(heap, block) === pageAt(heap, blocks[0]));
}

/** Another thread, in the slot that has become free. */
function another(mi: typeof Package, stage: Stage, handle: Handle): MiMalloc {
  const heap = mi.MiMalloc.attach(handle);
  stage.threads.push(heap);
  return heap;
}

/**
 * A heap is deleted while another thread frees a block of it (mimalloc #204, #205).
 *
 * `heap-delete.ts`: records never become anything else, so a late push writes to a record and not into
 * another thread's block; and XHEAP is written before `announceFull` sets the mark again, so the thread that
 * takes the new mark reads the keeper.
 */
const HEAP_DELETED: Race = {
  title: 'a heap is deleted while another thread is freeing a block of it',
  duels: {
    'B frees a block of a full page, A deletes the heap': (mi, rival) => {
      const { a, stage } = company(mi, rival);
      const part = a.heapNew();
      const full = firstPageOf(a, takeFrom(stage, part, 24));
      return { stage, run: () => part.delete(), rival: { kind: 'free', blocks: full.slice(0, 1) } };
    },
    'B frees several, of two pages, A deletes the heap and allocates': (mi, rival) => {
      const { a, stage } = company(mi, rival);
      const part = a.heapNew();
      const blocks = takeFrom(stage, part, 32);
      const full = firstPageOf(a, blocks);
      const other = blocks.filter((block) => pageAt(a, block) !== pageAt(a, full[0])).slice(0, 2);
      return {
        stage,
        run: () => {
          part.delete();
          stage.takeAll(a, SIZE, 10);
        },
        rival: { kind: 'free', blocks: [full[0], full[1], ...other] },
      };
    },
    'B frees the only block of a heap, A destroys another and deletes this one': (mi, rival) => {
      const { a, stage } = company(mi, rival);
      const part = a.heapNew();
      const rest = a.heapNew();
      for (let count = 0; count < 20; count++) rest.malloc(SIZE);
      const [block] = takeFrom(stage, part, 1);
      return {
        stage,
        run: () => {
          rest.destroy();
          part.delete();
        },
        rival: { kind: 'free', blocks: [block] },
      };
    },
  },
  faults: [
    {
      name: 'the pages of a deleted heap are not announced again',
      file: 'heaps/heap-delete.js',
      from: 'else if (tld.shared) announceFull(tld, page);',
      to: '',
    },
    {
      name: 'the pages of a deleted heap are announced before they say whose they are',
      file: 'heaps/heap-delete.js',
      from: 'tld.crossings.store(page + Page.xheap, keeper); appendPage(tld, keeper, bin, page);',
      to: `if (bin === BIN_FULL && i32[page + Page.free] === 0 && tld.shared) tld.crossings.mark(page + Page.xthreadFree);
        tld.crossings.store(page + Page.xheap, keeper);
        appendPage(tld, keeper, bin, page);
        if (bin === BIN_FULL && i32[page + Page.free] === 0) return;`,
    },
  ],
};

/**
 * A thread waits for another that has not finished its delayed free (mimalloc #630, #1317).
 *
 * `full.ts`, `free.ts`: the mark has two states and none in between. A thread that has taken it away owes the
 * heap a block; no thread waits for that, in `announceFull`, `collectPage` or anywhere else.
 */
const STALL: Race = {
  title: 'a thread that is stopped in the middle of a delayed free holds no other up',
  duels: Object.fromEntries(
    Object.entries<(all: { a: MiMalloc; c: MiMalloc; stage: Stage; part: MiHeap }) => void>({
      'A collects by force, twice': ({ a }) => {
        a.collect(true);
        a.collect(true);
      },
      'A allocates all there is': ({ a, stage }) => {
        while (stage.take(a, 200_000) !== 0);
      },
      'A deletes the heap': ({ part }) => part.delete(),
      'A detaches, C collects': ({ a, c }) => {
        a.detach();
        c.collect(true);
      },
    }).map(([what, act]): [string, DuelMaker] => [
      `B frees into a full page, ${what}`,
      (mi, rival) => {
        const { a, c, stage } = company(mi, rival);
        const part = a.heapNew();
        const blocks = firstPageOf(a, takeFrom(stage, part, 24));
        return {
          stage,
          run: () => act({ a, c, stage, part }),
          rival: { kind: 'free', blocks: blocks.slice(0, 1) },
        };
      },
    ]),
  ),
  faults: [
    {
      name: 'the owner waits for the news of a full page whose mark is gone',
      file: 'foreign/collect.js',
      from: 'else if (hasFlag(tld, page, IN_FULL)) {',
      to: `else if (hasFlag(tld, page, IN_FULL)) {
            while (tld.crossings.load(page + Page.xthreadFree) === 0 && tld.crossings.load(heap + Heap.delayedFree) === 0);`,
    },
  ],
};

/** A thread ends with pages in several segments. */
function leaveBehind(mi: typeof Package, a: MiMalloc, stage: Stage): void {
  const gone = mi.MiMalloc.attach(a.share());
  const step = (4 << tldOf(a).segmentShift) / 2;
  for (let count = 0; count < 5; count++) stage.take(gone, step);
  stage.takeAll(gone, SIZE, 3);
  gone.detach();
}

/**
 * A search through abandoned memory that does not end, or finds nothing (mimalloc #759).
 *
 * `arena.ts`, `findSegment`: each word of the bitmap is read once, so a search looks at each segment once at
 * the most, whatever others do to the bits meanwhile; `reclaim.ts`: one exchange decides which thread adopts.
 */
const ABANDONED: Race = {
  title:
    'threads that look through abandoned memory at the same time all come to an end, and each segment to one of them',
  duels: {
    'A and B adopt the same segments': (mi, rival) => {
      const { a, stage } = company(mi, rival);
      leaveBehind(mi, a, stage);
      return { stage, run: () => a.collect(true), rival: { kind: 'collect' } };
    },
    'A abandons, B adopts': (mi, rival) => {
      const { a, stage } = company(mi, rival);
      stage.takeAll(a, 20_000, 3);
      return { stage, run: () => a.detach(), rival: { kind: 'collect' } };
    },
    'A needs memory and adopts, B ends and abandons what it has adopted': (mi, rival) => {
      const { a, stage } = company(mi, rival, { bytes: 512 << 10 });
      leaveBehind(mi, a, stage);
      rival.tell({ kind: 'collect', at: 0 });
      return { stage, run: () => stage.takeAll(a, 60_000, 3), rival: { kind: 'detach' } };
    },
  },
  faults: [
    {
      name: 'a search goes on until no segment is abandoned any more',
      file: 'exit/abandon.js',
      from: `findSegment(tld, Chunk.abandoned, (segment) => { reclaim(tld, segment); return false; });`,
      to: `while (findSegment(tld, Chunk.abandoned, (segment) => { reclaim(tld, segment); return true; }) !== 0) ;`,
    },
    {
      name: 'the adopter looks first and writes its name then',
      file: 'exit/reclaim.js',
      from: `if (!crossings.claim(segment + Segment.threadId, ABANDONED_SEGMENT, tld.threadId)) return false;`,
      to: `if (crossings.load(segment + Segment.threadId) !== ABANDONED_SEGMENT) return false;
    crossings.store(segment + Segment.threadId, tld.threadId);`,
    },
  ],
};

/**
 * A block is freed when the thread that allocated it has ended, or is just ending (mimalloc #944).
 *
 * `abandon.ts`, `abandonThread`: the mark of each page goes before its owner's name, so what comes later is
 * pushed onto the page, which the thread that adopts it collects; what was on its way to the record stays in
 * the record (`resetHeap` leaves the list alone), and `collectAllDelayed` finds it.
 */
const AFTER_EXIT: Race = {
  title: 'blocks are freed while their thread ends, and after it has ended',
  duels: Object.fromEntries(
    Object.entries<(mi: typeof Package, all: { a: MiMalloc; c: MiMalloc; stage: Stage }) => void>({
      'A ends': (_, { a }) => a.detach(),
      'A ends, C adopts its pages': (_, { a, c }) => {
        a.detach();
        c.collect(true);
      },
      'A ends, D takes its slot and allocates': (mi, { a, c, stage }) => {
        a.detach();
        stage.takeAll(another(mi, stage, c.share()), SIZE, 20);
      },
    }).map(([what, act]): [string, DuelMaker] => [
      `B frees blocks of a full page and of one with room, ${what}`,
      (mi, rival) => {
        const all = company(mi, rival);
        const full = firstPageOf(all.a, all.stage.takeAll(all.a, SIZE, 20));
        const [part] = all.stage.takeAll(all.a, 120, 2);
        return {
          stage: all.stage,
          run: () => act(mi, all),
          rival: { kind: 'free', blocks: [full[0], part] },
        };
      },
    ]),
  ),
  faults: [
    {
      name: 'a thread that ends throws away what was on its way to it',
      file: 'region/thread-table.js',
      from: 'for (const field of [ Heap.tag,',
      to: 'for (const field of [ Heap.delayedFree, Heap.tag,',
    },
    {
      name: 'the pages of a thread that has ended go on sending news to it',
      file: 'exit/abandon.js',
      from: 'tld.crossings.unmark(page + Page.xthreadFree);',
      to: '',
    },
  ],
};

/**
 * The delayed list of a thread is empty after its next generic allocation, without any collection by force.
 */
function hasHeard(a: MiMalloc): void {
  a.free(a.malloc(3000));
  if (tldOf(a).i32[tldOf(a).heap + Heap.delayedFree] !== 0)
    throw new Error('delayed blocks wait although their thread allocates');
}

/**
 * Blocks stay on the list of delayed frees, and their pages out of use (mimalloc #1117).
 *
 * `full.ts`, `announceFull`: the mark is set first, and the page looked at once more after that; `malloc.ts`,
 * `mallocGeneric`: each generic allocation takes the heap's list.
 */
const UNCOLLECTED: Race = {
  title: 'a page comes back when a block is freed at the moment when it gets full',
  duels: {
    'A uses its pages up, B frees blocks of them': (mi, rival) => {
      const { a, stage } = company(mi, rival);
      // The second page is used up as well as the first: the next allocation takes the first one for full.
      const blocks = stage.takeAll(a, SIZE, 16);
      const page = pageAt(a, blocks[15]);
      while (tldOf(a).i32[page + Page.used] < tldOf(a).i32[page + Page.reserved])
        blocks.push(stage.take(a, SIZE));
      const first = firstPageOf(a, blocks);
      return {
        stage,
        run: () => stage.takeAll(a, SIZE, 3),
        rival: { kind: 'free', blocks: first.slice(0, 2) },
        after: () => hasHeard(a),
      };
    },
    'A collects by force, B frees into its full pages': (mi, rival) => {
      const { a, stage } = company(mi, rival);
      const blocks = stage.takeAll(a, SIZE, 24);
      return {
        stage,
        run: () => a.collect(true),
        rival: { kind: 'free', blocks: [blocks[0], blocks[9]] },
        after: () => hasHeard(a),
      };
    },
  },
  faults: [
    {
      name: 'a full page is looked at before its mark is set, and not after',
      file: 'page/full.js',
      from: `tld.crossings.mark(page + Page.xthreadFree);
    if (i32[page + Page.xthreadFree] === DELAYED) return;
    collectPage(tld, page, false);`,
      to: `collectPage(tld, page, false);
    if (i32[page + Page.free] === 0) tld.crossings.mark(page + Page.xthreadFree);`,
    },
    {
      name: 'generic allocations leave the delayed blocks alone',
      file: 'alloc/malloc.js',
      from: `if (i32[heap + Heap.delayedFree] !== 0) collectDelayed(tld, heap);`,
      to: '',
    },
  ],
};

/** What only the owner of a page writes. */
function ownersPart(heap: MiMalloc, page: number): string {
  const { i32 } = tldOf(heap);
  return [Page.free, Page.localFree, Page.used].map((field) => i32[page + field]).join();
}

/**
 * A heap's address is used again for another heap while a free still means the old one; a list's head is used
 * again while a push still means the old one (mimalloc #1320).
 *
 * `delayed.ts`, `freeTaken`: the thread that finds a block on a record's list asks the block's page whose it
 * is now, and frees it there. `crossings.ts`: lists are push-one and take-all, and a push writes its link
 * again at each try, so a head that has come back is as good as one that has never gone.
 */
const REUSED: Race = {
  title:
    'a heap’s record, or a list’s head, is used again while another thread’s free still means the old one',
  duels: {
    'B frees a block of A’s heap, A deletes it, C makes the record its own': (mi, rival) => {
      const { a, c, stage } = company(mi, rival);
      const part = a.heapNew();
      const full = firstPageOf(a, takeFrom(stage, part, 24));
      let next: MiHeap | undefined;
      return {
        stage,
        run: () => {
          part.delete();
          next = c.heapNew();
          if (recordOf(next) !== recordOf(part)) throw new Error('the record is not used again');
          takeFrom(stage, next, 24);
        },
        rival: { kind: 'free', blocks: full.slice(0, 2) },
        after: () => {
          // A generic allocation of the record's new owner: what is A's, only A writes.
          const page = pageAt(a, full[5]);
          const before = ownersPart(a, page);
          c.free(next?.malloc(5000) ?? 0);
          if (ownersPart(a, page) !== before)
            throw new Error('another thread has written what is the owner’s');
        },
      };
    },
    'B frees a block of A, A ends, D takes the slot and fills it again': (mi, rival) => {
      const { a, c, stage } = company(mi, rival);
      const full = firstPageOf(a, stage.takeAll(a, SIZE, 24));
      const { heap: record } = tldOf(a);
      return {
        stage,
        run: () => {
          a.detach();
          const d = another(mi, stage, c.share());
          if (tldOf(d).heap !== record) throw new Error('the slot is not used again');
          stage.takeAll(d, SIZE, 24);
          c.collect(true);
          stage.take(d, 3000);
        },
        rival: { kind: 'free', blocks: full.slice(0, 2) },
      };
    },
    'B pushes onto a list whose head is taken, handed out and freed again': (mi, rival) => {
      const { a, c, stage } = company(mi, rival);
      const blocks = stage.takeAll(a, SIZE, 4);
      const [mine, head] = blocks;
      stage.give(c, head);
      return {
        stage,
        run: () => {
          a.collect(true);
          // Until the page has handed out the old head again.
          const taken: number[] = [];
          while (!taken.includes(head)) taken.push(stage.take(a, SIZE));
          stage.give(c, head);
        },
        rival: { kind: 'free', blocks: [mine] },
      };
    },
  },
  faults: [
    {
      name: 'the one that finds a block on a record’s list takes its page for its own',
      file: 'foreign/delayed.js',
      from: 'if (ownerOf(tld, page) === tld.threadId) freeLocal(tld, page, block); else freeForeign(tld, page, block);',
      to: 'freeLocal(tld, page, block);',
    },
    {
      name: 'a push that is tried again keeps the link of the first try',
      file: 'foreign/foreign.js',
      from: 'else if (!crossings.pushUnlessMarked(page + Page.xthreadFree, block)) {',
      to: `else if ((crossings.load(page + Page.xthreadFree) & 1) === 0) {
        const link = crossings.load(page + Page.xthreadFree);
        tld.i32[block] = link;
        while (!crossings.claim(page + Page.xthreadFree, crossings.load(page + Page.xthreadFree), block));
    } else if (!crossings.pushUnlessMarked(page + Page.xthreadFree, block)) {`,
    },
  ],
};

/** All of them. */
export const RACES: readonly Race[] = [HEAP_DELETED, STALL, ABANDONED, AFTER_EXIT, UNCOLLECTED, REUSED];
