import { AllocError, type HeapOptions } from '@shmalloc/allocator-api';
import test from 'ava';
import { Field } from '../../dist/header.js';
import { TOP, TOP_END, TOP_MARK } from '../../dist/pools.js';
import { StackHeap } from '../support/stack-heap.js';

/** A heap that notes what it reports. */
function watchedHeap(options: HeapOptions = {}): { heap: StackHeap; errors: AllocError[] } {
  const heap = StackHeap.create({ bytes: 64 * 1024, ...options });
  const errors: AllocError[] = [];
  heap.registerError((error) => errors.push(error));
  return { heap, errors };
}

for (const debug of [false, true]) {
  const mode = debug ? 'in debug' : 'without debug';

  test(`${mode}, a second free is reported and changes nothing, whatever the block merged with`, (t) => {
    for (const freedFirst of [[], [0], [2], [0, 2], [0, 2, 3]]) {
      const { heap, errors } = watchedHeap({ debug });
      const blocks = [40, 50, 60, 70].map((size) => heap.malloc(size));
      for (const index of freedFirst) heap.free(blocks[index]);
      heap.free(blocks[1]);
      t.deepEqual(errors, []);
      heap.free(blocks[1]);
      t.is(errors.length, 1);
      t.true(errors[0] instanceof AllocError);
      // Where it has merged with the block before, its header is gone.
      t.is(errors[0].code, freedFirst.includes(0) ? 'NotAllocated' : 'DoubleFree');
      t.regex(errors[0].message, new RegExp(`free\\(${blocks[1]}\\)`));
      heap.validate();
      t.is(heap.stats().errors, 1);
    }
  });

  test(`${mode}, addresses that cannot be a block's are reported by every operation that takes one`, (t) => {
    const { heap, errors } = watchedHeap({ debug });
    const block = heap.malloc(100);
    const wrong = [
      4,
      8,
      16,
      block + 1,
      block + 8,
      heap.memory.end - 16,
      heap.memory.end + 16,
      2 ** 31,
      2 ** 32 - 16,
      2 ** 40,
    ];
    for (const address of wrong) {
      heap.free(address);
      t.is(heap.realloc(address, 10), 0);
      t.is(heap.usableSize(address), 0);
      const error = t.throws(() => heap.dealloc(address, 1, 1)) as AllocError;
      t.is(error.code, 'NotAllocated');
    }
    t.is(errors.length, wrong.length * 3);
    heap.validate();
    t.true(heap.usableSize(block) >= 100);
  });
}

test('in debug, an address inside a block is reported even where the bytes before it look like a header', (t) => {
  const fake = (heap: StackHeap): number => {
    const block = heap.malloc(256);
    heap.memory.i32[(block + 16) / 4 - 1] = 16; // "16 words, in use"
    return block + 16;
  };
  const { heap, errors } = watchedHeap({ debug: true });
  heap.free(fake(heap));
  t.is(errors.length, 1);
  heap.validate();
  // The seal is what tells: without it, this heap takes the bytes for a header.
  const naive = watchedHeap({ debug: false });
  naive.heap.free(fake(naive.heap));
  t.deepEqual(naive.errors, []);
  t.throws(() => naive.heap.validate());
});

test('what looks like a header but reaches beyond the pools is reported, with and without debug', (t) => {
  for (const debug of [false, true]) {
    const memory = new SharedArrayBuffer(256 * 1024);
    const { heap, errors } = watchedHeap({ bytes: undefined, memory, end: 64 * 1024, debug });
    const block = heap.malloc(256);
    const inside = block + 16;
    const behind = 128 * 1024;
    heap.memory.i32[inside / 4 - 1] = 32 * 1024; // "32,768 words, in use": ends in memory that is not the heap's
    heap.memory.i32[behind / 4 - 1] = 64; // "64 words, in use", where no pool is
    for (const address of [inside, behind]) {
      heap.free(address);
      t.is(heap.usableSize(address), 0);
    }
    t.is(errors.length, 4);
    heap.validate();
  }
});

test('in debug, a write past the end of a block is found by validate and by free', (t) => {
  const { heap, errors } = watchedHeap({ debug: true });
  const block = heap.malloc(20);
  heap.memory.u8[block + heap.usableSize(block)] ^= 0xff;
  t.throws(() => heap.validate(), { message: /written past its end/ });
  heap.free(block);
  t.regex(errors[0].message, /written past its end/);
});

test('dealloc with another size or alignment than the block has is refused by name', (t) => {
  const { heap } = watchedHeap();
  const address = heap.alloc(100, 8);
  t.throws(() => heap.dealloc(address, 1000, 8), { message: /not allocated with size 1000/ });
  t.throws(() => heap.dealloc(address, 100, 3), { message: /align .*3/ });
  heap.dealloc(address, 100, 8);
  t.is(heap.usedBytes(), 0);
});

test('without a hook of its own, a wrong free is printed', (t) => {
  const heap = StackHeap.create({ bytes: 64 * 1024 });
  const { error } = console;
  const printed: unknown[] = [];
  console.error = (line: unknown) => printed.push(line);
  try {
    heap.free(4096);
  } finally {
    console.error = error;
  }
  t.deepEqual(printed, ['AllocError NotAllocated: free(4096): no such block is handed out']);
});

test('the error hook may use the heap', (t) => {
  const heap = StackHeap.create({ bytes: 64 * 1024, lock: 'spin' });
  let block = 0;
  heap.registerError(() => {
    block = heap.malloc(10);
  });
  heap.free(4096);
  t.not(block, 0);
});

test('a detached heap refuses every call; the blocks stay', (t) => {
  for (const lock of ['spin', 'mutex', 'outside'] as const) {
    const { heap } = watchedHeap({ lock });
    const other = StackHeap.attach(heap.share(), { lock });
    const block = heap.malloc(10);
    heap[Symbol.dispose]();
    const calls: (() => unknown)[] = [
      () => heap.malloc(1),
      () => heap.malloc(2 ** 40),
      () => heap.free(block),
      () => heap.realloc(block, 100),
      () => heap.calloc(1, 1),
      () => heap.usableSize(block),
      () => heap.alloc(1, 1),
      () => heap.stats(),
      () => heap.totalBytes(),
      () => heap.validate(),
      () => heap.addMemory(0, 100_000_000),
      () => heap.init(32 * 1024, 1024),
    ];
    for (const call of calls) t.throws(call, { instanceOf: AllocError });
    other.free(block);
    other.validate();
    t.is(other.usedBytes(), 0);
  }
});

test('validate names what is broken first', (t) => {
  const plant = (
    name: string,
    message: RegExp,
    breakIt: (heap: StackHeap, block: number, free: number) => void,
  ): void => {
    const heap = StackHeap.create({ bytes: 64 * 1024 });
    const blocks = [100, 100, 100].map((size) => heap.malloc(size));
    heap.free(blocks[1]);
    heap.validate();
    breakIt(heap, blocks[0] / 4 - 1, blocks[1] / 4 - 1);
    t.throws(() => heap.validate(), { message }, name);
    t.regex(heap.check() ?? '', message);
  };
  plant('a size of 0', /has a size of 0/, (heap, block) => (heap.words[block] = 0));
  plant('a size beyond the pool', /has a size of/, (heap, block) => (heap.words[block] = 1 << 20));
  plant('P without a free block', /P differs/, (heap, block) => (heap.words[block] |= 2));
  plant(
    'a footer',
    /the footer names 1/,
    (heap, _, free) => (heap.words[free + (heap.words[free] & ~3) - 1] = 1),
  );
  plant('a free block that is in no list', /the footer names 0/, (heap, block) => (heap.words[block] |= 1));
  plant(
    'the count of free words',
    /words are free, counted are/,
    (heap) => heap.words[heap.headerWord + Field.listed]++,
  );
  plant('the count of all words', /pools hold/, (heap) => heap.words[heap.headerWord + Field.total]++);
  plant('too few pools counted', /more pools/, (heap) => heap.words[heap.headerWord + Field.pools]--);
  plant('too many pools counted', /fewer pools/, (heap) => heap.words[heap.headerWord + Field.pools]++);
  plant('what ends the blocks', /does not end where it should/, (heap) => {
    heap.words[heap.words[heap.headerWord + Field.own + TOP]] = 2;
  });
  plant('a top beyond its pool', /does not end|has a size of 0/, (heap) => {
    heap.words[heap.headerWord + Field.own + TOP] += 4;
  });
  plant('a top in no pool', /the top lies in no pool|has a size of|does not end/, (heap) => {
    heap.words[heap.headerWord + Field.own + TOP_END] -= 4;
  });
  plant('the mark of what was handed out', /beyond its end/, (heap) => {
    heap.words[heap.headerWord + Field.own + TOP_MARK] = 2 ** 29;
  });
});

test('a handle of another algorithm, another version, another geometry or of no heap is refused by name', (t) => {
  const heap = StackHeap.create({ bytes: 64 * 1024 });
  const handle = heap.share();
  const refused = (message: RegExp, change: object = {}): void => {
    t.throws(() => StackHeap.attach({ ...handle, ...change }), { message });
  };
  refused(/belongs to the algorithm tlsf, not to stack/, { algorithm: 'tlsf' });
  refused(/wrong magic 0x0/, { start: 1024 });
  refused(/where no header can lie/, { start: 4 });
  refused(/where no header can lie/, { start: 65536 });
  refused(/wrong magic 0x0/, { memory: new SharedArrayBuffer(4096) });
  t.throws(() => StackHeap.attach(null as never), {
    instanceOf: TypeError,
    message: /what share\(\) returned/,
  });
  const spoil = (field: number, message: RegExp): void => {
    heap.words[heap.headerWord + field]++;
    refused(message);
    heap.words[heap.headerWord + field]--;
  };
  spoil(Field.magic, /wrong magic 0x53484d32, expected 0x53484d31/);
  spoil(Field.algorithm, /wrong algorithm/);
  spoil(Field.version, /wrong version 0x2, expected 0x1/);
  spoil(Field.state, /wrong geometry/);
  StackHeap.attach(handle).validate();
});

test('stats tell how often this thread has found the lock taken', (t) => {
  const { heap } = watchedHeap({ lock: 'spin' });
  const inside = heap as unknown as { lock: { tryLock(): boolean } };
  heap.free(heap.malloc(100));
  t.is(heap.stats().threads[0].lockWaits, 0);
  const { lock } = inside;
  let taken = 2;
  // Another thread has it twice, and lets go when it is waited for.
  inside.lock = Object.assign(Object.create(lock), {
    tryLock: () => taken-- <= 0 && lock.tryLock(),
    lock: () => (lock as unknown as { lock(): void }).lock(),
    unlock: () => (lock as unknown as { unlock(): void }).unlock(),
  });
  heap.free(heap.malloc(100));
  heap.free(heap.malloc(100));
  t.is(heap.stats().threads[0].lockWaits, 2);
  heap.validate();
});
