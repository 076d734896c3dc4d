/** Every interleaving of two operations in which one of them is not stopped. */
import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { BIN_FULL } from '../../dist/layout/bins.js';
import { Page } from '../../dist/layout/page.js';
import { firstPage } from '../../dist/page/queue.js';
import { fill, pageAt, randomOf, seedOf, segmentBytes, small } from '../support/harness.ts';
import { tldOf } from '../support/inside.ts';
import { everyPause, type Scene, Stage } from '../support/pauses.ts';

interface Company {
  readonly stage: Stage;
  readonly a: MiMalloc;
  readonly b: MiMalloc;
  readonly c: MiMalloc;
  /** Blocks of a full page, of another one, and of a page with room. */
  readonly full: readonly number[];
  readonly other: readonly number[];
  readonly part: readonly number[];
}

/** Three threads, of which A has full pages, one with room, a medium and a large block. */
function company(): Company {
  const a = small({ threads: 4 });
  const b = MiMalloc.attach(a.share());
  const c = MiMalloc.attach(a.share());
  const stage = new Stage(a, b, c);
  const blocks = stage.takeAll(a, 500, 60);
  const first = firstPage(tldOf(a), tldOf(a).heap, BIN_FULL);
  const [full, other] = [first, tldOf(a).i32[first + Page.next]].map((page) => {
    return blocks.filter((block) => pageAt(a, block) === page);
  });
  const part = stage.takeAll(a, 120, 5);
  stage.take(a, 5000);
  stage.take(a, 20_000);
  return { stage, a, b, c, full, other, part };
}

/** What a thread may do meanwhile; `rest` are the other blocks of the page. */
const MEANWHILE: Record<string, (company: Company, rest: readonly number[]) => void> = {
  'A collects': ({ a }) => a.collect(true),
  'A allocates generically': ({ stage, a }) => stage.take(a, 3000),
  'A allocates from the page': ({ stage, a }) => {
    stage.takeAll(a, 500, 12);
    stage.takeAll(a, 120, 40);
  },
  'A frees another block of the page': ({ stage, a }, rest) => stage.give(a, rest[0]),
  'A frees all other blocks of the page': ({ stage, a }, rest) => stage.give(a, ...rest),
  'C frees another block of the page': ({ stage, c }, rest) => stage.give(c, rest[0]),
  'C frees all other blocks of the page, and A collects': ({ stage, a, c }, rest) => {
    stage.give(c, ...rest);
    a.collect(true);
  },
  'C frees into another full page': ({ stage, c, other }) => stage.give(c, other[0]),
  'A detaches': ({ a }) => a.detach(),
  'A detaches, and C adopts': ({ a, c }) => {
    a.detach();
    c.collect(true);
  },
  'A detaches, and D takes its record': ({ stage, a, c }) => {
    a.detach();
    const d = MiMalloc.attach(c.share());
    stage.threads.push(d);
    stage.takeAll(d, 500, 40);
  },
  'A detaches, D takes its record and its pages': ({ stage, a, c }) => {
    a.detach();
    const d = MiMalloc.attach(c.share());
    stage.threads.push(d);
    d.collect(true);
    stage.takeAll(d, 500, 10);
  },
  'A detaches, C adopts and frees all other blocks': ({ stage, a, c }, rest) => {
    a.detach();
    c.collect(true);
    stage.give(c, ...rest);
  },
};

for (const [what, pause] of Object.entries(MEANWHILE)) {
  test(`B is stopped while it frees into A’s full page: ${what}`, (t) => {
    const random = randomOf(seedOf(t));
    const make = (): Scene => {
      const all = company();
      const { stage, b, full } = all;
      return { stage, run: () => stage.give(b, full[0]), pause: () => pause(all, full.slice(1)) };
    };
    everyPause(t, make, random);
  });

  test(`B is stopped while it frees into A’s page with room: ${what}`, (t) => {
    const random = randomOf(seedOf(t));
    const make = (): Scene => {
      const all = company();
      const { stage, b, part } = all;
      return { stage, run: () => stage.give(b, part[0]), pause: () => pause(all, part.slice(1)) };
    };
    everyPause(t, make, random);
  });
}

test('A is stopped while it collects what others have freed: B and C free more', (t) => {
  const random = randomOf(seedOf(t));
  const make = (): Scene => {
    const { stage, a, b, c, full, other, part } = company();
    stage.give(b, full[0], full[2], part[0]);
    return {
      stage,
      run: () => a.collect(true),
      pause: () => {
        stage.give(b, full[3], part[1], other[0]);
        stage.give(c, part[2], full[4]);
      },
    };
  };
  everyPause(t, make, random);
});

test('A is stopped while it takes a page for full: B frees a block of that page', (t) => {
  const random = randomOf(seedOf(t));
  const make = (): Scene => {
    const a = small();
    const b = MiMalloc.attach(a.share());
    const stage = new Stage(a, b);
    // The second page is used up, and the first as well: the next malloc makes the first one full.
    const blocks = stage.takeAll(a, 500, 16);
    const page = pageAt(a, blocks[15]);
    while (tldOf(a).i32[page + Page.used] < tldOf(a).i32[page + Page.reserved])
      blocks.push(stage.take(a, 500));
    const first = blocks.filter((block) => pageAt(a, block) === pageAt(a, blocks[0]));
    return {
      stage,
      run: () => stage.takeAll(a, 500, 20),
      pause: () => stage.give(b, ...first),
    };
  };
  everyPause(t, make, random);
});

for (const [what, pause] of Object.entries<(all: Company) => void>({
  'B frees blocks of its pages': ({ stage, b, full, part }) => stage.give(b, full[0], full[1], part[0]),
  'B frees everything': ({ stage, b }) => stage.give(b, ...stage.live),
  'B collects': ({ b }) => b.collect(true),
  'B collects and frees everything': ({ stage, b }) => {
    b.collect(true);
    stage.give(b, ...stage.live);
  },
  'B allocates all there is': ({ stage, b }) => stage.takeAll(b, 2000, 1000),
  'B and C detach': ({ stage, b, c }) => {
    const handle = b.share();
    b.detach();
    c.detach();
    stage.threads.push(MiMalloc.attach(handle));
  },
})) {
  test(`A is stopped while it detaches: ${what}`, (t) => {
    const random = randomOf(seedOf(t));
    const make = (): Scene => {
      const all = company();
      return { stage: all.stage, run: () => all.a.detach(), pause: () => pause(all) };
    };
    everyPause(t, make, random);
  });

  test(`C is stopped while it adopts what A has left: ${what}`, (t) => {
    if (what === 'B and C detach') {
      t.pass();
      return;
    }
    const random = randomOf(seedOf(t));
    const make = (): Scene => {
      const all = company();
      all.a.detach();
      return { stage: all.stage, run: () => all.c.collect(true), pause: () => pause(all) };
    };
    everyPause(t, make, random);
  });
}

/** What one thread may do while another claims or releases segments. */
const CLAIMS: Record<string, (stage: Stage, heap: MiMalloc) => void> = {
  'allocates a small block': (stage, heap) => stage.take(heap, 64),
  'allocates a large block': (stage, heap) => stage.take(heap, 40_000),
  'allocates a huge block': (stage, heap) => stage.take(heap, 3 * segmentBytes(heap)),
  'allocates all there is': (stage, heap) => stage.takeAll(heap, segmentBytes(heap), 20),
  collects: (_, heap) => heap.collect(true),
};

for (const [what, pause] of Object.entries(CLAIMS)) {
  for (const [during, run] of Object.entries<(stage: Stage, heap: MiMalloc, held: number[]) => void>({
    'claims a segment': (stage, heap) => stage.take(heap, 64),
    'claims several for a huge block': (stage, heap) => stage.take(heap, 4 * segmentBytes(heap)),
    'releases a segment': (stage, heap, held) => stage.give(heap, held[0]),
    'releases a huge block': (stage, heap, held) => stage.give(heap, held[1]),
    'lets a huge block grow': (stage, heap, held) => {
      const grown = heap.realloc(held[1], 5 * segmentBytes(heap));
      if (grown === 0) return;
      stage.live.delete(held[1]);
      stage.live.add(grown);
    },
    attaches: (stage, heap) => stage.threads.push(MiMalloc.attach(heap.share())),
  })) {
    test(`A is stopped while it ${during}: B ${what}`, (t) => {
      const random = randomOf(seedOf(t));
      const make = (): Scene => {
        const a = small({ retireCycles: 0 });
        const b = MiMalloc.attach(a.share());
        const stage = new Stage(a, b);
        const held = [stage.take(a, 5000), stage.take(a, 2 * segmentBytes(a))];
        return { stage, run: () => run(stage, a, held), pause: () => pause(stage, b) };
      };
      everyPause(t, make, random);
    });
  }
}

test('A is stopped while it adds memory: B allocates, and adds other memory', (t) => {
  const random = randomOf(seedOf(t));
  const make = (): Scene => {
    const a = small({ memory: new SharedArrayBuffer(8 << 20), end: 1 << 20 });
    const b = MiMalloc.attach(a.share());
    const stage = new Stage(a, b);
    stage.takeAll(b, 3000, 1000);
    return {
      stage,
      run: () => a.addMemory(1 << 20, 1 << 20),
      pause: () => {
        stage.takeAll(b, 700, 20);
        stage.takeAll(b, 200_000, 2);
      },
    };
  };
  everyPause(t, make, random);
});

test('A is stopped while it adds the second half of a segment: B allocates what only fits into the whole', (t) => {
  const random = randomOf(seedOf(t));
  for (const slices of [1, 7, 9, 12, 16]) {
    const make = (): Scene => {
      const half = 8 * 4096;
      const a = small({ memory: new SharedArrayBuffer(4 << 20), end: (1 << 20) + half });
      const b = MiMalloc.attach(a.share());
      const stage = new Stage(a, b);
      // All whole segments are taken.
      stage.takeAll(a, segmentBytes(a), 30);
      return {
        stage,
        run: () => a.addMemory((1 << 20) + half, half),
        pause: () => stage.takeAll(b, slices * 4096, 2),
      };
    };
    everyPause(t, make, random);
  }
});

test('A is stopped while it lays out the table of a chunk: B adds memory to the same chunk, or to others', (t) => {
  for (const start of [2 << 20, 3 << 20, 5 << 20, 16 << 20]) {
    const a = small({ memory: new SharedArrayBuffer(32 << 20), end: 1 << 20 });
    const b = MiMalloc.attach(a.share());
    const before = a.totalBytes();
    // A table starts with a fill: there A stops.
    const { i32 } = tldOf(a);
    const { fill: original } = Int32Array.prototype;
    i32.fill = (value, from, to) => {
      Reflect.deleteProperty(i32, 'fill');
      b.addMemory(start + (1 << 19), 1 << 19);
      return original.call(i32, value, from, to) as typeof i32;
    };
    a.addMemory(2 << 20, 1 << 19);
    a.validate({ quiet: true });
    t.true(
      a.totalBytes() - before > 0.9 * (1 << 20),
      `${start}: ${a.totalBytes() - before} bytes were added`,
    );
    const blocks = fill(a, 1000);
    t.true(
      blocks.some((block) => block >= start + (1 << 19)),
      `${start}: nothing from B's range`,
    );
    t.true(blocks.some((block) => block >= 2 << 20 && block < (2 << 20) + (1 << 19)));
    for (const block of blocks) a.free(block);
    a.collect(true);
    a.validate({ quiet: true });
    t.is(a.usedBytes(), 0);
  }
});

test('A is stopped while it makes the memory grow: B makes it grow, too', (t) => {
  const random = randomOf(seedOf(t));
  const make = (): Scene => {
    const a = MiMalloc.create({ bytes: 1 << 20, maxBytes: 8 << 20 });
    const b = MiMalloc.attach(a.share());
    const stage = new Stage(a, b);
    for (const block of fill(a, 5000, 150)) stage.live.add(block);
    return {
      stage,
      run: () => {
        stage.takeAll(a, 60_000, 5);
        stage.takeAll(a, 200, 20);
      },
      pause: () => stage.takeAll(b, 300_000, 2),
    };
  };
  everyPause(t, make, random);
});
