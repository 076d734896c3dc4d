/**
 * `reap`: nothing happens when there is nothing to reap, one of several reaps, and a reaper that dies is
 * reaped with what it had begun.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { Slab } from '@shmalloc/slab';
import test from 'ava';
import { Cpu } from '../../dist/cpu.js';
import { drainPending } from '../../dist/free.js';
import { Field } from '../../dist/header.js';
import { Page } from '../../dist/page.js';
import { allClear, fill, pageOf, pair, small, watch } from '../support/harness.ts';
import { dieAt, everyStop, stopAt } from '../support/stops.ts';

test('nothing happens when a thread has detached, was reaped already, or never was', (t) => {
  const { a, b } = pair();
  const c = Slab.attach(a.share());
  const blocks = [...fill(a, 100, 50), ...fill(c, 100, 50)];
  b.detach();
  const before = a.i32.slice();
  for (const none of [
    b.threadId,
    0,
    7,
    512,
    b.threadId + 1,
    a.threadId + 1,
    a.threadId + 8,
    2 ** 29,
    2 ** 32 + c.threadId,
    2 ** 50,
  ])
    a.reap(none);
  t.is(
    a.i32.findIndex((word, index) => word !== before[index]),
    -1,
    'a word has changed',
  );
  a.reap(c.threadId);
  a.reap(c.threadId);
  for (const block of blocks) a.free(block);
  allClear(t, a);
});

test('one’s own id is refused, and what is no integer', (t) => {
  const { a } = pair();
  t.throws(() => a.reap(a.threadId), {
    name: 'AllocError',
    code: 'InvalidParam',
    message: /the one that calls/,
  });
  t.throws(() => a.reap(-1), { name: 'RangeError' });
  t.throws(() => a.reap('1' as never), { name: 'TypeError' });
});

test('the README’s exit handler: a worker that detaches properly ends nothing', async (t) => {
  const heap = Slab.create({ bytes: 1 << 20 });
  const worker = new Worker(new URL('../support/exit-worker.js', import.meta.url), {
    workerData: { handle: heap.share(), what: 'named' },
  });
  const exit = once(worker, 'exit');
  const [threadId] = await once(worker, 'message');
  await exit;
  heap.reap(threadId);
  allClear(t, heap);
});

test('a late reap of an old id leaves the slot’s next owner what it has, 1000 owners later, too', (t) => {
  const { a, b } = pair();
  const old = new Set([b.threadId]);
  b.detach();
  for (let round = 0; round < 1000; round++) {
    const next = Slab.attach(a.share());
    t.false(old.has(next.threadId));
    t.is(next.cpu, b.cpu);
    old.add(next.threadId);
    if (round % 100 === 0) {
      const blocks = fill(next, 100, 40);
      for (const id of old) if (id !== next.threadId) a.reap(id);
      next.validate({ quiet: true });
      t.is(next.i32[next.cpu + Cpu.name], next.threadId);
      for (const block of blocks) next.free(block);
    }
    next.detach();
  }
  allClear(t, a);
});

/**
 * A dead CPU with pages that are full and pages that are not, blocks in hand, and blocks that others have
 * freed.
 */
function dead(heap: Slab): { threadId: number; cpu: number; blocks: number[] } {
  const one = Slab.attach(heap.share());
  const blocks = [...fill(one, 1000, 30), ...fill(one, 64, 100), ...fill(one, 20_000, 2)];
  for (const block of blocks.splice(3, 5)) heap.free(block);
  for (const block of blocks.splice(40, 20)) one.free(block);
  // In the middle of its frees: two blocks are in its hand.
  const [first, second] = blocks.splice(0, 2);
  one.i32[first / 4] = second / 4;
  one.i32[second / 4] = 0;
  one.i32[one.cpu + Cpu.pending] = first / 4;
  return { threadId: one.threadId, cpu: one.cpu, blocks };
}

test('B is stopped anywhere in reap, A reaps the same one, and N takes the slot: B does not touch what is N’s', (t) => {
  let raced = 0;
  const stops = everyStop((at) => {
    const { a, b } = pair();
    const errors = watch(a, b);
    const { threadId, cpu, blocks } = dead(a);
    let n: Slab | undefined;
    let theirs: number[] = [];
    let hand = 0;
    const reached = stopAt(
      at,
      () => {
        // Inside the lock it would be waited for.
        if (a.i32[a.header + Field.lock] !== 0) return;
        a.reap(threadId);
        n = Slab.attach(a.share());
        errors.push(...watch(n));
        theirs = fill(n, 1000, 40);
        // N is in the middle of what others have freed into its full pages.
        const pages = new Map(theirs.map((block) => [pageOf(a, block), block]));
        for (const block of [...pages.values()].slice(0, 3)) a.free(block);
        hand = n.i32[n.cpu + Cpu.delayed];
        n.i32[n.cpu + Cpu.delayed] = 0;
        n.i32[n.cpu + Cpu.pending] = hand;
        theirs = theirs.filter((block) => ![...pages.values()].slice(0, 3).includes(block));
      },
      () => b.reap(threadId),
    );
    if (n !== undefined) {
      raced++;
      if (n.cpu === cpu) t.is(n.i32[n.cpu + Cpu.pending], hand, `stop ${at}: what N had in hand is gone`);
      drainPending(n, n.cpu);
      const again = fill(n, 1000, 600);
      const all = [...again, ...theirs];
      t.is(new Set(all).size, all.length, `stop ${at}: blocks were handed out twice`);
      for (const block of all) n.free(block);
      n.validate({ quiet: true });
      n.detach();
    }
    for (const block of blocks) a.free(block);
    t.deepEqual(errors, []);
    // What B has left undone while it was stopped it has done now.
    t.true(
      a.stats().cpus.every((each) => each.threadId === 0 || [a.threadId, b.threadId].includes(each.threadId)),
    );
    allClear(t, a, b);
    b.validate({ quiet: true });
    return reached;
  });
  t.log(`${stops} stops, ${raced} of them outside the lock`);
  t.true(raced > 10);
});

test('a reaper dies anywhere in reap: the one that reaps it finishes what it had begun', (t) => {
  for (const holdsLock of [false, true]) {
    const deaths = everyStop((at) => {
      const { a, b } = pair();
      const errors = watch(a, b);
      const { threadId, cpu, blocks } = dead(a);
      if (holdsLock) a.i32[a.header + Field.lock] = threadId;
      const reached = dieAt(at, () => b.reap(threadId));
      if (reached) a.reap(b.threadId);
      // When it died before it had claimed anything, the first one is still to be reaped.
      a.reap(threadId);
      t.is(a.i32[cpu + Cpu.name], 0, `death ${at}: the slot is not free`);
      t.is(a.i32[a.header + Field.lock], 0);
      for (const block of blocks) a.free(block);
      t.deepEqual(errors, []);
      a.collect(true);
      a.collect(true);
      a.validate({ quiet: true });
      t.true(a.usedBytes() <= 1024, `death ${at}: ${a.usedBytes()} bytes are lost`);
      return reached;
    });
    t.log(`${deaths} deaths`);
    t.true(deaths > 10);
  }
});

test('reapers die one after the other, each in the middle: the last one finishes for all', (t) => {
  for (let at = 2; at < 24; at++) {
    const a = small({ threads: 8 });
    const others = Array.from({ length: 4 }, () => Slab.attach(a.share()));
    const { threadId, blocks } = dead(a);
    let victim = threadId;
    let deaths = 0;
    // Now: a dead one may have the lock until it is reaped.
    for (const other of others) blocks.push(...fill(other, 200, 20));
    for (const [index, other] of others.entries()) {
      if (!dieAt(at + index, () => other.reap(victim))) continue;
      victim = other.threadId;
      deaths++;
    }
    for (const name of [victim, threadId, ...others.map((other) => other.threadId)]) a.reap(name);
    t.true(deaths > 0);
    t.deepEqual(
      a
        .stats()
        .cpus.filter((each) => each.threadId !== 0)
        .map((each) => each.threadId),
      [a.threadId],
    );
    for (const block of blocks) a.free(block);
    a.collect(true);
    a.collect(true);
    a.validate({ quiet: true });
    // A death costs one block at most.
    t.true(a.usedBytes() <= deaths * 1024, `${a.usedBytes()} bytes are lost by ${deaths} deaths`);
  }
});

test('a thread dies anywhere in detach, and is reaped', (t) => {
  const deaths = everyStop((at) => {
    const { a, b } = pair();
    const blocks = [...fill(b, 1000, 30), ...fill(b, 64, 100), b.malloc(20_000)];
    for (const block of blocks.splice(3, 5)) a.free(block);
    const reached = dieAt(at, () => b.detach());
    a.reap(b.threadId);
    for (const block of blocks) a.free(block);
    a.collect(true);
    a.collect(true);
    a.validate({ quiet: true });
    t.true(a.usedBytes() <= 1024, `death ${at}: ${a.usedBytes()} bytes are lost`);
    return reached;
  });
  t.true(deaths > 10);
});

test('a thread dies anywhere while it gathers what others have freed: no block of those is lost', (t) => {
  const deaths = everyStop((at) => {
    const { a, b } = pair();
    const errors = watch(a);
    const blocks = [...fill(b, 1000, 20), ...fill(b, 64, 100)];
    // Not from the first: those pages are full, and their news goes another way.
    const freed = blocks.filter((_, index) => index % 3 === 2);
    for (const block of freed) a.free(block);
    const reached = dieAt(at, () => b.collect());
    a.reap(b.threadId);
    a.validate({ quiet: true });
    t.true(a.usedBytes() <= (blocks.length - freed.length) * 1024 + 1024);
    for (const block of blocks) if (!freed.includes(block)) a.free(block);
    t.deepEqual(errors, []);
    // Of the list in the thread's hand one block may be.
    for (let round = 0; round < 2; round++) a.collect(true);
    t.true(a.usedBytes() <= 1024, `death ${at}: ${a.usedBytes()} bytes are lost`);
    a.validate({ quiet: true });
    return reached;
  });
  t.true(deaths > 5, `${deaths}`);
});

test('what a dead thread had linked to its free list, and not cut off the others’, is there once', (t) => {
  const { a, b } = pair();
  const errors = watch(a);
  const blocks = fill(b, 64, 40);
  const page = pageOf(a, blocks[0]);
  const theirs = blocks.slice(0, 8);
  for (const block of theirs) a.free(block);
  const { i32 } = a;
  t.not(i32[page + Page.remote] & ~1, 0, 'the list of what others have freed');
  // Linked, and not cut: what `gatherRemoteFrees` has done when its exchange comes.
  i32[theirs[0] / 4] = i32[page + Page.free];
  i32[page + Page.free] = i32[page + Page.remote] & ~1;
  a.reap(b.threadId);
  a.validate({ quiet: true });
  t.is(a.usedBytes(), (blocks.length - theirs.length) * 64);
  for (const block of blocks.slice(8)) a.free(block);
  t.deepEqual(errors, []);
  allClear(t, a);
});

test('shareSlot: the id is known before the thread is, and one thread comes by it once', (t) => {
  const { a } = pair();
  const handle = a.shareSlot();
  t.false(
    a.stats().cpus.some(({ threadId }) => threadId === handle.threadId),
    'expected, and not there',
  );
  const b = Slab.attach(structuredCloneHandle(handle));
  t.is(b.threadId, handle.threadId);
  t.throws(() => Slab.attach(handle), {
    code: 'InvalidParam',
    message: /no thread is expected under threadId/,
  });
  const blocks = fill(b, 100, 30);
  a.reap(handle.threadId);
  t.throws(() => Slab.attach(handle), { code: 'InvalidParam' });
  for (const block of blocks) a.free(block);
  allClear(t, a);
});

test('shareSlot: one that never came is reaped as well, and its slot is free', (t) => {
  const a = small({ threads: 2 });
  const { threadId } = a.shareSlot();
  t.throws(() => Slab.attach(a.share()), { code: 'TooManyThreads', message: /see threads/ });
  a.reap(threadId);
  const b = Slab.attach(a.share());
  t.is(b.cpuId, 1);
  b.detach();
  allClear(t, a);
});

/** What a worker would get: the memory itself cannot be cloned within a thread. */
function structuredCloneHandle<T extends { memory: unknown }>(handle: T): T {
  const { memory, ...rest } = handle;
  return { ...structuredClone(rest), memory } as T;
}
