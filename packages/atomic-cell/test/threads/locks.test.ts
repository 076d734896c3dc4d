import { AllocError, SharedMemory } from '@shmalloc/allocator-api';
import { type Lock, Mutex, ReleaseError, SpinLock } from '@shmalloc/atomic-cell';
import test from 'ava';
import { CELL, DATA } from '../support/places.ts';
import { BACKINGS, runTeam, untilBroken } from '../support/team.ts';
import type { CounterTask } from '../support/workers/counter.ts';

const THREADS = 4;
const INCREMENTS = 100_000;

const KINDS = [
  ['SpinLock', SpinLock],
  ['Mutex', Mutex],
] as const;

/**
 * Every thread counts under the lock. What it returns is the counter, and in how many threads `Atomics.wait`
 * threw.
 */
async function count(
  memory: SharedMemory,
  lock: CounterTask['lock'],
  mayBlock: readonly boolean[],
  increments: number = INCREMENTS,
): Promise<{ counter: number; cannotWait: number }> {
  const tasks = mayBlock.map((may): CounterTask => {
    return { lock, mayBlock: may, threads: mayBlock.length, increments };
  });
  const answers = await runTeam<CounterTask, { waitThrew: boolean }>('counter', memory, tasks);
  return {
    counter: memory.i32[DATA / 4],
    cannotWait: answers.filter(({ waitThrew }) => waitThrew).length,
  };
}

const all = (may: boolean): boolean[] => new Array<boolean>(THREADS).fill(may);

for (const backing of BACKINGS) {
  for (const lock of ['spin', 'mutex'] as const) {
    test.serial(`${lock}: four threads lose no increment of a plain counter (${backing})`, async (t) => {
      const memory = SharedMemory.create({ bytes: 65536, backing });
      const { counter } = await count(memory, lock, all(true));
      t.is(counter, THREADS * INCREMENTS);
      t.is(memory.i32[CELL / 4], 0, 'the lock is free at the end');
    });
  }
}

test.serial('AtomicRefCell, tried until it works, is a spin lock in disguise', async (t) => {
  const { counter } = await count(SharedMemory.create({ bytes: 65536 }), 'AtomicRefCell', all(true));
  t.is(counter, THREADS * INCREMENTS);
});

for (const lock of ['none', 'RefCell'] as const) {
  test.serial(`${lock}: the same count loses increments`, async (t) => {
    const lost = await untilBroken(async (attempt) => {
      // More of them each time: without a lock a million are over before the next thread has its turn.
      const increments = Math.min(attempt, 50) * 10 * INCREMENTS;
      const { counter } = await count(SharedMemory.create({ bytes: 65536 }), lock, all(true), increments);
      t.log(`${THREADS * increments - counter} of ${THREADS * increments} lost, at attempt ${attempt}`);
      return THREADS * increments - counter;
    });
    t.true(lost > 0);
  });
}

for (const lock of ['spin', 'mutex'] as const) {
  test.serial(`${lock}: threads that may not block exclude one another too`, async (t) => {
    const memory = SharedMemory.create({ bytes: 65536 });
    const { counter, cannotWait } = await count(memory, lock, all(false), INCREMENTS / 2);
    t.is(cannotWait, THREADS, 'Atomics.wait throws in every thread, so the test tests what it says');
    t.is(counter, (THREADS * INCREMENTS) / 2);
  });
}

test.serial('mutex: threads that may block and threads that may not share one mutex', async (t) => {
  const memory = SharedMemory.create({ bytes: 65536 });
  const { counter, cannotWait } = await count(memory, 'mutex', [true, false, true, false]);
  t.is(cannotWait, 2);
  t.is(counter, THREADS * INCREMENTS);
});

for (const [name, Kind] of KINDS) {
  test(`${name}: tryLock takes a free lock and refuses a held one`, (t) => {
    const memory = SharedMemory.create({ bytes: 65536 });
    const lock: Lock = new Kind(memory, CELL);
    const sameLock: Lock = new Kind(memory, CELL);
    t.true(lock.tryLock());
    t.false(lock.tryLock());
    t.false(sameLock.tryLock());
    lock.unlock();
    t.true(sameLock.tryLock());
    sameLock.unlock();
    lock.lock();
    t.false(sameLock.tryLock());
  });

  test(`${name}: unlock of a free lock is an error and leaves it free`, (t) => {
    const memory = SharedMemory.create({ bytes: 65536 });
    const lock = new Kind(memory, CELL);
    t.throws(() => lock.unlock(), { instanceOf: ReleaseError, message: /at 64 .* no thread holds it/ });
    t.is(memory.i32[CELL / 4], 0);
    t.true(lock.tryLock());
    lock.unlock();
    t.throws(() => lock.unlock(), { instanceOf: ReleaseError });
    t.is(memory.i32[CELL / 4], 0);
  });

  test(`${name}: a place that cannot be is refused with its value named`, (t) => {
    const memory = SharedMemory.create({ bytes: 65536 });
    const invalid = { instanceOf: AllocError, code: 'InvalidParam' } as const;
    t.throws(() => new Kind(memory, 66), { ...invalid, message: /66/ });
    t.throws(() => new Kind(memory, 65536), { ...invalid, message: /65536/ });
    t.throws(() => new Kind(memory, -4), { instanceOf: RangeError, message: /-4/ });
    t.throws(() => new Kind(memory, 0.5), { instanceOf: RangeError, message: /0\.5/ });
    t.throws(() => new Kind(memory, '64' as never), { instanceOf: TypeError, message: /"64"/ });
    t.throws(() => new Kind(new SharedArrayBuffer(64) as never, 0), {
      instanceOf: TypeError,
      message: /SharedArrayBuffer/,
    });
    t.notThrows(() => new Kind(memory, 65532));
  });

  for (const backing of BACKINGS) {
    test(`${name}: a lock made before the memory grew is the same lock afterwards (${backing})`, (t) => {
      const memory = SharedMemory.create({ bytes: 65536, maxBytes: 4 * 65536, backing });
      const before = new Kind(memory, CELL);
      const stale = SharedMemory.from(memory.source);
      memory.grow(65536);
      const after = new Kind(memory, CELL);
      before.lock();
      t.false(after.tryLock());
      after.unlock();
      t.true(before.tryLock());
      t.notThrows(() => new Kind(stale, 65536 + CELL), 'memory that this object has not seen grow');
    });

    test(`${name}: works in the upper half of a 4 GiB region (${backing})`, (t) => {
      const memory = SharedMemory.create({ bytes: 2 ** 32, backing });
      const lock = new Kind(memory, 2 ** 32 - 4);
      lock.lock();
      t.is(memory.u8[2 ** 32 - 4], 1);
      t.false(new Kind(memory, 2 ** 32 - 4).tryLock());
      lock.unlock();
      t.throws(() => lock.unlock(), { message: /4294967292/ });
    });
  }
}

/** What no lock writes: it names no possible holder. */
const GARBAGE = [3, -1, 2 ** 31 - 1, 0x41414141, -(2 ** 31)];

for (const [name, Kind] of KINDS) {
  test(`${name}: a wait for a lock that something was written over ends with a report, and the word stays`, (t) => {
    const memory = SharedMemory.create({ bytes: 65536 });
    const lock = new Kind(memory, CELL);
    for (const word of GARBAGE) {
      memory.i32[CELL / 4] = word;
      t.false(lock.tryLock());
      const error = t.throws(() => lock.lock(), { instanceOf: AllocError });
      t.is((error as AllocError).code, 'Corrupted');
      t.regex(error?.message ?? '', new RegExp(`at 64 holds 0x${(word >>> 0).toString(16)}`));
      t.is(memory.i32[CELL / 4], word);
    }
  });

  test(`${name}: a lock that was written over while it was held is free after its unlock, which reports`, (t) => {
    const memory = SharedMemory.create({ bytes: 65536 });
    const lock = new Kind(memory, CELL);
    for (const word of GARBAGE) {
      lock.lock();
      memory.i32[CELL / 4] = word;
      const error = t.throws(() => lock.unlock(), { instanceOf: AllocError });
      t.is((error as AllocError).code, 'Corrupted');
      t.true(lock.tryLock());
      lock.unlock();
    }
  });
}

test('Mutex: a sleeper finds what was written over the word, and puts it back', (t) => {
  const memory = SharedMemory.create({ bytes: 65536 });
  const lock = new Mutex(memory, CELL);
  lock.lock();
  // The back-off before the first sleep sees a holder, and the sleep's first look something else: the word
  // changes in between.
  const { exchange } = Atomics;
  let looks = 0;
  Atomics.exchange = ((words: Int32Array, index: number, value: number) => {
    if (looks++ === 0) words[index] = 0x41414141;
    return exchange(words, index, value);
  }) as typeof exchange;
  try {
    t.throws(() => lock.lock(), { instanceOf: AllocError, message: /0x41414141/ });
  } finally {
    Atomics.exchange = exchange;
  }
  t.is(looks, 1);
  t.is(memory.i32[CELL / 4], 0x41414141);
});
