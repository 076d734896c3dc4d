import { AllocError, SharedMemory } from '@shmalloc/allocator-api';
import { BorrowError, BorrowFlag, BorrowMutError, MiAllocator } from '@shmalloc/atomic-cell';
import test from 'ava';
import { BumpAllocator } from '../support/bump-allocator.ts';
import { BLOCKS, CELL, DATA } from '../support/places.ts';
import { BACKINGS, runTeam, untilBroken } from '../support/team.ts';
import type { AllocatingAnswer, AllocatingTask } from '../support/workers/allocating.ts';

const THREADS = 4;
const EACH = 50_000;
const BYTES = 2 ** 22;

function make(backing: 'sab' | 'wasm' = 'wasm'): {
  memory: SharedMemory;
  bump: BumpAllocator;
  allocator: MiAllocator;
} {
  const memory = SharedMemory.create({ bytes: BYTES, backing });
  const bump = new BumpAllocator(memory, DATA);
  const allocator = MiAllocator.new(memory, CELL, bump, { threadId: 42 });
  return { memory, bump, allocator };
}

test('the allocator interface on the wrapper reaches the inner allocator and releases every borrow', (t) => {
  const { bump, allocator } = make();
  allocator.init(BLOCKS, 4096);
  allocator.addMemory(BLOCKS + 4096, 4096);
  const block = allocator.alloc(100, 64);
  t.is(block, 1024);
  t.is(allocator.usedBytes(), 100);
  t.is(allocator.totalBytes(), 8192);
  t.is(allocator.availableBytes(), bump.availableBytes());
  allocator.dealloc(block, 100, 64);
  t.is(allocator.usedBytes(), 0);
  t.is(allocator.borrow.state, 0);
});

test('a borrow ends when the inner allocator throws', (t) => {
  const { allocator } = make();
  allocator.init(BLOCKS, 64);
  t.throws(() => allocator.alloc(65, 8), { instanceOf: AllocError, code: 'NoMemory' });
  t.is(allocator.borrow.state, 0);
  t.throws(() => allocator.dealloc(2 ** 20, 8, 8), { instanceOf: AllocError, code: 'NotAllocated' });
  t.is(allocator.borrow.state, 0);
  t.throws(() => allocator.addMemory(0, 8), { instanceOf: AllocError });
  t.is(allocator.borrow.state, 0);
  t.is(allocator.alloc(64, 8), BLOCKS);
});

test('a borrow ends when a total throws', (t) => {
  const { memory, bump } = make();
  const failing = () => {
    throw new Error('no total');
  };
  bump.totalBytes = bump.usedBytes = bump.availableBytes = bump.init = failing;
  const allocator = MiAllocator.new(memory, CELL, bump);
  t.throws(() => allocator.totalBytes(), { message: 'no total' });
  t.throws(() => allocator.usedBytes(), { message: 'no total' });
  t.throws(() => allocator.availableBytes(), { message: 'no total' });
  t.throws(() => allocator.init(0, 8), { message: 'no total' });
  t.is(allocator.borrow.state, 0);
});

test('while it is borrowed for writing, every method is refused and changes nothing', (t) => {
  const { allocator } = make();
  allocator.init(BLOCKS, 4096);
  const writer = allocator.innerMut();
  const available = writer.value.availableBytes();
  for (const attempt of [
    () => allocator.alloc(8, 8),
    () => allocator.dealloc(BLOCKS, 8, 8),
    () => allocator.init(BLOCKS, 8),
    () => allocator.addMemory(BLOCKS + 4096, 8),
    () => allocator.innerMut(),
  ]) {
    const error = t.throws(attempt, { instanceOf: BorrowMutError });
    t.is(error.holder, 42);
  }
  for (const attempt of [
    () => allocator.totalBytes(),
    () => allocator.usedBytes(),
    () => allocator.availableBytes(),
    () => allocator.inner(),
  ]) {
    t.throws(attempt, { instanceOf: BorrowError });
  }
  t.is(writer.value.availableBytes(), available);
  writer.release();
  t.is(allocator.alloc(8, 8), BLOCKS);
});

test('while it is borrowed for reading, totals answer and changes are refused', (t) => {
  const { allocator } = make();
  allocator.init(BLOCKS, 4096);
  const reader = allocator.inner();
  t.is(allocator.availableBytes(), 4096);
  t.is(reader.value.availableBytes(), 4096);
  const error = t.throws(() => allocator.alloc(8, 8), { instanceOf: BorrowMutError });
  t.is(error.state, 1);
  reader.release();
  t.is(allocator.borrow.state, 0);
});

test('it is a borrow flag and an unsafe cell', (t) => {
  const { memory, bump, allocator } = make();
  t.true(allocator.borrow instanceof BorrowFlag);
  t.is(allocator.data.get(), bump);
  t.true(new BorrowFlag(memory, CELL).tryWrite());
  t.is(allocator.borrow.state, -1);
});

for (const backing of BACKINGS) {
  test.serial(
    `a second thread gets BorrowMutError with the holder while the first is inside (${backing})`,
    async (t) => {
      const { memory, allocator } = make(backing);
      allocator.init(BLOCKS, BYTES - BLOCKS);
      const task: AllocatingTask = { wrapped: true, retry: false, threads: 1, blocks: 1 };
      const inside = allocator.innerMut();
      const [refused] = await runTeam<AllocatingTask, AllocatingAnswer>('allocating', memory, [task]);
      t.is(refused.refused, 1);
      t.is(refused.message, 'already mutably borrowed, by thread 42');
      t.is(refused.holder, 42);
      t.is(inside.value.usedBytes(), 0, 'nothing was allocated');
      inside.release();
      const [served] = await runTeam<AllocatingTask, AllocatingAnswer>('allocating', memory, [task]);
      t.is(served.refused, 0);
      t.is(served.blocks[0], BLOCKS);
    },
  );

  test.serial(`four threads that try again never get the same block (${backing})`, async (t) => {
    const { memory, allocator } = make(backing);
    allocator.init(BLOCKS, BYTES - BLOCKS);
    const task: AllocatingTask = { wrapped: true, retry: true, threads: THREADS, blocks: EACH };
    const answers = await runTeam<AllocatingTask, AllocatingAnswer>(
      'allocating',
      memory,
      new Array<AllocatingTask>(THREADS).fill(task),
    );
    t.log(`${answers.reduce((sum, { refused }) => sum + refused, 0)} refusals`);
    const distinct = new Set(answers.flatMap(({ blocks }) => Array.from(blocks)));
    t.is(distinct.size, THREADS * EACH);
    t.is(allocator.usedBytes(), THREADS * EACH * 8);
    t.is(allocator.borrow.state, 0);
  });
}

test.serial('without the wrapper four threads do get the same block', async (t) => {
  const task: AllocatingTask = { wrapped: false, retry: false, threads: THREADS, blocks: EACH };
  const shared = await untilBroken(async (attempt) => {
    const { memory, bump } = make();
    bump.init(BLOCKS, BYTES - BLOCKS);
    const answers = await runTeam<AllocatingTask, AllocatingAnswer>(
      'allocating',
      memory,
      new Array<AllocatingTask>(THREADS).fill(task),
    );
    const twice = THREADS * EACH - new Set(answers.flatMap(({ blocks }) => Array.from(blocks))).size;
    t.log(`${twice} blocks handed out twice, at attempt ${attempt}`);
    return twice;
  });
  t.true(shared > 0);
});
