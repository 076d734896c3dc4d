/** The page list's lock. */
import { Worker } from 'node:worker_threads';
import { SharedMemory } from '@shmalloc/allocator-api';
import { LOCK_KINDS, type LockKind } from '@shmalloc/slab';
import test from 'ava';
import { PageLock, Taken } from '../dist/page-lock.js';

const TURNS = 60_000;

/** Three workers count together. */
async function count(kind: LockKind): Promise<{ counted: number; waits: number; word: number }> {
  const memory = SharedMemory.create({ bytes: 65_536 });
  const ends = [64, 72, 80].map((name) => {
    const workerData = { source: memory.source, kind, name, turns: TURNS };
    const worker = new Worker(new URL('./lock-worker.js', import.meta.url), { workerData });
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
    memory.i32[16] = 64 | 1; // and somebody sleeps
    if (isLock) {
      t.true(mine.takeOver(64));
      t.is(memory.i32[16], 72 | 1);
    }
  }
});
