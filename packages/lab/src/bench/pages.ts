/**
 * The page allocators on a map that is 90 % full and as fragmented as it can be: pages in use and free at
 * random, with two holes of 512 pages. One of the holes is always held, so that each search for a run has to
 * find its way from one to the other, half a map away.
 *
 * ```
 *   ░░▒░▒▒░░▒░░░▒░ │████ hole █████│ ░▒░░░▒▒░░▒░░ … ░░▒░░▒░▒░ │    hole      │ ░░▒▒░░▒░░▒░
 *                    held                                        the next run
 * ```
 */

import type { PageAllocator } from '@shmalloc/allocator-api';
import { BitmapPages } from '@shmalloc/bitmap';
import { Buddy } from '@shmalloc/buddy';
import { median, quantile } from 'simple-statistics';
import { type Column, renderTable } from '../table.ts';
import { formatCount } from '../units.ts';
import { generator } from './random.ts';

const PAGE = 4096;
const RUN = 512;
/** Which part of the pages is free. */
const FREE_SHARE = 0.1;

/**
 * One page allocator doing one thing.
 * @public
 */
export interface PagesFigure {
  readonly contestant: string;
  /** Pages under management. */
  readonly pages: number;
  readonly work: string;
  /** Nanoseconds of one call: the median over rounds, and half the distance between the quartiles. */
  readonly nanoseconds: number;
  readonly spread: number;
}

/**
 * How much is done.
 * @public
 */
export interface PagesPlan {
  readonly rounds: number;
  /** Calls in a round. */
  readonly calls: number;
  readonly seed: number;
}

interface Subject {
  readonly name: string;
  open(): PageAllocator;
}

/** 4 GiB of address space: 2^20 pages, of which only the maps are touched. */
const wholeMemory = (): WebAssembly.Memory =>
  new WebAssembly.Memory({ initial: 65_536, maximum: 65_536, shared: true });

const SUBJECTS: readonly Subject[] = [
  {
    name: 'BitmapPages, WASM',
    open: () => BitmapPages.create({ memory: wholeMemory(), crossings: 'wasm' }),
  },
  { name: 'BitmapPages, JS', open: () => BitmapPages.create({ memory: wholeMemory(), crossings: 'js' }) },
  // Its free frames hold their links, and so are touched: fewer of them.
  { name: 'Buddy, frames', open: () => Buddy.create({ bytes: 2 ** 28, lock: 'none' }).frames() },
];

/**
 * A map of which all pages but a random tenth, and two holes, are in use.
 * @returns one of the holes, which is held
 */
function fragment(pages: PageAllocator, seed: number): number {
  const next = generator(seed);
  const all: number[] = [];
  try {
    while (true) all.push(pages.allocPages(1, PAGE));
  } catch {
    // Full.
  }
  all.sort((a, b) => a - b);
  const holes = [0.25, 0.75].map((part) => Math.ceil((all[0] / PAGE + all.length * part) / RUN) * RUN * PAGE);
  const inHole = (address: number): boolean =>
    holes.some((hole) => address >= hole && address < hole + RUN * PAGE);
  for (const address of all) {
    if (inHole(address) || next() < FREE_SHARE * 2 ** 32) pages.deallocPages(address, 1);
  }
  return pages.allocPages(RUN, PAGE);
}

/** What is measured; each leaves the map as it found it. */
const WORKS: readonly { name: string; share: number; run(map: Fragmented, calls: number): void }[] = [
  { name: 'one page and back', share: 1, run: (map, calls) => map.singles(calls) },
  { name: `a run of ${RUN} and back`, share: 1 / 50, run: (map, calls) => map.runs(calls) },
];

class Fragmented {
  readonly pages: PageAllocator;
  private held: number;
  private readonly batch: Float64Array = new Float64Array(64);

  constructor(pages: PageAllocator, seed: number) {
    this.pages = pages;
    this.held = fragment(pages, seed);
  }

  singles(calls: number): void {
    const { pages, batch } = this;
    for (let done = 0; done < calls; done += batch.length) {
      for (let nth = 0; nth < batch.length; nth++) batch[nth] = pages.allocPages(1, PAGE);
      for (let nth = 0; nth < batch.length; nth++) pages.deallocPages(batch[nth], 1);
    }
  }

  runs(calls: number): void {
    const { pages } = this;
    for (let done = 0; done < calls; done++) {
      const run = pages.allocPages(RUN, PAGE);
      pages.deallocPages(this.held, RUN);
      this.held = run;
    }
  }
}

/**
 * Measures all of them, their rounds interleaved.
 * @param step - told of each contestant before it begins
 * @public
 */
export function measurePages(plan: PagesPlan, step: (label: string) => void): PagesFigure[] {
  const maps = SUBJECTS.map(({ name, open }) => {
    step(`${name}: a fragmented map`);
    return { name, map: new Fragmented(open(), plan.seed) };
  });
  const figures: PagesFigure[] = [];
  for (const { name: work, share, run } of WORKS) {
    step(work);
    const calls = Math.max(64, Math.ceil(plan.calls * share));
    const samples = new Map<string, number[]>(maps.map(({ name }) => [name, []]));
    // The first rounds are for the compiler.
    for (let round = -2; round < plan.rounds; round++) {
      for (const { name, map } of maps) {
        const start = process.hrtime.bigint();
        run(map, calls);
        const nanoseconds = Number(process.hrtime.bigint() - start) / calls;
        if (round >= 0) samples.get(name)?.push(nanoseconds);
      }
    }
    for (const { name, map } of maps) {
      const times = samples.get(name) as number[];
      const spread = (quantile(times, 0.75) - quantile(times, 0.25)) / 2;
      figures.push({
        contestant: name,
        pages: map.pages.totalPages(),
        work,
        nanoseconds: median(times),
        spread,
      });
    }
  }
  return figures;
}

/** How many times {@link measurePages} tells of a step. @public */
export const PAGES_STEPS: number = SUBJECTS.length + WORKS.length;

/** As text for a terminal. @public */
export function renderPages(figures: readonly PagesFigure[]): string {
  const columns: Column[] = [
    { head: 'pages of 4 KiB, 90 % in use, fragmented', align: 'left' },
    { head: 'pages', align: 'right' },
    { head: 'work', align: 'left' },
    { head: 'ns', align: 'right' },
    { head: 'spread', align: 'right' },
  ];
  const rows = figures.map(({ contestant, pages, work, nanoseconds, spread }) => [
    contestant,
    formatCount(pages),
    work,
    formatCount(Math.round(nanoseconds)),
    `±${((100 * spread) / nanoseconds).toFixed(1)} %`,
  ]);
  return `${renderTable(columns, rows)}\n\nA run is searched for half a map away from the last one. Medians of interleaved rounds; one thread.`;
}
