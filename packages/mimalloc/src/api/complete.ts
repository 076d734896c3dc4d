/**
 * What stands behind `MiMalloc` and its heaps: the allocator proper, and the looks at it from outside.
 */

import {
  type Address,
  type BlockVisitor,
  checkInteger,
  type Handle,
  type Heap,
  type LiveBlock,
  liveBlocks,
  MAX_BYTES,
  noteSites,
  type ScalarType,
  type SiteTable,
  traceHeap,
  type ValidateOptions,
  type ViewTypes,
  type Word,
} from '@shmalloc/allocator-api';
import type { MiHeapOptions } from '../heaps/heap-plan.ts';
import { inspectRegion, type Picture } from '../inspect/inspect.ts';
import { type MiStats, statsOf } from '../inspect/stats.ts';
import { statsText } from '../inspect/stats-text.ts';
import { validateHeap } from '../inspect/validate.ts';
import { isLive, isOwned, visitAll, visitLeft, visitLive } from '../inspect/visit.ts';
import { isPresent } from '../region/memory.ts';
import { type MiAttachOptions, open, openShared } from '../region/open.ts';
import type { MiMallocOptions } from '../region/options.ts';
import { namesOf } from '../region/thread-table.ts';
import { makeGuard } from '../secure/guards.ts';
import type { Tld } from '../thread/thread-view.ts';
import { CoreHeap } from './core-heap.ts';
import { CoreThread } from './core-thread.ts';
import type { MiHeap, MiMalloc, MiVisitOptions } from './mimalloc.ts';
import { Scope } from './scope.ts';
import { duplicate, textAt } from './strings.ts';
import { addressOfView, allocateAs } from './typed.ts';

/**
 * What is noted, in debug mode, besides the calls of the contract. All others of the family are made of these
 * and those.
 */
const TRACED = { allocating: ['mallocAlignedAt'], resizing: ['reallocAlignedAt'] } as const;

/** A further heap of a thread, with everything to look at it. */
export class CompleteHeap extends CoreHeap implements MiHeap {
  visitBlocks(visitor: BlockVisitor): boolean {
    return visitLive(this.tld, this.heap, visitor);
  }

  mallocAs<T extends ScalarType>(type: T, length: number): ViewTypes[T] | null {
    return allocateAs(this.tld, this, type, length);
  }

  strdup(text: string): Address {
    return duplicate(this.tld, this, text, MAX_BYTES);
  }

  strndup(text: string, most: number): Address {
    return duplicate(this.tld, this, text, checkInteger('most', most));
  }

  scope(): Scope {
    return new Scope(this);
  }
}

/** A thread's access to a region, with everything to look at it. */
export class CompleteThread extends CoreThread implements MiMalloc, Heap {
  /** Where blocks were allocated; null without debug mode. */
  private readonly sites: SiteTable | null;

  constructor(tld: Tld) {
    super(tld);
    tld.addressOf = (view) => addressOfView(tld, view);
    this.sites = traceHeap(this, TRACED);
  }

  static override create(options: MiMallocOptions = {}): CompleteThread {
    return new CompleteThread(open(options, makeGuard));
  }

  static override attach(handle: Handle, options: MiAttachOptions = {}): CompleteThread {
    return new CompleteThread(openShared(handle, options, makeGuard));
  }

  override heapNew(options: MiHeapOptions = {}): CompleteHeap {
    return super.heapNew(options) as CompleteHeap;
  }

  protected override wrapHeap(record: Word): CompleteHeap {
    const heap = new CompleteHeap(this, record);
    if (this.sites !== null) noteSites(heap, this.sites, TRACED);
    return heap;
  }

  override heapOf(address: Address): CompleteHeap | null {
    return super.heapOf(address) as CompleteHeap | null;
  }

  // ── Blocks in other clothes ──

  mallocAs<T extends ScalarType>(type: T, length: number): ViewTypes[T] | null {
    return allocateAs(this.tld, this, type, length);
  }

  strdup(text: string): Address {
    return duplicate(this.tld, this, text, MAX_BYTES);
  }

  strndup(text: string, most: number): Address {
    return duplicate(this.tld, this, text, checkInteger('most', most));
  }

  readString(address: Address): string {
    return textAt(this.tld, address);
  }

  scope(): Scope {
    return new Scope(this);
  }

  // ── Looking at blocks ──

  visitBlocks(visitor: BlockVisitor, { heap, threadId }: MiVisitOptions = {}): boolean {
    this.tld.refresh();
    if (heap !== undefined) return visitLive(this.tld, this.checkHeap(heap).heap, visitor);
    return visitAll(
      this.tld,
      threadId === undefined ? undefined : checkInteger('threadId', threadId),
      visitor,
    );
  }

  leaks(): LiveBlock[] {
    return liveBlocks(this);
  }

  visitAbandoned(visitor: BlockVisitor): boolean {
    this.tld.refresh();
    return visitLeft(this.tld, visitor);
  }

  containsBlock(address: Address): boolean {
    return isLive(this.tld, address);
  }

  checkOwned(address: Address): boolean {
    return isOwned(this.tld, address);
  }

  isInRegion(address: Address): boolean {
    this.tld.refresh();
    return checkInteger('address', address) >>> 0 === address && isPresent(this.tld, address >>> 2);
  }

  // ── Looking at everything ──

  validate(options: ValidateOptions = {}): void {
    validateHeap(this.tld, options);
  }

  threadIds(): number[] {
    this.tld.refresh();
    return namesOf(this.tld);
  }

  stats(): MiStats {
    return statsOf(this.tld);
  }

  statsText(): string {
    return statsText(this.stats());
  }

  printStats(): void {
    this.tld.output(this.statsText());
  }

  inspect(): Picture {
    return inspectRegion(this.tld);
  }
}
