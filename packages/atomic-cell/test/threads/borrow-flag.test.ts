import { SharedMemory } from '@shmalloc/allocator-api';
import { BorrowError, BorrowFlag, ReleaseError } from '@shmalloc/atomic-cell';
import test from 'ava';
import { CELL, DATA } from '../support/places.ts';
import { BACKINGS, runTeam, untilBroken } from '../support/team.ts';
import type { BorrowerAnswer, BorrowerTask } from '../support/workers/borrower.ts';

const THREADS = 4;
const ROUNDS = 100_000;
const MAX_READERS = 2 ** 31 - 1;

function fresh(): { memory: SharedMemory; flag: BorrowFlag; set: (state: number) => void } {
  const memory = SharedMemory.create({ bytes: 65536 });
  return {
    memory,
    flag: new BorrowFlag(memory, CELL),
    set: (state) => void (memory.i32[CELL / 4] = state),
  };
}

/** All threads write and read by turns, or only read; the answers added up. */
async function borrow(memory: SharedMemory, options: Partial<BorrowerTask> = {}): Promise<BorrowerAnswer> {
  const task: BorrowerTask = { checked: true, writes: true, threads: THREADS, rounds: ROUNDS, ...options };
  const answers = await runTeam<BorrowerTask, BorrowerAnswer>(
    'borrower',
    memory,
    new Array<BorrowerTask>(THREADS).fill(task),
  );
  const sum = { writes: 0, reads: 0, torn: 0, refused: 0 };
  for (const one of answers) for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += one[key];
  return sum;
}

test('zeroed memory is a flag that nobody holds', (t) => {
  t.is(fresh().flag.state, 0);
});

test('readers are counted, and keep a writer out', (t) => {
  const { flag } = fresh();
  t.is(flag.claimRead(), 0);
  t.is(flag.claimRead(), 1);
  t.true(flag.tryRead());
  t.is(flag.state, 3);
  t.is(flag.claimWrite(), 3);
  t.false(flag.tryWrite());
  for (let readers = 3; readers > 0; readers--) flag.releaseRead();
  t.is(flag.state, 0);
  t.true(flag.tryWrite());
});

test('a writer keeps readers and writers out', (t) => {
  const { flag } = fresh();
  t.is(flag.claimWrite(), 0);
  t.is(flag.state, -1);
  t.is(flag.claimRead(), -1);
  t.false(flag.tryRead());
  t.is(flag.claimWrite(), -1);
  t.false(flag.tryWrite());
  flag.releaseWrite();
  t.is(flag.state, 0);
});

test('one reader more than can be counted is an error, and no writer', (t) => {
  const { flag, set } = fresh();
  set(MAX_READERS - 1);
  t.true(flag.tryRead());
  t.is(flag.state, MAX_READERS);
  const error = t.throws(() => flag.tryRead(), { instanceOf: BorrowError, message: /2147483647 readers/ });
  t.is(error.state, MAX_READERS);
  t.is(flag.state, MAX_READERS);
  flag.releaseRead();
  t.is(flag.state, MAX_READERS - 1);
});

test('a release of what nobody holds is an error and changes nothing', (t) => {
  const { flag, set } = fresh();
  for (const [state, kind] of [
    [0, 'reader'],
    [-1, 'reader'],
    [0, 'writer'],
    [2, 'writer'],
  ] as const) {
    set(state);
    t.throws(() => (kind === 'reader' ? flag.releaseRead() : flag.releaseWrite()), {
      instanceOf: ReleaseError,
      message: new RegExp(`at ${CELL} has no ${kind} to release, its state is ${state}`),
    });
    t.is(flag.state, state);
  }
});

for (const backing of BACKINGS) {
  test.serial(`four threads: no write is lost and no reader sees half of one (${backing})`, async (t) => {
    const memory = SharedMemory.create({ bytes: 65536, backing });
    const { writes, reads, torn, refused } = await borrow(memory);
    t.log(`${writes} writes, ${reads} reads, ${refused} refusals`);
    t.is(writes + reads, THREADS * ROUNDS);
    t.is(torn, 0);
    t.is(memory.i32[DATA / 4], writes);
    t.is(memory.i32[DATA / 4 + 1], writes);
    t.is(memory.i32[CELL / 4], 0, 'nobody holds it at the end');
  });
}

test.serial('four threads that only read are all let in, counted, and counted out', async (t) => {
  const memory = SharedMemory.create({ bytes: 65536 });
  const { reads, refused } = await borrow(memory, { writes: false });
  t.is(reads, THREADS * ROUNDS);
  t.is(refused, 0);
  t.is(memory.i32[CELL / 4], 0);
});

test.serial('with every claim granted, writes are lost or seen by half', async (t) => {
  const faults = await untilBroken(async (attempt) => {
    const memory = SharedMemory.create({ bytes: 65536 });
    const { writes, torn } = await borrow(memory, { checked: false, rounds: Math.min(attempt, 50) * ROUNDS });
    const lost = writes - memory.i32[DATA / 4];
    t.log(`${lost} of ${writes} writes lost, ${torn} torn reads, at attempt ${attempt}`);
    return lost + torn;
  });
  t.true(faults > 0);
});
