/**
 * A huge block that any thread frees is free at once: its owner may be idle, gone or dead, and others may be
 * at it at the same moment.
 */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { someOf } from '@shmalloc/alloc-test';
import { MiMalloc, type MiMallocOptions } from '@shmalloc/mimalloc';
import test, { type ExecutionContext } from 'ava';
import { slicesOf } from '../../dist/layout/page.js';
import { pageAt, segmentBytes, watch } from '../support/harness.ts';
import {
  BLOCK,
  DONE,
  END,
  ERRORS,
  FREE,
  type OwnerOrder,
  ROUND,
  TAKE,
  TASK,
} from '../support/huge-owner-worker.ts';
import { recordOf, tldOf } from '../support/inside.ts';
import { importStepped, onStep, type Stepped, writeStepped } from '../support/stepped.ts';
import { allClear } from '../support/turns.ts';

const MIB = 2 ** 20;
const PATIENCE_MS = 60_000;

/** A thread that is idle unless it is told something. */
class Owner {
  readonly words = new Int32Array(new SharedArrayBuffer(32));
  private readonly worker: Worker;

  constructor(heap: MiMalloc, size: number) {
    const workerData: OwnerOrder = { handle: heap.share(), size, words: this.words };
    this.worker = new Worker(new URL('../support/huge-owner-worker.js', import.meta.url), { workerData });
  }

  /** Lets it begin; `finish` waits until it is idle again. */
  begin(task: number): void {
    Atomics.store(this.words, TASK, task);
    Atomics.add(this.words, ROUND, 1);
    Atomics.notify(this.words, ROUND);
  }

  finish(): void {
    const round = Atomics.load(this.words, ROUND);
    while (Atomics.load(this.words, DONE) !== round)
      if (Atomics.wait(this.words, DONE, round - 1, PATIENCE_MS) === 'timed-out')
        throw new Error('no answer');
  }

  take(): number {
    this.begin(TAKE);
    this.finish();
    return Atomics.load(this.words, BLOCK) >>> 0;
  }

  async end(): Promise<void> {
    const exit = once(this.worker, 'exit');
    this.begin(END);
    await exit;
  }
}

const BACKINGS: Record<string, () => MiMallocOptions> = {
  SharedArrayBuffer: () => ({ memory: new SharedArrayBuffer(4 * MIB), grow: false }),
  'WebAssembly.Memory': () => ({ bytes: 4 * MIB, grow: false }),
  'a SharedArrayBuffer that grows': () => ({
    bytes: MIB,
    maxBytes: 4 * MIB,
    grow: true,
    backing: 'sab',
  }),
  'a WebAssembly.Memory that grows': () => ({ bytes: MIB, maxBytes: 4 * MIB, grow: true }),
};

for (const [backing, options] of someOf('huge-frees', BACKINGS, 1)) {
  test(`an idle thread’s huge block is freed by another, which has its memory at once: ${backing}`, async (t) => {
    const { heap, errors } = watch(MiMalloc.create(options()));
    // There is room for one.
    const size = 2.5 * MIB;
    const owner = new Owner(heap, size);
    for (let round = 0; round < 200; round++) {
      const block = owner.take();
      t.not(block, 0, `round ${round}: the other thread has freed its own`);
      heap.free(block);
      const again = heap.malloc(size);
      t.not(again, 0, `round ${round}: the owner is idle`);
      heap.memory.u8.fill(round, again, again + 4096);
      heap.free(again);
    }
    await owner.end();
    t.deepEqual(errors, []);
    t.is(Atomics.load(owner.words, ERRORS), 0);
    allClear(t, heap);
  });

  test(`two threads free one huge block at the same moment: one of them is told: ${backing}`, async (t) => {
    const { heap, errors } = watch(MiMalloc.create(options()));
    const size = 2.5 * MIB;
    const owner = new Owner(heap, size);
    for (let round = 1; round <= 300; round++) {
      const block = owner.take();
      t.not(block, 0, `round ${round}`);
      owner.begin(FREE);
      heap.free(block);
      owner.finish();
      t.is(errors.length + Atomics.load(owner.words, ERRORS), round);
      t.false(heap.containsBlock(block));
    }
    await owner.end();
    t.true(errors.every(({ code }) => code === 'NotAllocated' || code === 'DoubleFree'));
    allClear(t, heap);
  });
}

// ── What happens in between, statement by statement ──

const written = writeStepped('huge-frees');
let stepped: Stepped;
test.before(async () => {
  stepped = await importStepped(written.url);
});
test.after.always(() => written.remove());

/**
 * Two threads; the statements of the first are counted. Over memory for one block of the size and little
 * else.
 */
interface Pair {
  readonly a: MiMalloc;
  readonly b: MiMalloc;
  /** The errors that either was told. */
  readonly errors: string[];
  readonly size: number;
}

function pairOf(of: Stepped): Pair {
  const a = of.MiMalloc.create({ memory: new SharedArrayBuffer(MIB), grow: false });
  const b = MiMalloc.attach(a.share());
  const errors: string[] = [];
  for (const heap of [a, b]) heap.registerError((error) => errors.push(`${error.code}: ${error.message}`));
  return { a, b, errors, size: 9 * segmentBytes(a) };
}

/**
 * Plays a scene once for each statement of `run`, before which `meanwhile` happens.
 * @returns how many there are
 */
function between(
  of: Stepped,
  make: (pair: Pair) => { run: () => void; meanwhile: () => void; after: (where: string) => void },
): number {
  for (let at = 1; ; at++) {
    const { run, meanwhile, after } = make(pairOf(of));
    let steps = 0;
    let where = '';
    onStep((file, text) => {
      if (++steps !== at) return;
      where = `before ${file}: ${text}`;
      onStep(null);
      meanwhile();
    });
    run();
    onStep(null);
    if (steps < at) return at - 1;
    after(where);
  }
}

/** Whether a block holds one byte from end to end. */
function isFilled(u8: Uint8Array, block: number, size: number, byte: number): boolean {
  let at = block;
  while (at < block + size && u8[at] === byte) at++;
  return at === block + size;
}

const doubleFree = (t: Pick<ExecutionContext, 'is' | 'not' | 'false'>) => (pair: Pair) => {
  const { a, b, errors, size } = pair;
  const block = b.malloc(size);
  return {
    run: () => a.free(block),
    meanwhile: () => b.free(block),
    after: (where: string) => {
      t.is(errors.length, 1, `${where}: ${errors}`);
      t.false(a.containsBlock(block), where);
      for (const heap of [a, b]) {
        heap.validate({ quiet: true });
        const again = heap.malloc(size);
        t.not(again, 0, where);
        heap.free(again);
      }
      t.is(a.usedBytes(), 0, where);
    },
  };
};

test('a huge block is freed twice, the second time before any statement of the first: reported once, and nothing is broken', (t) => {
  t.true(between(stepped, doubleFree(t)) > 20);
});

const destroyed =
  (t: Pick<ExecutionContext, 'is' | 'not' | 'true' | 'false'>, again: boolean, reversed: boolean) =>
  (pair: Pair) => {
    const [owner, other] = reversed ? [pair.b, pair.a] : [pair.a, pair.b];
    const { errors, size } = pair;
    const part = owner.heapNew();
    // Below, so that the other thread's block lies where the heap's did.
    const below = owner.malloc(100);
    const block = part.malloc(size);
    t.not(block, 0);
    let mine = 0;
    const destroy = (): void => part.destroy();
    const free = (): void => {
      other.free(block);
      if (!again) return;
      mine = other.malloc(size);
      if (mine !== 0) other.memory.u8.fill(0x5a, mine, mine + size);
    };
    return {
      run: reversed ? free : destroy,
      meanwhile: reversed ? destroy : free,
      after: (where: string) => {
        t.true(errors.length <= 1, `${where}: ${errors}`);
        for (const heap of [owner, other]) heap.validate({ quiet: true });
        if (mine !== 0) {
          t.true(other.containsBlock(mine), where);
          t.true(isFilled(other.memory.u8, mine, size, 0x5a));
          other.free(mine);
        }
        const last = owner.malloc(size);
        t.not(last, 0, where);
        for (const each of [last, below]) owner.free(each);
        for (let round = 0; round < 2; round++) for (const heap of [owner, other]) heap.collect(true);
        t.is(owner.usedBytes(), 0, where);
      },
    };
  };

test('a heap is destroyed while another thread frees a huge block of it: one of them does', (t) => {
  t.true(between(stepped, destroyed(t, false, false)) > 50);
  t.true(between(stepped, destroyed(t, false, true)) > 20);
});

test('a heap is destroyed while another thread frees a huge block of it and has its memory again: that block stays', (t) => {
  t.true(between(stepped, destroyed(t, true, false)) > 50);
});

const deleted = (t: Pick<ExecutionContext, 'is' | 'not' | 'true' | 'deepEqual'>) => (pair: Pair) => {
  const { a, b, errors, size } = pair;
  const part = a.heapNew({ tag: 3 });
  const block = part.malloc(size);
  let mine = 0;
  return {
    run: () => part.delete(),
    meanwhile: () => {
      b.free(block);
      mine = b.malloc(size);
    },
    after: (where: string) => {
      t.deepEqual(errors, [], where);
      t.not(mine, 0, where);
      for (const heap of [a, b]) heap.validate({ quiet: true });
      const seen: number[] = [];
      b.visitBlocks((address) => seen.push(address), { threadId: b.threadId });
      t.deepEqual(seen, [mine], where);
      a.visitBlocks((address) => seen.push(address), { threadId: a.threadId });
      t.is(seen.length, 1, where);
      b.free(mine);
      t.is(b.usedBytes(), 0);
    },
  };
};

test('a heap is deleted while another thread frees a huge block of it and has its memory again: that block is its own', (t) => {
  t.true(between(stepped, deleted(t)) > 50);
});

/** Faults that the tests above must find. */
const PLANTED: readonly (readonly [what: string, right: string, wrong: string, scene: typeof doubleFree])[] =
  [
    [
      'a huge block is taken by a look and a store',
      'return tld.crossings.claim(segment + Segment.threadId, HUGE_SEGMENT, tld.threadId);',
      'if (tld.i32[segment + Segment.threadId] !== HUGE_SEGMENT) return false; tld.i32[segment + Segment.threadId] = tld.threadId; return true;',
      doubleFree,
    ],
    [
      'a heap that is destroyed takes what is there now',
      'return;\n        if (isFrom(tld, page, heap))',
      'return;\n        if (true)',
      (t) => destroyed(t as never, true, false),
    ],
    [
      'a heap that is deleted renames what is there now',
      'tld.crossings.claim(page + Page.xheap, heap, keeper)',
      '{ tld.i32[page + Page.xheap] = keeper; tld.i32[page + Page.next] = tld.threadId; }',
      (t) => deleted(t as never),
    ],
  ];

for (const [what, right, wrong, scene] of PLANTED) {
  test(`planted: ${what}`, async (t) => {
    const name = `huge-planted-${PLANTED.findIndex(([each]) => each === what)}`;
    const faulty = writeStepped(name, (file, text) => {
      if (file !== 'huge/huge-block.js') return text;
      t.true(text.includes(right), right);
      return text.replace(right, wrong);
    });
    try {
      const found = await importStepped(faulty.url);
      let said = '';
      const note = (holds: boolean, what = 'one'): void => {
        if (!holds) throw new Error(`found: ${what}`);
      };
      const judge = {
        is: (one: unknown, two: unknown, what?: string) => note(one === two, what),
        not: (one: unknown, two: unknown, what?: string) => note(one !== two, what),
        true: note,
        false: (holds: boolean, what?: string) => note(!holds, what),
        deepEqual: (one: unknown, two: unknown, what?: string) =>
          note(JSON.stringify(one) === JSON.stringify(two), what),
      };
      try {
        between(found, scene(judge as never));
      } catch (error) {
        said = (error as Error).message;
      } finally {
        onStep(null);
      }
      t.log(said);
      t.regex(said, /^found: before|is broken/);
    } finally {
      faulty.remove();
    }
  });
}

// ── Whose a huge block is ──

test('a huge block is its heap’s as long as that is there: contains, heapOf, visitBlocks, stats', (t) => {
  const a = MiMalloc.create({ bytes: 4 * MIB, grow: false });
  const b = MiMalloc.attach(a.share());
  const size = 3 * segmentBytes(a);
  const part = a.heapNew({ tag: 7 });
  const block = part.malloc(size);
  t.is(slicesOf(tldOf(a), pageAt(a, block)), 0);
  const seen = (): [number, unknown][] => {
    const found: [number, unknown][] = [];
    a.visitBlocks((address, _, tag) => found.push([address, tag]), { threadId: a.threadId });
    return found;
  };
  t.true(part.contains(block));
  t.is(a.heapOf(block), part);
  t.is(b.heapOf(block), null);
  t.true(a.checkOwned(block));
  t.false(b.checkOwned(block));
  t.deepEqual(seen(), [[block, 7]]);
  t.like(a.stats(), { huge: 1, abandonedSegments: 0 });
  t.true(b.visitAbandoned(() => t.fail('it is its thread’s')));
  part.delete();
  a.validate({ quiet: true });
  t.is(a.heapOf(block), null);
  t.deepEqual(seen(), [[block, 0]]);
  // The record serves again, and the block is not the new heap's.
  const next = a.heapNew({ tag: 8 });
  t.is(recordOf(next), recordOf(part));
  t.false(next.contains(block));
  next.destroy();
  t.true(a.containsBlock(block));
  a.detach();
  t.like(b.stats(), { huge: 1, abandonedSegments: 1 });
  const states = (): unknown[] => b.inspect().segments.map(({ kind, state, owner }) => [kind, state, owner]);
  t.deepEqual(
    states().filter((each) => `${each}`.startsWith('huge') || `${each}`.startsWith('tail')),
    [
      ['huge', 'abandoned', 0],
      ['tail', 'abandoned', 0],
      ['tail', 'abandoned', 0],
    ],
  );
  const left: number[] = [];
  b.visitAbandoned((address) => left.push(address));
  t.deepEqual(left, [block]);
  // A thread that has the slot now has not the block.
  const c = MiMalloc.attach(b.share());
  t.false(c.checkOwned(block));
  c.collect(true);
  t.true(c.containsBlock(block));
  c.free(block);
  allClear(t, b, c);
});

test('a huge block grows where it is, whichever thread asks', (t) => {
  const a = MiMalloc.create({ bytes: 4 * MIB, grow: false });
  const b = MiMalloc.attach(a.share());
  const size = 3 * segmentBytes(a);
  const block = a.malloc(size);
  a.memory.u8.fill(0x33, block, block + size);
  t.is(b.realloc(block, 2 * size), block);
  for (const heap of [a, b]) heap.validate({ quiet: true });
  a.detach();
  t.is(b.realloc(block, 3 * size), block);
  t.true(isFilled(b.memory.u8, block, size, 0x33));
  b.validate({ quiet: true });
  b.free(block);
  allClear(t, b);
});

test('a destroyed heap gives back its huge blocks, and no others', (t) => {
  const a = MiMalloc.create({ bytes: 8 * MIB, grow: false });
  const size = 3 * segmentBytes(a);
  const [part, rest] = [a.heapNew(), a.heapNew()];
  const [mine, gone, other] = [a.malloc(size), part.malloc(size), rest.malloc(size)];
  part.destroy();
  a.validate({ quiet: true });
  t.deepEqual(
    [mine, gone, other].map((block) => a.containsBlock(block)),
    [true, false, true],
  );
  rest.destroy();
  a.free(mine);
  allClear(t, a);
});
