import { SharedMemory } from '@shmalloc/allocator-api';
import { AtomicBlockList } from '@shmalloc/atomic-cell';
import test from 'ava';
import { BLOCKS, CELL, TALLY } from '../support/places.ts';
import { BACKINGS, runTeam, startTeam, until, untilBroken } from '../support/team.ts';
import type { PusherTask } from '../support/workers/pusher.ts';
import type { RecyclerTask } from '../support/workers/recycler.ts';

const THREADS = 4;
const BLOCK_BYTES = 8;
const EACH = 100_000;
const BYTES = 2 ** 22;

/** The blocks of a taken list, in order. */
function walk(list: AtomicBlockList, first: number): number[] {
  const blocks: number[] = [];
  for (let block = first; block !== 0; block = list.next(block)) blocks.push(block);
  return blocks;
}

/** Workers push while this thread takes. */
async function deliver(
  memory: SharedMemory,
  broken: boolean,
): Promise<{ arrived: Uint8Array; badStamps: number; takes: number }> {
  const task: PusherTask = { broken, threads: THREADS, blocks: EACH };
  const arrived = new Uint8Array(THREADS * EACH);
  const list = new AtomicBlockList(memory, CELL);
  let badStamps = 0;
  let takes = 0;
  const take = (): void => {
    const first = list.takeAll();
    if (first !== 0) takes++;
    for (let block = first, next = 0; block !== 0; block = next) {
      next = list.next(block);
      if (memory.i32[block / 4 + 1] !== ~block) badStamps++;
      memory.i32[block / 4] = memory.i32[block / 4 + 1] = 0; // it is ours now
      const nth = (block - BLOCKS) / BLOCK_BYTES;
      if (arrived[nth] < 255) arrived[nth]++;
      if (broken && arrived[nth] > 1) break; // a broken list may run in a circle
    }
  };
  const pushers = startTeam<PusherTask, string>('pusher', memory, new Array<PusherTask>(THREADS).fill(task));
  await until(() => {
    for (let times = 0; times < 1000; times++) take();
    return Atomics.load(memory.i32, TALLY / 4) === THREADS;
  });
  await Promise.all(pushers);
  take();
  return { arrived, badStamps, takes };
}

test('what was pushed last is taken first, and a take empties the list', (t) => {
  const list = new AtomicBlockList(SharedMemory.create({ bytes: 65536 }), CELL);
  t.is(list.takeAll(), 0);
  for (const block of [1024, 4096, 2048]) list.push(block);
  t.is(list.head.load(), 2048);
  t.deepEqual(walk(list, list.takeAll()), [2048, 4096, 1024]);
  t.is(list.takeAll(), 0);
  list.push(4096);
  t.deepEqual(walk(list, list.takeAll()), [4096]);
});

test('the link takes the first word of a block and nothing else', (t) => {
  const memory = SharedMemory.create({ bytes: 65536 });
  memory.u8.fill(0xab, 1024, 2048);
  const list = new AtomicBlockList(memory, CELL);
  list.push(1032);
  list.push(1040);
  t.is(memory.u32[1040 / 4], 1032);
  t.is(memory.u32[1032 / 4], 0);
  memory.u32[1040 / 4] = memory.u32[1032 / 4] = 0xabababab;
  t.true(memory.u8.subarray(1024, 2048).every((byte) => byte === 0xab));
});

for (const backing of BACKINGS) {
  test.serial(
    `four threads push while one takes: every block arrives exactly once (${backing})`,
    async (t) => {
      const memory = SharedMemory.create({ bytes: BYTES, backing });
      const { arrived, badStamps, takes } = await deliver(memory, false);
      t.log(`${arrived.length} blocks in ${takes} takes`);
      t.true(arrived.every((times) => times === 1));
      t.is(badStamps, 0, 'what the pusher wrote into the block arrived with it');
    },
  );
}

test.serial('the same count finds fault with a push of load and store', async (t) => {
  const wrong = await untilBroken(async (attempt) => {
    const { arrived } = await deliver(SharedMemory.create({ bytes: BYTES }), true);
    const faults = arrived.filter((times) => times !== 1).length;
    t.log(`${faults} of ${arrived.length} blocks lost or doubled, at attempt ${attempt}`);
    return faults;
  });
  t.true(wrong > 0);
});

for (const blocks of [1, 3, 64]) {
  test.serial(
    `${blocks} blocks that come back at once are never lost, doubled or shared (no ABA)`,
    async (t) => {
      const memory = SharedMemory.create({ bytes: 65536 });
      const list = new AtomicBlockList(memory, CELL);
      for (let nth = 0; nth < blocks; nth++) list.push(BLOCKS + nth * BLOCK_BYTES);
      const task: RecyclerTask = { threads: THREADS, handle: 50_000 };
      const handled = await runTeam<RecyclerTask, number>(
        'recycler',
        memory,
        new Array<RecyclerTask>(THREADS).fill(task),
      );
      const left = walk(list, list.takeAll()).sort((a, b) => a - b);
      t.deepEqual(
        left,
        Array.from({ length: blocks }, (_, nth) => BLOCKS + nth * BLOCK_BYTES),
      );
      const counted = left.reduce((sum, block) => sum + memory.i32[block / 4 + 1], 0);
      t.is(
        counted,
        handled.reduce((sum, one) => sum + one, 0),
        'every block was one thread’s at a time',
      );
    },
  );
}

for (const backing of BACKINGS) {
  test(`blocks above 2 GiB of a 4 GiB region, the last word included (${backing})`, (t) => {
    const memory = SharedMemory.create({ bytes: 2 ** 32, backing });
    const list = new AtomicBlockList(memory, CELL);
    const blocks = [1024, 2 ** 31 - 8, 2 ** 31, 2 ** 31 + 8, 2 ** 32 - 4];
    for (const block of blocks) list.push(block);
    t.deepEqual(walk(list, list.takeAll()), blocks.reverse());
  });

  test(`a block in memory that another thread has added (${backing})`, (t) => {
    const ours = SharedMemory.create({ bytes: 65536, maxBytes: 4 * 65536, backing });
    const [pusher, taker] = [SharedMemory.from(ours.source), SharedMemory.from(ours.source)];
    const [pushes, takes] = [new AtomicBlockList(pusher, CELL), new AtomicBlockList(taker, CELL)];
    const added = ours.grow(65536);
    pushes.push(4096);
    pushes.push(added + 16);
    t.deepEqual(walk(takes, takes.takeAll()), [added + 16, 4096]);
  });
}

test('what cannot be a block is refused and the list stays as it was', (t) => {
  const list = new AtomicBlockList(SharedMemory.create({ bytes: 65536 }), CELL);
  list.push(1024);
  for (const [block, name] of [
    [0, 'AllocError'],
    [1026, 'AllocError'],
    [65536, 'AllocError'],
    [2 ** 32, 'AllocError'],
    [2 ** 32 + 8, 'AllocError'],
    [-8, 'RangeError'],
    [0.5, 'RangeError'],
    [Number.NaN, 'RangeError'],
    ['1024', 'TypeError'],
    [undefined, 'TypeError'],
    [1024n, 'TypeError'],
  ] as const) {
    const refused = { name, message: new RegExp(`^block .*got "?${block}`) };
    t.throws(() => list.push(block as never), refused);
    t.throws(() => list.next(block as never), refused);
  }
  t.deepEqual(walk(list, list.takeAll()), [1024]);
});
