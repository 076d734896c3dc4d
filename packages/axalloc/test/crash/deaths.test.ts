/**
 * Threads that die at a certain step: what they were at is finished by the reaper. The dying thread is one
 * that gets no further: everything is looked at from within its last step, and what it would do afterwards is
 * of no interest.
 */

import { AxAlloc } from '@shmalloc/axalloc';
import { BitmapPages } from '@shmalloc/bitmap';
import test, { type ExecutionContext } from 'ava';
import { type Hooks, hooked, hookedAlgorithms } from '../support/hooked.js';
import { allocatorOver } from '../support/tools.js';

function mortal(algorithm = 'tlsf') {
  const { pages, allocator: a } = allocatorOver(4 << 20, { algorithm });
  const fresh = pages.usedPages();
  const hooks: Hooks = { before: () => {} };
  const b = AxAlloc.attach(a.share(), {
    attachPages: (handle) => hooked(BitmapPages.attach(handle), hooks),
    algorithms: hookedAlgorithms(hooks),
  });
  return { pages, fresh, a, b, hooks };
}

/** Lets B run up to the next such step, and no further. */
function dieAt(
  t: ExecutionContext,
  { a, b, hooks }: ReturnType<typeof mortal>,
  step: string,
  run: () => void,
  look: () => void,
): void {
  let died = false;
  hooks.before = (operation) => {
    if (operation !== step || died) return;
    died = true;
    a.reap(b.threadId);
    look();
    t.notThrows(() => a.validate());
    throw new Error('dead');
  };
  try {
    run();
  } catch {
    // What its clean-up does, a dead thread does not: nothing is looked at any more.
  }
  t.true(died, `it never came to ${step}`);
}

test('a thread that dies while it asks an old heap whether it is empty: the reaper closes it', (t) => {
  const scene = mortal();
  const { a, b } = scene;
  const block = a.malloc(10);
  a.swap('basic');
  b.settle();
  dieAt(
    t,
    scene,
    'usedBytes',
    () => b.free(block),
    () => t.is(a.stats().generations.length, 1),
  );
});

test('a thread that dies while it gives the pages of an old heap back: the reaper goes on', (t) => {
  const scene = mortal();
  const { a, b, pages } = scene;
  const block = a.malloc(200_000);
  a.swap('basic');
  b.settle();
  const basic = a.stats();
  const run = 8 + 64;
  dieAt(
    t,
    scene,
    'deallocPages',
    () => b.free(block),
    () => {
      t.is(a.stats().generations.length, 1);
      // One run was in its hands: it is off the map, and not back yet.
      const lost = pages.usedPages() - basic.statePages - basic.generations[1].pages;
      t.true(lost > 0 && lost <= run, `${lost} pages`);
    },
  );
});

for (const step of ['create', 'share', 'registerError']) {
  test(`a thread that dies in a swap, before ${step}: the heap that nobody knows goes`, (t) => {
    const scene = mortal();
    const { a, b, pages, fresh } = scene;
    dieAt(
      t,
      scene,
      step,
      () => b.swap('basic'),
      () => {
        t.is(a.name, 'tlsf');
        t.is(a.stats().generations.length, 1);
        t.is(pages.usedPages(), fresh);
        a.swap('basic');
        a.swap('tlsf');
        t.is(pages.usedPages(), fresh);
      },
    );
  });
}

test('a thread that dies while it grows the heap: the others need not wait for it', (t) => {
  const scene = mortal();
  const { a, b, pages, fresh } = scene;
  dieAt(
    t,
    scene,
    'addMemory',
    () => {
      for (;;) b.malloc(1000);
    },
    () => {
      t.is(a.stats().growths, 0);
      const blocks = Array.from({ length: 100 }, () => a.malloc(1000));
      t.true(a.stats().growths > 0);
      for (const block of blocks) a.free(block);
      t.true(pages.usedPages() > fresh);
    },
  );
});

test('a CPU that waits for one that has died in its growth grows the heap itself after a while', (t) => {
  const { a, b, hooks } = mortal();
  let growths = 0;
  hooks.before = (operation) => {
    if (operation !== 'addMemory' || growths > 0) return;
    for (let block = a.malloc(1000); growths === 0; block = a.malloc(1000)) {
      t.not(block, 0);
      ({ growths } = a.stats());
    }
    throw new Error('dead');
  };
  t.throws(
    () => {
      for (;;) b.malloc(1000);
    },
    { message: 'dead' },
  );
  t.is(growths, 1);
});

test('a thread that dies between its allocation and its count, or its count and its free, holds no generation', (t) => {
  for (const step of ['malloc', 'tryFree']) {
    const scene = mortal();
    const { a, b, pages, fresh } = scene;
    const blocks = [b.malloc(10), b.malloc(10)];
    dieAt(
      t,
      scene,
      step,
      () => (step === 'tryFree' ? b.free(blocks[0]) : b.malloc(10)),
      () => {
        if (step === 'malloc') a.free(blocks[0]);
        a.free(blocks[1]);
        a.swap('tlsf');
        t.is(a.stats().generations.length, 1, step);
        t.is(pages.usedPages(), fresh);
      },
    );
  }
});

test('a thread that has died in an algorithm with threads of its own is reaped there, too', (t) => {
  const scene = mortal('mimalloc');
  const { a, b, pages, fresh } = scene;
  const blocks = Array.from({ length: 50 }, () => b.malloc(500));
  dieAt(
    t,
    scene,
    'calloc',
    () => b.calloc(1, 10),
    () => {
      for (const block of blocks) a.free(block);
      a.swap('mimalloc');
      t.is(pages.usedPages(), fresh);
    },
  );
});
