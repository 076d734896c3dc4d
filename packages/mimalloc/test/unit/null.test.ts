/** A write through NULL: it hits nothing that matters, and is named. */
import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { lookAtNull } from '../../dist/region/null-write.js';
import { headerField, small, type Watched, watch } from '../support/harness.ts';
import { tldOf } from '../support/inside.ts';

const MOST_WORDS = 256;

/** A heap in which a program has written to the answer of an allocation that failed. */
function written(secure: number, word: number, value: number): Watched & { readonly before: Int32Array } {
  const found = watch(small({ secure, seed: 1 }));
  const before = tldOf(found.heap).i32.slice(tldOf(found.heap).header, headerField(found.heap, 'end'));
  tldOf(found.heap).i32[word] = value;
  return { ...found, before };
}

const SENTENCE = /^the word at address 40 was written to \(0x7\): a write through NULL/;

for (const secure of [0, 1, 4]) {
  test(`secure ${secure}: collect names a write through NULL, once for each write`, (t) => {
    const { heap, errors } = written(secure, 10, 7);
    heap.collect();
    heap.collect(true);
    t.is(errors.length, 1);
    t.is(errors[0].code, 'Corrupted');
    t.regex(errors[0].message, SENTENCE);
    tldOf(heap).i32[10] = 7;
    heap.collect();
    t.is(errors.length, 2);
  });

  test(`secure ${secure}: detach names a write through NULL`, (t) => {
    const { heap, errors } = written(secure, 10, 7);
    heap.detach();
    t.deepEqual(
      errors.map(({ code }) => code),
      ['Corrupted'],
    );
    t.regex(errors[0].message, SENTENCE);
  });

  test(`secure ${secure}: validate names a write through NULL, and changes nothing`, (t) => {
    const { heap } = written(secure, 10, 7);
    for (let times = 0; times < 2; times++)
      t.throws(() => heap.validate(), { code: 'Corrupted', message: SENTENCE });
    tldOf(heap).i32[10] = tldOf(heap).i32[11];
    t.notThrows(() => heap.validate());
  });

  test(`secure ${secure}: writes all over the zone of NULL change nothing of the heap`, (t) => {
    const { heap, errors, before } = written(secure, 0, -1);
    tldOf(heap).i32.fill(0x7fffffff, 0, MOST_WORDS);
    t.deepEqual(tldOf(heap).i32.slice(tldOf(heap).header, headerField(heap, 'end')), before);
    const other = MiMalloc.attach(heap.share());
    other.registerError((error) => errors.push(error));
    const blocks = [8, 100, 5000, 100_000].map((size) => heap.malloc(size));
    t.true(blocks.every((block) => block !== 0));
    for (const block of blocks) other.free(block);
    other.detach();
    heap.collect(true);
    t.is(errors.length, 1, 'the first thread that looks tells');
    heap.validate();
  });
}

test('a damaged count of the words of NULL leads no look into the header', (t) => {
  const { heap, errors } = watch(small({ bytes: 200 << 10 }));
  t.is(tldOf(heap).header, 16);
  tldOf(heap).i32[tldOf(heap).header + 20] = MOST_WORDS;
  const other = MiMalloc.attach(heap.share());
  lookAtNull(tldOf(other));
  other.validate();
  t.deepEqual(errors, []);
  t.not(heap.malloc(100), 0);
});

test('a heap that does not start at 0 has no zone of NULL and reports none', (t) => {
  const { heap, errors } = watch(small({ memory: new SharedArrayBuffer(1 << 20), start: 4096 }));
  tldOf(heap).i32.fill(9, 0, MOST_WORDS);
  heap.collect(true);
  heap.validate();
  t.deepEqual(errors, []);
});

test('the hook that hears of a write through NULL may detach the thread', (t) => {
  const heap = small();
  heap.registerError(() => heap.detach());
  tldOf(heap).i32[3] = 0;
  heap.detach();
  t.true(tldOf(heap).closed);
});
