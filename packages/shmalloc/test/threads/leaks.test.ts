import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import test from 'ava';
import {
  type AllocError,
  BasicFirst,
  Buddy,
  type Heap,
  type HeapAlgorithm,
  MiMalloc,
  Slab,
  Tlsf,
} from 'shmalloc';

const program = new URL('../support/workers/forgetful.js', import.meta.url);

const HEAPS: Record<string, HeapAlgorithm> = { MiMalloc, Slab, Tlsf, Buddy, BasicFirst };

/** The functions that the live blocks are from, by size from the largest on. */
function placesOf(heap: Heap): (string | undefined)[] {
  return heap.leaks().map(({ site }) => site?.match(/^at (\w+) \(.*forgetful\.[jt]s:\d+/)?.[1]);
}

for (const [name, Algorithm] of Object.entries(HEAPS)) {
  test(`${name}: a thread sees where another has allocated what is left, while that lives and after its death`, async (t) => {
    const heap = Algorithm.create({ bytes: 1 << 20, debug: true });
    const part = 1 << 16;
    for (const one of [heap, Algorithm.attach(heap.share())])
      for (const call of ['addMemory', 'init'] as const)
        t.is(t.throws<AllocError>(() => one[call]((1 << 20) - part, part))?.code, 'MemoryOverlap', call);
    const handle = heap.shareSlot();
    const worker = new Worker(program, { workerData: { name, handle } });
    await once(worker, 'message');
    t.deepEqual(placesOf(heap), ['forgetInWorker', 'forgetInWorker']);
    await worker.terminate();
    heap.reap(handle.threadId);
    t.deepEqual(placesOf(heap), ['forgetInWorker', 'forgetInWorker']);
    for (const { address } of heap.leaks()) heap.free(address);
    t.deepEqual(heap.leaks(), []);
    heap.validate({ quiet: true });
  });
}

test('the further heaps of a thread note, too, and so do the calls that only mimalloc has', (t) => {
  const heap = MiMalloc.create({ bytes: 1 << 20, debug: true });
  const other = heap.heapNew();
  function forgets(): number[] {
    return [
      heap.zalloc(10),
      heap.mallocAligned(100, 256),
      heap.strdup('text'),
      heap.rezalloc(heap.malloc(10), 5000),
      other.malloc(70),
      other.recalloc(other.calloc(2, 5), 40, 7),
      heap.posixMemalign(64, 300).address,
    ];
  }
  const blocks = forgets().sort((one, two) => one - two);
  const found = heap.leaks().sort((one, two) => one.address - two.address);
  t.deepEqual(
    found.map(({ address }) => address),
    blocks,
  );
  for (const { site } of found) t.regex(site ?? '', /at forgets /);
});

test('without debug no block knows where it is from, and every method is the class’s own', (t) => {
  const heap = MiMalloc.create({ bytes: 1 << 20 });
  heap.malloc(10);
  t.is(heap.leaks()[0].site, null);
  t.false(Object.hasOwn(heap, 'malloc'));
});

test('debug by the environment notes as well', (t) => {
  process.env.SHMALLOC_DEBUG = '1';
  try {
    const heap = MiMalloc.create({ bytes: 1 << 20 });
    heap.malloc(10);
    t.regex(heap.leaks()[0].site ?? '', /leaks\.test/);
  } finally {
    delete process.env.SHMALLOC_DEBUG;
  }
});
