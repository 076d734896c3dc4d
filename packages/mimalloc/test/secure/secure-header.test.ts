import { readFileSync } from 'node:fs';
import { AllocError } from '@shmalloc/allocator-api';
import { MiMalloc } from '@shmalloc/mimalloc';
import { MiMallocCore as Core } from '@shmalloc/mimalloc/core';
import test from 'ava';
import { FIXED_WORDS, Field } from '../../dist/layout/header.js';
import { HEAP_WORDS } from '../../dist/layout/heap.js';
import { tableWords } from '../../dist/layout/page-map.js';
import { tldOf } from '../support/inside.ts';
import { secureHeap } from '../support/secure-heap.js';

/** Every word whose overwriting level 1 promises to find, by name. */
function guardedWords(heap: MiMalloc): [name: string, word: number][] {
  const { i32, header } = tldOf(heap);
  const threads = i32[header + Field.heaps] + i32[header + Field.slots] * HEAP_WORDS;
  const tables =
    i32[header + Field.homeTables] + i32[header + Field.homeCount] * tableWords(tldOf(heap).slicesPerSegment);
  return [
    ...Array.from({ length: FIXED_WORDS - 1 }, (_, word): [string, number] => [
      `word ${word + 1} of the header`,
      header + word + 1,
    ]),
    ['the checksum', header + Field.checksum],
    ['the canary in the header', header + Field.canary],
    ['the canary behind the header', header + Field.lastCanary],
    ['the word behind the empty page', tldOf(heap).emptyPage + 16],
    ['the word before the thread table', i32[header + Field.heaps] - 1],
    ['the word behind the thread table', threads],
    ['the word before the tables', i32[header + Field.homeTables] - 1],
    ['the word behind the tables', tables],
    ['the last word of the state', i32[header + Field.end] - 1],
  ];
}

test('an overwritten header is refused by attach, and named', (t) => {
  const { heap } = secureHeap(1);
  const { i32 } = tldOf(heap);
  for (const [name, word] of guardedWords(heap)) {
    const old = i32[word];
    i32[word] ^= 1;
    const error = t.throws(() => MiMalloc.attach(heap.share()), { instanceOf: AllocError }, name);
    t.is(error.code, 'InvalidParam', name);
    t.regex(error.message, new RegExp(`\\b(${tldOf(heap).header * 4}|${word * 4})\\b`), name);
    i32[word] = old;
  }
  MiMalloc.attach(heap.share()).detach();
});

test('an overwritten header is reported by collect, with the address, put back, and thrown by validate', (t) => {
  const { heap, errors, told } = secureHeap(1);
  const { i32 } = tldOf(heap);
  const block = heap.malloc(100);
  for (const [name, word] of guardedWords(heap)) {
    const old = i32[word];
    i32[word] = old + 1;
    t.throws(
      () => heap.validate({ quiet: true }),
      { instanceOf: AllocError, message: new RegExp(` ${word * 4}:`) },
      name,
    );
    heap.collect();
    t.is(errors.length, 1, name);
    t.is(errors[0].code, 'InvalidParam');
    t.regex(told()[0], new RegExp(`overwritten at ${word * 4}: `), name);
    t.is(i32[word], old, name);
    heap.collect();
    t.deepEqual(told(), [], name);
    heap.validate({ quiet: true });
  }
  heap.free(block);
  heap.collect(true);
  t.is(heap.usedBytes(), 0);
});

test('an overwritten root of the page map, and an overwritten empty page, are found', (t) => {
  const { heap, told } = secureHeap(1);
  const { i32 } = tldOf(heap);
  for (const [word, wrong] of [
    [tldOf(heap).root + 5, 12],
    [tldOf(heap).root + 5, -64],
    [tldOf(heap).root + 5, 0x7ffffff0],
    [tldOf(heap).emptyPage + 3, 8],
  ]) {
    const old = i32[word];
    i32[word] = wrong;
    t.throws(() => heap.validate({ quiet: true }), { message: new RegExp(` ${word * 4}: `) });
    heap.collect();
    t.regex(told().join(), new RegExp(` ${word * 4}: `));
    i32[word] = old;
    heap.validate({ quiet: true });
  }
});

test('the magic is looked after by those who are attached', (t) => {
  const { heap, told } = secureHeap(1);
  tldOf(heap).i32[tldOf(heap).header] = 0;
  heap.collect();
  t.is(told().length, 1);
  MiMalloc.attach(heap.share()).detach();
});

test('memory that was added, also by another thread, is no damage', (t) => {
  const { heap, told } = secureHeap(1, { bytes: 1 << 20, maxBytes: 1 << 26 });
  const other = MiMalloc.attach(heap.share());
  other.addMemory(other.memory.grow(1 << 22), 1 << 22);
  heap.collect();
  heap.validate({ quiet: true });
  other.validate({ quiet: true });
  t.deepEqual(told(), []);
});

test('without secure mode nobody notices', (t) => {
  const { heap, told } = secureHeap(0);
  tldOf(heap).i32[tldOf(heap).header + Field.retireCycles]++;
  tldOf(heap).i32[tldOf(heap).header + Field.canary]++;
  MiMalloc.attach(heap.share()).detach();
  heap.collect();
  heap.validate({ quiet: true });
  t.deepEqual(told(), []);
});

test('the level cannot be switched off by overwriting it', (t) => {
  for (const level of [0, 2, 77, -1]) {
    const { heap } = secureHeap(3);
    tldOf(heap).i32[tldOf(heap).header + Field.secure] = level;
    t.throws(() => MiMalloc.attach(heap.share()), { instanceOf: AllocError });
  }
});

test('the allocator proper says where secure mode is, and touches nothing', (t) => {
  const memory = new SharedArrayBuffer(1 << 20);
  new Uint8Array(memory).fill(0xa5);
  for (const options of [{ secure: 1 }, { debug: true }]) {
    const error = t.throws(() => Core.create({ memory, ...options }), { instanceOf: AllocError });
    t.is(error.code, 'InvalidParam');
    t.regex(error.message, /'@shmalloc\/mimalloc'/);
  }
  t.true(new Uint8Array(memory).every((byte) => byte === 0xa5));
  const { heap } = secureHeap(2);
  t.throws(() => Core.attach(heap.share()), { instanceOf: AllocError, message: /'@shmalloc\/mimalloc'/ });
  const plain = Core.create({ memory });
  t.not(plain.malloc(10), 0);
});

test('the allocator proper loads nothing of secure mode', (t) => {
  const seen = new Set<string>();
  const load = (url: string): void => {
    if (seen.has(url)) return;
    seen.add(url);
    for (const [, file] of readFileSync(new URL(url), 'utf8').matchAll(/from '(\.[^']+)'/g))
      load(new URL(file, url).href);
  };
  load(import.meta.resolve('@shmalloc/mimalloc/core'));
  t.true(seen.size > 10);
  t.deepEqual(
    [...seen].filter((url) => url.includes('/secure/')),
    [],
  );
});
