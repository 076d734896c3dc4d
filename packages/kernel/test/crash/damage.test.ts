/**
 * Damage to what a machine keeps in its memory: every call comes back, with an answer or with an AllocError;
 * and options that are none.
 */

import { AllocError, SharedMemory } from '@shmalloc/allocator-api';
import { boot, PhysicalMemory, VmAccount } from '@shmalloc/kernel';
import test from 'ava';

const PAGE = 4096;
const PAGES_AT = 16;

/** Numbers below `n`, from a linear congruential generator. */
function randomOf(seed: number): (n: number) => number {
  let state = seed | 0;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return Math.floor(((state >>> 0) / 2 ** 32) * n);
  };
}

const ADVERSARIAL = [0, 1, -1, 2, 3, 4, 5, 6, 7, 11, 16, 64, 0x7fffffff, -0x80000000, 100_000];

function account(patienceMs = 1): { vm: VmAccount; words: Int32Array } {
  const memory = SharedMemory.create({ bytes: 1 << 20 });
  const options = { table: 4096, start: 65536, pages: 64, frames: 8, patienceMs };
  const vm = new VmAccount(memory, options);
  return { vm, words: memory.i32.subarray(1024, 1024 + PAGES_AT + 64) };
}

test('with random and adversarial words in a page table every call comes back', (t) => {
  const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
  t.log(`seed ${seed}`);
  const random = randomOf(seed);
  for (let life = 0; life < 300; life++) {
    const { vm, words } = account();
    vm.reserve(vm.start, 40 * PAGE);
    vm.touch(vm.start, 8 * PAGE);
    vm.madvise(vm.start, 4 * PAGE, 'FREE');
    const done: string[] = [];
    for (let times = 1 + random(5); times > 0; times--) {
      const word = random(2) === 0 ? random(PAGES_AT) : random(words.length);
      const value = random(3) === 0 ? random(2 ** 32) | 0 : ADVERSARIAL[random(ADVERSARIAL.length)];
      words[word] = value;
      done.push(`word ${word} = ${value}`);
    }
    for (let turn = 0; turn < 25; turn++) {
      const at = vm.start + random(64) * PAGE;
      const length = Math.min((1 + random(10)) * PAGE, vm.end - at);
      const calls = [
        () => vm.touch(at, length),
        () => vm.touch(at, 1),
        () => vm.reserve(at, length),
        () => vm.release(at, length),
        () => vm.lend(at, PAGE),
        () => vm.madvise(at, length, 'FREE'),
        () => vm.madvise(at, length, 'DONTNEED'),
        () => vm.isResident(at),
        () => vm.stats(),
        () => vm.validate(),
        () => vm.validate({ quiet: true }),
      ];
      const nth = random(calls.length);
      try {
        calls[nth]();
      } catch (error) {
        if (!(error instanceof AllocError))
          t.fail(`${done.join(', ')}: ${calls[nth]} threw ${(error as Error).stack}`);
      }
    }
  }
  t.pass();
});

test('a damaged hint names no page that must keep its frame, and no word in front of the pages', (t) => {
  for (const [hintWord, hintPage] of [
    [2, 0],
    [1, 0],
    [0, -16],
    [8, -9],
    [3, -8],
  ]) {
    const { vm, words } = account();
    vm.reserve(vm.start, 20 * PAGE);
    t.true(vm.touch(vm.start, 8 * PAGE));
    vm.memory.u8.fill(7, vm.start, vm.start + 8 * PAGE);
    vm.madvise(vm.start + 5 * PAGE, PAGE, 'FREE');
    words[7] = hintWord;
    words[8] = hintPage;
    const front = [...words.slice(0, 4)];
    t.true(vm.touch(vm.start + 10 * PAGE, PAGE), 'there is one frame to take');
    t.false(vm.touch(vm.start + 11 * PAGE, PAGE), 'and no other');
    t.deepEqual([...words.slice(0, 4)], front);
    t.is(vm.memory.u8[vm.start], 7);
    t.is(vm.memory.u8[vm.start + 5 * PAGE], 0);
  }
});

test('a page that no CPU lets go of is Corrupted, for a call that needs it', (t) => {
  const { vm, words } = account();
  vm.reserve(vm.start, 2 * PAGE);
  words[PAGES_AT] = 4; // BUSY
  for (const call of [
    () => vm.touch(vm.start, PAGE),
    () => vm.madvise(vm.start, PAGE, 'DONTNEED'),
    () => vm.release(vm.start, PAGE),
    () => vm.validate({ quiet: true }),
  ]) {
    const error = t.throws(call, { instanceOf: AllocError, message: /the page at 65536 is held/ });
    t.is(error?.code, 'Corrupted');
  }
  // It may be held for a moment while others work.
  vm.validate();
  t.true(vm.touch(vm.start + PAGE, PAGE));
});

test('validate says at any time what was seen unchanged, and counts when it is quiet', (t) => {
  const { vm, words } = account();
  vm.reserve(vm.start, 2 * PAGE);
  vm.memory.u8[vm.start + 5] = 1;
  t.throws(() => vm.validate(), { message: /has no frame, and byte 5 of it is not 0/ });
  vm.memory.u8[vm.start + 5] = 0;
  words[0] = 3; // USED
  vm.validate();
  t.throws(() => vm.validate({ quiet: true }), { instanceOf: AllocError, message: /3 frames are counted/ });
  words[0] = 0;
  words[PAGES_AT + 9] = 6;
  t.throws(() => vm.validate(), { instanceOf: AllocError, message: /the word of the page at .* is 6/ });
});

test('attach refuses a header of physical memory whose words cannot be', (t) => {
  const memory = PhysicalMemory.create({ bytes: 1 << 20 });
  const handle = memory.share();
  const header = handle.start / 4;
  for (const [word, what] of [
    [0, 'magic'],
    [1, 'algorithm'],
    [2, 'version'],
    [3, 'table'],
    [4, 'number of pages|account'],
    [5, 'number of pages|page allocator'],
    [7, 'page allocator|account'],
    [8, 'zone of NULL'],
  ] as const) {
    const before = memory.memory.i32[header + word];
    for (const value of [before + 4096, -1, 0x7fffffff]) {
      memory.memory.i32[header + word] = value;
      const error = t.throws(() => PhysicalMemory.attach(handle), {
        instanceOf: AllocError,
        message: new RegExp(what),
      });
      t.is(error?.code, 'InvalidParam', `word ${word} = ${value}`);
    }
    memory.memory.i32[header + word] = before;
  }
  PhysicalMemory.attach(handle).validate({ quiet: true });
});

test('an unknown option is refused, and the known ones are listed', async (t) => {
  const memory = SharedMemory.create({ bytes: 1 << 20 });
  const refused = (error: Error | undefined, known: string): void => {
    t.true(error instanceof AllocError && error.code === 'InvalidParam');
    t.regex(String(error?.message), /unknown option/);
    t.true(String(error?.message).includes(known), error?.message);
  };
  for (const [options, known] of [
    [{ cpu: 4 }, 'cpus'],
    [{ lokc: 'spin' }, 'lock'],
    [{ grow: true }, 'consoleBytes'],
    [{ paged: { frame: 7 } }, 'frames, swap'],
    [{ allocator: { module: 'file:///x.js', exportName: 'X', lock: 'spin' } }, 'locks'],
  ] as const)
    refused(await t.throwsAsync(() => boot(options as never)), known);
  refused(
    t.throws(() => PhysicalMemory.create({ bytes: 1 << 20, pages: 7 } as never)),
    'frames',
  );
  refused(
    t.throws(() => new VmAccount(memory, { table: 0, start: 65536, pages: 1, frames: 1, page: 2 } as never)),
    'patienceMs',
  );
});
