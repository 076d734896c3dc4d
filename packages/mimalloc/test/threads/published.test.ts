/**
 * What one thread has written, the next one finds: blocks of every size and kind, resized and freed by
 * threads that have not allocated them.
 */
import test from 'ava';
import { Crew, type CrewOptions } from '../support/crew.ts';
import { seedOf } from '../support/harness.ts';
import { type Fault, type Package, plant, removeMutants } from '../support/mutants.ts';
import type { PublishJob } from '../support/published.ts';

test.after.always(removeMutants);

const WORKER = new URL('../support/publish-worker.js', import.meta.url);
const KIB = 2 ** 10;
const MIB = 2 ** 20;

const KINDS: readonly (readonly [name: string, options: Pick<CrewOptions, 'kind' | 'backing'>])[] = [
  ['WebAssembly', { kind: 'wasm', backing: 'wasm' }],
  ['JavaScript', { kind: 'js', backing: 'wasm' }],
  ['JavaScript over plain shared memory', { kind: 'js', backing: 'sab' }],
  ['some of each', { kind: 'mixed', backing: 'wasm' }],
];

for (const [name, options] of KINDS) {
  for (const [workers, job] of [
    [3, { blocks: 500, largest: MIB, huge: 3 * MIB }],
    [4, { blocks: 3000, largest: 2 * KIB, huge: 20 * KIB }],
  ] as const) {
    test.serial(
      `${workers} workers publish blocks of 8 bytes to ${job.largest / KIB} KiB, resize and free each other’s: ${name}`,
      async (t) => {
        const crew = new Crew(t, {
          bytes: 256 * MIB,
          segmentShift: 20,
          parcels: 24,
          capacity: 1,
          ...options,
        });
        const jobs: PublishJob[] = Array.from({ length: workers }, () => job);
        const received = await crew.run<number>(WORKER, jobs);
        t.log(`${received} blocks of others looked at`);
        t.true(received.every((blocks) => blocks > job.blocks / 4));
        crew.finish();
      },
    );
  }
}

const FAULTS: readonly Fault[] = [
  {
    name: 'realloc of another thread’s block copies a word too few',
    file: 'alloc/realloc.js',
    from: 'copyWords(tld, address >>> 2, moved >>> 2, (bytes + 3) >>> 2);',
    to: 'copyWords(tld, address >>> 2, moved >>> 2, (bytes + 3 - 4 * Number(ownerOf(tld, livePage(tld, address)) !== tld.threadId)) >>> 2);',
  },
  {
    name: 'an address inside a block is freed as if the block started there',
    file: 'layout/lookup.js',
    from: 'return block === word || hasFlag(tld, page, HAS_ALIGNED) ? block : 0;',
    to: 'return block === word || hasFlag(tld, page, HAS_ALIGNED) ? word : 0;',
  },
  {
    name: 'usableSize of another thread’s block counts from the block’s start',
    file: 'page/usable.js',
    from: 'tld.i32[page + Page.blockWords] * 4 - (address - block * 4)',
    to: 'tld.i32[page + Page.blockWords] * 4',
  },
];

for (const fault of FAULTS) {
  test.serial(`found when ${fault.name}`, async (t) => {
    const module = plant(fault);
    const planted = { module, mi: (await import(module)) as typeof Package };
    const job: PublishJob = { blocks: 4000, largest: 2 * KIB, huge: 20 * KIB };
    const seed = seedOf(t);
    // Which blocks change hands is decided by the clock. A run does not meet some of the faults once in
    // twenty times.
    let error: Error | undefined;
    for (let times = 0; error === undefined && times < 10; times++) {
      const crew = new Crew(t, { bytes: 64 * MIB, parcels: 24, capacity: 1, planted }, seed + times);
      error = await crew.run(WORKER, [job, job]).then(
        () => undefined,
        (reason: Error) => reason,
      );
    }
    t.not(error, undefined, 'ten runs have not met the fault');
    t.log(error?.message.split('\n')[0]);
    t.notRegex(error?.message ?? '', /hang/, 'found by looking, not by the clock');
  });
}
