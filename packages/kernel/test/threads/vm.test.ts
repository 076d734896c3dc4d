import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { AllocError, SharedMemory } from '@shmalloc/allocator-api';
import { VmAccount } from '@shmalloc/kernel';
import test from 'ava';
import { accountOf, type Fault, PAGE } from '../support/vm-accounts.js';
import type { VmJob } from '../support/vm-worker.js';

const START = 1 << 20;
const at = (page: number): number => START + page * PAGE;

test('a reserved page has no frame, reads as zeros, and gets a frame when it is touched', (t) => {
  const vm = accountOf(8, 8);
  vm.reserve(at(2), 3 * PAGE);
  t.deepEqual(vm.stats(), {
    pages: 8,
    reserved: 3,
    resident: 0,
    peakResident: 0,
    freeable: 0,
    frames: 8,
    evicted: 0,
    dropped: 0,
    refused: 0,
  });
  t.is(vm.memory.u8[at(3)], 0);
  t.true(vm.touch(at(3) + 100, 1));
  t.deepEqual(
    [at(2), at(3), at(4)].map((address) => vm.isResident(address)),
    [false, true, false],
  );
  t.true(vm.touch(at(3) - 1, 2), 'one byte on either side of a page boundary');
  t.is(vm.residentPages, 2);
  t.true(vm.touch(at(4), 0));
  t.is(vm.residentPages, 2);
});

test('pages that are lent may hold anything; whoever reserves them again gets zeros', (t) => {
  const vm = accountOf(4, 4);
  vm.lend(at(0), 2 * PAGE);
  vm.memory.u8.fill(7, at(0), at(2));
  vm.validate({ quiet: true });
  t.is(vm.stats().reserved, 0);
  t.throws(() => vm.touch(at(0), 1), { code: 'NotAllocated' });
  t.throws(() => vm.madvise(at(0), PAGE, 'FREE'), { code: 'NotAllocated' });
  t.throws(() => vm.release(at(0), PAGE), { code: 'NotAllocated' });
  vm.reserve(at(1), 2 * PAGE);
  t.true(vm.memory.u8.subarray(at(1), at(2)).every((byte) => byte === 0));
  t.throws(() => vm.lend(at(0), 2 * PAGE), { code: 'MemoryOverlap' });
  t.throws(() => vm.reserve(at(0), 2 * PAGE), { code: 'MemoryOverlap' });
  vm.validate({ quiet: true });
});

test('view touches what it shows', (t) => {
  const vm = accountOf(4, 2);
  vm.reserve(at(0), 4 * PAGE);
  vm.view('f64', at(0), 1024)!.fill(1.5);
  t.is(vm.residentPages, 2);
  t.is(vm.view('u8', at(2), 1), null);
  t.throws(() => vm.view('f64', at(0) + 1, 1), { instanceOf: RangeError });
});

test('DONTNEED drops pages at once: they read as zeros, and their frames are free', (t) => {
  const vm = accountOf(4, 2);
  vm.reserve(at(0), 4 * PAGE);
  vm.view('u8', at(0), 2 * PAGE)!.fill(7);
  t.false(vm.touch(at(2), 1));
  t.is(vm.madvise(at(0), 4 * PAGE, 'DONTNEED'), 2);
  t.is(vm.residentPages, 0);
  vm.validate({ quiet: true });
  t.true(vm.touch(at(2), 2 * PAGE));
  t.is(vm.madvise(at(0), PAGE, 'DONTNEED'), 0, 'there is nothing to drop');
  const { dropped, refused, peakResident } = vm.stats();
  t.deepEqual({ dropped, refused, peakResident }, { dropped: 2, refused: 1, peakResident: 2 });
});

test('FREE leaves pages as they are while there are frames', (t) => {
  const vm = accountOf(4, 4);
  vm.reserve(at(0), 4 * PAGE);
  vm.view('u8', at(0), 2 * PAGE)!.fill(7);
  t.is(vm.madvise(at(0), 4 * PAGE, 'FREE'), 2);
  t.true(vm.touch(at(2), 2 * PAGE));
  t.is(vm.memory.u8[at(1)], 7);
  t.is(vm.residentPages, 4);
  t.is(vm.stats().freeable, 2);
  t.true(vm.isResident(at(0)));
});

test('under pressure pages given up by FREE are taken, the oldest first; then there is no memory', (t) => {
  const vm = accountOf(10, 4);
  vm.reserve(at(0), 10 * PAGE);
  vm.view('u8', at(0), 4 * PAGE)!.fill(7);
  for (const page of [2, 0, 3]) vm.madvise(at(page), PAGE, 'FREE');
  vm.madvise(at(2), PAGE, 'FREE'); // again: it keeps its age
  const left = (): number[] => [0, 1, 2, 3].filter((page) => vm.memory.u8[at(page)] === 7);
  t.true(vm.touch(at(4), 1));
  t.deepEqual(left(), [0, 1, 3]);
  t.true(vm.touch(at(5), 1));
  t.deepEqual(left(), [1, 3]);
  t.true(vm.touch(at(6), 1));
  t.deepEqual(left(), [1]);
  t.false(vm.touch(at(7), 1));
  t.is(vm.memory.u8[at(1)], 7);
  t.is(vm.stats().evicted, 3);
  t.is(vm.residentPages, 4);
  vm.validate({ quiet: true });
});

test('pages of one FREE are taken from the lowest address on, and an older one before all of them', (t) => {
  const vm = accountOf(12, 6);
  vm.reserve(at(0), 12 * PAGE);
  vm.touch(at(0), 6 * PAGE);
  vm.madvise(at(5), PAGE, 'FREE');
  vm.madvise(at(0), 5 * PAGE, 'FREE');
  const order: number[] = [];
  for (let page = 6; page < 12; page++) {
    const before = [0, 1, 2, 3, 4, 5].filter((p) => vm.isResident(at(p)));
    t.true(vm.touch(at(page), 1));
    order.push(...before.filter((p) => !vm.isResident(at(p))));
  }
  t.deepEqual(order, [5, 0, 1, 2, 3, 4]);
});

test('a page that is touched after FREE is safe again, and has to grow old anew', (t) => {
  const vm = accountOf(6, 3);
  vm.reserve(at(0), 6 * PAGE);
  vm.view('u8', at(0), 3 * PAGE)!.fill(7);
  vm.madvise(at(0), 3 * PAGE, 'FREE');
  t.true(vm.touch(at(0), 1));
  vm.madvise(at(0), PAGE, 'FREE');
  t.true(vm.touch(at(1), 1));
  t.true(vm.touch(at(3), 2 * PAGE));
  t.deepEqual(
    [0, 1, 2].map((page) => vm.memory.u8[at(page)]),
    [0, 7, 0],
  );
  t.false(vm.touch(at(5), 1));
});

test('the clock may wrap between two FREEs', (t) => {
  const vm = accountOf(4, 2);
  vm.reserve(at(0), 4 * PAGE);
  vm.touch(at(0), 2 * PAGE);
  vm.memory.i32[4096 / 4 + 2] = 2 ** 29 - 2;
  vm.madvise(at(1), PAGE, 'FREE');
  vm.madvise(at(0), PAGE, 'FREE');
  t.true(vm.touch(at(2), 1));
  t.deepEqual(
    [0, 1].map((page) => vm.isResident(at(page))),
    [true, false],
  );
  t.true(vm.touch(at(3), 1));
  t.false(vm.isResident(at(0)));
});

test('what a touch could commit before frames ran out stays resident', (t) => {
  const vm = accountOf(4, 2);
  vm.reserve(at(0), 4 * PAGE);
  t.false(vm.touch(at(0), 4 * PAGE));
  t.deepEqual(
    [0, 1, 2, 3].map((page) => vm.isResident(at(page))),
    [true, true, false, false],
  );
});

test('without frames nothing becomes resident', (t) => {
  const vm = accountOf(1, 0);
  vm.reserve(at(0), PAGE);
  t.false(vm.touch(at(0), 1));
  vm.validate({ quiet: true });
});

test('release gives frames back, and the pages are zeros for who reserves them next', (t) => {
  const vm = accountOf(4, 4);
  vm.reserve(at(0), 4 * PAGE);
  vm.view('u8', at(0), 4 * PAGE)!.fill(7);
  vm.madvise(at(3), PAGE, 'FREE');
  vm.release(at(0), 4 * PAGE);
  t.is(vm.residentPages, 0);
  vm.reserve(at(0), 4 * PAGE);
  t.is(vm.memory.u8[at(3)], 0);
  vm.validate({ quiet: true });
});

test('a page is reserved once; a reservation that cannot be is none', (t) => {
  const vm = accountOf(8, 8);
  vm.reserve(at(4), PAGE);
  const error = t.throws(() => vm.reserve(at(0), 8 * PAGE), { instanceOf: AllocError });
  t.is(error.code, 'MemoryOverlap');
  t.regex(error.message, new RegExp(`the page at ${at(4)} is reserved`));
  t.is(vm.stats().reserved, 1);
});

test('what is not reserved is named, and nothing has changed', (t) => {
  const vm = accountOf(4, 4);
  vm.reserve(at(0), 2 * PAGE);
  vm.touch(at(0), 2 * PAGE);
  for (const call of [
    () => vm.release(at(0), 3 * PAGE),
    () => vm.madvise(at(0), 3 * PAGE, 'DONTNEED'),
    () => vm.madvise(at(0), 3 * PAGE, 'FREE'),
    () => vm.touch(at(1), 2 * PAGE),
  ]) {
    t.throws(call, { code: 'NotAllocated', message: new RegExp(`page at ${at(2)} is not reserved`) });
  }
  const { resident, freeable, reserved } = vm.stats();
  t.deepEqual({ resident, freeable, reserved }, { resident: 2, freeable: 0, reserved: 2 });
});

test('a wrong range is named', (t) => {
  const vm = accountOf(4, 4);
  t.throws(() => vm.reserve(at(0) + 8, PAGE), {
    code: 'InvalidParam',
    message: /multiples of 4096, got 1048584/,
  });
  t.throws(() => vm.reserve(at(0), 100), { code: 'InvalidParam', message: /multiples of 4096/ });
  t.throws(() => vm.reserve(at(3), 2 * PAGE), { code: 'InvalidParam', message: /leaves the pages/ });
  t.throws(() => vm.touch(at(0) - 1, 1), { code: 'InvalidParam', message: /touch of \[1048575, 1048576\)/ });
  t.throws(() => vm.touch(at(0), -1), { instanceOf: RangeError });
  t.throws(() => vm.release('0' as unknown as number, 0), { instanceOf: TypeError });
  vm.reserve(at(0), PAGE);
  t.throws(() => vm.madvise(at(0), PAGE, 'WILLNEED' as 'FREE'), {
    code: 'InvalidParam',
    message: /DONTNEED, FREE/,
  });
});

test('an account has a place', (t) => {
  const memory = SharedMemory.create({ bytes: 1 << 20 });
  const good = { table: 4096, start: 65536, pages: 16, frames: 4 };
  t.notThrows(() => new VmAccount(memory, good));
  t.throws(() => new VmAccount({} as SharedMemory, good), { instanceOf: TypeError });
  for (const [wrong, message] of [
    [{ table: 4098 }, /table must be a multiple of 4, got 4098/],
    [{ start: 65537 }, /start must be a multiple of 4096, got 65537/],
    [{ pages: 1000 }, /leave the memory of 1048576 bytes/],
    [{ table: 1 << 20 }, /leave the memory/],
    [{ table: 65536 + 4096 }, /lies in the pages/],
  ] as const) {
    t.throws(() => new VmAccount(memory, { ...good, ...wrong }), { code: 'InvalidParam', message });
  }
  t.throws(() => new VmAccount(memory, { ...good, frames: -1 }), { instanceOf: RangeError });
});

test('validate names what is wrong', (t) => {
  const cases: [RegExp, (vm: VmAccount, words: Int32Array) => void][] = [
    [
      /the page at 1052672 has no frame, and byte 9 of it is not 0/,
      (vm) => void (vm.memory.u8[at(1) + 9] = 1),
    ],
    [/the page at 1048576 is held by a CPU/, (_, words) => void (words[16] = 4)],
    [/the word of the page at 1048576 is 10/, (_, words) => void (words[16] = 10)],
    [/1 pages have frames, and 2 frames are counted/, (_, words) => void words[0]++],
    [
      /3 pages have frames, of which there are 2/,
      (_, words) => {
        words[17] = words[18] = 2;
        words[0] = 3;
      },
    ],
  ];
  for (const [message, spoil] of cases) {
    const vm = accountOf(4, 2);
    vm.reserve(at(0), 4 * PAGE);
    vm.touch(at(0), 1);
    vm.validate({ quiet: true });
    spoil(vm, vm.memory.i32.subarray(1024));
    t.throws(() => vm.validate({ quiet: true }), { message });
  }
});

/** Four threads on one account; what they complain about. */
async function crew(
  vm: VmAccount,
  job: Omit<VmJob, 'source' | 'me' | 'workers' | 'pages' | 'frames'>,
): Promise<string[]> {
  const { pages, frames } = vm.stats();
  const workers = 4;
  const reports = await Promise.all(
    Array.from({ length: workers }, async (_, me) => {
      const workerData = { ...job, source: vm.memory.source, pages, frames, me, workers };
      const worker = new Worker(new URL('../support/vm-worker.js', import.meta.url), { workerData });
      const [problems] = (await once(worker, 'message')) as [string[]];
      return problems;
    }),
  );
  return reports.flat();
}

const seed = Number(process.env.SEED ?? Date.now() % 1e6);
const own = { kind: 'own pages and shared ones', rounds: 20_000, seed } as const;

test('four threads with too few frames: no contents are lost but given-up ones, and every frame is counted at the end', async (t) => {
  t.log(`SEED=${seed}`);
  const pages = 256;
  const vm = accountOf(pages, 80);
  vm.reserve(START, (pages / 2) * PAGE);
  t.deepEqual(await crew(vm, own), []);
  vm.validate({ quiet: true });
  const before = vm.stats();
  t.true(before.evicted > 0 && before.refused > 0 && before.dropped > 0);
  t.is(before.reserved, pages);
  t.true(before.peakResident <= 80);
  vm.madvise(START, pages * PAGE, 'DONTNEED');
  t.is(vm.residentPages, 0);
  vm.validate({ quiet: true });
  t.true(vm.touch(START, 80 * PAGE), 'every frame is there');
  t.false(vm.touch(at(80), 1));
  vm.release(START, pages * PAGE);
  const { reserved, resident, peakResident } = vm.stats();
  t.deepEqual({ reserved, resident, peakResident }, { reserved: 0, resident: 0, peakResident: 80 });
  vm.validate({ quiet: true });
});

test('four threads touch one page at once: it takes one frame, and the last one is enough', async (t) => {
  const vm = accountOf(16, 1);
  vm.reserve(START, 16 * PAGE);
  t.deepEqual(await crew(vm, { kind: 'all touch one page', rounds: 2000, seed }), []);
  vm.madvise(START, 16 * PAGE, 'DONTNEED');
  t.is(vm.residentPages, 0);
  const { peakResident, refused } = vm.stats();
  t.deepEqual({ peakResident, refused }, { peakResident: 1, refused: 0 });
  vm.validate({ quiet: true });
});

const found: Record<Fault, RegExp> = {
  'keeps contents': /holds|is not 0/,
  'forgets to count': /frames are counted/,
  'takes what is in use': /instead of|holds|frames are counted/,
};

for (const [fault, message] of Object.entries(found) as [Fault, RegExp][]) {
  test(`frames whose keeper ${fault} are found out`, async (t) => {
    t.log(`SEED=${seed}`);
    const vm = accountOf(64, 20);
    vm.reserve(START, 32 * PAGE);
    const problems = await crew(vm, { ...own, rounds: 5000, fault });
    if (problems.length === 0) t.throws(() => vm.validate({ quiet: true }), { message });
    else
      t.true(
        problems.some((problem) => message.test(problem)),
        problems[0],
      );
  });
}
