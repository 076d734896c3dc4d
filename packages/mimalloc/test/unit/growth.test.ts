import { AllocError } from '@shmalloc/allocator-api';
import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { tableWords } from '../../dist/layout/page-map.js';
import { FREE_SEGMENT } from '../../dist/segment/segment.js';
import {
  counted,
  emptyOut,
  fill,
  headerField,
  pageAt,
  randomOf,
  seedOf,
  segmentBytes,
  segmentField,
  sliceBytes,
  small,
  takeAt,
} from '../support/harness.ts';
import { tldOf } from '../support/inside.ts';
import { stopAt } from '../support/stops.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;

for (const backing of ['wasm', 'sab'] as const) {
  test(`${backing}: with maxBytes above bytes the heap grows by itself, and no malloc fails before all is used`, (t) => {
    for (const size of [64, 1000, 6000]) {
      const heap = MiMalloc.create({ bytes: MIB, maxBytes: 8 * MIB, backing });
      const blocks: number[] = [];
      let lengths = 1;
      for (let length = MIB; ; ) {
        const block = heap.malloc(size);
        if (block === 0) break;
        blocks.push(block);
        if (heap.memory.byteLength !== length) {
          heap.validate({ quiet: true });
          length = heap.memory.byteLength;
          lengths++;
        }
      }
      t.true(
        lengths > 5 && heap.memory.byteLength > 7.5 * MIB,
        `${heap.memory.byteLength} bytes in ${lengths} steps`,
      );
      t.true(blocks.length * size > 0.8 * 8 * MIB, `${blocks.length} blocks of ${size}`);
      t.is(new Set(blocks).size, blocks.length);
      t.is(heap.malloc(size), 0);
      heap.validate({ quiet: true });
      emptyOut(t, heap, blocks);
    }
  });

  test(`${backing}: a large or huge block makes the heap grow by what it needs`, (t) => {
    for (const size of [20_000, 60_000, 200_000, 500_000, 1_000_000, 3_000_000]) {
      const heap = MiMalloc.create({ bytes: MIB, maxBytes: 8 * MIB, backing });
      const block = heap.malloc(size);
      t.not(block, 0, `${size}`);
      heap.memory.u8.fill(0x66, block, block + size);
      heap.validate({ quiet: true });
      const behind = heap.memory.byteLength - MIB;
      t.true(behind < 2 * size + 4 * segmentBytes(heap), `${size}: grew by ${behind}`);
      const second = heap.malloc(size);
      t.not(second, 0, `${size}, the second`);
      heap.validate({ quiet: true });
      t.true(heap.memory.u8.subarray(block, block + size).every((byte) => byte === 0x66));
      emptyOut(t, heap, [block, second]);
      t.is(counted(heap, 'failures'), 0);
    }
  });

  test(`${backing}: aligned, zeroed and resized blocks find grown memory, too`, (t) => {
    const heap = MiMalloc.create({ bytes: MIB, maxBytes: 16 * MIB, backing });
    const held = fill(heap, 5000, 150);
    const zeroed = heap.calloc(3, 300_000);
    t.true(zeroed !== 0 && heap.memory.u8.subarray(zeroed, zeroed + 900_000).every((byte) => byte === 0));
    heap.validate({ quiet: true });
    const aligned = heap.alignedAlloc(MIB, 100_000);
    t.true(aligned !== 0 && aligned % MIB === 0);
    heap.validate({ quiet: true });
    heap.memory.u8.fill(0x31, held[0], held[0] + 5000);
    const grown = heap.realloc(held[0], 2 * MIB);
    t.true(grown !== 0 && heap.memory.u8.subarray(grown, grown + 5000).every((byte) => byte === 0x31));
    heap.validate({ quiet: true });
    emptyOut(t, heap, [...held.slice(1), zeroed, aligned, grown]);
  });
}

test('grow: false keeps the memory as it is, and so does memory that is the program’s own', (t) => {
  const fixed = MiMalloc.create({ bytes: MIB, maxBytes: 8 * MIB, grow: false });
  const memory = new SharedArrayBuffer(MIB, { maxByteLength: 8 * MIB } as never);
  for (const heap of [fixed, MiMalloc.create({ memory })]) {
    const blocks = fill(heap, 1000);
    t.is(heap.malloc(3 * MIB), 0);
    t.is(heap.memory.byteLength, MIB);
    heap.validate({ quiet: true });
    emptyOut(t, heap, blocks);
  }
  const willing = MiMalloc.create({
    memory: new SharedArrayBuffer(MIB, { maxByteLength: 8 * MIB } as never),
    grow: true,
  });
  t.not(willing.malloc(3 * MIB), 0);
  willing.validate({ quiet: true });
});

test('what create was told about growing holds for the threads that attach', (t) => {
  const heap = MiMalloc.create({ bytes: MIB, maxBytes: 8 * MIB, grow: false });
  const other = MiMalloc.attach(heap.share());
  fill(heap, 1000);
  t.is(other.malloc(100_000), 0);
  fill(other, 1000);
  t.is(other.memory.byteLength, MIB);
  const willing = MiMalloc.create({ bytes: MIB, maxBytes: 8 * MIB });
  const second = MiMalloc.attach(willing.share());
  t.not(second.malloc(3 * MIB), 0);
  t.true(second.memory.byteLength > MIB);
});

test('growth that is refused gives 0, once by once, and changes nothing', (t) => {
  const asked: number[] = [];
  const os = {
    reserve: (bytes: number) => {
      asked.push(bytes);
      return null;
    },
    commit: () => true,
    decommit: () => {},
    reset: () => {},
    purgeDelay: 10,
    now: () => 0,
  };
  const heap = small({ os });
  const blocks = fill(heap, 1000);
  t.true(asked.length > 0);
  for (const size of [1000, 20_000, MIB]) {
    const before = asked.length;
    t.is(heap.malloc(size), 0);
    t.true(
      asked.length > before && asked.length <= before + 4,
      `${asked.length - before} requests for ${size}`,
    );
    t.true(asked.slice(before).every((bytes) => bytes >= Math.min(size, segmentBytes(heap))));
    heap.validate({ quiet: true });
  }
  t.is(heap.memory.byteLength, MIB);
  emptyOut(t, heap, blocks);
});

test('memory that the layer below gives in a wrong or useless place is left alone', (t) => {
  for (const range of [
    { start: 2 * MIB, size: 0 },
    { start: 2 * MIB + 8, size: 100 },
    { start: 2 * MIB, size: 4096 },
  ]) {
    const os = {
      reserve: () => range,
      commit: () => true,
      decommit: () => {},
      reset: () => {},
      purgeDelay: 10,
      now: () => 0,
    };
    const heap = small({ memory: new SharedArrayBuffer(4 * MIB), end: MIB, os });
    const blocks = fill(heap, 1000, 2000);
    t.is(heap.malloc(MIB), 0);
    heap.validate({ quiet: true });
    emptyOut(t, heap, blocks);
  }
});

test('memory grown by one thread serves blocks that another one frees, resizes and measures', (t) => {
  const heap = MiMalloc.create({ bytes: MIB, maxBytes: 16 * MIB });
  const other = MiMalloc.attach(heap.share());
  const blocks = Array.from({ length: 150 }, () => other.malloc(50_000));
  t.true(blocks.every((block) => block !== 0));
  t.true(other.memory.byteLength > 7 * MIB);
  // The first thread has not allocated since.
  t.is(heap.usedBytes(), other.usedBytes());
  t.is(heap.totalBytes(), other.totalBytes());
  heap.validate({ quiet: true });
  heap.collect(true);
  heap.validate({ quiet: true });
  t.is(heap.usableSize(blocks[149]), other.usableSize(blocks[149]));
  const moved = heap.realloc(blocks[149], 100);
  t.not(moved, 0);
  for (const block of blocks.slice(0, 149)) heap.free(block);
  heap.free(moved);
  other.collect(true);
  heap.collect(true);
  for (const each of [heap, other]) each.validate({ quiet: true });
  t.is(heap.usedBytes(), 0);
});

test('looking at new memory does not make a thread overlook that it has company', (t) => {
  for (const look of ['free', 'usableSize', 'addMemory'] as const) {
    const memory = new SharedArrayBuffer(16 * MIB);
    const heap = small({ memory, end: 8 * MIB });
    heap.registerError(() => {});
    const other = MiMalloc.attach(heap.share());
    if (look === 'addMemory') heap.addMemory(8 * MIB, MIB);
    else heap[look](2 ** 31);
    heap.malloc(tldOf(heap).mediumMax + 1);
    t.true(tldOf(heap).shared, look);
    other.detach();
  }
});

// ── addMemory ──

/** A heap in the middle of a large buffer, most of which is no thread's. */
function inTheMiddle(): MiMalloc {
  return small({ memory: new SharedArrayBuffer(4 * GIB), start: 2 * GIB, end: 2 * GIB + MIB });
}

/** Fills the heap with blocks, of which some must lie in the range, and empties it. */
function livesIn(
  t: { true(a: boolean, m?: string): unknown; is(a: unknown, b: unknown, m?: string): unknown },
  heap: MiMalloc,
  start: number,
  size: number,
): void {
  const blocks = fill(heap, 900);
  heap.validate({ quiet: true });
  t.true(
    blocks.some((block) => block >= start && block < start + size),
    `no block in [${start}, ${start + size})`,
  );
  t.is(new Set(blocks).size, blocks.length);
  emptyOut(t, heap, blocks);
}

test('memory may come from below, from above, from the same chunk and from far away', (t) => {
  for (const start of [
    2 * GIB - MIB,
    2 * GIB + MIB,
    2 * GIB + MIB + MIB / 2,
    64 * 1024,
    MIB + 24,
    4 * GIB - MIB,
    3 * GIB - 8 * 4096,
  ]) {
    const heap = inTheMiddle();
    const before = heap.totalBytes();
    heap.addMemory(start, MIB / 2);
    heap.validate({ quiet: true });
    const table = tableWords(tldOf(heap).slicesPerSegment) * 4;
    const gained = heap.totalBytes() - before;
    t.true(gained > MIB / 2 - 2 * table - 4 * sliceBytes(heap), `${gained} of ${MIB / 2} at ${start}`);
    livesIn(t, heap, start, MIB / 2);
    for (const outside of [start - 64, start + MIB / 2 + 64]) t.is(pageAt(heap, outside & ~7), 0);
  }
});

test('nothing outside a range that was added is written, whatever its edges are', (t) => {
  for (const [from, to] of [
    [2 * MIB, 3 * MIB],
    [2 * MIB + 8, 3 * MIB - 8],
    [2 * MIB + 4090, 3 * MIB + 5000],
    [5 * MIB - 70_000, 5 * MIB + 100_001],
    [MIB + 1, MIB + 400_000],
  ]) {
    const memory = new SharedArrayBuffer(8 * MIB);
    const u8 = new Uint8Array(memory).fill(0x5a);
    const heap = small({ memory, end: MIB });
    heap.addMemory(from, to - from);
    for (const block of fill(heap, 500)) u8.fill(1, block, block + 500);
    heap.validate({ quiet: true });
    const outside = u8.findIndex((byte, at) => at >= MIB && (at < from || at >= to) && byte !== 0x5a);
    t.is(outside, -1, `[${from}, ${to})`);
  }
});

test('a heap may be made of many small ranges all over 4 GiB', (t) => {
  const random = randomOf(seedOf(t));
  const heap = inTheMiddle();
  const ranges: [number, number][] = [];
  for (let times = 0; times < 60; times++) {
    const start = random(4096) * MIB + 8 * random(1000);
    const size = (8 + random(60)) * sliceBytes(heap);
    if (start < 2 * GIB + MIB && start + size > 2 * GIB) continue;
    if (start + size > 4 * GIB || ranges.some(([from, to]) => start < to && from < start + size)) continue;
    heap.addMemory(start, size);
    ranges.push([start, start + size], [2 * GIB, 2 * GIB + MIB]);
    heap.validate({ quiet: true });
  }
  const blocks = fill(heap, 700);
  heap.validate({ quiet: true });
  for (const block of blocks) {
    if (!ranges.some(([from, to]) => block >= from && block + 700 <= to)) t.fail(`${block} lies in no range`);
  }
  emptyOut(t, heap, blocks);
});

test('a range of a few slices next to what there is adds all of them', (t) => {
  const heap = small({ memory: new SharedArrayBuffer(4 * MIB), end: MIB / 2 });
  const slice = sliceBytes(heap);
  for (const slices of [1, 2, 3, 1, 7]) {
    const before = heap.totalBytes();
    const start = MIB / 2 + before - small({ memory: new SharedArrayBuffer(MIB / 2) }).totalBytes();
    heap.addMemory(start, slices * slice);
    t.is(heap.totalBytes() - before, slices * slice);
    heap.validate({ quiet: true });
    livesIn(t, heap, start, slices * slice);
  }
});

test('a range that ends inside a chunk without a table is used as far as there are tables', (t) => {
  for (const slices of [1, 2, 5, 8, 12, 20]) {
    const heap = small({ memory: new SharedArrayBuffer(4 * MIB), end: MIB / 2 });
    const slice = sliceBytes(heap);
    const chunk = 4 * 2 ** tldOf(heap).chunkShift;
    const before = heap.totalBytes();
    // So many slices on each side of the border.
    heap.addMemory(chunk - slices * slice, 2 * slices * slice);
    heap.validate({ quiet: true });
    const gained = heap.totalBytes() - before;
    const table = Math.ceil((tableWords(tldOf(heap).slicesPerSegment) * 4) / slice);
    t.true(
      gained / slice >= Math.max(slices, 2 * slices - table),
      `${gained / slice} of ${2 * slices} slices`,
    );
  }
});

test('slices that come to a segment in use are taken up by whoever has it', (t) => {
  const memory = new SharedArrayBuffer(4 * MIB);
  const half = 32 * 1024;
  const heap = small({ memory, end: MIB + half });
  const other = MiMalloc.attach(heap.share());
  const blocks = fill(heap, 1000);
  t.true(blocks.some((block) => block >= MIB));
  t.is(segmentField(heap, MIB, 'threadId'), heap.threadId);
  other.addMemory(MIB + half, half);
  for (const each of [heap, other]) each.validate({ quiet: true });
  blocks.push(...fill(heap, 1000));
  t.true(blocks.some((block) => block >= MIB + half));
  for (const each of [heap, other]) each.validate({ quiet: true });
  emptyOut(t, heap, blocks);
});

test('slices that come to a segment at any moment while its owner lets it go are there for the next one', (t) => {
  const half = 32 * 1024;
  const end = MIB + half;
  let missed = 0;
  for (let at = 1; ; at++) {
    const heap = small({ memory: new SharedArrayBuffer(4 * MIB), end });
    const other = MiMalloc.attach(heap.share());
    const blocks = fill(heap, 1000);
    t.is(segmentField(heap, MIB, 'threadId'), heap.threadId);
    for (const block of blocks) heap.free(block);
    const accesses = stopAt(
      at,
      () => {
        other.addMemory(end, half);
        if (segmentField(heap, MIB, 'threadId') !== FREE_SEGMENT) missed++;
      },
      () => heap.collect(true),
    );
    if (accesses < at) break;
    t.is(segmentField(heap, MIB, 'threadId'), FREE_SEGMENT);
    for (const each of [heap, other]) each.validate({ quiet: true });
    const segment = heap.inspect().segments.find(({ address }) => address === MIB);
    t.deepEqual(
      [segment?.slices, segment?.freeSlices],
      [(2 * half) / sliceBytes(heap), (2 * half) / sliceBytes(heap)],
    );
    const more = fill(other, 1000);
    t.true(more.some((block) => block >= end));
    emptyOut(t, other, more);
  }
  t.true(missed > 0);
});

test('slices that come to an abandoned segment are taken up by whoever adopts it', (t) => {
  const memory = new SharedArrayBuffer(4 * MIB);
  const half = 32 * 1024;
  const heap = small({ memory, end: MIB + half });
  const other = MiMalloc.attach(heap.share());
  const blocks = fill(heap, 1000);
  heap.detach();
  other.addMemory(MIB + half, half);
  other.validate({ quiet: true });
  const more = fill(other, 1000);
  t.true(more.some((block) => block >= MIB + half));
  other.validate({ quiet: true });
  emptyOut(t, other, [...blocks, ...more]);
});

test('memory that the heap has is refused, whichever part of a range it is, its tables included', (t) => {
  const heap = small({ memory: new SharedArrayBuffer(16 * MIB), end: MIB });
  heap.addMemory(8 * MIB, MIB);
  const block = heap.malloc(100);
  const step = sliceBytes(heap);
  for (let start = 7 * MIB; start < 9 * MIB; start += step) {
    for (const size of [step, 4 * step, MIB]) {
      if (start + size <= 8 * MIB) continue;
      const error = t.throws(
        () => heap.addMemory(start, size),
        { instanceOf: AllocError },
        `${size} at ${start}`,
      );
      t.is(error?.code, 'MemoryOverlap');
      heap.validate({ quiet: true });
    }
  }
  t.is(headerField(heap, 'chunkHigh') <= 9, true);
  emptyOut(t, heap, [block]);
});

test('memory that comes while blocks are alive is used before anything is refused', (t) => {
  const random = randomOf(seedOf(t));
  const heap = small({ memory: new SharedArrayBuffer(64 * MIB), end: MIB });
  const live: number[] = [];
  for (let part = 1; part < 16; part++) {
    for (const block of fill(heap, 64 + random(5000))) live.push(block);
    for (let times = 0; times < 20 && live.length > 0; times++) heap.free(takeAt(live, random(live.length)));
    heap.addMemory(part * 4 * MIB + random(10) * 4096, MIB / 4 + random(MIB));
    heap.validate({ quiet: true });
  }
  emptyOut(t, heap, live);
});

for (const backing of ['wasm', 'sab'] as const) {
  test(`${backing}: a thread frees, measures and moves blocks whose descriptors lie in memory that has come since it looked`, (t) => {
    const a = MiMalloc.create({ bytes: MIB, maxBytes: 256 * MIB, backing, segmentShift: 16 });
    for (const act of [
      (b: MiMalloc, block: number) => b.free(block),
      (b: MiMalloc, block: number) => {
        t.true(b.usableSize(block) >= 20_000);
        b.free(block);
      },
      (b: MiMalloc, block: number) => {
        a.memory.u8.fill(0x37, block, block + 20_000);
        const moved = b.realloc(block, 60_000);
        b.memory.refresh();
        t.true(moved !== 0 && b.memory.u8.subarray(moved, moved + 20_000).every((byte) => byte === 0x37));
        b.free(moved);
      },
    ]) {
      const b = MiMalloc.attach(a.share());
      b.registerError((error) => t.fail(error.message));
      b.free(b.malloc(10));
      const seen = b.memory.byteLength;
      // A chunk has 16 segments of 64 KiB: this reaches many whose tables are made of the memory that comes.
      const blocks: number[] = [];
      while (a.memory.byteLength < seen + 40 * MIB) blocks.push(a.malloc(20_000));
      const last = blocks.pop() as number;
      t.true(last > seen);
      act(b, last);
      for (const block of blocks) a.free(block);
      b.detach();
      a.collect(true);
      a.validate();
      t.is(a.usedBytes(), 0);
    }
  });
}
