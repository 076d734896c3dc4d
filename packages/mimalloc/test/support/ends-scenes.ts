/** What a thread may be doing when it ends, and the search for a statement before which it must not. */
import type { Handle } from '@shmalloc/allocator-api';
import { MiMalloc, type MiMallocOptions } from '@shmalloc/mimalloc';
import { atRest, type Ending, Ledger, playEnding, runUntil } from './ends.ts';
import type { Random } from './harness.ts';
import type { Stepped } from './stepped.ts';

interface Cast {
  /** Reaps. */
  readonly a: MiMalloc;
  /** Goes on meanwhile. */
  readonly b: MiMalloc;
  /** Ends. */
  readonly d: MiMalloc;
  readonly ledger: Ledger;
  /** Makes another thread that may end. */
  readonly attach: (handle: Handle) => MiMalloc;
}

const MIB = 1 << 20;
const OPTIONS: MiMallocOptions = { grow: false, threads: 6 };

function cast(stepped: Stepped, options: MiMallocOptions): Cast {
  // What lies behind is for those that add memory.
  const memory = options.maxBytes === undefined ? { memory: new SharedArrayBuffer(2 * MIB), end: MIB } : {};
  const a = MiMalloc.create({ ...OPTIONS, ...memory, ...options });
  const b = MiMalloc.attach(a.share());
  const d = stepped.MiMalloc.attach(a.share());
  return { a, b, d, ledger: new Ledger(a), attach: (handle) => stepped.MiMalloc.attach(handle) };
}

export type Scene = (cast: Cast) => Partial<Ending> & { run(): void };

const SIZES = [16, 112, 500, 2000, 5000, 20_000];

/** What the thread is doing when it ends. */
export const SCENES: Record<string, Scene> = {
  'it allocates small blocks': ({ d, ledger }) => ({
    run: () => {
      for (const size of SIZES) ledger.takeAll(d, size, 30);
    },
  }),
  'it frees its own blocks': ({ d, ledger }) => {
    const blocks = SIZES.flatMap((size) => ledger.takeAll(d, size, 20));
    return { run: () => ledger.give(d, ...blocks) };
  },
  'it allocates and frees, page after page': ({ d, ledger }) => {
    const blocks = ledger.takeAll(d, 400, 200);
    return {
      run: () => {
        for (let index = 0; index < 200; index++) {
          ledger.give(d, blocks[(index * 7) % 200]);
          blocks[(index * 7) % 200] = ledger.take(d, 400);
        }
      },
    };
  },
  'it allocates and frees huge blocks, which grow and shrink': ({ d, ledger }) => ({
    run: () => {
      let block = ledger.take(d, 70_000);
      ledger.live.delete(block);
      block = ledger.keep(d.realloc(block, 140_000));
      ledger.live.delete(block);
      block = ledger.keep(d.realloc(block, 20_000));
      ledger.give(d, block);
    },
    // Until `realloc` returns, the old block is the program's.
    leaves: 1,
  }),
  'a huge block grows where it is': ({ d, ledger }) => {
    const block = ledger.take(d, 70_000);
    return { run: () => void d.expand(block, 120_000) };
  },
  'it frees huge blocks of others, of one that has gone among them': ({ a, b, d, ledger }) => {
    const e = MiMalloc.attach(a.share());
    const blocks = [a, b, e].map((heap) => ledger.take(heap, 140_000));
    e.detach();
    return { run: () => ledger.give(d, ...blocks) };
  },
  'it deletes a heap with huge blocks': ({ d, ledger }) => ({
    run: () => {
      const heap = d.heapNew();
      for (const size of [70_000, 100, 140_000]) ledger.keep(heap.malloc(size));
      heap.delete();
    },
  }),
  'it destroys a heap with huge blocks': ({ d }) => {
    const heap = d.heapNew();
    for (const size of [70_000, 100, 140_000]) heap.malloc(size);
    return { run: () => heap.destroy(), leaves: 3 };
  },
  'it frees blocks of another thread, full pages among them': ({ a, d, ledger }) => {
    const blocks = [
      ...ledger.takeAll(a, 500, 60),
      ...ledger.takeAll(a, 40, 20),
      ...ledger.takeAll(a, 70_000, 1),
    ];
    return { run: () => ledger.give(d, ...blocks) };
  },
  'it gathers what others have freed': ({ a, b, d, ledger }) => {
    const blocks = [
      ...ledger.takeAll(d, 500, 80),
      ...ledger.takeAll(d, 40, 30),
      ...ledger.takeAll(d, 70_000, 1),
    ];
    d.free(d.malloc(64)); // it has met the others
    ledger.takeAll(d, 500, 20);
    ledger.give(a, ...blocks.filter((_, index) => index % 3 === 0));
    ledger.give(b, ...blocks.filter((_, index) => index % 3 === 1));
    return {
      run: () => {
        ledger.takeAll(d, 500, 60);
        d.collect(true);
        ledger.takeAll(d, 40, 60);
      },
    };
  },
  'it detaches': ({ a, d, ledger }) => {
    for (const size of SIZES) ledger.takeAll(d, size, 12);
    const more = ledger.takeAll(d, 500, 40);
    ledger.takeAll(d, 70_000, 1);
    ledger.give(a, ...more.slice(0, 20));
    return { run: () => d.detach() };
  },
  'it adopts what another has left': ({ a, b, d, ledger }) => {
    const e = MiMalloc.attach(a.share());
    const blocks = SIZES.flatMap((size) => ledger.takeAll(e, size, 15));
    ledger.takeAll(e, 70_000, 1);
    e.detach();
    ledger.give(b, ...blocks.filter((_, index) => index % 2 === 0));
    return {
      run: () => {
        ledger.takeAll(d, 500, 5);
        d.collect(true);
        ledger.takeAll(d, 112, 30);
      },
    };
  },
  'it looks at what another has left': ({ a, b, d, ledger }) => {
    const e = MiMalloc.attach(a.share());
    const blocks = SIZES.flatMap((size) => ledger.takeAll(e, size, 15));
    const huge = ledger.takeAll(e, 70_000, 1);
    e.detach();
    ledger.give(b, ...blocks.filter((_, index) => index % 2 === 0), ...huge);
    return { run: () => void d.visitAbandoned(() => true) };
  },
  'it reaps another': ({ a, b, d, ledger, attach }) => {
    const e = attach(a.share());
    const blocks = [...SIZES.flatMap((size) => ledger.takeAll(e, size, 15)), ...ledger.takeAll(e, 500, 40)];
    ledger.takeAll(e, 70_000, 1);
    ledger.give(b, ...blocks.slice(0, 30));
    return { run: () => d.reap(e.threadId), dead: [d.threadId, e.threadId] };
  },
  'it makes heaps, fills and deletes them': ({ d, ledger }) => ({
    run: () => {
      for (let round = 0; round < 3; round++) {
        const heap = d.heapNew();
        for (const size of SIZES) ledger.keep(heap.malloc(size));
        for (let count = 0; count < 40; count++) ledger.keep(heap.malloc(500));
        heap.delete();
      }
    },
  }),
  'it destroys a heap': ({ d }) => {
    const heap = d.heapNew();
    let blocks = 0;
    for (const size of SIZES) for (let count = 0; count < 10; count++) if (heap.malloc(size) !== 0) blocks++;
    // Those that it had not come to are still there.
    return { run: () => heap.destroy(), leaves: blocks };
  },
  'it allocates more than there is': ({ d, ledger }) => ({
    run: () => {
      ledger.takeAll(d, 20_000, 60);
      ledger.takeAll(d, 100_000, 4);
    },
  }),
  'it adds memory': ({ d, ledger }) => ({
    run: () => {
      d.addMemory(MIB, MIB / 2);
      ledger.takeAll(d, 2000, 20);
      d.addArena(MIB + MIB / 2, MIB / 2);
    },
  }),
  'it attaches': ({ a, ledger, attach }) => {
    const seat = a.shareSlot();
    return {
      run: () => {
        const e = attach(seat);
        ledger.takeAll(e, 100, 3);
      },
      dead: [seat.threadId],
    };
  },
};

/** Regions in which the scenes are played. */
export const REGIONS: Record<string, MiMallocOptions> = {
  'as usual': {},
  'what is empty is purged at once, and nothing is retired': { purgeDelay: 0, retireCycles: 0 },
  'a free adopts': { reclaimOnFree: true },
  'secure mode 2': { secure: 2, seed: 1 },
  'the memory grows': { bytes: MIB / 2, maxBytes: 4 * MIB, grow: true },
};

/** What to play. */
export interface Search {
  readonly stepped: Stepped;
  readonly options: MiMallocOptions;
  readonly scene: Scene;
  readonly random: Random;
  /** How many statements are drawn by lot at the most. */
  readonly most: number;
  /** Which of them, by file and text. */
  readonly only?: (statement: string) => boolean;
}

/**
 * Plays a scene once for each statement, or for those that are drawn.
 * @returns how many statements there are, how many were played, and what went wrong
 */
export function everyEnd(search: Search): { steps: number; played: number; faults: string[] } {
  const { stepped, options, scene, random, most, only } = search;
  const faults: string[] = [];
  const play = (at: number, statements?: string[]): number => {
    const all = cast(stepped, options);
    const { a, b, d, ledger } = all;
    const before = atRest([a, b]);
    const { run, dead = [d.threadId], leaves } = scene(all);
    const { steps, statement } = runUntil(at, run, statements);
    const where = `before statement ${at}, ${statement}`;
    try {
      const ending = { living: [a, b], dead, ledger, run, ...(leaves !== undefined && { leaves }) };
      faults.push(...playEnding(ending, where, random));
      const after = atRest([a, b]);
      // From level 3 on a block is marked: the one that is lost may say that it is free, and then a free of
      // it is refused as a second one. Its page stays.
      const keeps = (options.secure ?? 0) >= 3 && a.stats().pages === 1;
      const isEmpty = after.usedBytes === 0 && after.segments === 0;
      if (!(keeps || isEmpty) || after.freeSegments + after.segments < before.freeSegments)
        faults.push(`${where}: ${JSON.stringify(after)}, and before ${JSON.stringify(before)}`);
    } catch (error) {
      faults.push(`${where}: ${(error as Error).message}`);
    }
    return steps;
  };
  const statements: string[] = [];
  const steps = play(Number.POSITIVE_INFINITY, statements);
  const places = statements.flatMap((statement, index) => (only?.(statement) === false ? [] : [index + 1]));
  let played = 0;
  for (; places.length > 0 && played < most; played++)
    play(...(places.splice(places.length <= most - played ? 0 : random(places.length), 1) as [number]));
  return { steps, played, faults };
}
