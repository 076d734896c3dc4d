/**
 * What the owner of a page does with its blocks: links new ones, takes over what others have freed, lets full
 * pages go and come back, and gives empty ones back. No lock, and one atomic operation where others may be
 * pushing.
 */

import { AllocError, type Word } from '@shmalloc/allocator-api';
import { cutRemoteFrees, gatherRemoteFrees } from '@shmalloc/thread-heap';
import { Cpu } from './cpu.ts';
import { clearStates } from './debug.ts';
import { OS_PAGE_WORDS } from './geometry.ts';
import { Field } from './header.ts';
import { IN_FULL, MARK, Page } from './page.ts';
import { named, putPage } from './page-list.ts';
import { isDescriptor, startOf } from './page-map.ts';
import { appendPage, classIn, removePage } from './queue.ts';
import { isNode, isSound } from './shape.ts';
import type { SlabCore } from './thread-view.ts';

/** Called with the link word of each new block before it can be handed out. */
export type Construct = (node: Word) => void;

/** Words that are linked at a time, as long as a block is no larger: what is not needed is not touched. */
const EXTEND_WORDS = 1024;

/** Counts the OS pages of a page up to `words` from its start, as far as they were not yet. */
export function touch(slab: SlabCore, page: Word, words: number): void {
  const { i32 } = slab;
  const touched = Math.ceil(words / OS_PAGE_WORDS);
  const before = i32[page + Page.touched];
  if (touched <= before) return;
  i32[page + Page.touched] = touched;
  // With its first memory a page's descriptor, two lines, is in use as well.
  const lines = (touched - before) * (OS_PAGE_WORDS / 16) + (before === 0 ? 2 : 0);
  Atomics.add(i32, slab.header + Field.touched, lines);
}

/**
 * Links some more blocks of a page that has no free one.
 * @returns false when all were linked before
 */
export function extendPage(slab: SlabCore, page: Word, construct: Construct | null): boolean {
  if (slab.i32[page + Page.capacity] === slab.i32[page + Page.reserved]) return false;
  if (!isSound(slab, page)) {
    slab.noteDamage(`${named(slab, page)} is laid out as no page is`);
    return false;
  }
  const capacity = slab.i32[page + Page.capacity];
  const stride = slab.i32[page + Page.stride];
  const count = Math.min(slab.i32[page + Page.reserved] - capacity, Math.max(1, (EXTEND_WORDS / stride) | 0));
  if (count <= 0) return false;
  touch(slab, page, (capacity + count) * stride);
  const first = slab.i32[page + Page.first] + capacity * stride;
  const last = first + (count - 1) * stride;
  if (slab.debug) clearStates(slab, first, count, stride);
  if (construct !== null) constructAll(slab, page, first, last, construct);
  // Only now: a constructor may have made the memory grow.
  const { i32 } = slab;
  for (let node = first; node < last; node += stride) i32[node] = node + stride;
  i32[last] = i32[page + Page.free];
  // FREE before CAPACITY: a thread that ends between the two leaves blocks on the list that `recount` counts.
  i32[page + Page.free] = first;
  i32[page + Page.capacity] = capacity + count;
  return true;
}

/**
 * Runs the constructor on new blocks. Whatever it does to the heap, the page looks as if it had a block in
 * use, and stays.
 */
function constructAll(slab: SlabCore, page: Word, first: Word, last: Word, construct: Construct): void {
  const stride = slab.i32[page + Page.stride];
  slab.i32[page + Page.used]++;
  try {
    for (let node = first; node <= last; node += stride) construct(node);
  } finally {
    slab.i32[page + Page.used]--;
  }
}

/** The link of a block of a page; a word outside of it leads nowhere but to itself. */
function nextOf({ i32, pageShift }: SlabCore, page: Word, node: Word): Word {
  return node >>> pageShift === i32[page + Page.index] ? i32[node] : node;
}

function setNext({ i32 }: SlabCore, _page: Word, node: Word, next: Word): void {
  i32[node] = next;
}

/**
 * Takes over the blocks that others have freed into a page. The list is walked no further than there are
 * blocks in use, and never out of the page; one that goes further is dropped, with its blocks, and that is
 * noted.
 */
export function collectRemote(slab: SlabCore, page: Word): void {
  const { i32 } = slab;
  const remote = page + Page.remote;
  // A plain look first, as everywhere: what comes later is found the next time.
  if ((i32[remote] & ~MARK) === 0) return;
  const count = gatherRemoteFrees(
    slab,
    page,
    remote,
    page + Page.free,
    i32[page + Page.used],
    nextOf,
    setNext,
  );
  // USED last: a thread that ends in between leaves a count that is too high.
  if (count >= 0) i32[page + Page.used] -= count;
  else dropRemote(slab, page);
}

/** Drops a list that cannot be, and says what is wrong with it. */
function dropRemote(slab: SlabCore, page: Word): void {
  const { i32 } = slab;
  let node = slab.crossings.takeAllMarked(page + Page.remote);
  for (let left = i32[page + Page.used]; left > 0 && node !== 0; left--) {
    if (node >>> slab.pageShift !== i32[page + Page.index]) {
      slab.noteDamage(`what was freed into ${named(slab, page)} leads to word ${node}`);
      return;
    }
    node = i32[node];
  }
  const address = (startOf(slab, page) << 2) >>> 0;
  slab.note(new AllocError('DoubleFree', `free: a block of the page at ${address} was freed twice`));
}

/**
 * Takes a page without a free block out of its list; one more look, since no thread looks at it from now on.
 */
export function toFull(slab: SlabCore, page: Word): void {
  // The mark first, then the look: a block that came before the mark is found now, one that comes later goes
  // to DELAYED. A mark that is still there from the last time says that nothing has come since. Pairs with
  // `pushUnlessMarked`.
  if ((slab.i32[page + Page.remote] & MARK) === 0) {
    slab.crossings.setBits(page + Page.remote, MARK);
    collectRemote(slab, page);
    if (slab.i32[page + Page.free] !== 0) return;
  }
  removePage(slab, page);
  slab.i32[page + Page.owner] |= IN_FULL;
}

/** Brings a page back that has a free block again. */
function fromFull(slab: SlabCore, page: Word): void {
  slab.i32[page + Page.owner] &= ~IN_FULL;
  appendPage(slab, page);
}

/**
 * Frees a block of a page that this CPU owns. Link before `USED−−`: a thread that ends in between leaves a
 * count that is too high.
 *
 * Short, as is what it calls: all of it together is compiled into `free`, and with much more the engine would
 * not compile `free` into what calls that.
 */
export function freeLocal(slab: SlabCore, page: Word, node: Word): void {
  const { i32 } = slab;
  const used = i32[page + Page.used];
  // What has led here may have been written over: the root, the descriptor.
  if (i32[page + Page.index] !== node >>> slab.pageShift || used < 1) {
    noteStray(slab, node);
    return;
  }
  i32[node] = i32[page + Page.free];
  i32[page + Page.free] = node;
  i32[page + Page.used] = used - 1;
  settlePage(slab, page);
}

function noteStray(slab: SlabCore, node: Word): void {
  slab.noteDamage(`the block at word ${node} lies in no page that has one in use`);
}

/** Sees to a page of this CPU that may have free blocks, or be empty. */
export function settlePage(slab: SlabCore, page: Word): void {
  const { i32 } = slab;
  if ((i32[page + Page.owner] & IN_FULL) !== 0 && i32[page + Page.free] !== 0) fromFull(slab, page);
  if (i32[page + Page.used] === 0) keepPage(slab, page);
}

/** Keeps an empty page for its class, or gives it back whole when another one was kept and still is empty. */
function keepPage(slab: SlabCore, page: Word): void {
  const { i32 } = slab;
  const place = slab.cpu + Cpu.kept + classIn(slab, page);
  const kept = i32[place];
  if (kept === page) return;
  if (kept !== 0 && i32[kept + Page.used] === 0 && isKept(slab, kept, page)) dropPage(slab, page);
  else i32[place] = page;
}

/** Whether another page can be the one that is kept for the class of this one. */
function isKept(slab: SlabCore, kept: Word, page: Word): boolean {
  const { i32 } = slab;
  if (
    isDescriptor(slab, kept) &&
    (i32[kept + Page.owner] & ~IN_FULL) === slab.threadId &&
    classIn(slab, kept) === classIn(slab, page)
  )
    return true;
  slab.noteDamage(`the page kept for class ${classIn(slab, page)} is none of it: word ${kept}`);
  return false;
}

/** Gives an empty page of this CPU back, which is in its list. */
export function dropPage(slab: SlabCore, page: Word): void {
  const place = slab.cpu + Cpu.kept + classIn(slab, page);
  if (slab.i32[place] === page) slab.i32[place] = 0;
  removePage(slab, page);
  putPage(slab, page);
}

/**
 * Drops a free list that leads out of its page. What was on it is lost, and counts as in use: so the page is
 * not given back.
 */
function dropList(slab: SlabCore, page: Word, node: Word): Word {
  slab.noteDamage(`the free list of ${named(slab, page)} leads to word ${node}`);
  slab.i32[page + Page.free] = 0;
  slab.i32[page + Page.used] = slab.i32[page + Page.capacity];
  return 0;
}

/**
 * Takes the first free block off a page. Pop before `USED++`: a thread that ends between the two loses this
 * block, and no other thread one of its own.
 * @returns its link word; 0 when what the page has for a free block is none: then it has none any more, and
 *   that is noted
 */
export function popBlock(slab: SlabCore, page: Word): Word {
  const { i32 } = slab;
  const node = i32[page + Page.free];
  if (!isNode(slab, page, node, i32[page + Page.capacity])) return dropList(slab, page, node);
  i32[page + Page.free] = i32[node];
  i32[page + Page.used]++;
  return node;
}

/**
 * Counts a page again whose owner has died, for its owner now: the free blocks are on the list, all others in
 * use. A block that the dead one had taken off and not handed out counts as in use, and is what its death has
 * cost.
 * @returns false when the page cannot be counted: its descriptor was written over
 */
export function recount(slab: SlabCore, page: Word): boolean {
  const { i32 } = slab;
  const head = i32[page + Page.free];
  let capacity = i32[page + Page.capacity];
  if (head === 0 && capacity === 0) {
    // Taken, and not laid out; or on its way back.
    i32[page + Page.used] = 0;
    return true;
  }
  if (!isSound(slab, page)) {
    slab.noteDamage(`${named(slab, page)} is laid out as no page is`);
    return false;
  }
  const first = i32[page + Page.first];
  const stride = i32[page + Page.stride];
  const reserved = i32[page + Page.reserved];
  const met = new Uint8Array(reserved);
  const meet = (node: Word): boolean => {
    if (!isNode(slab, page, node, reserved)) return false;
    const nth = (node - first) / stride;
    if (met[nth] === 1) return false;
    met[nth] = 1;
    return true;
  };
  let free = 0;
  let last = page + Page.free;
  for (let node = head; node !== 0; node = i32[node]) {
    if (!meet(node)) {
      slab.noteDamage(`the free list of ${named(slab, page)} leads to word ${node}`);
      i32[last] = 0;
      break;
    }
    free++;
    last = node;
    capacity = Math.max(capacity, (node - first) / stride + 1);
  }
  i32[page + Page.capacity] = capacity;
  // The dead one may have been gathering: what it had linked is on both lists.
  cutRemoteFrees(slab, page, page + Page.remote, meet, nextOf, setNext);
  // In use until REMOTE has been taken over as well.
  i32[page + Page.used] = capacity - free;
  collectRemote(slab, page);
  return true;
}
