/**
 * Memory that comes at the worst moment: right before one thread claims, adopts or follows something, another
 * makes the memory grow, uses what came, and gives it back. The other thread is a second attachment, and the
 * moment is one operation between threads, or a hook; so nothing here needs luck.
 */
import { AllocError, SharedMemory } from '@shmalloc/allocator-api';
import { type Crossings, crossingsFor } from '@shmalloc/atomic-cell';
import { MiAllocatorInner, MiMalloc, type MiMallocOptions } from '@shmalloc/mimalloc';
import test, { type ExecutionContext } from 'ava';
import { countOf } from '../../dist/huge/huge.js';
import { Heap } from '../../dist/layout/heap.js';
import { segmentAt } from '../../dist/layout/page-map.js';
import { Segment } from '../../dist/segment/segment.js';
import { headerField, segmentBytes, segmentField, small } from '../support/harness.ts';
import { recordOf, tldOf } from '../support/inside.ts';

const MIB = 2 ** 20;
const BACKINGS = ['wasm', 'sab'] as const;
const LEVELS = [0, 4] as const;

/** Crossings that run something right before the next operation of one name, once. */
interface Spied {
  readonly crossings: Crossings;
  arm(operation: keyof Crossings, run: () => void): void;
  /** Whether it has run. */
  readonly hasRun: boolean;
}

function spied(heap: MiMalloc): Spied {
  const real = crossingsFor(SharedMemory.from(heap.memory.source));
  let armed: { operation: PropertyKey; run: () => void } | null = null;
  let hasRun = false;
  const crossings = new Proxy(real, {
    get(target, name) {
      const value = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        if (armed?.operation === name) {
          const { run } = armed;
          armed = null;
          hasRun = true;
          run();
        }
        return value.apply(target, args);
      };
    },
  });
  return {
    crossings,
    arm(operation, run) {
      hasRun = false;
      armed = { operation, run };
    },
    get hasRun() {
      return hasRun;
    },
  };
}

/** A heap that grows, and a thread of it that fills memory, grows it, and gives back what came, dirty. */
class Neighbour {
  readonly heap: MiMalloc;
  readonly held: number[] = [];

  constructor(options: MiMallocOptions) {
    this.heap = MiMalloc.create({ bytes: MIB, maxBytes: 16 * MIB, purgeDelay: 0, ...options });
  }

  /** Allocates and writes into all of it. */
  take(size: number): number {
    const block = this.heap.malloc(size);
    if (block === 0) return 0;
    this.heap.memory.refresh();
    this.heap.memory.u8.fill(0xbb, block, block + size);
    return block;
  }

  /** Holds everything that there is without growing. */
  fill(): void {
    const { memory } = this.heap;
    for (const length = memory.byteLength; memory.byteLength === length; ) this.held.push(this.take(16_000));
  }

  /** Makes the memory grow, writes into what came, and gives all of it back. */
  growAndLetGo(): void {
    this.fill();
    const length = this.heap.memory.byteLength;
    const fresh: number[] = [];
    for (let n = 0; n < 40; n++) {
      const block = this.take(16_000);
      if (block !== 0) fresh.push(block);
    }
    for (const block of fresh) this.heap.free(block);
    this.heap.free(this.held.pop() as number);
    this.heap.collect(true);
    if (this.heap.memory.byteLength < length) throw new Error('nothing has come');
  }
}

/** A thread that attaches next to a neighbour, with crossings that can be stopped. */
function attachSpied(neighbour: Neighbour): { mine: MiMalloc; spy: Spied; errors: AllocError[] } {
  const spy = spied(neighbour.heap);
  const mine = MiMalloc.attach(neighbour.heap.share(), { crossings: spy.crossings });
  const errors: AllocError[] = [];
  mine.registerError((error) => errors.push(error));
  return { mine, spy, errors };
}

/** The bytes of a block as they are, whatever a heap's own views reach. */
function bytesAt(heap: MiMalloc, address: number, size: number): Uint8Array {
  return SharedMemory.from(heap.memory.source).u8.subarray(address, address + size);
}

for (const backing of BACKINGS) {
  for (const secure of LEVELS) {
    const options = { backing, secure, segmentShift: 16, threads: 8 };
    const name = `${backing}, secure ${secure}`;

    test(`${name}: what calloc hands out is zero although the memory grew right before the segment was claimed`, (t) => {
      let ran = 0;
      for (const size of [48, 1000, 4000, 20_000, 60_000, 200_000]) {
        const neighbour = new Neighbour(options);
        neighbour.fill();
        const { mine, spy, errors } = attachSpied(neighbour);
        for (let n = 0; n < 12; n++) {
          spy.arm('claim', () => neighbour.growAndLetGo());
          const block = mine.calloc(1, size);
          if (spy.hasRun) ran++;
          if (block === 0) break;
          const wrong = bytesAt(mine, block, size).findIndex((byte) => byte !== 0);
          t.is(wrong, -1, `byte ${wrong} of ${size} at ${block}`);
          t.true(block + size <= mine.memory.byteLength, 'the views reach the block');
        }
        mine.validate();
        t.deepEqual(errors, []);
      }
      t.true(ran > 20, `${ran} claims were met`);
    });

    test(`${name}: realloc keeps the contents although the memory grew right before the segment was claimed`, (t) => {
      let ran = 0;
      for (const [from, to] of [
        [100, 5000],
        [5000, 20_000],
        [5000, 300_000],
      ]) {
        const neighbour = new Neighbour(options);
        neighbour.fill();
        const { mine, spy, errors } = attachSpied(neighbour);
        for (let n = 0; n < 12; n++) {
          const old = mine.malloc(from);
          if (old === 0) break;
          mine.memory.u8.fill(0xaa, old, old + from);
          spy.arm('claim', () => neighbour.growAndLetGo());
          const block = mine.realloc(old, to);
          if (spy.hasRun) ran++;
          if (block === 0) break;
          const wrong = bytesAt(mine, block, from).findIndex((byte) => byte !== 0xaa);
          t.is(wrong, -1, `byte ${wrong} of ${from} → ${to} at ${block}`);
        }
        mine.validate();
        t.deepEqual(errors, []);
      }
      t.true(ran > 8, `${ran} claims were met`);
    });

    test(`${name}: a page in memory that came right before its segment was claimed has all of its blocks`, (t) => {
      const neighbour = new Neighbour(options);
      neighbour.fill();
      const { mine, spy, errors } = attachSpied(neighbour);
      const live = new Set<number>();
      for (let n = 0; n < 3000; n++) {
        if (n % 200 === 0) spy.arm('claim', () => neighbour.growAndLetGo());
        const block = mine.malloc(48);
        if (block === 0) break;
        t.false(live.has(block), `${block} was handed out twice`);
        t.true(block > 1024 && block + 48 <= mine.memory.byteLength, `${block} lies in the memory`);
        mine.memory.u8.fill(0x11, block, block + 48);
        live.add(block);
      }
      for (const block of neighbour.held) {
        const found = neighbour.heap.memory.u8.subarray(block, block + 16_000).findIndex((b) => b !== 0xbb);
        t.is(found, -1, `the neighbour's block at ${block} was written to`);
      }
      mine.validate();
      for (const block of live) mine.free(block);
      mine.collect(true);
      t.deepEqual(errors, []);
    });

    test(`${name}: a segment that was left in memory this thread has not seen is adopted whole`, (t) => {
      const neighbour = new Neighbour(options);
      neighbour.fill();
      const { mine, spy, errors } = attachSpied(neighbour);
      mine.malloc(8);
      const left: number[] = [];
      // Right before this thread adopts something, a third one comes, fills what has come, leaves some of it
      // and goes.
      spy.arm('claim', () => {
        const third = MiMalloc.attach(neighbour.heap.share());
        third.collect(true);
        const blocks = Array.from({ length: 400 }, () => third.malloc(1000)).filter((block) => block !== 0);
        third.memory.refresh();
        for (const [index, block] of blocks.entries()) {
          third.memory.u8.fill(0xcc, block, block + 1000);
          if (index % 3 === 0) left.push(block);
          else third.free(block);
        }
        third.detach();
      });
      const blocks: number[] = [];
      for (let n = 0; n < 600; n++) {
        const block = mine.calloc(1, 1000);
        if (block === 0) break;
        t.true(bytesAt(mine, block, 1000).every((byte) => byte === 0));
        mine.memory.u8.fill(0x22, block, block + 1000);
        blocks.push(block);
      }
      t.true(spy.hasRun && left.length > 20);
      t.is(new Set([...blocks, ...left]).size, blocks.length + left.length);
      for (const block of left) t.true(bytesAt(mine, block, 1000).every((byte) => byte === 0xcc));
      for (const block of blocks) t.true(bytesAt(mine, block, 1000).every((byte) => byte === 0x22));
      mine.validate();
      for (const block of [...left, ...blocks]) mine.free(block);
      mine.collect(true);
      mine.validate();
      t.deepEqual(errors, []);
    });

    test(`${name}: what a thread left in memory that the reaper has not seen is mended whole`, (t) => {
      const neighbour = new Neighbour(options);
      const dying = MiMalloc.attach(neighbour.heap.share());
      neighbour.fill();
      const blocks = Array.from({ length: 500 }, () => dying.malloc(1000)).filter((block) => block !== 0);
      dying.memory.refresh();
      for (const block of blocks) dying.memory.u8.fill(0xdd, block, block + 1000);
      const kept = blocks.filter((_, index) => index % 5 === 0);
      for (const block of blocks) if (!kept.includes(block)) dying.free(block);
      const before = neighbour.heap.memory.byteLength;
      t.true(dying.memory.byteLength > before, 'the reaper has not seen it all');
      neighbour.heap.reap(dying.threadId);
      neighbour.heap.collect(true);
      neighbour.heap.validate();
      for (const block of kept) {
        t.true(bytesAt(neighbour.heap, block, 1000).every((byte) => byte === 0xdd));
        neighbour.heap.free(block);
      }
      for (const block of neighbour.held) neighbour.heap.free(block);
      neighbour.heap.collect(true);
      t.is(neighbour.heap.usedBytes(), 0);
    });
  }

  test(`${backing}: a hook that runs in the middle of malloc may make the memory grow`, (t) => {
    for (const size of [16, 700, 20_000, 60_000, 300_000]) {
      const heap = MiMalloc.create({
        bytes: MIB + MIB / 4,
        maxBytes: 64 * MIB,
        purgeDelay: -1,
        segmentShift: 16,
        backing,
      });
      const other = MiMalloc.attach(heap.share());
      let runs = 0;
      heap.registerDeferredFree(() => {
        if (runs++ > 0) return;
        const before = other.memory.byteLength;
        const kept: number[] = [];
        while (other.memory.byteLength === before) kept.push(other.malloc(60_000));
        for (let n = 0; n < 300; n++) kept.push(other.malloc(700));
        other.memory.refresh();
        for (const block of kept.filter((each) => each >= before)) {
          other.memory.u8.fill(0xff, block, block + other.usableSize(block));
          other.free(block);
        }
        other.collect(true);
      });
      const block = heap.calloc(1, size);
      t.true(runs > 0 && block !== 0);
      t.true(bytesAt(heap, block, size).every((byte) => byte === 0));
      heap.memory.u8[block] = 123;
      t.is(bytesAt(heap, block, 1)[0], 123, 'what is written to a block is there');
      const more = Array.from({ length: 20 }, () => heap.malloc(size));
      t.is(new Set([block, ...more]).size, 21);
      heap.validate();
      other.validate();
    }
  });

  test(`${backing}: records of heaps in memory that another thread has added are found, and none is given twice`, (t) => {
    const heap = MiMalloc.create({ bytes: MIB, maxBytes: 16 * MIB, segmentShift: 16, backing });
    const late = MiMalloc.attach(heap.share());
    const blocks: number[] = [];
    while (heap.memory.byteLength === MIB) blocks.push(heap.malloc(60_000));
    const heaps = Array.from({ length: 12 }, () => heap.heapNew());
    t.true(
      heaps.some((each) => recordOf(each) * 4 >= MIB),
      'a record lies in what has come',
    );
    for (const each of heaps.slice(3)) each.delete();
    t.is(late.memory.byteLength, MIB, 'the other thread has not looked');
    const theirs = Array.from({ length: 20 }, () => late.heapNew());
    const records = [...heaps.slice(0, 3), ...theirs].map(recordOf);
    t.is(new Set(records).size, records.length);
    for (const each of theirs) t.not(each.malloc(100), 0);
    late.validate();
    heap.validate();
  });

  test(`${backing}: a block that reaches beyond what a thread has seen is copied whole`, (t) => {
    const heap = MiMalloc.create({ bytes: MIB, maxBytes: 16 * MIB, backing });
    const other = MiMalloc.attach(heap.share());
    const size = 3 * MIB;
    const block = other.malloc(size);
    t.not(block, 0);
    other.memory.refresh();
    for (let at = 0; at < size; at += 4096) other.memory.u8[block + at] = at >>> 12;
    t.is(heap.memory.byteLength, MIB);
    const moved = heap.realloc(block, size + MIB);
    t.not(moved, 0);
    const bytes = bytesAt(heap, moved, size);
    for (let at = 0; at < size; at += 4096) t.is(bytes[at], (at >>> 12) & 0xff);
    heap.validate();
  });

  test(`${backing}: several objects over one slot see what any of them has grown`, (t) => {
    const first = MiAllocatorInner.create({ bytes: MIB, maxBytes: 16 * MIB, segmentShift: 16, backing });
    const second = MiAllocatorInner.attach(first.share());
    const live = new Map<number, number>();
    for (let n = 0; n < 6000; n++) {
      // They take turns, as under a lock.
      const [heap, other] = n % 7 < 3 ? [first, second] : [second, first];
      const block = heap.malloc(1000);
      if (block === 0) break;
      t.false(live.has(block));
      heap.memory.view('u8', block, 1000).fill(n);
      live.set(block, n & 0xff);
      if (n % 3 === 0) {
        const [freed] = live.keys();
        other.free(freed);
        live.delete(freed);
      }
    }
    t.true(first.memory.byteLength > 2 * MIB);
    for (const [block, stamp] of live) t.true(bytesAt(first, block, 1000).every((byte) => byte === stamp));
    first.validate();
    for (const block of live.keys()) second.free(block);
    second.collect(true);
    t.is(first.usedBytes(), 0);
  });
}

// ── Look, claim, look again ──

/**
 * A thread that is about to claim a segment; right before it does, another one takes a slice of that segment
 * for heap records and lets go of the rest.
 */
function claimAfterLook(t: ExecutionContext, secure: number, bytes: (segment: number) => number): void {
  const heap = MiMalloc.create({ bytes: MIB, threads: 8, secure, segmentShift: 16 });
  const spy = spied(heap);
  const mine = MiMalloc.attach(heap.share(), { crossings: spy.crossings });
  const other = MiMalloc.attach(heap.share());
  heap.malloc(8);
  let record = 0;
  spy.arm('claim', () => {
    record = recordOf(other.heapNew({ tag: 7 })) * 4;
  });
  const size = bytes(segmentBytes(heap));
  const block = mine.malloc(size);
  t.true(spy.hasRun);
  t.true(
    block + size <= record || record + 1408 <= block,
    `${block} of ${size} covers the record at ${record}`,
  );
  for (const each of [heap, mine, other]) each.validate();
  for (const each of [heap, mine, other]) each.free(each.malloc(100));
  mine.free(block);
  mine.collect(true);
  for (const each of [heap, mine, other]) each.validate();
}

for (const secure of [0, 3]) {
  test(`secure ${secure}: a segment out of which heap records were taken right before the claim is not used whole`, (t) => {
    claimAfterLook(t, secure, (segment) => segment - 64);
  });

  test(`secure ${secure}: nor is a run of segments for a huge block`, (t) => {
    claimAfterLook(t, secure, (segment) => 3 * segment - 64);
  });
}

test('a claim that is of no use is let go of again, and nothing is lost', (t) => {
  const heap = MiMalloc.create({ bytes: MIB, threads: 8, segmentShift: 16 });
  const spy = spied(heap);
  const mine = MiMalloc.attach(heap.share(), { crossings: spy.crossings });
  const other = MiMalloc.attach(heap.share());
  const before = heap.stats().freeSegments;
  spy.arm('claim', () => other.heapNew());
  const block = mine.malloc(segmentBytes(heap) - 64);
  mine.free(block);
  mine.collect(true);
  other.collect(true);
  t.is(heap.stats().freeSegments, before, 'the records take a slice of a segment that is free');
  t.is(tldOf(mine).i32[tldOf(mine).heap + Heap.segmentCount], 0);
});

test('a handle of shareSlot whose thread was reaped before it came lets no thread in under the next name', (t) => {
  const heap = small({ threads: 2 });
  const gone = heap.shareSlot();
  heap.reap(gone.threadId);
  const next = heap.shareSlot();
  t.not(next.threadId, gone.threadId);
  t.throws(() => MiMalloc.attach(gone), { instanceOf: AllocError, message: /no thread is expected/ });
  t.is(MiMalloc.attach(next).threadId, next.threadId);
});

test('a handle whose thread is reaped between the look at the name and the exchange lets no thread in', (t) => {
  const heap = small({ threads: 2 });
  const spy = spied(heap);
  const gone = heap.shareSlot();
  let next = gone;
  spy.arm('claim', () => {
    heap.reap(gone.threadId);
    next = heap.shareSlot();
  });
  t.throws(() => MiMalloc.attach(gone, { crossings: spy.crossings }), { message: /no thread is expected/ });
  t.true(spy.hasRun);
  t.is(MiMalloc.attach(next).threadId, next.threadId);
});

// ── Memory in pieces ──

for (const backing of BACKINGS) {
  test(`${backing}: a heap that grew piece by piece serves what one of that size serves, within 5 %`, (t) => {
    for (const [bytes, maxBytes] of [
      [MIB, 64 * MIB],
      [MIB / 4, 16 * MIB],
      [4 * MIB, 256 * MIB],
    ]) {
      const largest = (heap: MiMalloc): number => {
        let least = 0;
        let most = maxBytes;
        while (most - least > 4096) {
          const size = (least + most) >>> 1;
          const block = heap.malloc(size);
          heap.free(block);
          if (block === 0) most = size;
          else least = size;
        }
        return least;
      };
      const whole = MiMalloc.create({ bytes: maxBytes, backing, grow: false });
      const grown = MiMalloc.create({ bytes, maxBytes, backing });
      for (let size = MIB; size < maxBytes * 0.9; size += MIB) {
        const block = grown.malloc(size);
        t.not(block, 0, `${size} of ${maxBytes}`);
        grown.free(block);
      }
      const [expected, found] = [largest(whole), largest(grown)];
      t.true(found > 0.95 * expected, `${found} of ${expected}`);
      grown.validate();
      t.is(grown.usedBytes(), 0);
    }
  });

  test(`${backing}: ranges that touch, added one by one, hold a block that spans them all`, (t) => {
    const heap = MiMalloc.create({ bytes: MIB, maxBytes: 64 * MIB, grow: false, backing });
    for (let n = 0; n < 63; n++) heap.addMemory(heap.memory.grow(MIB), MIB);
    heap.validate();
    const size = 56 * MIB;
    const block = heap.malloc(size);
    t.not(block, 0);
    heap.memory.u8.fill(0x77, block, block + size);
    heap.validate();
    heap.free(block);
    heap.collect(true);
    heap.validate();
    t.is(heap.usedBytes(), 0);
    t.true(heap.availableBytes() > 62 * MIB);
  });

  test(`${backing}: the tables of a heap that may grow cost nothing until memory comes`, (t) => {
    for (const [bytes, maxBytes] of [
      [MIB, 256 * MIB],
      [16 * MIB, 2048 * MIB],
    ]) {
      const heap = MiMalloc.create({ bytes, maxBytes, backing });
      const first = headerField(heap, 'homeTables');
      const end = headerField(heap, 'end');
      let touched = 0;
      for (let page = first; page < end; page += 1024)
        if (
          tldOf(heap)
            .i32.subarray(page, Math.min(end, page + 1024))
            .some((word) => word !== 0)
        )
          touched++;
      t.true(touched * 4096 <= bytes / 64, `${touched} OS pages of tables in a region of ${bytes}`);
    }
  });
}

test('a doubling vector gets as far as there is room for the old and the new one', (t) => {
  const heap = MiMalloc.create({ bytes: MIB, maxBytes: 128 * MIB });
  let size = MIB;
  let block = heap.malloc(size);
  for (let next = block; next !== 0; ) {
    block = next;
    next = heap.realloc(block, 2 * size);
    if (next !== 0) size *= 2;
  }
  t.is(size, 64 * MIB);
  heap.validate();
});

test('a request that no growth can meet is answered at once: nothing is collected, adopted or grown for it', (t) => {
  const heap = MiMalloc.create({ bytes: MIB, maxBytes: 8 * MIB });
  const other = MiMalloc.attach(heap.share());
  const left = other.malloc(1000);
  other.detach();
  const { collections, failures } = heap.stats().counters;
  for (const size of [9 * MIB, 64 * MIB, 2 ** 31, 2 ** 32 - 1, 2 ** 40]) t.is(heap.malloc(size), 0);
  t.is(heap.alignedAlloc(4096, 9 * MIB), 0);
  t.is(heap.calloc(9, MIB), 0);
  t.is(heap.memory.byteLength, MIB);
  t.is(heap.stats().counters.collections, collections);
  t.is(heap.stats().counters.failures, failures + 7);
  t.is(segmentField(heap, left, 'threadId'), 1, 'what was abandoned is still so');
  t.not(heap.malloc(7 * MIB), 0, 'while one that it can meet is met');
});

test('growth asks for what the free tail lacks, and no more than an eighth besides', (t) => {
  const heap = MiMalloc.create({ bytes: 4 * MIB, maxBytes: 64 * MIB });
  const length = heap.memory.byteLength;
  const block = heap.malloc(6 * MIB);
  t.not(block, 0);
  const free = length - Math.ceil((headerField(heap, 'end') * 4) / segmentBytes(heap)) * segmentBytes(heap);
  const lacking = 6 * MIB - free;
  const grown = heap.memory.byteLength - length;
  t.true(grown >= lacking && grown <= lacking + length / 8, `${grown} grown, ${lacking} lacking`);
  t.is(headerField(heap, 'maxWords') * 4, 64 * MIB);
  t.is(segmentField(heap, block, 'kind'), 1);
  t.is(tldOf(heap).i32.length * 4, heap.memory.byteLength);
});

test('memory that was added beyond what the heap was made to reach holds what is larger than that', (t) => {
  for (const grow of [true, false]) {
    const heap = small({ memory: new SharedArrayBuffer(8 * MIB), end: MIB, grow });
    t.is(heap.malloc(3 * MIB), 0);
    heap.addMemory(MIB, 7 * MIB);
    t.not(heap.malloc(3 * MIB), 0);
    heap.validate();
  }
});

test('a thread that attaches while another makes the memory grow has seen what it will not be told of again', (t) => {
  const heap = MiMalloc.create({ bytes: MIB, maxBytes: 16 * MIB, backing: 'wasm' });
  const source = heap.memory.source as WebAssembly.Memory;
  const { get } = Object.getOwnPropertyDescriptor(WebAssembly.Memory.prototype, 'buffer') as {
    get(): ArrayBuffer;
  };
  // Right after the first look of the thread that attaches; the heap that grows looks at the memory by itself
  // then.
  let grown = 0;
  Object.defineProperty(source, 'buffer', {
    configurable: true,
    get(): ArrayBuffer {
      const seen = get.call(source);
      Reflect.deleteProperty(source, 'buffer');
      grown = heap.malloc(2 * MIB);
      return seen;
    },
  });
  const mine = MiMalloc.attach(heap.share());
  t.not(grown, 0);
  t.true(
    mine.memory.byteLength === heap.memory.byteLength || tldOf(mine).epoch !== headerField(heap, 'epoch'),
    'it has seen the memory, or looks again',
  );
  mine.free(grown);
  mine.validate();
  heap.collect(true);
  t.is(heap.usedBytes(), 0);
});

test('a huge block in memory that a reaper has not seen keeps all of its segments', (t) => {
  const heap = MiMalloc.create({ bytes: MIB, maxBytes: 16 * MIB, segmentShift: 16 });
  const errors: AllocError[] = [];
  heap.registerError((error) => errors.push(error));
  const dying = MiMalloc.attach(heap.share());
  dying.malloc(100);
  const block = dying.malloc(4 * MIB);
  dying.memory.refresh();
  dying.memory.u8.fill(0x5a, block, block + 4 * MIB);
  t.is(heap.memory.byteLength, MIB);
  const first = segmentAt(tldOf(heap), block / 4);
  t.is(
    countOf(tldOf(heap), first),
    tldOf(heap).i32[first + Segment.count],
    'counted with views that did not reach it',
  );
  heap.reap(dying.threadId);
  const others = Array.from({ length: 60 }, () => heap.malloc(60_000)).filter((each) => each !== 0);
  for (const each of others) t.true(each + 60_000 <= block || each >= block + 4 * MIB);
  t.true(bytesAt(heap, block, 4 * MIB).every((byte) => byte === 0x5a));
  t.deepEqual(errors, []);
  heap.free(block);
  for (const each of others) heap.free(each);
  heap.validate();
});
