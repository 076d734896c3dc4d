/** Object caches. */
import { Worker } from 'node:worker_threads';
import { type CacheOptions, Slab } from '@shmalloc/slab';
import test from 'ava';
import { allClear, counted, pageOf, pair, small, watch } from '../support/harness.ts';

/** A cache whose constructor notes what it constructs: the first word is a serial number. */
function counting(heap: Slab, options: Partial<CacheOptions> = {}) {
  const built: number[] = [];
  const cache = heap.createCache({
    size: 40,
    ctor: (address, memory) => {
      built.push(address);
      memory.i32[address / 4] = built.length;
    },
    ...options,
  });
  return { cache, built };
}

for (const debug of [false, true]) {
  const mode = debug ? 'in debug mode' : 'usually';

  test(`${mode}, an object is constructed once, and stays as it is while it is free`, (t) => {
    const heap = small({ debug });
    const errors = watch(heap);
    const { cache, built } = counting(heap);
    const first = heap.cacheAlloc(cache);
    t.true(built.includes(first));
    const serial = heap.memory.i32[first / 4];
    heap.memory.i32[first / 4 + 1] = 4711;
    const count = built.length;
    for (let turn = 0; turn < 100; turn++) heap.cacheFree(cache, heap.cacheAlloc(cache));
    heap.cacheFree(cache, first);
    t.is(heap.cacheAlloc(cache), first);
    t.is(heap.memory.i32[first / 4], serial);
    t.is(heap.memory.i32[first / 4 + 1], 4711, 'down to its last word');
    t.is(built.length, count);
    heap.validate();
    heap.cacheFree(cache, first);
    t.deepEqual(errors, []);
    allClear(t, heap);
  });

  test(`${mode}, objects of any size and alignment lie apart, and in pages of their own`, (t) => {
    const heap = small({ bytes: 1 << 22, debug });
    const errors = watch(heap);
    for (const [size, align] of [
      [1, 1],
      [8, 8],
      [24, 8],
      [40, 64],
      [100, 4],
      [1000, 16],
      [200, 4096],
      [5000, 8],
    ]) {
      const cache = heap.createCache({ size, align });
      t.is(cache.size, size);
      t.is(cache.align, align);
      const objects = Array.from({ length: 60 }, () => heap.cacheAlloc(cache)).sort((x, y) => x - y);
      for (const [index, object] of objects.entries()) {
        t.is(object % align, 0);
        t.true(index === 0 || object >= objects[index - 1] + size);
        heap.memory.u8.fill(index, object, object + size);
      }
      heap.validate();
      for (const [index, object] of objects.entries()) {
        t.is(heap.memory.u8[object + size - 1], index);
        heap.cacheFree(cache, object);
      }
      t.true(heap.cacheShrink(cache) > 0);
      t.is(heap.cacheShrink(cache), 0);
    }
    t.deepEqual(errors, []);
    allClear(t, heap);
  });
}

test('another CPU frees an object, and opens the cache with its own constructor', (t) => {
  const { a, b } = pair();
  const { cache, built } = counting(a);
  const [one, two] = [a.cacheAlloc(cache), a.cacheAlloc(cache)];
  const mine = b.openCache(cache.share(), (address, memory) => {
    memory.i32[address / 4] = -1;
  });
  t.is(mine.size, 40);
  b.cacheFree(mine, one);
  const third = b.cacheAlloc(mine);
  t.is(b.memory.i32[third / 4], -1);
  t.not(pageOf(a, third), pageOf(a, one));
  a.cacheFree(cache, third);
  b.cacheFree(mine, two);
  t.is(a.cacheShrink(cache), 1);
  t.is(b.cacheShrink(mine), 1);
  t.true(built.length > 0);
  allClear(t, a, b);
});

test('a CPU goes, and its objects stay constructed for whoever adopts them', (t) => {
  const { a, b } = pair();
  const { cache, built } = counting(a);
  const kept = a.cacheAlloc(cache);
  const gone = a.cacheAlloc(cache);
  a.cacheFree(cache, gone);
  a.detach();
  const mine = b.openCache(cache.share(), () => t.fail('constructed anew'));
  const object = b.cacheAlloc(mine);
  t.is(pageOf(b, object), pageOf(b, kept));
  t.is(b.memory.i32[object / 4], built.indexOf(object) + 1);
  b.cacheFree(mine, object);
  b.cacheFree(mine, kept);
  t.is(b.cacheShrink(mine), 1);
  allClear(t, b);
});

test('a cache that shrinks gives back what is empty, and constructs anew', (t) => {
  const heap = small();
  const { cache, built } = counting(heap);
  const { freePages } = heap.stats();
  const objects = Array.from({ length: 500 }, () => heap.cacheAlloc(cache));
  const kept = objects.pop() as number;
  for (const object of objects) heap.cacheFree(cache, object);
  t.is(heap.stats().freePages, freePages - 2, 'one in use, one kept');
  t.is(heap.cacheShrink(cache), 1);
  t.is(heap.stats().freePages, freePages - 1);
  const count = built.length;
  for (let turn = 0; turn < 300; turn++) heap.cacheAlloc(cache);
  t.true(built.length > count);
  heap.cacheFree(cache, kept);
  heap.validate();
});

test('a constructor may use the heap, and may fail', (t) => {
  const heap = small();
  let fails = false;
  const parts: number[] = [];
  const cache = heap.createCache({
    size: 2000,
    ctor: () => {
      if (fails) throw new Error('no parts');
      parts.push(heap.malloc(100));
    },
  });
  const object = heap.cacheAlloc(cache);
  t.true(parts.length > 0 && !parts.includes(0));
  fails = true;
  const held = [object];
  t.throws(
    () => {
      for (;;) held.push(heap.cacheAlloc(cache));
    },
    { message: 'no parts' },
  );
  heap.validate();
  fails = false;
  held.push(heap.cacheAlloc(cache));
  t.is(new Set(held).size, held.length);
  for (const each of held) heap.cacheFree(cache, each);
  for (const part of parts) heap.free(part);
  allClear(t, heap);
});

test('a constructor that uses its own cache is told so; one that makes memory short gets no page taken away', (t) => {
  const heap = small();
  const own = heap.createCache({ size: 100, ctor: () => void heap.cacheAlloc(own) });
  t.throws(() => heap.cacheAlloc(own), { message: /the constructor of cache 0 uses its own cache/ });
  const blocks: number[] = [];
  const greedy = heap.createCache({
    size: 1000,
    ctor: () => {
      while (heap.stats().freePages > 0) blocks.push(heap.malloc(3000));
      t.is(heap.malloc(100_000), 0);
    },
  });
  const object = heap.cacheAlloc(greedy);
  t.not(object, 0);
  heap.validate();
  heap.cacheFree(greedy, object);
  for (const block of blocks) heap.free(block);
  allClear(t, heap);
});

test('what is no object of the cache is reported', (t) => {
  const heap = small();
  const messages: string[] = [];
  heap.registerError(({ message }) => messages.push(message));
  const { cache } = counting(heap);
  const other = heap.createCache({ size: 40 });
  const object = heap.cacheAlloc(cache);
  const block = heap.malloc(40);
  const large = heap.malloc(30_000);
  for (const wrong of [object + 8, block, large, 16, 2 ** 31, heap.cacheAlloc(other)])
    heap.cacheFree(cache, wrong);
  t.is(messages.length, 6);
  t.true(messages.every((message) => /^cacheFree\(\d+\): no such block is handed out$/.test(message)));
  heap.free(object);
  t.is(messages[6], `free(${object}): an object of cache 0 goes back by cacheFree`);
  t.throws(() => heap.dealloc(object, 8, 8), { message: /goes back by cacheFree/ });
  heap.cacheFree(cache, 0);
  heap.cacheFree(cache, object);
  heap.cacheFree(cache, object);
  t.is(messages.length, 8);
  heap.validate();
});

test('options that cannot be are refused by name', (t) => {
  const { a, b } = pair();
  const wrong: [unknown, { name: string; message: RegExp }][] = [
    [{ size: -1 }, { name: 'RangeError', message: /size .* -1/ }],
    [{ size: '8' }, { name: 'TypeError', message: /size .* "8"/ }],
    [
      { size: 8, align: 3 },
      { name: 'AllocError', message: /align .* 3/ },
    ],
    [
      { size: 8, align: 8192 },
      { name: 'AllocError', message: /align .* 8192/ },
    ],
    [{ size: 5000 }, { name: 'AllocError', message: /5000 bytes does not fit into half a page, 4096 bytes/ }],
    [
      { size: 8, ctor: 7 },
      { name: 'TypeError', message: /ctor must be a function, got 7/ },
    ],
  ];
  for (const [options, error] of wrong) t.throws(() => a.createCache(options as CacheOptions), error);
  const { cache } = counting(a);
  t.throws(() => b.openCache(cache.share()), { message: /ctor: every thread needs one for cache 0/ });
  t.throws(() => b.openCache({ cache: 9 }, () => {}), { message: /there is no object cache 9/ });
  t.throws(() => b.openCache({ cache: 99 }), { message: /there is no object cache 99/ });
  t.throws(() => b.openCache(null as never), { name: 'TypeError' });
  t.throws(() => b.cacheAlloc(cache), { message: /cache 0 of another thread: see openCache/ });
  t.throws(() => a.cacheFree({} as never, 8), { name: 'TypeError', message: /cache must be/ });
  for (let made = 1; made < 32; made++) a.createCache({ size: 8 });
  t.throws(() => a.createCache({ size: 8 }), { message: /all 32 object caches/ });
});

test('a cache runs out as the heap does, and goes on', (t) => {
  const heap = small();
  const cache = heap.createCache({ size: 1000 });
  const objects: number[] = [];
  for (let object = heap.cacheAlloc(cache); object !== 0; object = heap.cacheAlloc(cache))
    objects.push(object);
  t.true(objects.length > 600);
  t.is(counted(heap).failures, 1);
  heap.cacheFree(cache, objects.pop() as number);
  objects.push(heap.cacheAlloc(cache));
  for (const object of objects) heap.cacheFree(cache, object);
  allClear(t, heap);
});

test('workers allocate and free objects of one cache, each other’s too: every object is constructed, and nobody’s is another’s', async (t) => {
  const heap = Slab.create({ bytes: 8 << 20 });
  const cache = heap.createCache({
    size: 56,
    ctor: (address, memory) => memory.i32.fill(0, address / 4, address / 4 + 14),
  });
  const table = new Int32Array(new SharedArrayBuffer(4 * 256));
  const workers = [1, 2, 3].map(
    (seed) =>
      new Worker(new URL('../support/cache-worker.js', import.meta.url), {
        workerData: { handle: heap.share(), cache: cache.share(), table, seed },
      }),
  );
  const ends = workers.map(
    (worker) => new Promise((resolve, reject) => worker.on('error', reject).on('exit', resolve)),
  );
  t.deepEqual(await Promise.all(ends), [0, 0, 0]);
  heap.validate();
  for (const address of table) {
    heap.memory.i32.fill(0, address / 4, address / 4 + 14);
    heap.cacheFree(cache, address);
  }
  t.true(heap.stats().cpus.some(({ remoteFrees }) => remoteFrees > 100));
  allClear(t, heap);
});
