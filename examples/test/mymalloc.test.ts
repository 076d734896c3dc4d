import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { Oracle } from '@shmalloc/alloc-test/oracle';
import { PhysicalMemory } from '@shmalloc/kernel';
import test from 'ava';
import { kernelVm } from '../dist/mymalloc/kernel-vm.js';
import { MyMalloc, type Vm } from '../dist/mymalloc/mymalloc.js';
import { checkedMyMalloc } from './mymalloc-checked.js';
import type { MyMallocJob } from './mymalloc-worker.js';

const seed = Number(process.env.SEED ?? Date.now() % 1e6);

/** The kernel's pages, and how many are handed out. */
interface KernelVm extends Vm {
  readonly pages: PhysicalMemory;
  readonly usedPages: number;
}

function pagesOf(bytes: number, frames?: number): KernelVm {
  const pages = PhysicalMemory.create({ bytes, frames });
  return {
    ...kernelVm(pages),
    pages,
    get usedPages() {
      return pages.usedPages();
    },
  };
}

test('four CPUs at once, under the oracle: H grows and shrinks as the header says, and every page comes back', async (t) => {
  t.log(`SEED=${seed}`);
  const cpus = 4;
  const vm = pagesOf(4 << 20);
  const oracle = Oracle.create({ bytes: vm.memory.byteLength });
  const { heap, checked } = checkedMyMalloc(vm, oracle, cpus);
  const atFirst = vm.usedPages;
  // So many blocks that pages run out now and then: NULL is an answer.
  const slots = new Int32Array(new SharedArrayBuffer(1500 * 3 * 4));
  const nulls = await Promise.all(
    Array.from({ length: cpus }, async (_, cpu) => {
      const job: MyMallocJob = {
        pages: vm.pages.share(),
        oracle: oracle.share(),
        root: heap.root,
        cpu,
        rounds: 20_000,
        seed,
        slots,
      };
      const worker = new Worker(new URL('./mymalloc-worker.js', import.meta.url), { workerData: job });
      return ((await once(worker, 'message')) as [number])[0];
    }),
  );
  t.true(nulls.every((count) => count < 15_000));
  t.true([...oracle.liveBlocks()].length > 100);
  for (let slot = 0; slot < slots.length; slot += 3) checked.free(slots[slot + 1] >>> 0, slots[slot + 2]);
  t.deepEqual(oracle.violations(), []);
  t.deepEqual([...oracle.liveBlocks()], []);
  heap.mytrim();
  t.is(vm.usedPages, atFirst);
  vm.pages.validate();
});

test('when memory runs out the answer is 0; what is freed serves again, in whatever sizes', (t) => {
  const vm = pagesOf(1 << 20);
  const oracle = Oracle.create({ bytes: vm.memory.byteLength });
  const { heap, checked } = checkedMyMalloc(vm, oracle, 0);
  const fill = (size: number): number[] => {
    const blocks: number[] = [];
    for (let block = checked.alignedAlloc(8, size); block !== 0; block = checked.alignedAlloc(8, size))
      blocks.push(block);
    return blocks;
  };
  const counts = [8, 8, 100, 2048, 5000, 100_000, 8, 2048].map((size) => {
    const blocks = fill(size);
    for (const block of blocks) checked.free(block, size);
    return blocks.length;
  });
  t.deepEqual(oracle.violations(), []);
  t.is(counts[0], counts[1]);
  t.is(counts[0], counts[6]);
  t.is(counts[3], counts[7]);
  t.true(counts[0] > 100_000 && counts[3] > 400 && counts[5] >= 8);
  heap.mytrim();
  const before = vm.usedPages;
  t.is(heap.mymalloc(2 ** 40), 0);
  t.is(vm.usedPages, before);
});

test('a CPU that finds no pages takes what the spans of others have left', (t) => {
  const vm = pagesOf(1 << 19);
  const first = new MyMalloc(vm, 0);
  const second = new MyMalloc(vm, 1, first.root);
  const blocks: number[] = [];
  for (let block = first.mymalloc(512); block !== 0; block = first.mymalloc(512)) blocks.push(block);
  t.is(second.mymalloc(512), 0);
  first.myfree(blocks[7]);
  t.is(second.mymalloc(500), blocks[7]);
});

test('a CPU that allocates and frees one block again and again fetches pages once', (t) => {
  const vm = pagesOf(1 << 20);
  const heap = new MyMalloc(vm, 0);
  let calls = 0;
  const { vmalloc } = vm;
  vm.vmalloc = (address, length) => {
    calls++;
    return vmalloc.call(vm, address, length);
  };
  for (let round = 0; round < 1000; round++) heap.myfree(heap.mymalloc(100));
  t.is(calls, 1);
});

test('sizes end where they should: one byte, nothing, the largest small block and the smallest large one', (t) => {
  const heap = new MyMalloc(pagesOf(1 << 20), 0);
  const sizes = [0, 1, 8, 9, 33, 2047, 2048, 2049, 4096, 4097];
  const blocks = sizes.map((size) => heap.mymalloc(size));
  t.deepEqual(
    blocks.map((block) => heap.mysize(block)),
    [8, 8, 8, 16, 48, 2048, 2048, 4096, 4096, 8192],
  );
  t.is(new Set(blocks).size, sizes.length);
  t.true(blocks.every((block) => block % 8 === 0));
  for (const block of blocks) heap.myfree(block);
  heap.myfree(0);
});

test('wrong arguments are named', (t) => {
  const heap = new MyMalloc(pagesOf(1 << 20), 0);
  const [small, large] = [heap.mymalloc(100), heap.mymalloc(10_000)];
  for (const size of [-1, 1.5, Number.NaN]) t.throws(() => heap.mymalloc(size), { instanceOf: RangeError });
  for (const address of [
    small + 8,
    small - 8,
    large + 8,
    large + 4096,
    4096,
    1 << 20,
    (1 << 20) - 8,
    1 << 30,
    -8,
    small + 0.5,
  ]) {
    t.throws(() => heap.myfree(address), { message: new RegExp(`myfree\\(${address}\\): no block`) });
  }
  heap.myfree(large);
  t.throws(() => heap.myfree(large), { message: /no block has been handed out/ });
  const vm = pagesOf(1 << 20);
  vm.vmalloc = () => 0;
  t.throws(() => new MyMalloc(vm, 0), { message: /there are no \d+ pages to begin with/ });
});

test('the oracle finds pages that are handed out twice', (t) => {
  const vm = pagesOf(1 << 20);
  const oracle = Oracle.create({ bytes: vm.memory.byteLength });
  const { checked } = checkedMyMalloc(vm, oracle, 0);
  const { vmalloc, vmfree } = vm;
  vm.vmalloc = (address, length) => {
    const given = vmalloc.call(vm, address, length);
    vmfree.call(vm, given, length);
    return given;
  };
  checked.alignedAlloc(8, 3000);
  checked.alignedAlloc(8, 3000);
  t.deepEqual(
    oracle.violations().map(({ kind }) => kind),
    ['overlap'],
  );
});

test('vmalloc and vmfree: pages, at a place or anywhere, and nothing but pages', (t) => {
  const vm = pagesOf(1 << 20);
  const anywhere = vm.vmalloc(0, 8192);
  t.is(anywhere % 4096, 0);
  t.is(vm.vmalloc(anywhere + 4096, 4096), 0);
  const there = anywhere + 3 * 4096;
  t.is(vm.vmalloc(there, 4096), there);
  t.is(vm.vmalloc(0, 1 << 20), 0);
  t.is(vm.usedPages, 3);
  t.throws(() => vm.vmalloc(0, 100), { code: 'InvalidParam' });
  t.throws(() => vm.vmalloc(8, 4096), { code: 'InvalidParam' });
  t.throws(() => vm.vmfree(anywhere, 3 * 4096), { code: 'NotAllocated' });
  t.throws(() => vm.vmfree(0, 4096), { code: 'NotAllocated' });
  vm.vmfree(anywhere, 4096);
  vm.vmfree(anywhere + 4096, 4096);
  vm.vmfree(there, 4096);
  t.is(vm.usedPages, 0);
});

test('a page without a frame is as good as none: mymalloc gets by with the frames that there are', (t) => {
  const vm = pagesOf(4 << 20, 64);
  const heap = new MyMalloc(vm, 0);
  const blocks: number[] = [];
  for (let block = heap.mymalloc(1000); block !== 0; block = heap.mymalloc(1000)) blocks.push(block);
  t.true(blocks.length > 100 && blocks.length < 64 * 4);
  t.is(vm.pages.stats().vm.resident, vm.usedPages);
  for (const block of blocks) heap.myfree(block);
  vm.pages.validate();
});
