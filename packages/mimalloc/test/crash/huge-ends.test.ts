/**
 * A thread ends while it makes a huge block, frees one, or reaps a thread that did: before every statement.
 */
import { someOf } from '@shmalloc/alloc-test';
import { MiMalloc, type MiMallocOptions } from '@shmalloc/mimalloc';
import test from 'ava';
import { runUntil } from '../support/ends.ts';
import { randomOf, seedOf, segmentBytes, shuffle } from '../support/harness.ts';
import { importStepped, type Stepped, writeStepped } from '../support/stepped.ts';

const MIB = 2 ** 20;

const written = writeStepped('huge-ends');
let stepped: Stepped;
test.before(async () => {
  stepped = await importStepped(written.url);
});
test.after.always(() => written.remove());

/** What is left of a region of two threads in which everything is freed. */
function rest(a: MiMalloc): { usedBytes: number; freeSegments: number; segments: number } {
  for (let round = 0; round < 2; round++) a.collect(true);
  a.validate({ quiet: true });
  const { usedBytes, freeSegments, segments } = a.stats();
  return { usedBytes, freeSegments, segments };
}

interface Mourners {
  readonly a: MiMalloc;
  readonly d: MiMalloc;
  readonly size: number;
  readonly before: ReturnType<typeof rest>;
}

function mourners(options: MiMallocOptions): Mourners {
  const a = MiMalloc.create({ memory: new SharedArrayBuffer(MIB), grow: false, ...options });
  const d = stepped.MiMalloc.attach(a.share());
  return { a, d, size: 4 * segmentBytes(a) + 5000, before: rest(a) };
}

const REGIONS: Record<string, MiMallocOptions> = {
  'as usual': {},
  'what is empty is purged at once': { purgeDelay: 0 },
  'secure mode 2': { secure: 2, seed: 1 },
};

for (const [region, options] of someOf('huge-ends', REGIONS, 1)) {
  test(`a thread ends before any statement of freeing a huge block: what it has begun is done for it (${region})`, (t) => {
    let begun = 0;
    for (let at = 1; ; at++) {
      const { a, d, size, before } = mourners(options);
      const block = a.malloc(size);
      const { steps, statement } = runUntil(at, () => d.free(block));
      if (steps < at) break;
      const where = `before statement ${at}, ${statement}`;
      const live = a.containsBlock(block);
      if (!live) begun++;
      a.reap(d.threadId);
      a.validate({ quiet: true });
      t.is(a.containsBlock(block), live, where);
      if (live) a.free(block);
      t.deepEqual(rest(a), before, where);
    }
    t.true(begun > 40, `${begun}`);
  });

  test(`a thread ends before any statement of making a huge block: it is lost when it is made, and else is not there (${region})`, (t) => {
    let made = 0;
    let unmade = 0;
    for (let at = 1; ; at++) {
      const { a, d, size, before } = mourners(options);
      const { steps, statement } = runUntil(at, () => void d.malloc(size));
      if (steps < at) break;
      a.reap(d.threadId);
      a.validate({ quiet: true });
      const left: number[] = [];
      a.visitAbandoned((address) => left.push(address));
      if (left.length === 0) unmade++;
      else made++;
      t.true(left.length <= 1);
      for (const block of left) a.free(block);
      t.deepEqual(rest(a), before, `before statement ${at}, ${statement}`);
    }
    t.true(made > 1 && unmade > 100, `${made}, ${unmade}`);
  });

  test(`a thread ends while it reaps one that has ended while it freed a huge block (${region})`, (t) => {
    t.timeout(15 * 60_000);
    const endings: readonly string[] = [
      'tld.i32[tld.heap + Heap.segmentCount] += segments',
      'i32[page + Page.start] = 0',
      'tld.crossings.store(page + Page.blockWords, 0)',
      'let strangers = 0',
      'strangers++',
    ];
    const random = randomOf(seedOf(t));
    let plays = 0;
    for (const ending of endings) {
      const play = (at: number, statements?: string[]): void => {
        const { a, d, size, before } = mourners(options);
        const block = a.malloc(size);
        const seen: string[] = [];
        const probe = mourners(options);
        const other = probe.a.malloc(size);
        runUntil(Number.POSITIVE_INFINITY, () => probe.d.free(other), seen);
        const place = seen.findIndex((each) => each.startsWith(`huge/huge-block.js: ${ending}`));
        // Nothing is strange here, so the last of them is never come to; its loop is.
        runUntil(place < 0 ? seen.length : place + 1, () => d.free(block));
        const r = stepped.MiMalloc.attach(a.share());
        const { statement } = runUntil(at, () => r.reap(d.threadId), statements);
        for (const name of [d.threadId, r.threadId]) a.reap(name);
        for (const name of [d.threadId, r.threadId]) a.reap(name);
        t.false(a.containsBlock(block));
        t.deepEqual(rest(a), before, `${ending}, before ${at}, ${statement}`);
        plays++;
      };
      const statements: string[] = [];
      play(Number.POSITIVE_INFINITY, statements);
      const places = statements.flatMap((each, index) =>
        /^(huge\/huge-block|huge\/huge|exit\/take-over|segment\/arena|exit\/reap)\.js/.test(each)
          ? [index + 1]
          : [],
      );
      for (const at of shuffle(places, random).slice(0, 60)) play(at);
    }
    t.true(plays > 200, `${plays}`);
  });
}
