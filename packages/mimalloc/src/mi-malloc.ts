/**
 * The class that programs use, with the two fast paths.
 *
 * ```
 *   malloc:  direct[granules] ─▶ page ─▶ FREE, pop, USED++                        5 loads, 2 stores
 *   free:    root[chunk] ─▶ page: mine? no flags? ─▶ push on LOCAL_FREE, USED−−    5 loads, 3 stores
 * ```
 */

import {
  type Address,
  AllocError,
  type ByteAllocator,
  checkAlign,
  checkInteger,
  type GlobalAllocator,
  type Handle,
  MAX_BYTES,
  SharedMemory,
} from '@shmalloc/allocator-api';
import { abandonThread, reclaimAll } from './abandon.ts';
import { mallocAligned } from './aligned.ts';
import { addRange, presentBytes } from './arena.ts';
import { SMALL_SIZE_MAX } from './bins.ts';
import { collectHeap } from './collect.ts';
import { addHome, forgetMemory, layOut, slicesIn } from './create.ts';
import { freeChecked, freeGeneric, freeLocal, settlePage } from './free.ts';
import { ALGORITHM_NAME, Field, openHeader, publishHeader } from './header.ts';
import { notAllocated } from './lookup.ts';
import { announceMemory, mallocGeneric } from './malloc.ts';
import { BY_REGION, type MiMallocOptions, settingsOf } from './options.ts';
import { AccountingOs } from './os.ts';
import { reallocBlock } from './realloc.ts';
import { Counter, count } from './stats.ts';
import { claimSlot } from './thread-table.ts';
import { Tld } from './tld.ts';
import { usableAt, usableOf } from './usable.ts';
import { usedBytes, validateHeap } from './validate.ts';
import { forEachHeap } from './walk.ts';

// The fast paths' constants. V8 folds a constant of the same module that is not exported; an import it loads at every use.
const FREE = 0;
const LOCAL_FREE = 1;
const USED = 2;
const XTHREAD_ID = 3;
const SHAPE = 4;
const RETIRE_BITS = 0x1f << 7;
const NO_TABLE = 1;
const IN_FULL = 1;
const SMALL = SMALL_SIZE_MAX;

export class MiMalloc extends Tld implements GlobalAllocator, ByteAllocator {
  static create(options: MiMallocOptions = {}): MiMalloc {
    const settings = settingsOf(options);
    const memory = SharedMemory.create(options);
    const header = layOut(memory, settings);
    const grow = settings.grow === BY_REGION ? options.memory === undefined : settings.grow === 1;
    const heap = new MiMalloc(memory, header, options.os ?? new AccountingOs(memory, grow));
    claimSlot(heap);
    forgetMemory(heap);
    addHome(heap);
    publishHeader(memory.i32, header);
    return heap;
  }

  static attach(handle: Handle): MiMalloc {
    const { memory, header } = openHeader(handle);
    const heap = new MiMalloc(memory, header, new AccountingOs(memory, true));
    claimSlot(heap);
    return heap;
  }

  malloc(size: number): Address {
    const { i32 } = this;
    if (typeof size === 'number' && size >>> 0 === size && size <= SMALL) {
      const page = i32[this.direct + ((size + 7) >>> 3)];
      const block = i32[page + FREE];
      if (block > 0) {
        i32[page + FREE] = i32[block];
        i32[page + USED]++;
        return (block << 2) >>> 0;
      }
    }
    return isRequest(size) ? (mallocGeneric(this, this.heap, size, 0) << 2) >>> 0 : this.refuse(size);
  }

  /** What is no size is an error; what no region has is answered with 0. */
  private refuse(size: number): Address {
    checkInteger('size', size);
    count(this, this.heap, Counter.failures);
    return 0;
  }

  free(address: Address): void {
    if (typeof address === 'number' && address >>> 0 === address && (address & 7) === 0) {
      const { i32 } = this;
      const block = address >>> 2;
      const table = i32[this.root + (block >>> this.chunkShift)];
      if (table !== NO_TABLE) {
        const page = table + ((block >>> this.sliceShift) << 4);
        const owner = i32[page + XTHREAD_ID] ^ this.threadId;
        if (owner === 0) {
          const head = i32[page + LOCAL_FREE];
          const used = i32[page + USED] - 1;
          if (head !== block && used >= 0) {
            i32[block] = head;
            i32[page + LOCAL_FREE] = block;
            i32[page + USED] = used;
            if (used === 0) {
              // Empty, and retired already: its clock starts again.
              const shape = i32[page + SHAPE];
              if ((shape & RETIRE_BITS) !== 0) i32[page + SHAPE] = (shape & ~RETIRE_BITS) | this.retired;
              else settlePage(this, page);
            }
            return;
          }
        } else if (owner === IN_FULL && i32[page + LOCAL_FREE] !== block) {
          freeLocal(this, page, block);
          return;
        }
      }
    }
    freeGeneric(this, address);
  }

  calloc(count: number, size: number): Address {
    const bytes = checkInteger('count', count) * checkInteger('size', size);
    if (bytes >= MAX_BYTES) return 0;
    const address = this.malloc(bytes);
    // Blocks end at words, and this thread's own: zeroed in whole words.
    if (address !== 0) this.i32.fill(0, address >>> 2, (address >>> 2) + ((bytes + 3) >>> 2));
    return address;
  }

  realloc(address: Address, size: number): Address {
    return reallocBlock(this, this.heap, address, size);
  }

  alignedAlloc(align: number, size: number): Address {
    checkAlign('align', align);
    checkInteger('size', size);
    return mallocAligned(this, this.heap, size, align, 0);
  }

  usableSize(address: Address): number {
    return usableOf(this, address);
  }

  alloc(size: number, align: number): Address {
    const address = this.alignedAlloc(align, size);
    if (address === 0) throw new AllocError('NoMemory', `no ${size} bytes aligned to ${align} are free`);
    return address;
  }

  dealloc(address: Address, size: number, align: number): void {
    checkInteger('address', address);
    checkInteger('size', size);
    checkAlign('align', align);
    const usable = usableAt(this, address);
    if (usable < 0) throw notAllocated('dealloc', address);
    if (usable < size || address % align !== 0) {
      throw new AllocError(
        'InvalidParam',
        `dealloc(${address}): the block of ${usable} usable bytes was not allocated with size ${size}, align ${align}`,
      );
    }
    const error = freeChecked(this, address, 'dealloc');
    if (error !== null) throw error;
  }

  init(start: Address, size: number): void {
    const end = this.checkRange(start, size);
    const { from, to } = slicesIn(this, start, end, false);
    forgetMemory(this);
    addRange(this, from, to, 0);
    announceMemory(this);
  }

  addMemory(start: Address, size: number): void {
    const end = this.checkRange(start, size);
    const { from, to } = slicesIn(this, start, end, true);
    addRange(this, from, to, 0);
    announceMemory(this);
  }

  private checkRange(start: Address, size: number): Address {
    const end = checkInteger('start', start) + checkInteger('size', size);
    this.refresh();
    if (end > this.memory.byteLength) {
      throw new AllocError(
        'InvalidParam',
        `[${start}, ${end}) does not fit into memory of ${this.memory.byteLength} bytes`,
      );
    }
    return end;
  }

  totalBytes(): number {
    return presentBytes(this);
  }

  usedBytes(): number {
    return usedBytes(this);
  }

  availableBytes(): number {
    return this.totalBytes() - this.usedBytes();
  }

  footprintBytes(): number {
    return this.i32[this.header + Field.committed] * 4096;
  }

  collect(force = false): void {
    if (this.closed) this.refresh();
    if (force) reclaimAll(this);
    forEachHeap(this, (heap) => collectHeap(this, heap, force));
  }

  share(): Handle {
    return { algorithm: ALGORITHM_NAME, memory: this.memory.source, start: this.header * 4 };
  }

  detach(): void {
    if (this.closed) return;
    abandonThread(this);
    this.close();
  }

  [Symbol.dispose](): void {
    this.detach();
  }

  validate(): void {
    validateHeap(this);
  }
}

function isRequest(size: number): boolean {
  return typeof size === 'number' && size >>> 0 === size;
}
