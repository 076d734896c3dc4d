import { AllocError } from '@shmalloc/allocator-api';
import { MiMalloc } from '@shmalloc/mimalloc';
import { MiMallocCore as Core } from '@shmalloc/mimalloc/core';
import test from 'ava';
import { firstDamaged, firstNonZero, random, SMALL, validatedHeap, write } from '../support/validated.ts';

const KIB = 1024;
const SIZES = [0, 1, 7, 8, 9, 16, 24, 100, 128, 641, 1000, 1024, 1025, 4096, 5000, 16_000, 40_000];

/** Fills memory and frees it, so that what is handed out next has been used. */
function soil(heap: MiMalloc, size: number): void {
  const blocks = Array.from({ length: 4 }, () => heap.malloc(size));
  for (const block of blocks) heap.memory.u8.fill(0xee, block, block + heap.usableSize(block));
  for (const block of blocks) heap.free(block);
}

test('malloc(0) gives a unique address, and so do all its relatives', (t) => {
  const { heap } = validatedHeap();
  const blocks = [
    heap.malloc(0),
    heap.zalloc(0),
    heap.calloc(0, 8),
    heap.calloc(8, 0),
    heap.mallocSmall(0),
    heap.realloc(0, 0),
    heap.rezalloc(0, 0),
    heap.recalloc(0, 0, 9),
    heap.reallocf(0, 0),
    heap.mallocAligned(0, 64),
    heap.zallocAlignedAt(0, 64, 8),
    heap.strdup(''),
    heap.posixMemalign(16, 0).address,
  ];
  t.false(blocks.includes(0));
  t.is(new Set(blocks).size, blocks.length);
  for (const block of blocks) heap.free(block);
  heap.collect(true);
  t.is(heap.usedBytes(), 0);
});

test('zalloc and calloc zero all that may be used of a block that was used before', (t) => {
  const { heap } = validatedHeap();
  for (const size of SIZES) {
    for (const allocate of [
      () => heap.zalloc(size),
      () => heap.calloc(1, size),
      () => heap.zallocAligned(size, 64),
      () => heap.callocAligned(1, size, 32),
      () => heap.zallocAlignedAt(size, 64, 24),
      () => heap.callocAlignedAt(size, 1, 16, 8),
    ]) {
      soil(heap, size);
      soil(heap, size + 64);
      const block = allocate();
      t.is(firstNonZero(heap, block, 0, heap.usableSize(block)), -1, `${size} bytes`);
      heap.free(block);
    }
  }
});

test('mallocSmall takes what is small', (t) => {
  const { heap } = validatedHeap();
  const block = heap.mallocSmall(KIB);
  t.true(heap.usableSize(block) >= KIB);
  heap.free(block);
  t.throws(() => heap.mallocSmall(KIB + 1), {
    instanceOf: AllocError,
    message: /at most 1024 bytes, got 1025/,
  });
});

test('sizes above all memory, and products that overflow, give 0 and change nothing', (t) => {
  const { heap, errors } = validatedHeap();
  const block = heap.malloc(100);
  write(heap, block, 0, 100);
  const used = heap.usedBytes();
  for (const size of [heap.totalBytes() + 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40, 2 ** 53]) {
    for (const answer of [
      heap.malloc(size),
      heap.zalloc(size),
      heap.calloc(1, size),
      heap.calloc(size, 2 ** 31),
      heap.calloc(2 ** 53, 2 ** 1000),
      heap.realloc(block, size),
      heap.rezalloc(block, size),
      heap.recalloc(block, 2 ** 20, size),
      heap.expand(block, size),
      heap.mallocAligned(size, 64),
      heap.mallocAlignedAt(size, 64, 8),
      heap.zallocAligned(size, 2 ** 20),
      heap.callocAligned(size, size, 16),
      heap.callocAlignedAt(size, size, 16, 8),
      heap.reallocAligned(block, size, 4096),
      heap.rezallocAlignedAt(block, size, 16, 8),
      heap.recallocAligned(block, size, 3, 16),
      heap.recallocAlignedAt(block, size, 3, 16, 8),
      heap.alignedAlloc(16, size),
    ])
      t.is(answer, 0, `${size} bytes`);
    t.deepEqual(heap.posixMemalign(16, size), { error: 'ENOMEM', address: 0 });
  }
  t.is(heap.usedBytes(), used);
  t.is(firstDamaged(heap, block, 0, 100), -1);
  t.deepEqual(errors, []);
});

test('realloc keeps contents and stays in place while a block is at least half used', (t) => {
  const { heap } = validatedHeap();
  const block = heap.malloc(1000);
  const usable = heap.usableSize(block);
  write(heap, block, 0, 1000);
  t.is(heap.realloc(block, usable), block);
  t.is(heap.realloc(block, usable / 2), block);
  const smaller = heap.realloc(block, usable / 2 - 1);
  t.not(smaller, block);
  t.is(firstDamaged(heap, smaller, 0, usable / 2 - 1), -1);
  const larger = heap.realloc(smaller, 30_000);
  t.is(firstDamaged(heap, larger, 0, usable / 2 - 1), -1);
  const zero = heap.realloc(larger, 0);
  t.not(zero, 0);
  t.not(zero, heap.malloc(0));
});

test('rezalloc and its relatives give zeros to grow into, however the size goes up and down', (t) => {
  const next = random(20240607);
  for (const [name, resize] of Object.entries({
    rezalloc: (heap: MiMalloc, block: number, size: number) => heap.rezalloc(block, size),
    recalloc: (heap: MiMalloc, block: number, size: number) => heap.recalloc(block, 1, size),
    rezallocAligned: (heap: MiMalloc, block: number, size: number) => heap.rezallocAligned(block, size, 64),
    rezallocAlignedAt: (heap: MiMalloc, block: number, size: number) =>
      heap.rezallocAlignedAt(block, size, 64, 24),
    recallocAligned: (heap: MiMalloc, block: number, size: number) =>
      heap.recallocAligned(block, size, 1, 64),
    recallocAlignedAt: (heap: MiMalloc, block: number, size: number) =>
      heap.recallocAlignedAt(block, size, 1, 64, 24),
  })) {
    const { heap } = validatedHeap();
    let block = 0;
    let size = 0;
    for (let turn = 0; turn < 150; turn++) {
      soil(heap, size);
      const wanted = next(2) === 0 ? next(300) : next(20_000);
      block = resize(heap, block, wanted);
      const kept = Math.min(size, wanted);
      t.is(firstDamaged(heap, block, 0, kept), -1, `${name} from ${size} to ${wanted}: contents`);
      t.is(firstNonZero(heap, block, kept, wanted), -1, `${name} from ${size} to ${wanted}: the rest`);
      size = wanted;
      write(heap, block, 0, size);
    }
    heap.free(block);
  }
});

test('rezalloc gives zeros to a block of many slices that grows in place', (t) => {
  const { heap } = validatedHeap();
  const dirty = heap.malloc(300 * KIB);
  heap.memory.u8.fill(0xee, dirty, dirty + 300 * KIB);
  heap.free(dirty);
  const block = heap.zalloc(100 * KIB);
  write(heap, block, 0, 100 * KIB);
  t.is(heap.rezalloc(block, 200 * KIB), block);
  t.is(firstDamaged(heap, block, 0, 100 * KIB), -1);
  t.is(firstNonZero(heap, block, 100 * KIB, 200 * KIB), -1);
});

test('reallocf frees the old block when there is no new one', (t) => {
  const { heap, errors } = validatedHeap();
  const block = heap.reallocf(heap.malloc(5000), 6000);
  t.true(heap.usableSize(block) >= 6000);
  t.is(heap.reallocf(block, heap.totalBytes() + 1), 0);
  t.false(heap.containsBlock(block));
  t.is(heap.reallocf(0, 2 ** 32), 0);
  t.deepEqual(errors, []);
  t.is(heap.reallocf(block, 10), 0);
  t.deepEqual(errors, [`NotAllocated: realloc(${block}): no such block is handed out`]);
});

test('expand gives another size in place, or 0, and never moves', (t) => {
  const { heap } = validatedHeap();
  const block = heap.malloc(100);
  const usable = heap.usableSize(block);
  t.is(heap.expand(block, usable), block);
  t.is(heap.expand(block, 1), block);
  t.is(heap.expand(block, usable + 1), 0);
  t.true(heap.containsBlock(block));
  t.is(heap.expand(0, 10), 0);

  const large = heap.malloc(100 * KIB);
  write(heap, large, 0, 100 * KIB);
  t.is(heap.expand(large, 150 * KIB), large);
  t.true(heap.usableSize(large) >= 150 * KIB);
  t.is(heap.expand(large, heap.totalBytes()), 0);
  t.is(firstDamaged(heap, large, 0, 100 * KIB), -1);
  heap.free(large);
});

test('goodSize is what a new block has', (t) => {
  const { heap } = validatedHeap();
  for (const size of SIZES) {
    const block = heap.malloc(size);
    t.is(heap.goodSize(size), heap.usableSize(block), `${size} bytes`);
    t.true(heap.goodSize(size) >= size);
    heap.free(block);
  }
});

test('aligned blocks are aligned, of every size and alignment, and can be freed, resized and measured', (t) => {
  const { heap, errors } = validatedHeap({ bytes: 8 << 20, grow: false });
  for (let align = 1; align <= 2 ** 21; align *= 2) {
    for (const size of [0, 1, 16, 100, 1000, 5000, 70_000]) {
      const block = heap.mallocAligned(size, align);
      t.is(block % align, 0, `${size} bytes at ${align}`);
      t.true(block > 0 && heap.usableSize(block) >= size);
      heap.free(block);
      for (const offset of [0, 8, 24, 4096]) {
        const inside = heap.mallocAlignedAt(size, align, offset);
        t.is((inside + offset) % align, 0, `${size} bytes at ${align}, offset ${offset}`);
        t.true(inside > 0 && heap.usableSize(inside) >= size);
        write(heap, inside, 0, size);
        const moved = heap.realloc(inside, size * 2);
        t.is(firstDamaged(heap, moved, 0, size), -1);
        heap.free(moved);
      }
    }
  }
  heap.collect(true);
  t.is(heap.usedBytes(), 0);
  t.deepEqual(errors, []);
});

test('reallocAligned keeps contents, aligns what was not, and stays in place where it can', (t) => {
  const { heap } = validatedHeap();
  let block = heap.malloc(200);
  write(heap, block, 0, 200);
  for (const [size, align] of [
    [300, 256],
    [300, 16],
    [250, 4096],
    [20_000, 64],
    [240, 8],
  ]) {
    block = heap.reallocAligned(block, size, align);
    t.is(block % align, 0);
    t.is(firstDamaged(heap, block, 0, 200), -1, `${size} bytes at ${align}`);
  }
  t.is(heap.reallocAligned(block, 240, 8), block);
  const inside = heap.reallocAlignedAt(block, 240, 64, 8);
  t.is((inside + 8) % 64, 0);
  t.is(firstDamaged(heap, inside, 0, 200), -1);
  t.is(heap.reallocAlignedAt(inside, 230, 64, 8), inside);
  t.is(heap.reallocAlignedAt(0, 10, 64, 16) % 64, 48);
});

test('wrong alignments and offsets are errors that name the value', (t) => {
  const { heap } = validatedHeap();
  for (const align of [0, 3, 24, 2 ** 32]) {
    for (const allocate of [
      () => heap.mallocAligned(8, align),
      () => heap.zallocAligned(8, align),
      () => heap.callocAligned(1, 8, align),
      () => heap.reallocAligned(0, 8, align),
      () => heap.rezallocAligned(0, 8, align),
      () => heap.alignedAlloc(align, 8),
    ])
      t.throws(allocate, { code: 'InvalidParam', message: new RegExp(`^align .*${align}$`) });
  }
  t.throws(() => heap.mallocAlignedAt(8, 16, 4), { message: /offset must be a multiple of 8, got 4/ });
  t.throws(() => heap.reallocAlignedAt(0, 8, 16, 9), { message: /offset must be a multiple of 8, got 9/ });
  t.throws(() => heap.mallocAlignedAt(8, 16, -8), { instanceOf: RangeError });
});

test('posixMemalign answers with POSIX errors', (t) => {
  const { heap } = validatedHeap();
  for (const align of [0, 1, 2, 6, 24, -8, 2.5, 2 ** 40]) {
    t.deepEqual(heap.posixMemalign(align, 8), { error: 'EINVAL', address: 0 }, `${align}`);
  }
  const least = heap.posixMemalign(4, 100);
  t.is(least.error, 0, 'a pointer has 4 bytes here');
  t.is(least.address % 4, 0);
  heap.free(least.address);
  for (const align of [4, 8, 4096, 2 ** 31])
    for (const size of [
      2 ** 32 - 4096,
      2 ** 32 - 1,
      2 ** 32,
      2 ** 32 + 8,
      2 ** 40,
      Number.MAX_SAFE_INTEGER,
      1e300,
    ])
      t.deepEqual(heap.posixMemalign(align, size), { error: 'ENOMEM', address: 0 }, `${align}, ${size}`);
  const { error, address } = heap.posixMemalign(512, 100);
  t.is(error, 0);
  t.is(address % 512, 0);
  heap.free(address);
});

test('an aligned block with an offset can be freed by another thread', (t) => {
  const owner = MiMalloc.create(SMALL);
  const other = MiMalloc.attach(owner.share());
  const blocks = Array.from({ length: 100 }, () => owner.mallocAlignedAt(50, 64, 8));
  for (const block of blocks) {
    t.true(other.usableSize(block) >= 50);
    other.free(block);
  }
  owner.collect(true);
  t.is(owner.usedBytes(), 0);
  owner.validate({ quiet: true });
});

test('strdup and readString carry text over, whatever characters', (t) => {
  const { heap } = validatedHeap();
  for (const text of ['', 'a', 'naïve', 'Zürich €', '日本語', '😀 and 𝔘', 'x'.repeat(5000)]) {
    const block = heap.strdup(text);
    t.is(heap.readString(block), text);
    t.is(heap.memory.u8[block + new TextEncoder().encode(text).length], 0);
    heap.free(block);
  }
  t.is(heap.readString(heap.strdup('a\ud800b')), 'a\ufffdb');
  t.is(heap.readString(heap.strdup('cut\0off')), 'cut');
  t.throws(() => heap.strdup(7 as never), { instanceOf: TypeError, message: /text must be a string/ });
  t.is(heap.strdup('x'.repeat(2 ** 21)), 0);
});

test('strndup keeps whole characters of at most so many bytes', (t) => {
  const { heap } = validatedHeap();
  const text = 'aé€😀z'; // 1 + 2 + 3 + 4 + 1 bytes
  const kept = ['', 'a', 'a', 'aé', 'aé', 'aé', 'aé€', 'aé€', 'aé€', 'aé€', 'aé€😀', text, text];
  for (const [most, expected] of kept.entries()) {
    const block = heap.strndup(text, most);
    t.is(heap.readString(block), expected, `${most} bytes`);
    heap.free(block);
  }
});

test('readString stops at the end of its block, and refuses what is none', (t) => {
  const { heap } = validatedHeap();
  const block = heap.malloc(8);
  const beside = heap.malloc(8);
  heap.memory.u8.fill(0x41, block, block + 8);
  heap.memory.u8.fill(0x42, beside, beside + 8);
  t.is(heap.readString(block), 'AAAAAAAA');
  for (const address of [0, 4, block + 8 + 1, 2 ** 31]) {
    t.throws(() => heap.readString(address), { code: 'NotAllocated' }, `${address}`);
  }
});

test('an address that is no block is reported by every function, by name, and nothing comes of it', (t) => {
  const { heap, errors } = validatedHeap();
  const block = heap.malloc(100);
  const gone = heap.malloc(2000);
  heap.free(gone);
  heap.collect(true);
  for (const address of [gone, block + 4, block + 8, 8, 2 ** 31, 2 ** 32 - 8, heap.memory.end]) {
    const calls: [name: string, call: () => unknown][] = [
      ['usableSize', () => heap.usableSize(address)],
      ['realloc', () => heap.realloc(address, 50)],
      ['realloc', () => heap.rezalloc(address, 50)],
      ['realloc', () => heap.recalloc(address, 5, 10)],
      ['realloc', () => heap.reallocf(address, 50)],
      ['expand', () => heap.expand(address, 50)],
      ['reallocAligned', () => heap.reallocAligned(address, 50, 64)],
      ['reallocAligned', () => heap.rezallocAlignedAt(address, 50, 64, 8)],
    ];
    // Without secure mode, an address inside a block is not told from a block by the fast path of `free`.
    if (address !== block + 8) calls.push(['free', () => heap.free(address) ?? 0]);
    for (const [name, call] of calls) {
      errors.length = 0;
      t.is(call(), 0, `${name}(${address})`);
      t.deepEqual(errors, [`NotAllocated: ${name}(${address}): no such block is handed out`]);
    }
  }
  t.true(heap.containsBlock(block));
});

test('what is no number of bytes and no address is a TypeError or a RangeError', (t) => {
  const { heap } = validatedHeap();
  const calls = (value: never): (() => unknown)[] => [
    () => heap.malloc(value),
    () => heap.zalloc(value),
    () => heap.mallocSmall(value),
    () => heap.calloc(value, 1),
    () => heap.calloc(1, value),
    () => heap.realloc(value, 1),
    () => heap.realloc(0, value),
    () => heap.rezalloc(value, 1),
    () => heap.rezalloc(0, value),
    () => heap.recalloc(0, 1, value),
    () => heap.reallocf(0, value),
    () => heap.expand(value, 1),
    () => heap.expand(8, value),
    () => heap.goodSize(value),
    () => heap.usableSize(value),
    () => heap.mallocAligned(value, 8),
    () => heap.mallocAligned(8, value),
    () => heap.mallocAlignedAt(8, 8, value),
    () => heap.zallocAligned(value, 8),
    () => heap.reallocAligned(0, value, 8),
    () => heap.posixMemalign(8, value),
    () => heap.strndup('a', value),
    () => heap.readString(value),
    () => heap.containsBlock(value),
    () => heap.checkOwned(value),
    () => heap.isInRegion(value),
    () => heap.free(value),
  ];
  const wrong: [value: unknown, kind: typeof TypeError | typeof RangeError][] = [
    ['8', TypeError],
    [null, TypeError],
    [8n, TypeError],
    [{}, TypeError],
    [-8, RangeError],
    [0.5, RangeError],
    [Number.NaN, RangeError],
    [Number.POSITIVE_INFINITY, RangeError],
  ];
  for (const [value, kind] of wrong) {
    for (const [index, call] of calls(value as never).entries()) {
      t.throws(call, { instanceOf: kind }, `call ${index} with ${String(value)}`);
    }
  }
});

test('containsBlock, checkOwned and isInRegion tell a block from other places', (t) => {
  const heap = MiMalloc.create(SMALL);
  const other = MiMalloc.attach(heap.share());
  const block = heap.malloc(100);
  const foreign = other.malloc(100);
  const free = heap.malloc(100);
  heap.free(free);
  const inside = heap.mallocAlignedAt(200, 64, 8);
  const rows: [address: number, contains: boolean, owned: boolean, region: boolean][] = [
    [block, true, true, true],
    [block + 8, false, true, true],
    [block + 1, false, true, true],
    [free, false, true, true],
    [inside, true, true, true],
    [foreign, true, false, true],
    [foreign + 8, false, false, true],
    [0, false, false, false],
    [8, false, false, false],
    [heap.memory.end, false, false, false],
    [2 ** 31, false, false, false],
    [2 ** 32 + block, false, false, false],
  ];
  for (const [address, contains, owned, region] of rows) {
    t.is(heap.containsBlock(address), contains, `containsBlock(${address})`);
    t.is(heap.checkOwned(address), owned, `checkOwned(${address})`);
    t.is(heap.isInRegion(address), region, `isInRegion(${address})`);
  }
  other.free(block);
  t.false(heap.containsBlock(block), 'freed by another thread and not gathered yet');
});

test('a heap that is detached says so, whatever is asked of it', (t) => {
  const heap = MiMalloc.create(SMALL);
  const part = heap.heapNew();
  const block = heap.malloc(100);
  heap.detach();
  heap.detach();
  const calls: (() => unknown)[] = [
    () => heap.malloc(8),
    () => heap.malloc(5000),
    () => heap.zalloc(8),
    () => heap.free(block),
    () => heap.realloc(block, 8),
    () => heap.realloc(0, 8),
    () => heap.expand(block, 8),
    () => heap.usableSize(block),
    () => heap.mallocAligned(8, 64),
    () => heap.strdup('a'),
    () => heap.readString(block),
    () => heap.mallocAs('u8', 1),
    () => heap.heapNew(),
    () => heap.addMemory(0, 1 << 20),
    () => heap.addArena(0, 1 << 20),
    () => heap.init(0, 1 << 20),
    () => heap.collect(),
    () => heap.validate({ quiet: true }),
    () => heap.stats(),
    () => heap.statsText(),
    () => heap.inspect(),
    () => heap.visitBlocks(() => true),
    () => heap.containsBlock(block),
    () => part.malloc(8),
    () => part.collect(),
    () => part.contains(block),
  ];
  for (const [index, call] of calls.entries()) {
    t.throws(call, { instanceOf: AllocError, message: 'this mimalloc heap is detached' }, `call ${index}`);
  }
  t.notThrows(() => part.delete());
});

test('deferred frees run on generic allocations, and with force when memory is short', (t) => {
  const { heap } = validatedHeap();
  const kept: number[] = [];
  const calls: boolean[] = [];
  heap.registerDeferredFree((force) => {
    calls.push(force);
    if (force) for (const block of kept.splice(0)) heap.free(block);
  });
  for (let block = heap.malloc(50_000); block !== 0 && kept.length < 100; block = heap.malloc(50_000)) {
    if (calls.includes(true)) break;
    kept.push(block);
  }
  t.true(calls.includes(false));
  t.true(calls.includes(true));
  t.is(kept.length, 0);
});

for (const secure of [1, 2, 3, 4]) {
  test(`at level ${secure} of secure mode the whole family stays inside its blocks`, (t) => {
    const { heap, errors } = validatedHeap({ bytes: 4 << 20, grow: false, secure, sampleRate: 3, seed: 11 });
    const part = heap.heapNew({ tag: 3 });
    const blocks: number[] = [];
    for (const family of [heap, part]) {
      for (const size of [0, 1, 13, 64, 100, 1000, 5000, 40_000]) {
        soil(heap, size);
        const zeroed = family.zalloc(size);
        t.is(firstNonZero(heap, zeroed, 0, size), -1);
        write(heap, zeroed, 0, heap.usableSize(zeroed));
        const grown = family.rezalloc(family.calloc(1, size), size * 2 + 5);
        t.is(firstNonZero(heap, grown, 0, size * 2 + 5), -1);
        write(heap, grown, 0, heap.usableSize(grown));
        const shrunk = family.rezalloc(grown, size);
        t.is(firstDamaged(heap, shrunk, 0, size), -1);
        blocks.push(
          zeroed,
          shrunk,
          family.zallocAlignedAt(size, 64, 8),
          family.recallocAligned(family.callocAligned(1, size, 32), 3, size, 128),
          family.strdup('x'.repeat(size)),
          family.mallocAs('u8', size)?.byteOffset ?? 0,
        );
      }
    }
    t.false(blocks.includes(0));
    const visited = new Set<number>();
    heap.visitBlocks((address) => visited.add(address));
    t.is(visited.size, blocks.length);
    // Below level 3 no thread knows which address inside a block was handed out.
    if (secure >= 3) for (const block of blocks) t.true(visited.has(block), `${block}`);
    for (const block of blocks) {
      t.true(heap.containsBlock(block));
      heap.free(block);
      t.false(heap.containsBlock(block));
    }
    part.destroy();
    heap.collect(true);
    t.is(heap.usedBytes(), 0);
    t.deepEqual(errors, []);
  });
}

test('the allocator proper works alone, and on one region with the whole', (t) => {
  const core = Core.create(SMALL);
  const whole = MiMalloc.attach(core.share());
  const part = core.heapNew({ tag: 2 });
  t.false('visitBlocks' in part);
  t.false('validate' in core);
  const blocks = [core.malloc(100), part.zalloc(100), core.mallocAlignedAt(100, 64, 8), core.calloc(3, 50)];
  whole.validate({ quiet: true });
  t.is(whole.stats().heaps, 3);
  for (const block of blocks) whole.free(block);
  t.throws(() => core.free(new Uint8Array(1)), {
    instanceOf: TypeError,
    message: /^address must be a number/,
  });
  core.heapDelete(part);
  core.collect(true);
  t.is(core.usedBytes(), 0);
  const back = Core.attach(whole.share());
  const block = whole.malloc(8);
  back.free(block);
  whole.collect(true);
  t.is(whole.usedBytes(), 0);
  whole.validate({ quiet: true });
});
