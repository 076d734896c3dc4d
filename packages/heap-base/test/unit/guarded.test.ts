/**
 * What stands around every operation, whatever the algorithm does inside: the lock is given back, figures are
 * whole, visitors keep out.
 */

import { AllocError } from '@shmalloc/allocator-api';
import test from 'ava';
import { Field } from '../../dist/header.js';
import { StackHeap } from '../support/stack-heap.js';

/** What an algorithm can be made to do in the place of its work. */
const STEPS = ['allocate', 'allocateAligned', 'release', 'resize', 'usable', 'addPool', 'checkAll'] as const;

/** Calls that come to each of these steps. */
function callsOf(heap: StackHeap, block: number): Record<(typeof STEPS)[number], (() => unknown)[]> {
  return {
    allocate: [() => heap.malloc(10), () => heap.calloc(2, 5), () => heap.realloc(0, 5)],
    allocateAligned: [() => heap.alignedAlloc(64, 10)],
    release: [() => heap.free(block), () => heap.dealloc(block, 1, 1)],
    resize: [() => heap.realloc(block, 20)],
    usable: [() => heap.usableSize(block), () => heap.realloc(block, 20), () => heap.dealloc(block, 1, 1)],
    addPool: [() => heap.addMemory(65536, 4096), () => heap.init(65536, 4096)],
    checkAll: [() => heap.validate()],
  };
}

for (const lock of ['spin', 'mutex', 'none'] as const) {
  test(`lock '${lock}': an algorithm that throws inside gives the lock back, and is reported or thrown as Corrupted`, (t) => {
    for (const step of STEPS) {
      for (let nth = 0; ; nth++) {
        const memory = new SharedArrayBuffer(2 ** 17);
        const heap = StackHeap.create({ memory, end: 65536, lock });
        const errors: AllocError[] = [];
        heap.registerError((error) => {
          errors.push(error);
          heap.malloc(1); // outside the lock: it may use the heap
        });
        const block = heap.malloc(100);
        const call = callsOf(heap, block)[step][nth];
        if (call === undefined) break;
        Object.defineProperty(heap, step, {
          configurable: true,
          value: () => {
            delete (heap as unknown as Record<string, unknown>)[step];
            throw new RangeError('Invalid typed array length: -1');
          },
        });
        let thrown: unknown;
        try {
          t.is(call() ?? 0, 0);
        } catch (error) {
          thrown = error;
        }
        const [found = thrown] = errors;
        t.true(found instanceof AllocError, `${step} ${nth}`);
        t.is((found as AllocError).code, 'Corrupted');
        t.regex(
          (found as AllocError).message,
          /^\w+: what lies in the region led to RangeError: Invalid typed/,
        );
        t.is(heap.words[heap.headerWord + Field.lock], 0, `${step} ${nth}: the lock is free`);
        // (An `init` has forgotten everything by then: it is the heap's end, and this its beginning again.)
        if (heap.stats().pools === 0) heap.init(65536, 4096);
        t.not(heap.malloc(10), 0);
        heap.validate();
      }
    }
  });
}

test('a pool list that damage has spoilt is reported by every call of a thread that comes new, and none hangs', (t) => {
  const heap = StackHeap.create({ bytes: 65536 });
  const first = heap.headerWord + Field.own;
  const pool = heap.words[first];
  for (const [place, value] of [
    [first, 3],
    [first, -4],
    [first, 2 ** 30],
    [first, heap.headerWord],
    [pool, pool],
    [pool + 1, pool - 1],
    [pool + 1, 2 ** 31 - 1],
    [heap.headerWord + Field.pools, 0],
    [heap.headerWord + Field.pools, 2 ** 31 - 1],
  ]) {
    const old = heap.words[place];
    heap.words[place] = value;
    const other = StackHeap.attach(heap.share());
    const codes: string[] = [];
    other.registerError(({ code }) => codes.push(code));
    t.is(other.malloc(10), 0);
    t.is(other.realloc(4096, 10), 0);
    t.is(other.usableSize(4096), 0);
    other.free(4096);
    t.deepEqual(codes, ['Corrupted', 'Corrupted', 'Corrupted', 'Corrupted'], `${place} ${value}`);
    for (const call of [() => other.validate(), () => other.walk(() => {})])
      t.is(t.throws<AllocError>(call)?.code, 'Corrupted');
    other.stats();
    heap.words[place] = old;
    t.not(other.malloc(10), 0);
    heap.validate();
  }
});

test('init makes a heap of one whose pool list is spoilt', (t) => {
  const memory = new SharedArrayBuffer(2 ** 17);
  const heap = StackHeap.create({ memory, end: 65536 });
  heap.words[heap.headerWord + Field.own] = -1;
  heap.words[heap.headerWord + Field.pools] = 7;
  const other = StackHeap.attach(heap.share());
  other.init(65536, 32768);
  t.true(other.malloc(100) >= 65536);
  other.validate();
  heap.validate();
});

test('an epoch that damage has changed leads no thread past its lock', (t) => {
  const heap = StackHeap.create({ bytes: 65536 });
  const lock = heap.headerWord + Field.lock;
  for (const epoch of [-1, 0, 2 ** 31 - 1, -(2 ** 31)]) {
    heap.words[heap.headerWord + Field.epoch] = epoch;
    let held = 0;
    heap.walk(() => (held = heap.words[lock]));
    t.is(held, 1, `${epoch}`);
    heap.free(heap.malloc(10));
    t.is(heap.words[lock], 0);
  }
});

test('a lock that something was written over is reported and not waited for; one that was written over inside is free again', (t) => {
  for (const kind of ['spin', 'mutex'] as const) {
    const heap = StackHeap.create({ bytes: 65536, lock: kind });
    const lock = heap.headerWord + Field.lock;
    const errors: AllocError[] = [];
    heap.registerError((error) => errors.push(error));
    const block = heap.malloc(10);
    heap.words[lock] = 0x41414141;
    t.is(heap.malloc(10), 0);
    heap.free(block);
    t.is(heap.usableSize(block) >= 10, true);
    t.true(errors.every(({ code, message }) => code === 'Corrupted' && /holds 0x41414141/.test(message)));
    t.is(errors.length, 2);
    t.throws(() => heap.validate(), { message: /names no holder/ });
    t.true(heap.stats().errors >= 2);
    heap.words[lock] = 0;
    t.throws(() => heap.walk(() => (heap.words[lock] = -1)), { message: /names no holder/ });
    t.not(heap.malloc(10), 0);
    heap.validate();
  }
});

test('figures are told while another thread holds the lock, and when it died there', (t) => {
  const heap = StackHeap.create({ bytes: 65536 });
  const lock = heap.headerWord + Field.lock;
  heap.malloc(1000);
  const [used, available] = [heap.usedBytes(), heap.availableBytes()];
  heap.words[lock] = 1;
  t.deepEqual([heap.usedBytes(), heap.availableBytes()], [used, available]);
  t.like(heap.stats(), { usedBytes: used, availableBytes: available });
  t.is(heap.words[lock], 1, "the lock is its holder's still");
  // In the middle of an operation of that thread the words do not belong together.
  for (const listed of [2 ** 29, -(2 ** 29)]) {
    heap.words[heap.headerWord + Field.listed] = listed;
    const { totalBytes, usedBytes, availableBytes } = heap.stats();
    t.true(usedBytes >= 0 && usedBytes <= totalBytes);
    t.true(availableBytes >= 0 && availableBytes <= totalBytes);
    t.true(heap.usedBytes() >= 0 && heap.availableBytes() <= totalBytes);
  }
});

test('figures are read under the lock: an operation is in them as a whole or not at all', (t) => {
  const heap = StackHeap.create({ bytes: 65536 });
  const inside = heap as unknown as { lock: { tryLock(): boolean; unlock(): void }; unlistedWords(): number };
  const { lock } = inside;
  let holds = false;
  inside.lock = {
    tryLock: () => {
      holds = lock.tryLock();
      return holds;
    },
    unlock: () => {
      holds = false;
      lock.unlock();
    },
  };
  const original = inside.unlistedWords;
  const seen: boolean[] = [];
  inside.unlistedWords = () => {
    seen.push(holds);
    return original.call(heap);
  };
  heap.usedBytes();
  heap.availableBytes();
  heap.stats();
  t.true(seen.length >= 3 && seen.every((held) => held));
  t.false(holds);
});

test('a visitor may look at figures, and is told when it calls the heap', (t) => {
  const heap = StackHeap.create({ bytes: 65536 });
  heap.malloc(100);
  let used = 0;
  heap.walk(() => (used = heap.usedBytes()));
  t.is(used, heap.usedBytes());
  const errors: unknown[] = [];
  heap.registerError((error) => errors.push(error));
  for (const call of [() => heap.malloc(1), () => heap.validate(), () => heap.walk(() => {})])
    t.is(
      t.throws<AllocError>(() => heap.walk(call), { message: /a visitor .* called it/ })?.code,
      'InvalidParam',
    );
  t.throws(
    () =>
      heap.walk(() => {
        throw new TypeError('mine');
      }),
    { instanceOf: TypeError, message: 'mine' },
  );
  t.deepEqual(errors, []);
  t.not(heap.malloc(100), 0);
  heap.validate();
});
