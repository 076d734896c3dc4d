/**
 * Where everything of a region lies: what follows from four words of its header, and never changes.
 *
 * ```
 *  start
 *  ├ header ┼ root ┼ CPU table ┼ page map of the region's chunks ┤ pages …
 *  │ 448    │      │ SLOTS×192 │ 4112 words for 128 pages        │
 * ```
 *
 * Every thread has a copy of its own, made when it attaches and held against the header then. So what is
 * written over these words afterwards leads none astray that is there, and keeps others from attaching;
 * `validate` names it.
 */

import { AllocError, LOCK_KINDS, type LockKind, type SharedMemory, type Word } from '@shmalloc/allocator-api';
import { MAX_SLOTS } from '@shmalloc/thread-heap';
import { CPU_WORDS } from './cpu.ts';
import { CHUNK_BITS, checkPageShift, TABLE_WORDS } from './geometry.ts';
import { Field, HEADER_WORDS } from './header.ts';

/** What a region is made of. */
export interface PlanChoice {
  readonly header: Word;
  /** Log2 of a page's bytes. */
  readonly pageBits: number;
  /** CPUs that can be attached at one time. */
  readonly slots: number;
  /** The chunk in which the region starts. */
  readonly firstChunk: number;
  /** Chunks whose tables lie with the header. */
  readonly chunks: number;
}

/** Where everything lies. */
export interface Plan extends PlanChoice {
  /** Words of a page and of a chunk, as shifts. */
  readonly pageShift: number;
  readonly chunkShift: number;
  /** Entries of the root, and so chunks that there can be. */
  readonly allChunks: number;
  readonly root: Word;
  readonly cpus: Word;
  readonly tables: Word;
  /** One past all of it. */
  readonly end: Word;
}

/** Works out where everything lies. */
export function planOf(choice: PlanChoice): Plan {
  const { header, pageBits, slots, chunks } = choice;
  const pageShift = pageBits - 2;
  const chunkShift = pageShift + CHUNK_BITS;
  const allChunks = 1 << (30 - chunkShift);
  const root = header + HEADER_WORDS;
  const cpus = root + Math.max(16, allChunks);
  const tables = cpus + slots * CPU_WORDS;
  return {
    ...choice,
    pageShift,
    chunkShift,
    allChunks,
    root,
    cpus,
    tables,
    end: tables + chunks * TABLE_WORDS,
  };
}

/** The words of the header that say where everything lies. */
export function planFields(plan: Plan): readonly (readonly [name: string, field: number, value: number])[] {
  return [
    ['PAGE_SHIFT', Field.pageShift, plan.pageBits],
    ['END', Field.end, plan.end],
    ['ROOT', Field.root, plan.root],
    ['CPUS', Field.cpus, plan.cpus],
    ['SLOTS', Field.slots, plan.slots],
    ['TABLES', Field.tables, plan.tables],
    ['FIRST_CHUNK', Field.firstChunk, plan.firstChunk],
    ['CHUNKS', Field.chunks, plan.chunks],
  ];
}

/**
 * The plan of a region that another thread has made.
 * @throws AllocError `Corrupted` when its header contradicts itself
 */
export function readPlan(memory: SharedMemory, header: Word): Plan {
  const { i32 } = memory;
  const read = (field: number): number => i32[header + field];
  const slots = read(Field.slots);
  const plan = planOf({
    header,
    pageBits: checkPageShift(read(Field.pageShift)),
    slots,
    firstChunk: read(Field.firstChunk),
    chunks: read(Field.chunks),
  });
  if (slots < 1 || slots > MAX_SLOTS) throw wrongWord('SLOTS', slots, `1 to ${MAX_SLOTS}`);
  const first = header >>> plan.chunkShift;
  if (plan.firstChunk !== first) throw wrongWord('FIRST_CHUNK', plan.firstChunk, first);
  if (plan.chunks < 1 || first + plan.chunks > plan.allChunks || plan.end > i32.length)
    throw wrongWord('CHUNKS', plan.chunks, 'as many as the region has');
  for (const [name, field, value] of planFields(plan))
    if (read(field) !== value) throw wrongWord(name, read(field), value);
  return plan;
}

/** The lock that a header names. */
export function readLock(memory: SharedMemory, header: Word): LockKind {
  const kind = memory.i32[header + Field.lockKind];
  const lock = LOCK_KINDS[kind];
  if (lock === undefined) throw wrongWord('LOCK_KIND', kind, `0 to ${LOCK_KINDS.length - 1}`);
  return lock;
}

function wrongWord(name: string, found: number, right: number | string): AllocError {
  return new AllocError('Corrupted', `the slab header says ${name} ${found}, expected ${right}`);
}
