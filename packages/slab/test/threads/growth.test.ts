/**
 * Memory that comes while a thread is in the middle of something: views, and looks that were taken before. B
 * grows the memory right before one of A's atomic accesses, each of them in turn, and A goes on.
 */
import { Worker } from 'node:worker_threads';
import { Slab, type SlabOptions } from '@shmalloc/slab';
import test from 'ava';
import { Cpu } from '../../dist/cpu.js';
import { Field } from '../../dist/header.js';
import { MARK, Page } from '../../dist/page.js';
import { allClear, fill, fullPage, pageOf, seedOf, watch } from '../support/harness.ts';
import { dieAt, everyStop, stopAt } from '../support/stops.ts';

const PART = 1 << 20;

function growing(options: SlabOptions = {}): { a: Slab; b: Slab } {
  const a = Slab.create({ bytes: PART, maxBytes: 8 * PART, backing: 'sab', ...options });
  return { a, b: Slab.attach(a.share()) };
}

/** B brings memory, and all of it is full of ones. */
function grow(b: Slab, bytes = PART): void {
  const start = b.memory.grow(bytes);
  b.memory.u8.fill(0xff, start, start + bytes);
  b.addMemory(start, bytes);
}

/** What a thread with views of now reads. */
function bytesOf(heap: Slab, address: number, length: number): Uint8Array {
  heap.memory.refresh();
  return heap.memory.u8.subarray(address, address + length);
}

const OPERATIONS: readonly [
  name: string,
  run: (a: Slab, old: number) => number,
  size: number,
  first: number,
][] = [
  ['calloc of a small block', (a) => a.calloc(1, 3000), 3000, 0],
  ['calloc of a large block', (a) => a.calloc(10, 10_000), 100_000, 0],
  ['calloc of a block as long as all that comes', (a) => a.calloc(1, PART - 50_000), PART - 50_000, 0],
  ['realloc to a larger block', (a, old) => a.realloc(old, 3000), 900, 77],
  ['realloc to a large block', (a, old) => a.realloc(old, 100_000), 900, 77],
];

for (const debug of [false, true]) {
  for (const [name, run, size, first] of OPERATIONS) {
    test(`memory comes at any point of ${name}${debug ? ' (debug)' : ''}: A's bytes are there for all to read`, (t) => {
      let beyond = 0;
      const stops = everyStop((at) => {
        const { a, b } = growing({ debug });
        const errors = watch(a, b);
        const old = a.malloc(900);
        a.memory.u8.fill(77, old, old + 900);
        // Nothing is left.
        const held = [
          ...fill(a, 200_000),
          ...fill(a, 8000),
          ...fill(a, 900),
          ...fill(a, 2000),
          ...fill(a, 3000),
        ];
        let block = 0;
        const reached = stopAt(
          at,
          () => {
            if (a.i32[a.header + Field.lock] === 0) grow(b);
          },
          () => (block = run(a, old)),
        );
        if (block !== 0) {
          if (block >= PART) beyond++;
          t.true(
            bytesOf(b, block, size).every((byte) => byte === first),
            `stop ${at}`,
          );
          a.free(block);
        }
        if (block === 0 || first === 0) a.free(old);
        for (const each of held) a.free(each);
        t.deepEqual(errors, []);
        allClear(t, a, b);
        b.validate({ quiet: true });
        return reached;
      });
      t.log(`${stops} stops, ${beyond} blocks in memory that came meanwhile`);
      t.true(beyond > 0);
    });
  }
}

test('B has a large block that begins in what A has seen and ends beyond: A frees it, asks for it and moves it', (t) => {
  for (const backing of ['wasm', 'sab'] as const) {
    for (const debug of [false, true]) {
      // The chunk is there, and half of it has no memory yet. In debug mode the table of sites ends the
      // first.
      const seen = (debug ? 2 : 1) * PART + PART / 2;
      const { a, b } = growing({ debug, backing, bytes: debug ? PART : seen });
      if (debug) grow(a, seen - PART);
      const errors = watch(a, b);
      grow(b, PART / 2);
      const size = PART + 300_000;
      const block = b.malloc(size);
      t.true(block < seen && block + size > seen, 'the scene');
      b.memory.u8.fill(5, block, block + size);
      t.is(a.memory.byteLength, seen);
      t.true(a.usableSize(block) >= size);
      grow(b, 2 * PART);
      const moved = a.realloc(block, size + 200_000);
      t.not(moved, 0);
      t.true(bytesOf(b, moved, size).every((byte) => byte === 5));
      a.free(moved);
      const again = b.malloc(PART + 500_000);
      t.not(again, 0);
      Slab.attach(a.share()).free(again);
      t.deepEqual(errors, []);
      allClear(t, a, b);
    }
  }
});

test('A takes a list that was left behind at any point, and it leads to memory that has just come', (t) => {
  let strays = 0;
  everyStop((at) => {
    const { a, b } = growing();
    const errors = watch(a, b);
    // Something for A to take before it comes to what was left behind.
    const own = fullPage(a, 500);
    const kept = [own.next, ...own.blocks.slice(1), ...fill(b, 100_000, 9)];
    b.free(own.blocks[0]);
    const reached = stopAt(
      at,
      () => {
        if (a.i32[a.header + Field.lock] !== 0) return;
        grow(b);
        const c = Slab.attach(b.share());
        const filler = fill(c, 4000, 60);
        const { blocks, next } = fullPage(c, 1000);
        const page = pageOf(c, blocks[0]);
        // B is in the middle of its free of blocks[0]: it has taken the mark away, and read whose the page
        // is.
        c.i32[page + Page.remote] &= ~MARK;
        const { cpu } = c;
        for (const block of [...blocks.slice(1), next, ...filler]) c.free(block);
        c.detach();
        b.i32[blocks[0] / 4] = b.i32[cpu + Cpu.delayed];
        b.i32[cpu + Cpu.delayed] = blocks[0] / 4;
        if (blocks[0] >= PART) strays++;
      },
      () => a.collect(true),
    );
    for (const block of kept) b.free(block);
    allClear(t, a, b);
    b.validate({ quiet: true });
    t.deepEqual(errors, []);
    return reached;
  });
  t.true(strays > 0);
});

test('two threads add the same memory: one of them is told, at any point of the other', (t) => {
  let told = 0;
  everyStop((at) => {
    const { a, b } = growing();
    const start = a.memory.grow(PART);
    let added = 0;
    const reached = stopAt(
      at,
      () => {
        if (a.i32[a.header + Field.lock] !== 0) return;
        try {
          b.addMemory(start, PART);
          added++;
        } catch (error) {
          t.is((error as { code: string }).code, 'MemoryOverlap');
          told++;
        }
      },
      () => {
        try {
          a.addMemory(start, PART);
          added++;
        } catch (error) {
          t.is((error as { code: string }).code, 'MemoryOverlap');
          told++;
        }
      },
    );
    t.is(added, 1, `stop ${at}`);
    const blocks = [...fill(a, 100_000), ...fill(b, 8000)];
    t.is(new Set(blocks).size, blocks.length);
    for (const block of blocks) a.free(block);
    allClear(t, a, b);
    b.validate({ quiet: true });
    return reached;
  });
  t.true(told > 0);
});

test('a thread dies anywhere in addMemory: what is there is whole, others see it, and no table is handed out', (t) => {
  const deaths = everyStop((at) => {
    const { a, b } = growing();
    const errors = watch(a);
    const start = b.memory.grow(PART);
    const reached = dieAt(at, () => b.addMemory(start, PART));
    a.reap(b.threadId);
    const c = Slab.attach(a.share());
    errors.push(...watch(c));
    const blocks: [block: number, size: number][] = [];
    for (const size of [200_000, 20_000, 4000, 100])
      for (const heap of [a, c]) for (const block of fill(heap, size)) blocks.push([block, size]);
    for (const [index, [block, size]] of blocks.entries())
      (index % 2 === 0 ? a : c).memory.u8.fill(index, block, block + size);
    // What was written through views that do not reach is not there.
    for (const [index, [block, size]] of blocks.entries())
      if (bytesOf(a, block, size).some((byte) => byte !== (index & 255)))
        t.fail(`death ${at}: ${block} is not whole`);
    for (const [block] of blocks) a.free(block);
    // The rest of it, if it has not come.
    try {
      c.addMemory(start, PART);
    } catch (error) {
      t.is((error as { code: string }).code, 'MemoryOverlap');
    }
    for (const block of fill(c, 4000)) c.free(block);
    t.deepEqual(errors, []);
    allClear(t, a, c);
    a.validate({ quiet: true });
    return reached;
  });
  t.true(deaths > 3);
});

test('memory comes at any point of an attach: the new thread writes into it, and all read it', (t) => {
  let beyond = 0;
  everyStop((at) => {
    const { a } = growing();
    fill(a, 4000);
    let c: Slab | undefined;
    const reached = stopAt(
      at,
      () => grow(a),
      () => (c = Slab.attach(a.share())),
    );
    const block = c?.calloc(1, 3000) ?? 0;
    if (block !== 0) beyond++;
    t.true(
      bytesOf(a, block, block === 0 ? 0 : 3000).every((byte) => byte === 0),
      `stop ${at}`,
    );
    c?.validate({ quiet: true });
    return reached;
  });
  t.true(beyond > 1);
});

test('an engine tells a new length late: a thread looks until it does', (t) => {
  const { a, b } = growing();
  fill(a, 4000);
  grow(a);
  const { memory } = b;
  const refresh = memory.refresh.bind(memory);
  let looks = 0;
  memory.refresh = () => ++looks > 3 && refresh();
  const block = b.calloc(1, 3000);
  t.true(block >= PART);
  t.true(looks > 3);
  t.true(bytesOf(a, block, 3000).every((byte) => byte === 0));
});

/** Workers that share blocks, and bring memory themselves whenever there is none. */
async function crew(t: { log(text: string): void }, backing: 'wasm' | 'sab', kill: boolean): Promise<Slab> {
  const seed = seedOf(t);
  const heap = Slab.create({ bytes: 1 << 18, maxBytes: 64 << 20, backing, threads: 8 });
  const table = new Int32Array(new SharedArrayBuffer(4 * 2048));
  const told: string[] = [];
  const names: number[] = [];
  const workers = [0, 1, 2].map((number) => {
    const { threadId, ...handle } = heap.shareSlot();
    names.push(threadId);
    const workerData = {
      handle: { ...handle, threadId },
      table,
      seed: seed + number,
      operations: kill ? 1e9 : 6000,
    };
    const worker = new Worker(new URL('../support/growth-worker.js', import.meta.url), { workerData });
    worker.on('message', (text: string) => told.push(text));
    worker.on('error', (error) => told.push(String(error.stack)));
    return { worker, gone: new Promise<void>((resolve) => worker.on('exit', () => resolve())) };
  });
  if (kill) {
    for (const [index, { worker }] of workers.entries()) {
      while (heap.memory.byteLength < (1 + index) << 19) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        heap.memory.refresh();
      }
      await worker.terminate();
      heap.reap(names[index]);
    }
  }
  await Promise.all(workers.map(({ gone }) => gone));
  for (const name of names) heap.reap(name);
  if (told.length > 0) throw new Error(told.join('\n'));
  for (const block of table) if (block !== 0) heap.free(block >>> 0);
  heap.collect(true);
  heap.collect(true);
  heap.validate({ quiet: true });
  return heap;
}

for (const backing of ['wasm', 'sab'] as const) {
  test(`workers add memory when there is none, and free what others have: all is whole, and comes back (${backing})`, async (t) => {
    const heap = await crew(t, backing, false);
    t.is(heap.usedBytes(), 0);
    t.true(heap.memory.byteLength > 1 << 19);
    t.is(heap.stats().freePages, heap.stats().pages);
  });

  test(`workers that add memory are terminated anywhere: a death costs one block at most (${backing})`, async (t) => {
    const heap = await crew(t, backing, true);
    const { usedBytes, errors } = heap.stats();
    t.log(`${usedBytes} bytes lost`);
    t.is(errors, 0);
    // The largest has 40,000 bytes.
    t.true(usedBytes <= 3 * 40_960, `${usedBytes}`);
  });
}
