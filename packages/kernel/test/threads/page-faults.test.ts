/** Page allocations that fail, one after another, in the middle of everything. */
import { AllocError } from '@shmalloc/allocator-api';
import { ALLOCATORS, type AllocatorName, boot, type Machine, PhysicalMemory } from '@shmalloc/kernel';
import test from 'ava';
import { KernelHeap } from '../../dist/heap/kernel-heap.js';

const NAMES = Object.keys(ALLOCATORS) as AllocatorName[];
const PAGE = 4096;

/** Which page allocations of this thread fail, counted from 1. */
type Faults = (n: number) => boolean;

/** Plants faults; what it returns ends them, and says how many page allocations there were. */
function plant({ pages }: PhysicalMemory, faults: Faults): () => number {
  const { allocPages, allocPagesAt } = pages;
  let count = 0;
  const next = (): void => {
    if (faults(++count)) throw new AllocError('NoMemory', 'planted: no pages');
  };
  pages.allocPages = (...given) => {
    next();
    return allocPages.apply(pages, given);
  };
  pages.allocPagesAt = (...given) => {
    next();
    return allocPagesAt.apply(pages, given);
  };
  return () => {
    Object.assign(pages, { allocPages, allocPagesAt });
    return count;
  };
}

interface Outcome {
  /** Answers that were 0, or NoMemory. */
  refused: number;
  /** Page allocations that there were. */
  calls: number;
}

/**
 * Everything that takes pages, on one thread. What cannot be had is left out; all that was had is given back.
 */
function workload(machine: Machine, name: AllocatorName, faults: Faults): Outcome {
  const { allocator, physical } = machine;
  const end = plant(physical, faults);
  let refused = 0;
  const blocks: [address: number, size: number][] = [];
  const take = (size: number): void => {
    const address = allocator.malloc(size);
    if (address === 0) refused++;
    else {
      machine.memory.u8.fill(blocks.length + 1, address, address + size);
      blocks.push([address, size]);
    }
  };
  const swap = (): void => {
    try {
      machine.swap(name);
    } catch (error) {
      if (!(error instanceof AllocError) || error.code !== 'NoMemory') throw error;
      refused++;
    }
  };
  const runs: number[] = [];
  for (const size of [100, 20_000, 60_000, 8, 300_000]) take(size);
  runs.push(physical.vmalloc(0, 3 * PAGE));
  swap();
  for (const size of [50_000, 16, 150_000]) take(size);
  runs.push(physical.vmalloc(0, 3 * PAGE));
  refused += runs.filter((run) => run === 0).length;
  const calls = end();
  blocks.forEach(([address, size], index) => {
    const bytes = machine.memory.u8.subarray(address, address + size);
    if (bytes.some((byte) => byte !== index + 1)) throw new Error(`block ${index} was overwritten`);
    allocator.free(address);
  });
  for (const run of runs) if (run !== 0) physical.vmfree(run, 3 * PAGE);
  return { refused, calls };
}

for (const name of NAMES) {
  test(`${name}: whichever page allocation fails, the answer is 0 or NoMemory, all is consistent, and all pages come back`, async (t) => {
    const machine = await boot({
      bytes: 6 << 20,
      allocator: name,
      paged: { swap: true },
      onPrint: () => {},
    });
    t.teardown(() => machine.halt());
    const quietPages = async (): Promise<number> => {
      machine.swap(name);
      await machine.settle();
      return machine.physical.usedPages();
    };
    const before = await quietPages();
    const { refused, calls } = workload(machine, name, () => false);
    t.is(refused, 0);
    t.true(calls > 4, `${calls} page allocations`);
    let ever = 0;
    const plans = Array.from({ length: calls }, (_, i): [string, Faults][] => [
      [`page allocation ${i + 1} has failed`, (n) => n === i + 1],
      [`all page allocations from ${i + 1} on have failed`, (n) => n > i],
    ]).flat();
    for (const [what, faults] of plans) {
      ever += workload(machine, name, faults).refused;
      machine.allocator.validate({ quiet: true });
      // The next request that fits succeeds.
      const block = machine.allocator.malloc(200_000);
      t.not(block, 0);
      machine.allocator.free(block);
      t.is(await quietPages(), before, what);
    }
    t.log(`${calls} page allocations, ${ever} refusals`);
    t.true(ever > 0);
  });

  test(`${name} is made over pages, or not at all, whichever page allocation fails`, async (t) => {
    const choice = { allocator: name, swap: [], lock: undefined, debug: undefined, threads: 3 };
    for (let n = 1, calls = n; n <= calls; n++) {
      const physical = PhysicalMemory.create({ bytes: 1 << 20 });
      const end = plant(physical, (call) => call >= n);
      const error = await t.throwsAsync<AllocError>(() => KernelHeap.create(physical, choice));
      t.is(error?.code, 'NoMemory');
      end();
      t.is(physical.usedPages(), 0);
      physical.validate({ quiet: true });
      const count = plant(physical, () => false);
      (await KernelHeap.create(physical, choice)).validate({ quiet: true });
      calls = count();
    }
  });

  test(`boot over ${name} in memory that is just too small, up to what is enough, is refused`, async (t) => {
    let least = 0;
    for (let pages = 3; least === 0 && pages < 600; pages += pages < 40 ? 1 : 20) {
      try {
        const machine = await boot({
          memory: new SharedArrayBuffer(pages * PAGE),
          allocator: name,
          paged: true,
        });
        await machine.halt();
        least = pages;
      } catch (error) {
        t.true(
          error instanceof AllocError && ['NoMemory', 'InvalidParam'].includes(error.code),
          String(error),
        );
      }
    }
    t.true(least > 0);
  });
}
