/** Reaping: of what is no thread, by several, by a reaper that dies, and while the slot is used again. */

import { AllocError } from '@shmalloc/allocator-api';
import { AxAlloc } from '@shmalloc/axalloc';
import { BitmapPages } from '@shmalloc/bitmap';
import test from 'ava';
import { type Hooks, hooked, hookedAlgorithms, once } from '../support/hooked.js';
import { allocatorOver, attachTo, NAMES } from '../support/tools.js';

/** Everything that a reap could change. */
function seen(allocator: AxAlloc): string {
  const { generations, ...rest } = allocator.stats();
  const lines = allocator.memory.i32.slice(allocator.header, allocator.header + allocator.places.entries);
  return JSON.stringify([rest, generations.map(({ heap: _heap, ...each }) => each), [...lines]]);
}

for (const algorithm of NAMES) {
  test(`${algorithm}: an unknown, a finished and a reaped thread: nothing happens; one's own is refused`, (t) => {
    const { allocator } = allocatorOver(4 << 20, { algorithm });
    const [finished, dead, alive] = [1, 2, 3].map(() => attachTo(allocator.share()));
    for (const each of [finished, dead, alive]) each.malloc(100);
    const { threadId } = finished;
    finished.detach();
    allocator.reap(dead.threadId);
    const before = seen(allocator);
    const unknown = [0, 1000, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1];
    // An exchange cuts a number to 32 bits: these are the live thread's name, and those of a line that is
    // being reaped by it.
    const cut = [2 ** 32 + alive.threadId, 2 ** 32 - alive.threadId, 2 ** 33 + alive.threadId];
    for (const name of [threadId, dead.threadId, ...unknown, ...cut]) allocator.reap(name);
    t.is(seen(allocator), before);
    const error = t.throws(() => allocator.reap(allocator.threadId), { instanceOf: AllocError });
    t.is(error?.code, 'InvalidParam');
    alive.free(alive.malloc(10));
    alive.detach();
    allocator.validate({ quiet: true });
  });
}

/** A, a reaper R that can be interrupted, and a dead D that holds the first of two generations. */
function scene(algorithm = 'slab') {
  const { allocator: a, pages } = allocatorOver(4 << 20, { algorithm });
  const hooks: Hooks = { before: () => {} };
  const r = AxAlloc.attach(a.share(), {
    attachPages: (handle) => hooked(BitmapPages.attach(handle), hooks),
    algorithms: hookedAlgorithms(hooks),
  });
  const d = attachTo(a.share());
  const block = d.malloc(100);
  a.swap('tlsf');
  a.free(block);
  r.settle();
  return { a, r, d, hooks, pages };
}

test('a second reaper in the middle of a reap does nothing, and the line has no other owner until the first is done', (t) => {
  const { a, r, d, hooks } = scene();
  let heapReaps = 0;
  let newcomer: AxAlloc | undefined;
  hooks.before = (operation) => {
    if (operation !== 'reap' || heapReaps++ > 0) return;
    a.reap(d.threadId);
    newcomer = attachTo(a.share());
  };
  r.reap(d.threadId);
  t.is(heapReaps, 1);
  t.not(newcomer?.cpu, d.cpu, 'the newcomer has the line that is being reaped');
  t.is(a.stats().generations.length, 1);
  const block = newcomer?.malloc(500) as number;
  t.not(block, 0);
  t.is(a.liveBlocks(), 1);
  a.free(block);
  newcomer?.detach();
  a.validate({ quiet: true });
});

test('a reaper that dies in the middle of a reap: whoever reaps it goes on with what it was at', (t) => {
  const { a, r, d, hooks } = scene();
  once(hooks, 'reap', () => {
    t.is(a.stats().generations.length, 2);
    a.reap(d.threadId); // R is at it
    t.is(a.stats().generations.length, 2);
    a.reap(r.threadId);
    t.is(a.stats().generations.length, 1, 'what the first dead thread held is held for good');
    const lines = [d.cpu, r.cpu].map((cpu) => a.memory.i32[a.header + 48 + (cpu - 1) * 16]);
    t.deepEqual(lines, [0, 0]);
    throw new Error('dead');
  });
  t.throws(() => r.reap(d.threadId), { message: 'dead' });
});

test('a reaper that finds no place in a heap of the dead one leaves the thread to another', (t) => {
  const { allocator: a } = allocatorOver(4 << 20, { algorithm: 'tlsf' });
  let full = false;
  const r = AxAlloc.attach(a.share(), {
    attachPages: (handle) => BitmapPages.attach(handle),
    algorithms: hookedAlgorithms({
      before: (operation) => {
        if (operation === 'attach' && full) throw new AllocError('TooManyThreads', 'no place in this heap');
      },
    }),
  });
  a.swap('mimalloc');
  const d = attachTo(a.share());
  const block = d.malloc(100);
  full = true;
  const error = t.throws(() => r.reap(d.threadId), { instanceOf: AllocError });
  t.is(error?.code, 'TooManyThreads');
  t.is(a.memory.i32[a.header + 48 + (d.cpu - 1) * 16], d.threadId, 'nobody can reap it any more');
  a.reap(d.threadId);
  t.is(a.memory.i32[a.header + 48 + (d.cpu - 1) * 16], 0);
  a.free(block);
  a.validate();
});

test('a thread that was reaped although it lives leaves the next owner of its line alone when it detaches', (t) => {
  const { allocator: a } = allocatorOver(4 << 20);
  const late = attachTo(a.share());
  a.reap(late.threadId);
  const next = attachTo(a.share());
  t.is(next.cpu, late.cpu);
  late.detach();
  const third = attachTo(a.share());
  t.not(third.cpu, next.cpu, 'two threads have one line');
  const blocks = [next.malloc(10), third.malloc(10)];
  t.is(a.liveBlocks(), 2);
  for (const block of blocks) a.free(block);
  t.is(a.liveBlocks(), 0);
});

test('a generation that its maker never made current: the next in its slot is not taken for it', (t) => {
  const { allocator: a } = allocatorOver(4 << 20, { algorithm: 'tlsf' });
  const makerHooks: Hooks = { before: () => {} };
  const maker = AxAlloc.attach(a.share(), {
    attachPages: (handle) => BitmapPages.attach(handle),
    algorithms: hookedAlgorithms(makerHooks),
  });
  const reaperHooks: Hooks = { before: () => {} };
  const reaper = AxAlloc.attach(a.share(), {
    attachPages: (handle) => BitmapPages.attach(handle),
    algorithms: hookedAlgorithms(reaperHooks),
  });
  const c = attachTo(a.share());
  // The maker dies just before its generation is current; its reaper opens it, C looks at it meanwhile, and
  // the reaper closes it.
  let looked = 0;
  once(makerHooks, 'registerError', () => {
    once(reaperHooks, 'attach', () => {
      looked = c.stats().generations.length;
    });
    reaper.reap(maker.threadId);
    throw new Error('dead');
  });
  try {
    maker.swap('mimalloc');
  } catch {
    // A dead thread's clean-up is of no interest.
  }
  t.is(looked, 2);
  t.is(a.stats().generations.length, 1);
  // The slot's next generation: C must not use the heap that it has seen there.
  a.swap('buddy');
  const block = c.malloc(100);
  t.not(block, 0);
  t.is((c.heap.stats() as { algorithm: string }).algorithm, 'buddy');
  a.free(block);
  t.is(a.liveBlocks(), 0);
});

test('a block that was freed twice, the second time while its heap goes: nothing is touched, and it is told', (t) => {
  const { allocator: a, pages } = allocatorOver(4 << 20, { algorithm: 'tlsf' });
  const hooks: Hooks = { before: () => {} };
  const b = AxAlloc.attach(a.share(), {
    attachPages: (handle) => BitmapPages.attach(handle),
    algorithms: hookedAlgorithms(hooks),
  });
  const [twice, last] = [a.malloc(100), a.malloc(100)];
  a.swap('basic');
  b.settle();
  a.free(twice);
  a.swap('buddy');
  const told: AllocError[] = [];
  b.registerError((error) => void told.push(error));
  // B has seen on the map whose block it is; it moves to the new generation first, and meanwhile the old one
  // goes.
  const page = twice - (twice % 4096);
  const done = once(hooks, 'attach', () => {
    a.free(last);
    pages.allocPagesAt(page, 1, 4096);
    a.memory.u8.fill(0x77, page, page + 4096);
  });
  b.free(twice);
  t.true(done());
  t.true(a.memory.u8.subarray(page, page + 4096).every((byte) => byte === 0x77));
  t.deepEqual(
    told.map(({ code }) => code),
    ['NotAllocated'],
  );
  a.validate();
});

test('a block whose size is asked for while its heap goes, since it was free already: nothing is touched', (t) => {
  const { allocator: a, pages } = allocatorOver(4 << 20, { algorithm: 'tlsf' });
  const b = attachTo(a.share());
  const block = a.malloc(100);
  a.swap('basic');
  b.settle();
  const told: string[] = [];
  b.registerError(({ code }) => void told.push(code));
  const page = block - (block % 4096);
  // The moment between the look at the map and the visit: the visit's own store.
  const visited = b.visited;
  Object.defineProperty(b, 'visited', {
    get() {
      if (a.memory.u8[a.map + (page >>> 12) - a.firstPage] !== 0) {
        a.free(block);
        pages.allocPagesAt(page, 1, 4096);
        a.memory.u8.fill(0x77, page, page + 4096);
      }
      return visited;
    },
    set() {},
  });
  t.is(b.usableSize(block), 0);
  t.deepEqual(told, ['NotAllocated']);
  t.true(a.memory.u8.subarray(page, page + 4096).every((byte) => byte === 0x77));
});
