/** Debug mode names what went wrong, where, and which CPU did it. */
import type { Slab } from '@shmalloc/slab';
import test from 'ava';
import { Page } from '../../dist/page.js';
import { allClear, fill, pageOf, pair, small } from '../support/harness.ts';

/** Two CPUs in debug mode, and what they report. */
function watched(): { a: Slab; b: Slab; messages: string[] } {
  const { a, b } = pair({ debug: true });
  const messages: string[] = [];
  for (const heap of [a, b]) heap.registerError(({ message }) => messages.push(message));
  return { a, b, messages };
}

for (const size of [1, 100, 4000, 20_000]) {
  test(`a write past the end of a block of ${size} bytes is named when it is freed`, (t) => {
    const { a, b, messages } = watched();
    const block = a.malloc(size);
    a.memory.u8[block + size] = 1;
    t.throws(() => a.validate(), { message: /slab is broken: .* written, past the end/ });
    b.free(block);
    t.deepEqual(messages, [
      `free(${block}): byte ${size} was written, past the end of this block of ${size} bytes, handed out by cpu 0`,
    ]);
    allClear(t, a, b);
  });

  test(`every byte of a block of ${size} bytes may be written`, (t) => {
    const { a, b, messages } = watched();
    const block = a.malloc(size);
    t.is(a.usableSize(block), size);
    a.memory.u8.fill(0xff, block, block + size);
    a.validate();
    b.free(block);
    t.deepEqual(messages, []);
    allClear(t, a, b);
  });

  test(`a second free of a block of ${size} bytes names both CPUs`, (t) => {
    const { a, b, messages } = watched();
    const block = a.malloc(size);
    b.free(block);
    a.free(block);
    b.free(block);
    const expected =
      size > 8192
        ? ['no such block is handed out', 'no such block is handed out']
        : ['freed twice, by cpu 1 and now by cpu 0', 'freed twice, by cpu 1 and now by cpu 1'];
    t.deepEqual(
      messages,
      expected.map((what) => `free(${block}): ${what}`),
    );
    t.is(a.stats().errors, 2);
    allClear(t, a, b);
  });
}

test('a write into a freed block is named when the block is handed out again', (t) => {
  const { a, messages } = watched();
  const [block, other] = fill(a, 100, 2);
  a.free(block);
  a.memory.u8[block + 17] = 3;
  t.throws(() => a.validate(), {
    message: /byte 17 of the block at \d+ was written after cpu 0 had freed it/,
  });
  t.is(a.malloc(100), block);
  t.deepEqual(messages, [`malloc: byte 17 of the block at ${block} was written after cpu 0 had freed it`]);
  a.free(block);
  a.free(other);
  t.is(messages.length, 1);
  allClear(t, a);
});

test('a write into the first word of a freed block hurts no list: the link lies elsewhere', (t) => {
  const { a, b, messages } = watched();
  const blocks = fill(a, 40, 5);
  for (const block of blocks) b.free(block);
  for (const block of blocks) a.memory.i32[block / 4] = -1;
  a.collect();
  t.deepEqual(new Set(fill(a, 40, 64)).size, 64);
  t.true(
    messages.every((message) =>
      /byte 0 of the block at \d+ was written after cpu 1 had freed it/.test(message),
    ),
  );
  t.is(messages.length, 5);
});

test('a write far past the end, over what stands behind the block, is named as well, and costs the block', (t) => {
  const { a, messages } = watched();
  const block = a.malloc(100);
  a.memory.u8.fill(0, block + 100, block + 128);
  a.free(block);
  t.deepEqual(messages, [
    `free(${block}): no such block is handed out, or it was written far past its end; cpu 0`,
  ]);
  const next = a.malloc(200);
  a.memory.i32[(next + 256) / 4 - 4] = 100_000;
  a.free(next);
  t.regex(messages[1], /written past its end, over the size of the block, handed out by cpu 0/);
});

test('a block that changes its size where it is has its red zone behind the new one', (t) => {
  const { a, messages } = watched();
  const block = a.malloc(70);
  t.is(a.realloc(block, 100), block);
  t.is(a.usableSize(block), 100);
  a.memory.u8.fill(1, block, block + 100);
  a.validate();
  t.is(a.realloc(block, 80), block);
  a.memory.u8[block + 80] = 9;
  const moved = a.realloc(block, 5000);
  t.regex(messages[0], /^realloc\(\d+\): byte 80 was written, past the end of this block of 80 bytes/);
  const last = a.malloc(100);
  a.memory.u8[last + 100] = 1;
  t.is(a.realloc(last, 90), last);
  t.regex(
    messages.pop() ?? '',
    /^realloc\(\d+\): byte 100 was written, past the end of this block of 100 bytes/,
  );
  a.memory.u8[moved + 5000] = 1;
  t.is(a.realloc(moved, 20_000) !== 0, true);
  t.is(messages.length, 2);
});

test('an object of a cache: overrun, use after free by its sum, double free', (t) => {
  const { a, b, messages } = watched();
  const ctor = (address: number, { i32 }: Slab['memory']): void =>
    void i32.fill(7, address / 4, address / 4 + 10);
  const cache = a.createCache({ size: 40, ctor });
  const mine = b.openCache(cache.share(), ctor);
  const [one, two] = [a.cacheAlloc(cache), a.cacheAlloc(cache)];
  a.memory.u8[one + 40] = 0;
  b.cacheFree(mine, one);
  t.is(
    messages[0],
    `cacheFree(${one}): byte 40 was written, past the end of this block of 40 bytes, handed out by cpu 0`,
  );
  a.cacheFree(cache, one);
  t.is(messages[1], `cacheFree(${one}): freed twice, by cpu 1 and now by cpu 0`);
  a.cacheFree(cache, two);
  a.memory.i32[two / 4 + 3] = 8;
  t.throws(() => a.validate(), { message: /the object at \d+ was written after cpu 0 had freed it/ });
  t.is(a.cacheAlloc(cache), two);
  t.is(messages[2], `cacheAlloc: the object at ${two} was written after cpu 0 had freed it`);
  a.cacheFree(cache, two);
  t.is(messages.length, 3);
  allClear(t, a, b);
});

test('what another page has left in memory is no sign of anything', (t) => {
  const { a, messages } = watched();
  for (const size of [100, 100_000, 100, 40, 300_000, 1000, 100]) {
    const blocks = fill(a, size);
    for (const block of blocks) a.memory.u8.fill(0xaa, block, block + (size >> 1));
    for (const block of blocks) a.free(block);
    a.collect(true);
  }
  t.deepEqual(messages, []);
  allClear(t, a);
});

test('without debug mode blocks have nothing around them', (t) => {
  const heap = small();
  const block = heap.malloc(128);
  t.is(heap.usableSize(block), 128);
  t.is(heap.i32[pageOf(heap, block) + Page.stride], 32);
});
