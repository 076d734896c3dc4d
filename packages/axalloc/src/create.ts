/**
 * Making a two-level allocator and attaching to one.
 *
 * ```
 *   create   pages for the state ─▶ header ─▶ a line for this thread ─▶ the first generation ─▶ magic: others may attach
 *   attach   header, checked ─▶ the page part ─▶ a line for this thread ─▶ the current generation's heap
 * ```
 */

import {
  AllocError,
  checkFlag,
  checkHook,
  checkInteger,
  checkOptions,
  type HeapAlgorithm,
  MAX_BYTES,
  type SharedPages,
  siteTableBytes,
  type Word,
} from '@shmalloc/allocator-api';
import type { AxHandle } from './contract.ts';
import { beginGeneration, settle } from './generations.ts';
import * as at from './header.ts';
import { type AxAllocOptions, type AxAttachOptions, demandPages, demandRange, firstOf } from './options.ts';
import { policyOf } from './policy.ts';
import { takeLine } from './presence.ts';
import { leave } from './reap.ts';
import type { View } from './thread-view.ts';

/** A smaller memory has as large a table of sites as this one. */
const LEAST_TRACKED = 1 << 17;

const CREATE_OPTIONS = [
  'pages',
  'algorithms',
  'algorithm',
  'policy',
  'threads',
  'maxGenerations',
  'limit',
  'tracking',
  'onError',
];
const ATTACH_OPTIONS = ['attachPages', 'algorithms', 'onError'];

/** The class that views are made of. */
type ViewClass<V extends View> = new (
  pages: SharedPages,
  header: Word,
  algorithms: readonly HeapAlgorithm[],
  ownsPages: boolean,
) => V;

/** See `AxAlloc.create`. */
export function createParts<V extends View>(Class: ViewClass<V>, options: AxAllocOptions): V {
  checkOptions(options, CREATE_OPTIONS, []);
  const { pages, algorithms, threads = 16, maxGenerations = 64, onError } = options;
  demandPages(pages);
  const first = firstOf(algorithms, options.algorithm);
  const policy = policyOf(options.policy);
  const tracking = checkFlag('tracking', options.tracking ?? false);
  const { memory, pageSize } = pages;
  // Another thread may have let it grow.
  memory.refresh();
  const limit = checkInteger('limit', options.limit ?? memory.end);
  demandRange('threads', threads, 1, at.MOST_CPUS);
  demandRange('maxGenerations', maxGenerations, 2, at.MOST_GENERATIONS);
  demandRange('limit', limit, memory.start, MAX_BYTES);
  const firstPage = Math.floor(memory.start / pageSize);
  const geometry = {
    cpus: threads,
    generations: maxGenerations,
    pageShift: Math.log2(pageSize),
    firstPage,
    mapPages: Math.ceil(limit / pageSize) - firstPage,
    siteWords: tracking ? siteTableBytes(Math.max(memory.end - memory.start, LEAST_TRACKED)) / 4 : 0,
  };
  const count = Math.ceil(at.placesOf(geometry).bytes / pageSize);
  const start = pages.allocPages(count, pageSize);
  const header = start >>> 2;
  try {
    memory.refresh();
    if (start + count * pageSize > (firstPage + geometry.mapPages) * pageSize)
      throw new AllocError(
        'NoMemory',
        `there are no pages for the allocator's state below the limit (${limit})`,
      );
    at.writeHeader(memory, header, geometry, policy, count);
    const view = new Class(pages, header, algorithms, false);
    if (onError !== undefined) view.onError = checkHook('onError', onError);
    takeLine(view);
    beginGeneration(view, first);
    settle(view);
    at.publishHeader(memory, header);
    return view;
  } catch (error) {
    pages.deallocPages(start, count);
    throw error;
  }
}

/** See `AxAlloc.attach`. */
export function attachParts<V extends View>(
  Class: ViewClass<V>,
  handle: AxHandle,
  options: AxAttachOptions,
): V {
  checkOptions(options, ATTACH_OPTIONS, []);
  const { header } = at.openHeader(handle);
  const { algorithms, onError } = options;
  firstOf(algorithms, undefined);
  const pages = options.attachPages(handle.pages);
  try {
    demandPages(pages);
    if (pages.memory.source !== handle.memory)
      throw new AllocError('InvalidParam', 'the page part lies in another memory than the allocator');
    // It may have been attached before the memory grew to where the allocator's state lies.
    pages.memory.refresh();
    const view = new Class(pages, header, algorithms, true);
    if (onError !== undefined) view.onError = checkHook('onError', onError);
    if (!takeLine(view)) {
      const { cpus } = view.geometry;
      throw new AllocError('TooManyThreads', `${cpus} threads are attached, and no more can be: see threads`);
    }
    try {
      settle(view);
    } catch (error) {
      leave(view);
      throw error;
    }
    return view;
  } catch (error) {
    pages.detach();
    throw error;
  }
}
