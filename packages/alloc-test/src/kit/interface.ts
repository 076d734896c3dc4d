/**
 * What every heap offers beside C's and ArceOS's calls: questions that are answered and not reported, looking
 * at blocks, figures, handles, options.
 */

import { AllocError, type Heap, Layout } from '@shmalloc/allocator-api';
import { type Bench, type Check, expect, expectBlock, expectEmpty } from './bench.ts';

/** Every part of the interface. */
export function interfaceChecks(): Check[] {
  return [
    { title: 'tryFree, tryRealloc and tryUsableSize answer what is wrong, and report nothing', run: answers },
    { title: 'visitBlocks shows exactly the live blocks, and stops when it is told to', run: visits },
    { title: 'leaks shows what was not freed, the largest first', run: leaks },
    { title: 'in debug mode leaks tells where each block was allocated, in every thread', run: sites },
    { title: 'a block goes by its layout', run: layouts },
    { title: 'stats have the figures that all heaps have', run: figures },
    {
      title: 'a thread that is expected by name attaches under it, and reaping strangers does nothing',
      run: slots,
    },
    { title: 'the options that every algorithm knows are taken, and no others', run: options },
    { title: 'the error hook comes with create and attach', run: hooks },
  ];
}

const SIZES = [1, 8, 24, 100, 1000, 5000, 40_000];

/** Demands an error that names the address. */
function expectError(what: string, found: unknown, address: number): void {
  expect(found instanceof AllocError, `${what} gave ${String(found)} and no AllocError`);
  expect(['NotAllocated', 'DoubleFree'].includes(found.code), `${what} gave ${found.code}`);
  expect(found.message.includes(String(address)), `"${found.message}" does not name ${address}`);
}

export function answers(bench: Bench): void {
  const watched = bench.watch(bench.small({ debug: true }));
  const { heap } = watched;
  const before = heap.usedBytes();
  const block = expectBlock(heap.malloc(100), 'malloc(100)');
  const wrong = block + 8;
  expectError('tryFree', heap.tryFree(wrong), wrong);
  expectError('tryRealloc', heap.tryRealloc(wrong, 200), wrong);
  expectError('tryUsableSize', heap.tryUsableSize(wrong), wrong);
  const usable = heap.tryUsableSize(block);
  expect(typeof usable === 'number' && usable >= 100, `tryUsableSize of a block is ${String(usable)}`);
  const moved = heap.tryRealloc(block, 3000);
  expect(typeof moved === 'number' && moved !== 0, `tryRealloc of a block gave ${String(moved)}`);
  expect(heap.tryRealloc(moved, 2 ** 32 - 1) === 0, 'tryRealloc to 4 GiB is not 0');
  expect(heap.tryFree(moved) === null, 'tryFree of a block did not free it');
  expectError('a second tryFree', heap.tryFree(moved), moved);
  expect(heap.tryFree(0) === null, 'tryFree(0) is an error');
  expect(heap.tryUsableSize(0) === 0, 'tryUsableSize(0) is not 0');
  expectEmpty(watched, before);
}

/** The live blocks as `visitBlocks` shows them. */
function visited(heap: Heap): Map<number, number> {
  const found = new Map<number, number>();
  heap.visitBlocks((address, size, tag, threadId) => {
    expect(!found.has(address), `the block ${address} is shown twice`);
    expect(Number.isInteger(tag) && Number.isInteger(threadId), `tag ${tag}, thread ${threadId}`);
    found.set(address, size);
  });
  return found;
}

export function visits(bench: Bench): void {
  for (const debug of [false, true]) {
    const watched = bench.watch(bench.small({ debug }));
    const { heap, checked } = watched;
    const before = heap.usedBytes();
    const there = new Set(visited(heap).keys());
    expect(there.size === 0, `an empty heap shows ${there.size} blocks`);
    const blocks = [...SIZES, ...SIZES, ...SIZES].map((size) => ({
      size,
      address: expectBlock(checked.malloc(size), `malloc(${size})`),
    }));
    const kept = blocks.filter((_, index) => index % 3 !== 1);
    for (const { address, size } of blocks.filter((_, index) => index % 3 === 1)) checked.free(address, size);
    const found = visited(heap);
    for (const { address, size } of kept) {
      const bytes = found.get(address);
      expect(bytes !== undefined, `the block ${address} of ${size} bytes is not shown`);
      expect(bytes >= size, `the block ${address} of ${size} bytes is shown with ${bytes}`);
    }
    expect(found.size === kept.length, `${kept.length} blocks are live, ${found.size} are shown`);
    let seen = 0;
    heap.visitBlocks(() => ++seen < 5);
    expect(seen === 5, `a visitor that has enough after 5 blocks was shown ${seen}`);
    seen = 0;
    heap.visitBlocks(() => ++seen, { threadId: heap.threadId });
    expect(seen >= 0 && seen <= kept.length, `one thread has ${seen} of ${kept.length} blocks`);
    for (const { address, size } of kept) checked.free(address, size);
    expect(visited(heap).size === 0, 'blocks are shown that were freed');
    expectEmpty(watched, before);
  }
}

export function leaks(bench: Bench): void {
  const { heap } = bench.watch(bench.small());
  const forgotten = [40, 3000, 500].map((size) => expectBlock(heap.malloc(size), `malloc(${size})`));
  heap.free(expectBlock(heap.malloc(77), 'malloc(77)'));
  const found = heap.leaks();
  const addresses = found.map(({ address }) => address);
  const expected = [forgotten[1], forgotten[2], forgotten[0]];
  expect(addresses.join() === expected.join(), `leaks() shows ${addresses.join()}, not ${expected.join()}`);
  const isDebug = bench.subject.options?.debug === true;
  for (const { site } of found)
    expect((site !== null) === isDebug, `with debug ${isDebug} a block is from ${site}`);
}

/** Allocates and forgets, in each way that a heap has: the names of these functions are in the sites. */
const FORGETFUL: Record<string, (heap: Heap) => number> = {
  forgetsMalloc: (heap) => heap.malloc(40),
  forgetsCalloc: (heap) => heap.calloc(10, 20),
  forgetsAligned: (heap) => heap.alignedAlloc(64, 300),
  forgetsAlloc: (heap) => heap.alloc(500, 16),
  forgetsLayout: (heap) => heap.allocLayout(Layout.of('i32', 200)),
  forgetsRealloc: (heap) => heap.realloc(heap.malloc(100), 1600),
  forgetsTryRealloc: (heap) => heap.tryRealloc(heap.malloc(100), 3200) as number,
};

export function sites(bench: Bench): void {
  const { heap } = bench.watch(bench.small({ debug: true }));
  const expected = new Map(Object.entries(FORGETFUL).map(([name, forget]) => [forget(heap), name]));
  heap.free(expectBlock(heap.malloc(40), 'malloc(40)'));
  // A realloc that cannot be is no place where a block was allocated.
  for (const address of expected.keys()) heap.realloc(address, 2 ** 32 - 1);
  const other = bench.subject.algorithm.attach(structuredClone(heap.share()));
  const found = other.leaks();
  expect(found.length === expected.size, `${expected.size} blocks are live, leaks shows ${found.length}`);
  for (const { address, site } of found) {
    const name = expected.get(address);
    expect(site?.includes(`${name} `) === true, `${name} is not where ${address} is from: ${site}`);
  }
  for (const address of expected.keys()) heap.free(address);
  expect(heap.leaks().length === 0, 'leaks shows blocks that were freed');
}

export function layouts(bench: Bench): void {
  const watched = bench.watch(bench.small());
  const { heap } = watched;
  const before = heap.usedBytes();
  const layout = Layout.of('f64', 20).alignTo(64);
  const block = heap.allocLayout(layout);
  expect(block % 64 === 0 && heap.usableSize(block) >= 160, `allocLayout gave ${block}`);
  heap.deallocLayout(block, layout);
  expectEmpty(watched, before);
}

export function figures(bench: Bench): void {
  const { heap } = bench.watch(bench.small());
  expectBlock(heap.malloc(1000), 'malloc(1000)');
  const stats = heap.stats();
  const { algorithm } = bench.subject.algorithm;
  expect(stats.algorithm === algorithm, `stats().algorithm is ${stats.algorithm}, not ${algorithm}`);
  expect(heap.share().algorithm === algorithm, `share().algorithm is ${heap.share().algorithm}`);
  expect(stats.totalBytes === heap.totalBytes(), 'stats().totalBytes is not totalBytes()');
  expect(stats.usedBytes === heap.usedBytes(), 'stats().usedBytes is not usedBytes()');
  expect(
    stats.availableBytes === stats.totalBytes - stats.usedBytes,
    'stats().availableBytes is not what is left',
  );
  expect(stats.footprintBytes === heap.footprintBytes(), 'stats().footprintBytes is not footprintBytes()');
  const mine = stats.threads.find(({ threadId }) => threadId === heap.threadId);
  expect(mine !== undefined, `stats().threads does not have this thread, ${heap.threadId}`);
  for (const figure of ['lockWaits', 'remoteFrees', 'heldBytes', 'failures'] as const) {
    const value = mine[figure];
    expect(value === null || (Number.isInteger(value) && value >= 0), `${figure} is ${value}`);
  }
}

export function slots(bench: Bench): void {
  const { heap } = bench.watch(bench.small());
  const handle = structuredClone(heap.shareSlot());
  const other = bench.subject.algorithm.attach(handle);
  // 0 where threads are not expected by name.
  expect(
    handle.threadId === 0 || other.threadId === handle.threadId,
    `${other.threadId} has attached, expected was ${handle.threadId}`,
  );
  const block = expectBlock(other.malloc(100), 'malloc(100)');
  other.detach();
  heap.reap(handle.threadId);
  heap.reap(2 ** 30 - 8);
  heap.free(block);
  heap.validate();
}

export function options(bench: Bench): void {
  const { lock, ...rest } = {
    lock: 'spin',
    threads: 8,
    grow: false,
    debug: false,
    onError: () => {},
  } as const;
  for (const [name, value] of Object.entries(bench.locks === false ? { ...rest, lock } : rest))
    bench.small({ [name]: value });
  let refused = false;
  try {
    bench.small({ algorithms: 1 } as object);
  } catch (error) {
    refused = error instanceof AllocError && error.message.includes('algorithms');
  }
  expect(refused, 'an option that no algorithm has was taken, or refused without its name');
}

export function hooks(bench: Bench): void {
  const heard: string[] = [];
  const heap = bench.small({ debug: true, onError: () => heard.push('create') });
  const other = bench.subject.algorithm.attach(heap.share(), { onError: () => heard.push('attach') });
  const block = expectBlock(heap.malloc(100), 'malloc(100)');
  heap.free(block + 8);
  other.free(block + 16);
  heap.free(block);
  expect(heard.join() === 'create,attach', `the hooks heard ${heard.join() || 'nothing'}`);
}
