/** The page list's lock. */
import { Worker } from 'node:worker_threads';
import { LOCK_KINDS, type LockKind, SharedMemory } from '@shmalloc/allocator-api';
import { Slab } from '@shmalloc/slab';
import test from 'ava';
import { PageLock, Taken } from '../../dist/page-lock.js';

const TURNS = 60_000;

/** Three workers count together. */
async function count(kind: LockKind): Promise<{ counted: number; waits: number; word: number }> {
  const memory = SharedMemory.create({ bytes: 65_536 });
  const ends = [64, 72, 80].map((name) => {
    const workerData = { source: memory.source, kind, name, turns: TURNS };
    const worker = new Worker(new URL('../support/lock-worker.js', import.meta.url), { workerData });
    return new Promise((resolve, reject) => worker.on('error', reject).on('exit', resolve));
  });
  await Promise.all(ends);
  return { counted: memory.i32[0], waits: memory.i32[1], word: memory.i32[16] };
}

for (const kind of ['spin', 'mutex'] as const) {
  test.serial(`${kind}: one at a time is inside, and it tells who had to wait`, async (t) => {
    const { counted, waits, word } = await count(kind);
    t.is(counted, 3 * TURNS);
    t.true(waits < 3 * TURNS);
    t.is(word, 0);
    t.log(`${waits} of ${counted} had to wait`);
  });
}

test.serial('none: the same count goes wrong, so the test can see it', async (t) => {
  const counts: number[] = [];
  while (counts.length < 200 && counts.every((counted) => counted === 3 * TURNS)) {
    counts.push((await count('none')).counted);
  }
  t.true(
    counts.some((counted) => counted < 3 * TURNS),
    counts.join(),
  );
});

test("a heap with lock 'none' is not shared, and says what to do", (t) => {
  const heap = Slab.create({ bytes: 1 << 20, lock: 'none' });
  const refused = {
    name: 'AllocError',
    code: 'Unsupported',
    message: /made with lock: 'none', for one thread. To share it make it with lock: 'spin'/,
  };
  t.throws(() => heap.share(), refused);
  t.throws(() => heap.shareSlot(), refused);
  t.not(heap.malloc(100), 0);
  t.is(heap.stats().lock, 'none');
  const { memory, header } = heap;
  t.throws(() => Slab.attach({ algorithm: 'slab', memory: memory.source, start: header * 4 }), {
    code: 'Unsupported',
  });
});

test("a heap with lock 'outside' is shared with those that say so, too", (t) => {
  const heap = Slab.create({ bytes: 1 << 20, lock: 'outside' });
  const handle = heap.share();
  t.throws(() => Slab.attach(handle), {
    code: 'InvalidParam',
    message: /attach\(handle, \{ lock: 'outside' \}\)/,
  });
  t.throws(() => Slab.attach(handle, { lock: 'spin' }), { code: 'InvalidParam' });
  const other = Slab.attach(handle, { lock: 'outside' });
  heap.free(other.malloc(3000));
  const block = other.malloc(20_000);
  heap.reap(other.threadId);
  heap.free(block);
  heap.collect(true);
  heap.validate({ quiet: true });
  t.is(heap.usedBytes(), 0);
});

test('attach refuses another lock than there is, and options that there are not', (t) => {
  const heap = Slab.create({ bytes: 1 << 20 });
  t.throws(() => Slab.attach(heap.share(), { lock: 'outside' }), {
    code: 'InvalidParam',
    message: /lock: 'spin', not 'outside'/,
  });
  t.throws(() => Slab.attach(heap.share(), { lokc: 'spin' } as object), {
    code: 'InvalidParam',
    message: /unknown option lokc/,
  });
  Slab.attach(heap.share(), { lock: 'spin' }).detach();
});

test('a lock is taken over from a dead holder, from nobody else, and only where there is one', (t) => {
  for (const kind of LOCK_KINDS) {
    const memory = SharedMemory.create({ bytes: 65_536 });
    const [dead, mine] = [64, 72].map((name) => new PageLock(memory, 16, kind, name, () => true));
    t.false(mine.takeOver(64), 'open');
    t.is(dead.lock(), Taken.free, 'nothing to wait for');
    t.false(mine.takeOver(80), 'not his');
    const isLock = kind === 'spin' || kind === 'mutex';
    t.is(mine.takeOver(64), isLock);
    t.is(memory.i32[16], isLock ? 72 : 0);
    mine.unlock();
    t.is(memory.i32[16], 0);
    memory.i32[16] = 64 | 1; // and another thread sleeps
    if (isLock) {
      t.true(mine.takeOver(64));
      t.is(memory.i32[16], 72 | 1);
    }
  }
});
