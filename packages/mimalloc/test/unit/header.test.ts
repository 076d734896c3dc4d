import { AllocError, type AllocErrorCode } from '@shmalloc/allocator-api';
import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { Field, HEADER_WORDS } from '../../dist/layout/header.js';
import { HEAP_WORDS } from '../../dist/layout/heap.js';
import { emptyOut, fill, headerField, small } from '../support/harness.ts';
import { tldOf } from '../support/inside.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** A heap in the middle of memory that holds a pattern. */
function inPattern(bytes: number, start: number, end: number): { memory: SharedArrayBuffer; u8: Uint8Array } {
  const memory = new SharedArrayBuffer(bytes);
  const u8 = new Uint8Array(memory).fill(0x5a);
  small({ memory, start, end });
  return { memory, u8 };
}

test('header, root, empty page, thread table and tables lie in this order, on cache lines', (t) => {
  for (const bytes of [128 * KIB, MIB, 16 * MIB, 256 * MIB]) {
    const heap = small({ memory: new SharedArrayBuffer(bytes) });
    const places = [
      tldOf(heap).header,
      tldOf(heap).root,
      tldOf(heap).emptyPage,
      headerField(heap, 'heaps'),
      headerField(heap, 'homeTables'),
      headerField(heap, 'end'),
    ];
    for (const [index, place] of places.entries()) {
      t.is(place % 16, 0, `${index}`);
      if (index > 0) t.true(place > places[index - 1], `${index}`);
    }
    t.is(tldOf(heap).root, tldOf(heap).header + HEADER_WORDS);
    t.is(
      headerField(heap, 'heaps') + headerField(heap, 'slots') * HEAP_WORDS,
      headerField(heap, 'homeTables'),
    );
    t.true(Object.values(Field).every((field) => field < HEADER_WORDS));
    t.is(new Set(Object.values(Field)).size, Object.values(Field).length, 'no two fields in one word');
  }
});

test('a header lies at the first cache line of the region, and nothing before or behind the region is written', (t) => {
  for (const [start, end] of [
    [64 * KIB, 600 * KIB],
    [64 * KIB + 8, 600 * KIB - 8],
    [65 * KIB + 1, 600 * KIB - 1],
  ]) {
    const { memory, u8 } = inPattern(MIB, start, end);
    for (let at = 0; at < MIB; at++) {
      if ((at < start || at >= end) && u8[at] !== 0x5a)
        t.fail(`byte ${at} outside [${start}, ${end}) was written`);
    }
    const heap = small({ memory, start, end });
    t.is(tldOf(heap).header * 4, Math.ceil(start / 64) * 64);
  }
});

test('a region that starts at 0 has its header behind the zone of NULL', (t) => {
  t.is(tldOf(small()).header, 256);
  t.is(tldOf(small({ bytes: 200 * KIB })).header, 16);
  t.is(headerField(small(), 'nullWords'), 256);
  t.is(headerField(small({ memory: new SharedArrayBuffer(MIB), start: 64 }), 'nullWords'), 0);
});

test('a region that is too small is refused before anything is written, and the message says what it needs', (t) => {
  for (const start of [0, 100, 12_288]) {
    for (const bytes of [0, 8, 100, 4096, 32 * KIB]) {
      const memory = new SharedArrayBuffer(MIB);
      const u8 = new Uint8Array(memory).fill(0x5a);
      const error = t.throws(() => small({ memory, start, end: start + bytes }), {
        instanceOf: AllocError,
        message: /is too small: mimalloc needs \d+ bytes at least/,
      });
      t.is(error.code, 'RegionTooSmall');
      t.true(u8.every((byte) => byte === 0x5a));
      // What it asks for is enough.
      const needed = Number(/needs (\d+)/.exec(error.message)?.[1]);
      const heap = small({ memory, start, end: start + needed });
      t.not(heap.malloc(100), 0, `${needed} bytes from ${start}`);
      heap.validate({ quiet: true });
    }
  }
});

test('what attach refuses, it names: magic, algorithm, version, geometry', (t) => {
  const heap = small();
  const spoil = (field: keyof typeof Field, value: number, message: RegExp): void => {
    const place = tldOf(heap).header + Field[field];
    const was = tldOf(heap).i32[place];
    tldOf(heap).i32[place] = value;
    const error = t.throws(() => MiMalloc.attach(heap.share()), { instanceOf: AllocError, message });
    t.is(error.code, 'InvalidParam');
    tldOf(heap).i32[place] = was;
  };
  spoil('magic', 0, /cannot attach mimalloc at address 1024: wrong magic 0x0, expected 0x53484d31/);
  spoil('algorithm', 0x544c5346, /wrong algorithm 0x544c5346, expected 0x4d494d41/);
  spoil('version', 999, /wrong version 0x3e7, expected 0x/);
  spoil('segmentShift', 40, /a segment has 2\^16 to 2\^22 bytes, got 2\^40/);
  MiMalloc.attach(heap.share()).validate({ quiet: true });
});

test('a handle that names another place, another algorithm or nothing is refused by name', (t) => {
  const heap = small();
  const handle = heap.share();
  const refused = (change: object, message: RegExp): void => {
    t.throws(() => MiMalloc.attach({ ...handle, ...change }), { instanceOf: AllocError, message });
  };
  refused({ start: 4 }, /names address 4, where no header can lie/);
  refused({ start: MIB - 64 }, /where no header can lie/);
  refused({ start: 64 * KIB }, /wrong magic/);
  refused({ memory: new SharedArrayBuffer(4096) }, /wrong magic 0x0/);
  refused({ algorithm: 'tlsf' }, /tlsf/);
  t.throws(() => MiMalloc.attach(null as never), { instanceOf: TypeError });
});

test('a refused attach takes no slot of the thread table', (t) => {
  const heap = small({ threads: 2 });
  for (let times = 0; times < 5; times++) {
    t.throws(() => MiMalloc.attach({ ...heap.share(), algorithm: 'tlsf' }));
    t.throws(() => MiMalloc.attach({ ...heap.share(), start: 64 * KIB }));
  }
  MiMalloc.attach(heap.share()).detach();
});

test('as many threads attach as there are slots, the next one is told why not, and a slot serves again', (t) => {
  const heap = small({ bytes: 4 * MIB, threads: 5 });
  const others = [1, 2, 3, 4].map(() => MiMalloc.attach(heap.share()));
  const error = t.throws(() => MiMalloc.attach(heap.share()), {
    instanceOf: AllocError,
    message: /all 5 threads/,
  });
  t.is(error.code, 'TooManyThreads');
  others[2].detach();
  const again = MiMalloc.attach(heap.share());
  t.is(tldOf(again).heap, tldOf(others[2]).heap, 'the record that came free');
  t.throws(() => MiMalloc.attach(heap.share()), { message: /see threads/ });
  for (const each of [heap, ...others, again]) if (!tldOf(each).closed) each.validate({ quiet: true });
});

test('a region of 1 MiB has slots for at least 8 threads, one of 16 MiB for 64', (t) => {
  t.true(headerField(small(), 'slots') >= 8);
  t.is(headerField(small({ bytes: 16 * MIB }), 'slots'), 64);
});

test('thread ids are never 0, never the same and leave three bits for flags', (t) => {
  const heap = small({ threads: 3 });
  const seen = new Set([heap.threadId]);
  for (let times = 0; times < 200; times++) {
    const other = MiMalloc.attach(heap.share());
    t.true(other.threadId >= 16 && other.threadId % 8 === 0, `${other.threadId}`);
    t.false(seen.has(other.threadId));
    seen.add(other.threadId);
    if (times % 3 === 0) other.malloc(100);
    other.detach();
  }
  heap.collect(true);
  heap.validate({ quiet: true });
});

test('the secret is the seed that was asked for, or different for every heap', (t) => {
  t.is(headerField(small({ seed: 12_345 }), 'secret'), 12_345);
  t.is(headerField(small({ seed: 2 ** 32 - 1 }), 'secret'), -1);
  t.not(headerField(small(), 'secret'), headerField(small(), 'secret'));
});

test('init forgets every block, takes another range, and the heap works as a new one', (t) => {
  const heap = small({ bytes: 4 * MIB });
  const errors: AllocError[] = [];
  heap.registerError((error) => errors.push(error));
  const old = fill(heap, 1000, 500);
  heap.init(2 * MIB, MIB);
  heap.validate({ quiet: true });
  t.is(heap.usedBytes(), 0);
  t.is(heap.totalBytes(), MIB);
  heap.free(old[0]);
  t.is(errors.length, 1, 'a block from before is none any more');
  const blocks = fill(heap, 1000);
  t.true(blocks.length > 900 && blocks.every((block) => block >= 2 * MIB && block < 3 * MIB));
  heap.validate({ quiet: true });
  emptyOut(t, heap, blocks);
  t.is(headerField(heap, 'generation'), 2);
});

test('init and addMemory refuse the heap’s own state, what does not fit and what holds no slice', (t) => {
  const heap = small({ memory: new SharedArrayBuffer(4 * MIB), end: 3 * MIB });
  const block = heap.malloc(100);
  const refused = (call: () => void, code: AllocErrorCode, message: RegExp): void => {
    t.is(t.throws(call, { instanceOf: AllocError, message }).code, code);
    heap.validate({ quiet: true });
  };
  for (const call of ['init', 'addMemory'] as const) {
    refused(() => heap[call](0, 2 * MIB), 'MemoryOverlap', /overlaps the heap's own state \[0, \d+\)/);
    refused(() => heap[call](headerField(heap, 'end') * 4 - 64, MIB), 'MemoryOverlap', /own state/);
    refused(() => heap[call](4 * MIB, MIB), 'InvalidParam', /does not fit/);
    refused(() => heap[call](2 ** 40, 2 ** 40), 'InvalidParam', /does not fit/);
    refused(() => heap[call](3 * MIB + 8, 100), 'RegionTooSmall', /holds no whole slice/);
    refused(() => heap[call](3 * MIB, 0), 'RegionTooSmall', /holds no whole slice/);
  }
  refused(() => heap.addMemory(2 * MIB, MIB), 'MemoryOverlap', /overlaps memory of this heap/);
  refused(() => heap.addMemory(2 * MIB + 8, 100), 'MemoryOverlap', /overlaps memory of this heap/);
  t.is(heap.usableSize(block) >= 100, true);
  emptyOut(t, heap, [block]);
});
