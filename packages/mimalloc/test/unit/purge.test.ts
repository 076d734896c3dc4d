import { MiMalloc, type Os } from '@shmalloc/mimalloc';
import test from 'ava';

const KIB = 1024;
const MIB = 1024 * KIB;
const OS_PAGE = 4096;

/** An owner of memory with a clock that only moves when it is told to, and a page table that is checked. */
class TestOs implements Os {
  readonly purgeDelay: number;
  time = 1000;
  /** OS pages that have memory. */
  readonly backed = new Set<number>();
  readonly resets: [address: number, bytes: number][] = [];
  /** How many more pages there are. */
  frames = Number.POSITIVE_INFINITY;
  reserved: { start: number; size: number } | null = null;
  readonly faults: string[] = [];

  constructor(purgeDelay = 10) {
    this.purgeDelay = purgeDelay;
  }

  reserve(): { start: number; size: number } | null {
    const range = this.reserved;
    this.reserved = null;
    return range;
  }

  commit(address: number, bytes: number): boolean {
    const pages = this.#pages(address, bytes);
    if (pages.length > this.frames) return false;
    this.frames -= pages.length;
    for (const page of pages) {
      if (this.backed.has(page)) this.faults.push(`page ${page} was committed twice`);
      this.backed.add(page);
    }
    return true;
  }

  decommit(address: number, bytes: number): void {
    for (const page of this.#pages(address, bytes)) {
      if (!this.backed.delete(page)) this.faults.push(`page ${page} was decommitted and had no memory`);
      this.frames++;
    }
  }

  reset(address: number, bytes: number): void {
    this.resets.push([address, bytes]);
  }

  now(): number {
    return this.time;
  }

  /** Whether all of a block has memory behind it. */
  backs(address: number, bytes: number): boolean {
    const first = Math.floor(address / OS_PAGE);
    const last = Math.floor((address + bytes - 1) / OS_PAGE);
    for (let page = first; page <= last; page++) if (!this.backed.has(page)) return false;
    return true;
  }

  #pages(address: number, bytes: number): number[] {
    if (address % OS_PAGE !== 0 || bytes % OS_PAGE !== 0 || bytes === 0)
      this.faults.push(`[${address}, ${address + bytes}) is no run of OS pages`);
    return Array.from({ length: bytes / OS_PAGE }, (_, index) => address / OS_PAGE + index);
  }
}

/** A size that always takes the generic path, and whose page `keep` holds on to. */
const GENERIC = 3000 * 8;

/** Holds on to the segment, and to a page for {@link letItTick}. */
function keep(heap: MiMalloc): void {
  heap.malloc(16);
  heap.malloc(GENERIC);
}

/** Enough generic allocations that the heap looks at the clock. */
function letItTick(heap: MiMalloc): void {
  for (let turn = 0; turn < 70; turn++) heap.free(heap.malloc(GENERIC));
}

test('every byte that is handed out has memory behind it, and nothing is committed twice', (t) => {
  const os = new TestOs();
  const heap = MiMalloc.create({ bytes: 16 * MIB, os });
  const state = os.backed.size;
  t.true(os.backs(0, heap.share().start + 1), 'the header has memory from the start');
  const sizes = [8, 100, 1000, 5000, 20_000, 100_000, 300_000, 2 * MIB];
  let held: [address: number, size: number][] = [];
  for (let round = 0; round < 20; round++) {
    for (const size of sizes) {
      const address = heap.malloc(size);
      t.true(address !== 0 && os.backs(address, size), `${size} bytes at ${address}`);
      held.push([address, size]);
    }
    if (round % 3 === 2) {
      for (const [address] of held.filter((_, index) => index % 4 !== 0)) heap.free(address);
      held = held.filter((_, index) => index % 4 === 0);
      os.time += 5;
    }
    heap.validate({ quiet: true });
  }
  for (const [address] of held) heap.free(address);
  heap.collect(true);
  heap.validate({ quiet: true });
  t.deepEqual(os.faults, []);
  t.is(
    os.backed.size,
    state,
    'with everything freed and collected, only the header and its tables keep memory',
  );
});

test('a page that stays empty is purged after the delay and not before; a page that is used again is not', (t) => {
  const os = new TestOs(10);
  const heap = MiMalloc.create({ bytes: 16 * MIB, os });
  keep(heap);
  const block = heap.malloc(300 * KIB);
  heap.free(block);
  letItTick(heap);
  t.true(os.backs(block, 300 * KIB), 'before the delay it keeps its memory');
  const again = heap.malloc(300 * KIB);
  t.is(again, block);
  os.time += 100;
  letItTick(heap);
  t.true(os.backs(again, 300 * KIB), 'what is used again is not purged');
  heap.free(again);
  os.time += 9;
  letItTick(heap);
  t.true(os.backs(again, 300 * KIB));
  os.time += 3;
  letItTick(heap);
  t.false(os.backs(again, OS_PAGE));
  heap.validate({ quiet: true });
  t.deepEqual(os.faults, []);
});

test('a segment that went back empty is purged after the delay, without anybody owning it', (t) => {
  const os = new TestOs(10);
  const heap = MiMalloc.create({ bytes: 64 * MIB, os });
  keep(heap);
  const huge = heap.malloc(9 * MIB);
  const before = os.backed.size;
  heap.free(huge);
  t.is(os.backed.size, before);
  os.time += 11;
  letItTick(heap);
  t.true(os.backed.size <= before - (9 * MIB) / OS_PAGE + 64, `${before} → ${os.backed.size}`);
  t.true(heap.malloc(9 * MIB) !== 0);
  t.deepEqual(os.faults, []);
});

test('purgeDelay 0 purges at once, -1 never, and a forced collect waits for no clock', (t) => {
  for (const [purgeDelay, force, purged] of [
    [0, false, true],
    [-1, false, false],
    [-1, true, false],
    [1000, false, false],
    [1000, true, true],
  ] as const) {
    const os = new TestOs(purgeDelay);
    const heap = MiMalloc.create({ bytes: 16 * MIB, os });
    keep(heap);
    const block = heap.malloc(200 * KIB);
    heap.free(block);
    heap.collect(force);
    t.is(!os.backs(block, 200 * KIB), purged, `delay ${purgeDelay}, force ${force}`);
    heap.validate({ quiet: true });
    t.deepEqual(os.faults, []);
  }
});

test('the option wins over the layer below, and purgeResets resets instead of decommitting', (t) => {
  const os = new TestOs(1000);
  const heap = MiMalloc.create({ bytes: 16 * MIB, os, purgeDelay: 0, purgeResets: true });
  keep(heap);
  const block = heap.malloc(200 * KIB);
  heap.free(block);
  t.deepEqual(os.resets, [[block, 200 * KIB]]);
  t.true(os.backs(block, 200 * KIB), 'what is reset keeps its place in the page table');
  t.is(heap.malloc(200 * KIB), block);
  t.deepEqual(os.faults, []);
});

test('neighbours are given back by one call', (t) => {
  const calls: [number, number][] = [];
  const os = new TestOs(10);
  const heap = MiMalloc.create({
    bytes: 128 * MIB,
    os: Object.assign(os, {
      decommit(address: number, bytes: number) {
        calls.push([address, bytes]);
        TestOs.prototype.decommit.call(os, address, bytes);
      },
    }),
  });
  keep(heap);
  const block = heap.malloc(MIB);
  heap.free(block);
  heap.collect(true);
  t.deepEqual(calls, [[block, MIB]]);
});

test('without memory for the header and its tables there is no heap, and no header', (t) => {
  const memory = new SharedArrayBuffer(MIB);
  const os = new TestOs();
  os.frames = 3;
  t.throws(() => MiMalloc.create({ memory, os }), {
    code: 'NoMemory',
    message: /os.commit has no \d+ bytes/,
  });
  t.throws(() => MiMalloc.attach({ algorithm: 'mimalloc', memory, start: KIB }), { message: /wrong magic/ });
  t.is(os.backed.size, 0);
});

test('no memory behind the address space is out of memory, and nothing else', (t) => {
  for (const secure of [0, 4]) {
    const os = new TestOs();
    const heap = MiMalloc.create({ bytes: 16 * MIB, os, secure });
    os.frames = 90;
    const held: number[] = [];
    for (const size of [100_000, 30_000, 5000, 100, 16]) {
      for (let address = heap.malloc(size); address !== 0; address = heap.malloc(size)) {
        t.true(os.backs(address, size));
        held.push(address);
      }
      heap.validate({ quiet: true });
    }
    t.true(held.length >= 5);
    t.is(os.frames, 0);
    for (const address of held) heap.free(address);
    heap.collect(true);
    heap.validate({ quiet: true });
    t.is(os.frames, 90);
    t.true(heap.malloc(100_000) !== 0);
    t.deepEqual(os.faults, []);
  }
});

test('committed and peak committed bytes follow what the layer below gave', (t) => {
  const os = new TestOs(0);
  const heap = MiMalloc.create({ bytes: 16 * MIB, os });
  keep(heap);
  const { committedBytes: own } = heap.stats();
  const block = heap.malloc(MIB);
  const full = heap.stats();
  t.true(full.committedBytes >= own + MIB && full.committedBytes <= own + MIB + 4 * OS_PAGE);
  t.is(full.peakCommittedBytes, full.committedBytes);
  t.true(
    full.committedBytes - os.backed.size * OS_PAGE < 32 * OS_PAGE,
    'besides blocks: the header and descriptors',
  );
  heap.free(block);
  const empty = heap.stats();
  t.is(full.committedBytes - empty.committedBytes, MIB);
  t.is(empty.peakCommittedBytes, full.peakCommittedBytes);
  t.is(heap.footprintBytes(), full.peakCommittedBytes);
});

test('the layer below reserves more address space when there is none left', (t) => {
  const memory = new SharedArrayBuffer(64 * MIB);
  const os = new TestOs();
  const heap = MiMalloc.create({ memory, end: 16 * MIB, os });
  t.is(heap.malloc(20 * MIB), 0);
  os.reserved = { start: 32 * MIB, size: 32 * MIB };
  const block = heap.malloc(20 * MIB);
  t.true(block >= 32 * MIB && os.backs(block, 20 * MIB));
  heap.validate({ quiet: true });
  t.deepEqual(os.faults, []);
});

test('above 2 GiB, too, a block has memory behind it, which is committed once and counted', (t) => {
  const memory = new SharedArrayBuffer(4 * 1024 * MIB);
  const os = new TestOs(0);
  const heap = MiMalloc.create({ memory, start: 4 * 1024 * MIB - 16 * MIB, os });
  const before = heap.footprintBytes();
  const blocks = [64, 5000, 100_000, 3 * MIB].map((size) => [heap.malloc(size), size]);
  for (const [block, size] of blocks) t.true(block > 2 ** 31 && os.backs(block, size), `${size}`);
  t.true(heap.footprintBytes() - before >= 3 * MIB, `${heap.footprintBytes()} bytes, ${before} before`);
  for (const [block] of blocks) heap.free(block);
  heap.collect(true);
  t.true(os.backed.size * OS_PAGE < MIB, 'what is free is given back');
  t.deepEqual(os.faults, []);
});
