import { SharedMemory } from '@shmalloc/allocator-api';
import { Mutex } from '@shmalloc/atomic-cell';
import test from 'ava';
import { CELL, DATA, GATE } from './places.ts';
import { BACKINGS, startTeam, until } from './team.ts';

const HELD_WITH_WAITERS = 2;

for (const backing of BACKINGS) {
  test(`one unlock lets all waiters through, each waking the next (${backing})`, async (t) => {
    const memory = SharedMemory.create({ bytes: 65536, backing });
    const mutex = new Mutex(memory, CELL);
    mutex.lock();
    const waiters = startTeam<unknown, string>('waiter', memory, [0, 0, 0]);
    await until(() => Atomics.load(memory.i32, GATE / 4) === 3);
    await until(() => Atomics.load(memory.i32, CELL / 4) === HELD_WITH_WAITERS);
    t.is(memory.i32[DATA / 4], 0);
    mutex.unlock();
    t.deepEqual(await Promise.all(waiters), ['passed', 'passed', 'passed']);
    t.is(memory.i32[DATA / 4], 3);
    t.is(memory.i32[CELL / 4], 0);
  });

  test(`a waiter sleeps, and goes back to sleep when it is woken without a release (${backing})`, async (t) => {
    const memory = SharedMemory.create({ bytes: 65536, backing });
    const mutex = new Mutex(memory, CELL);
    mutex.lock();
    const waiters = startTeam<unknown, string>('waiter', memory, [0]);
    // notify counts the sleepers that it wakes: 1 proves that there was one. Twice: it slept again.
    for (let times = 0; times < 2; times++) {
      await until(() => Atomics.notify(memory.i32, CELL / 4, 1) === 1);
    }
    t.is(memory.i32[DATA / 4], 0);
    t.false(mutex.tryLock());
    mutex.unlock();
    t.deepEqual(await Promise.all(waiters), ['passed']);
  });

  test(`who sleeps on an old view is woken through a new one (${backing})`, async (t) => {
    const memory = SharedMemory.create({ bytes: 65536, maxBytes: 4 * 65536, backing });
    new Mutex(memory, CELL).lock();
    const waiters = startTeam<unknown, string>('waiter', memory, [0]);
    await until(() => Atomics.notify(memory.i32, CELL / 4, 1) === 1);
    memory.grow(65536);
    new Mutex(memory, CELL).unlock();
    t.deepEqual(await Promise.all(waiters), ['passed']);
    t.is(memory.i32[DATA / 4], 1);
  });
}
