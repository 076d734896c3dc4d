/** Heaps that end while other threads free into them. */
import { Worker } from 'node:worker_threads';
import { type MiHeap, MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { recordOf, tldOf } from '../support/inside.ts';
import { random } from '../support/validated.ts';

/** A page of `part` that is full, and that other threads know to be. */
function fullPage(part: MiHeap, size: number): number[] {
  const slice = 4 << tldOf(part).sliceShift;
  const blocks: number[] = [];
  // The page before the last two: the search has passed it.
  while (blocks.length === 0 || blocks[blocks.length - 1] - blocks[0] < 3 * slice)
    blocks.push(part.malloc(size));
  return blocks.filter((block) => Math.floor(block / slice) === Math.floor(blocks[0] / slice));
}

/** Runs `meanwhile` in the middle of `operation`: at a moment between two atomic operations. */
function interleave(
  name: 'and' | 'compareExchange' | 'store',
  isMoment: (call: number, place: number, value: number) => boolean,
  operation: () => void,
  meanwhile: () => void,
): void {
  type Atomic = (words: Int32Array, place: number, value: number, other: number) => number;
  const original = Atomics[name] as Atomic;
  let calls = 0;
  const patched: Atomic = (words, place, value, other) => {
    const now = isMoment(++calls, place, value);
    if (now) Reflect.set(Atomics, name, original);
    if (now && name !== 'store') meanwhile();
    const result = original(words, place, value, other);
    if (now && name === 'store') meanwhile();
    return result;
  };
  Reflect.set(Atomics, name, patched);
  try {
    operation();
  } finally {
    Reflect.set(Atomics, name, original);
  }
}

/** A heap over plain shared memory, whose atomic operations a test can see. */
function watched(): { heap: MiMalloc; other: MiMalloc } {
  const heap = MiMalloc.create({ memory: new SharedArrayBuffer(1 << 20), grow: false });
  return { heap, other: MiMalloc.attach(heap.share()) };
}

const DELAYED_FREE = 1;

// A foreign free into a full page: an `and` clears DELAYED; XHEAP is read; an exchange pushes onto the heap's
// list.
const FIRST = (call: number): boolean => call === 1;
const CLEARING = 'and';
const PUSHING = 'compareExchange';

test('blocks on the list of a heap that is deleted are freed with it', (t) => {
  const { heap: owner, other } = watched();
  const part = owner.heapNew();
  const page = fullPage(part, 600);
  for (const block of page) other.free(block);
  const { i32 } = owner.memory;
  t.is(i32[recordOf(part) + DELAYED_FREE] * 4, page[0]);
  part.delete();
  t.is(i32[recordOf(part) + DELAYED_FREE], 0);
  owner.validate({ quiet: true });
  for (const block of page) t.false(owner.containsBlock(block));
});

for (const alsoDirect of [false, true]) {
  test(`a heap is deleted after a free has cleared DELAYED and before it pushes${alsoDirect ? ', and another has gone to the page' : ''}: the page comes back`, (t) => {
    const { heap: other, other: owner } = watched();
    const part = owner.heapNew();
    const [late, direct, ...others] = fullPage(part, 600);
    interleave(
      PUSHING,
      FIRST,
      () => other.free(late),
      () => {
        if (alsoDirect) other.free(direct);
        part.delete();
      },
    );
    t.is(
      owner.memory.i32[recordOf(part) + DELAYED_FREE] * 4,
      late,
      'the block waits in a record that nobody has',
    );
    owner.validate({ quiet: true });
    if (!alsoDirect) {
      // No thread would hear of this one if the flag had not been set again.
      other.free(direct);
    }
    const again: number[] = [];
    for (let index = 0; index < 100; index++) again.push(owner.malloc(600));
    t.true(again.includes(direct), 'without a forced collection');
    t.false(again.includes(late));
    for (const block of [...others, ...again]) owner.free(block);
    owner.collect(true);
    owner.validate({ quiet: true });
    t.false(owner.containsBlock(late));
    t.is(owner.memory.i32[recordOf(part) + DELAYED_FREE], 0);
  });
}

for (const [step, moment] of Object.entries({ clearing: CLEARING, 'reading the heap': PUSHING } as const)) {
  for (const end of ['delete', 'destroy others, then delete', 'detach'] as const) {
    test(`${end} before another thread’s push, after its ${step}: nothing is lost, and nobody’s block is written to`, (t) => {
      const { heap, other: owner } = watched();
      const part = owner.heapNew();
      const page = fullPage(part, 600);
      const [late, ...others] = page;
      interleave(
        moment,
        FIRST,
        () => heap.free(late),
        () => {
          if (end === 'detach') owner.detach();
          else {
            if (end !== 'delete') owner.heapNew().destroy();
            part.delete();
          }
        },
      );
      heap.validate({ quiet: true });
      for (const block of others) heap.free(block);
      if (end !== 'detach') owner.collect(true);
      heap.collect(true);
      heap.validate({ quiet: true });
      for (const block of page) t.false(heap.containsBlock(block), `${block}`);
    });
  }
}

test('a late block in a record is freed by the record’s next owner, wherever its page is by then', (t) => {
  for (const end of ['delete', 'detach'] as const) {
    const { heap, other: owner } = watched();
    const part = owner.heapNew();
    const record = recordOf(part);
    const [late, ...others] = fullPage(part, 600);
    interleave(
      PUSHING,
      FIRST,
      () => heap.free(late),
      () => (end === 'delete' ? part.delete() : owner.detach()),
    );
    const next = heap.heapNew();
    t.is(recordOf(next), record);
    t.is(heap.memory.i32[record + DELAYED_FREE] * 4, late);
    heap.validate({ quiet: true });
    next.malloc(5000);
    t.is(heap.memory.i32[record + DELAYED_FREE], 0);
    const page = heap
      .inspect()
      .segments.flatMap(({ pages }) => pages)
      .find(({ address, blockSize, capacity }) => address <= late && late < address + blockSize * capacity);
    t.is(page?.localFree, 0, 'this thread does not write to the owner’s list of a page that is not its own');
    heap.validate({ quiet: true });
    t.true(heap.containsBlock(others[0]));
    if (end === 'delete') owner.collect(true);
    heap.collect(true);
    heap.validate({ quiet: true });
    t.false(heap.containsBlock(late));
    for (const block of others) {
      t.true(heap.containsBlock(block));
      heap.free(block);
    }
  }
});

test('records that are claimed while their last owner detaches do not lead it astray', (t) => {
  const { heap, other: owner } = watched();
  const parts = [owner.heapNew(), owner.heapNew(), owner.heapNew()];
  const blocks = parts.map((part) => part.malloc(100));
  // The newest heap follows the backing heap in the owner's list, so it is the first of the three to be let
  // go.
  const record = recordOf(parts[2]);
  let mine: MiHeap | undefined;
  interleave(
    'store',
    (_, place, value) => place === record && value === 0,
    () => owner.detach(),
    () => {
      mine = heap.heapNew();
    },
  );
  t.is(recordOf(mine as MiHeap), record);
  t.is(heap.stats().heaps, 2, 'the owner has let go of all of its own, and of none of the others’');
  t.not(mine?.malloc(100), 0);
  heap.collect(true);
  for (const block of blocks) heap.free(block);
  heap.validate({ quiet: true });
});

test('heaps come and go while another thread frees their blocks', async (t) => {
  const heap = MiMalloc.create({ bytes: 16 * (1 << 20), grow: false });
  const errors: string[] = [];
  heap.registerError((error) => errors.push(error.message));
  const ROUND = 64;
  // Word 0: rounds handed over; word 1: rounds taken back; then the blocks of the round.
  const mail = new Int32Array(new SharedArrayBuffer(4 * (2 + ROUND)));
  const worker = new Worker(new URL('../support/heaps-worker.js', import.meta.url), {
    workerData: { handle: heap.share(), mail, round: ROUND },
  });
  const failed = new Promise<never>((_, reject) => {
    worker.on('error', reject);
  });
  const rounds = 3000;
  const next = random(5);
  for (let round = 1; round <= rounds; round++) {
    const part = heap.heapNew({ tag: round % 256 });
    const size = 8 << next(8);
    for (let index = 0; index < ROUND; index++) mail[2 + index] = part.malloc(size);
    // Some pages are full, the others are searched.
    for (let index = next(2000); index > 0; index--) part.malloc(size);
    Atomics.store(mail, 0, round);
    Atomics.notify(mail, 0);
    for (let index = next(200); index > 0; index--) part.malloc(8);
    if (next(4) === 0) part.collect(next(2) === 0);
    part.delete();
    while (Atomics.load(mail, 1) < round) Atomics.wait(mail, 1, round - 1, 10);
    // What this thread allocated is known to visitBlocks only.
    heap.visitBlocks((address) => heap.free(address), { threadId: heap.threadId });
    if (round % 100 === 0) {
      heap.collect(true);
      heap.validate({ quiet: true });
      t.is(heap.usedBytes(), 0, `after round ${round}`);
    }
  }
  Atomics.store(mail, 0, -1);
  Atomics.notify(mail, 0);
  await Promise.race([failed, new Promise((resolve) => worker.once('exit', resolve))]);
  heap.collect(true);
  heap.validate({ quiet: true });
  t.is(heap.usedBytes(), 0);
  t.deepEqual(errors, []);
});
