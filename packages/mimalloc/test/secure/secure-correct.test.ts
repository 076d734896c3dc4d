import { CheckedAllocator, Oracle } from '@shmalloc/alloc-test';
import { MiMalloc, type MiMallocOptions } from '@shmalloc/mimalloc';
import test from 'ava';
import { generator, watch } from '../support/secure-heap.js';

interface Held {
  address: number;
  size: number;
  /** One that has it in its shadow; null for what the oracle does not know, because it is filled by hand. */
  checked: boolean;
}

/** Levels, the last two with and without guards around blocks. */
const LEVELS: readonly MiMallocOptions[] = [
  { secure: 1 },
  { secure: 2 },
  { secure: 3 },
  { secure: 4, sampleRate: 0 },
  { secure: 4, sampleRate: 4 },
];

/** Small, or up to 3000 bytes, or now and then several slices or segments. */
function sizeOf(random: (n: number) => number, largest: number): number {
  const kind = random(200);
  if (kind === 0) return random(largest);
  if (kind < 4) return random(40_000);
  return kind < 40 ? random(3000) : random(120);
}

/**
 * Two MiMallocs in one thread live on one heap for a while, freeing and resizing each other's blocks. The
 * oracle sees every block and its contents; nothing may be reported, and nothing may be left.
 */
function churn(options: MiMallocOptions, steps: number, seed: number): string[] {
  const first = watch(MiMalloc.create({ grow: false, seed, ...options }));
  const second = watch(MiMalloc.attach(first.heap.share()));
  const oracle = Oracle.create({ bytes: first.heap.memory.byteLength });
  const sides = [first, second].map(({ heap }, thread) => ({
    heap,
    checked: new CheckedAllocator(heap, oracle, thread),
  }));
  const random = generator(seed);
  const largest = first.heap.totalBytes() / 16;
  const held: Held[] = [];
  const wrong: string[] = [];
  const { u8 } = first.heap.memory;
  for (let step = 0; step < steps; step++) {
    const { heap, checked } = sides[random(2)];
    const size = sizeOf(random, largest);
    const choice = held.length === 0 ? 0 : random(20);
    if (choice < 11 - (held.length >> 8)) {
      const kind = random(8);
      let block: Held;
      if (kind === 0) block = { address: checked.calloc(1, size), size, checked: true };
      else if (kind === 1)
        block = { address: checked.alignedAlloc(2 ** random(14), size), size, checked: true };
      else if (kind === 2) {
        const align = 2 ** (4 + random(9));
        block = { address: heap.mallocAlignedAt(size, align, 8 * random(40)), size, checked: false };
        if (block.address !== 0) u8.fill(size, block.address, block.address + size);
      } else block = { address: checked.malloc(size), size, checked: true };
      if (block.address !== 0) held.push(block);
      continue;
    }
    const at = random(held.length);
    const block = held[at];
    if (heap.usableSize(block.address) < block.size) wrong.push(`usableSize(${block.address})`);
    if (block.checked && choice > 16) {
      const address = checked.realloc(block.address, block.size, 1, size);
      if (address !== 0) Object.assign(block, { address, size });
    } else {
      held[at] = held[held.length - 1];
      held.pop();
      if (block.checked) checked.free(block.address, block.size);
      else {
        const bytes = u8.subarray(block.address, block.address + block.size);
        if (!bytes.every((byte) => byte === (block.size & 0xff))) wrong.push(`contents of ${block.address}`);
        heap.free(block.address);
      }
    }
    if (step % 1000 === 0) heap.collect(random(2) === 0);
    if (step % 500 === 0) heap.validate({ quiet: true });
  }
  for (const { address, size, checked } of held) {
    const side = sides[random(2)];
    if (checked) side.checked.free(address, size);
    else side.heap.free(address);
  }
  for (const { heap } of sides) heap.collect(true);
  for (const { heap } of sides) heap.validate({ quiet: true });
  if (first.heap.usedBytes() !== 0) wrong.push(`${first.heap.usedBytes()} bytes are left`);
  return [...wrong, ...oracle.violations().map(({ message }) => message), ...first.told(), ...second.told()];
}

for (const options of LEVELS) {
  const rate = options.sampleRate === undefined ? '' : `, guards ${options.sampleRate}`;
  test(`a correct program is told nothing: level ${options.secure}${rate}`, (t) => {
    for (const [bytes, seed] of [
      [1 << 20, 1],
      [1 << 22, 2],
      [1 << 26, 3],
    ]) {
      t.deepEqual(churn({ ...options, bytes }, 6000, seed), [], `${bytes} bytes, seed ${seed}`);
    }
  });

  test(`nor is one with heaps of its own: level ${options.secure}${rate}`, (t) => {
    const { heap, told } = watch(MiMalloc.create({ bytes: 1 << 22, grow: false, ...options }));
    const other = MiMalloc.attach(heap.share());
    const random = generator(5);
    for (let round = 0; round < 20; round++) {
      const mine = heap.heapNew();
      const blocks = Array.from({ length: 200 }, () => mine.malloc(sizeOf(random, 20_000)));
      for (const block of blocks.slice(0, 50)) (random(2) === 0 ? heap : other).free(block);
      if (round % 2 === 0) mine.destroy();
      else {
        mine.delete();
        for (const block of blocks.slice(50)) (random(2) === 0 ? heap : other).free(block);
      }
      heap.validate({ quiet: true });
    }
    other.detach();
    heap.collect(true);
    t.is(heap.usedBytes(), 0);
    t.deepEqual(told(), []);
  });

  test(`nor is one whose threads come and go: level ${options.secure}${rate}`, (t) => {
    const { heap, told } = watch(MiMalloc.create({ bytes: 1 << 22, grow: false, ...options }));
    const random = generator(6);
    const blocks: number[] = [];
    for (let round = 0; round < 10; round++) {
      const other = watch(MiMalloc.attach(heap.share()));
      for (let step = 0; step < 100; step++) blocks.push(other.heap.malloc(sizeOf(random, 20_000)));
      for (let step = 0; step < 60; step++) other.heap.free(blocks.splice(random(blocks.length), 1)[0]);
      other.heap.detach();
      t.deepEqual(other.told(), []);
      heap.validate({ quiet: true });
    }
    for (const block of blocks) heap.free(block);
    heap.collect(true);
    heap.validate({ quiet: true });
    t.is(heap.usedBytes(), 0);
    t.deepEqual(told(), []);
  });
}
