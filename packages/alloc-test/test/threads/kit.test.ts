import test from 'ava';
import { everyAlignment } from '../../dist/kit/alignment.js';
import { alignTest, glibcBench } from '../../dist/kit/arceos.js';
import { mapTest, sortTest, vectorTest } from '../../dist/kit/arceos-basic.js';
import * as badInput from '../../dist/kit/bad-input.js';
import { Bench } from '../../dist/kit/bench.js';
import * as bytes from '../../dist/kit/bytes.js';
import { conformance, type TestContext } from '../../dist/kit/conformance.js';
import * as contract from '../../dist/kit/contract.js';
import * as exhaustion from '../../dist/kit/exhaustion.js';
import { anySequence, play } from '../../dist/kit/property.js';
import * as regions from '../../dist/kit/regions.js';
import {
  growingCrew,
  multiThreadTest,
  raceWithoutLock,
  randomCrew,
  selfGrowingCrew,
} from '../../dist/kit/threads.js';
import { FAULTS } from '../support/faults.js';
import { Reference } from '../support/reference.js';

const faultsModule = new URL('../support/faults.js', import.meta.url).href;
const referenceModule = new URL('../support/reference.js', import.meta.url).href;

function benchFor(fault: keyof typeof FAULTS): Bench {
  const algorithm = FAULTS[fault] as typeof Reference;
  const subject = { title: fault, algorithm, exportName: fault, module: faultsModule };
  return new Bench(subject, { heapBytes: 256 * 1024, seed: 1 });
}

const refill = (bench: Bench): void => exhaustion.fillTwice(bench, 'shuffled');
const anySmallSequence = (bench: Bench): void => anySequence(bench, 100);

const CAUGHT: [fault: keyof typeof FAULTS, check: (bench: Bench) => void, sentence: RegExp][] = [
  ['Overlapping', glibcBench, /holds another block's number/],
  ['Overlapping', contract.zeroSizes, /same address|overlaps/],
  ['Overlapping', mapTest, /map|overlap|entry|key/],
  ['Sharing', contract.zeroSizes, /same address/],
  ['Unaligned', everyAlignment, /no multiple of/],
  ['Unaligned', alignTest, /no multiple of/],
  ['Crooked', contract.reallocContents, /no multiple of/],
  ['Leaking', refill, /filled the memory with \d+ blocks, and after all were freed with \d+/],
  ['Leaking', alignTest, /with everything freed \d+ bytes are in use/],
  ['Leaking', vectorTest, /with everything freed/],
  ['Overlapping', anySmallSequence, /overlaps/],
  ['Overmerging', anySmallSequence, /overlaps|proper use was reported 1 times: free\(\d+\)/],
  ['Slandering', contract.zeroSizes, /proper use was reported 30 times: free\(\d+\)/],
  ['Hoarding', contract.reallocToZero, /with everything freed \d+ bytes are in use/],
  ['Seamed', bytes.everyOrder, /was never freed|with everything freed \d+ bytes are in use/],
  ['Leaking', bytes.everyOrder, /with everything freed \d+ bytes are in use/],
  ['Squeamish', bytes.fromZero, /gave only 0 blocks/],
  ['Hasty', bytes.refuseRanges, /init .* was refused and changed the total/],
  ['Trusting', badInput.freeForgotten, /was reported 0 times/],
  ['Forgetful', contract.reallocContents, /byte 0 of the block .* it was/],
  ['Forgetful', sortTest, /not those that were pushed/],
  ['Impatient', contract.reallocFailure, /changed the bytes in use/],
  ['Unclean', contract.callocZeroes, /not 0/],
  ['Wrapping', contract.callocOverflow, /calloc\(65536, 65536\) gave \d+/],
  ['Understating', contract.usableBytes, /usableSize/],
  ['Overstating', contract.usableBytes, /./],
  ['Straying', exhaustion.runOut, /not inside the region|gave more than/],
  ['Straying', bytes.initAlone, /outside the range of init/],
  ['Stingy', exhaustion.largeRequest, /gave NULL with \d+ bytes available/],
  ['Scribbling', exhaustion.runOut, /byte 2 of the block/],
  ['Throwing', contract.nullAddress, /out of patience/],
  ['Trusting', badInput.freeTwice, /was reported 0 times/],
  ['Trusting', badInput.freeInside, /was reported 0 times/],
  ['Trusting', badInput.freeOfUnknown, /was reported 0 times/],
  ['Tolerant', badInput.badSizes, /malloc\(-1\) gave \d+ instead of RangeError/],
  ['Tolerant', badInput.badAlignments, /alignedAlloc\(0, 64\) gave \d+ instead of AllocError/],
  ['Immortal', badInput.detached, /malloc after detach gave \d+/],
  ['Miscounting', bytes.totals, /add up|lowered/],
  ['Ungrateful', bytes.addRanges, /half a part more/],
  ['Spilling', regions.subRange, /byte \d+ outside \[\d+, \d+\) was written/],
  ['Scribbling', anySmallSequence, /[Ss]eed[\s\S]*Shrunk[\s\S]*byte 2 of the block/],
];

for (const [fault, check, sentence] of CAUGHT) {
  test(`${check.name} fails on the ${fault.toLowerCase()} allocator and says why`, (t) => {
    const error = t.throws(() => check(benchFor(fault)));
    t.regex(`${error?.message}${error?.cause ?? ''}`, sentence);
  });
}

test('a failing sequence is shrunk to the few steps that matter', (t) => {
  const error = t.throws(() => anySequence(benchFor('Overlapping'), 100));
  const counterexample = /Counterexample: (.*)/.exec(error!.message)?.[1] ?? '';
  const steps = counterexample.match(/"do":/g)?.length ?? 0;
  t.true(steps > 0 && steps <= 12, counterexample);
});

test('a sequence plays on an empty set of blocks', (t) => {
  const bench = new Bench({
    title: 'reference',
    algorithm: Reference,
    exportName: 'Reference',
    module: referenceModule,
  });
  t.notThrows(() =>
    play(bench, [
      { do: 'free', pick: 3 },
      { do: 'realloc', pick: 1, size: 8 },
    ]),
  );
});

test('a header that anyone may attach to is found out', (t) => {
  class Gullible extends Reference {}
  Object.assign(Gullible, {
    attach: (handle: object) => Reference.attach.call(Reference, { ...handle } as never),
  });
  const lenient = {
    algorithm: 'reference',
    create: (options: object) => Gullible.create(options),
    attach: () => Reference.create({ bytes: 4096 }),
  };
  const bench = new Bench({ title: 'gullible', algorithm: lenient, exportName: 'lenient', module: '' });
  t.throws(() => badInput.badHeaders(bench), { message: /attach to memory without a heap gave/ });
  t.throws(() => badInput.badHandles(bench), { message: /attach\(Undefined\) gave/ });
});

test.serial('two workers without a lock corrupt the heap, and the oracle names it', async (t) => {
  const bench = new Bench({
    title: 'reference',
    algorithm: Reference,
    exportName: 'Reference',
    module: referenceModule,
  });
  const violations = await raceWithoutLock(bench);
  t.true(violations.length > 0);
  t.true(['overlap', 'contents', 'outside', 'usable', 'not-live'].includes(violations[0].kind));
  t.log(violations[0].message);
});

test.serial('a worker that fails fails the test, with what it said', async (t) => {
  await t.throwsAsync(randomCrew(benchFor('Throwing'), { lock: 'spin' }, 2, 100), {
    message: /threw an error/,
  });
  const lost = new Bench({
    title: 'lost',
    algorithm: Reference,
    exportName: 'Reference',
    module: faultsModule,
  });
  await t.throwsAsync(randomCrew(lost, {}, 1, 100), { message: /exports no Reference/ });
  const none = new Bench({
    title: 'none',
    algorithm: Reference,
    exportName: 'Reference',
    module: 'file:///no/such/module.js',
  });
  await t.throwsAsync(multiThreadTest(none, {}), { message: /a worker failed/ });
});

test.serial('a worker that goes round in circles is stopped', async (t) => {
  await t.throwsAsync(randomCrew(benchFor('Circling'), {}, 1, 1000, 1), {
    message: /had not ended after 1 s and was stopped/,
  });
});

test.serial('a worker that exits without an answer fails the test, with its code', async (t) => {
  await t.throwsAsync(randomCrew(benchFor('Deserting'), { lock: 'spin' }, 2, 100), {
    message: /it exited with code 7 and without an answer/,
  });
});

test.serial('memory that never reaches the workers is found out', async (t) => {
  await t.throwsAsync(growingCrew(benchFor('Selfish'), { lock: 'spin' }, 2, 1000), {
    message: /no worker got a block in memory that was added/,
  });
});

test.serial('a heap that is said to grow and does not is found out', async (t) => {
  const bench = new Bench({
    title: 'reference',
    algorithm: Reference,
    exportName: 'Reference',
    module: referenceModule,
  });
  await t.throwsAsync(selfGrowingCrew(bench, { lock: 'spin' }, 2, 1000), {
    message: /the memory has not grown/,
  });
});

test('an algorithm that puts off frees passes when it can be made to do them', (t) => {
  const bench = benchFor('Deferring');
  t.notThrows(() => contract.reallocToZero(bench));
  t.notThrows(() => contract.zeroSizes(bench));
  t.notThrows(() => exhaustion.fillTwice(bench, 'shuffled'));
  t.notThrows(() => bytes.totals(benchFor('Deferring')));
});

test('options that cannot be are refused by name', (t) => {
  const refused = (options: object, message: RegExp): void => {
    t.throws(() => conformance(collect().register, subject, options as never), { message });
  };
  refused({ scale: 'fast' }, /scale must be one of brief, quick, medium, full; got "fast"/);
  refused({ workers: [4, 0] }, /workers must be at least 1, got 0/);
  refused({ workers: [1.5] }, /workers must be a non-negative integer, got 1\.5/);
  refused({ maxAlign: 48 }, /maxAlign must be a power of two .*got 48/);
  refused({ heapBytes: '1 MiB' }, /heapBytes must be a number, got "1 MiB"/);
  refused({ seed: -1 }, /seed must be a non-negative integer, got -1/);
  refused({ omit: { byte: 'a slip' } }, /omit must be one of contract, .*got "byte"/);
});

test.serial(
  'the scale is brief for a variant and quick for others, unless the environment or the options say otherwise',
  (t) => {
    const { SCALE } = process.env;
    try {
      delete process.env.SCALE;
      t.is(new Bench(subject).scale, 'quick');
      t.is(new Bench(subject, { variant: true }).scale, 'brief');
      process.env.SCALE = 'medium';
      t.is(new Bench(subject, { variant: true }).scale, 'medium');
      t.is(new Bench(subject, { variant: true, scale: 'full' }).scale, 'full');
    } finally {
      if (SCALE === undefined) delete process.env.SCALE;
      else process.env.SCALE = SCALE;
    }
  },
);

test.serial('the seed of the environment is taken, and that of the options before it', (t) => {
  const { SEED } = process.env;
  try {
    process.env.SEED = '77';
    t.is(new Bench(subject).seed, 77);
    t.is(new Bench(subject, { seed: 5 }).seed, 5);
    process.env.SEED = 'lucky';
    t.throws(() => new Bench(subject), { message: /seed .*NaN/ });
  } finally {
    if (SEED === undefined) delete process.env.SEED;
    else process.env.SEED = SEED;
  }
});

/** Collects what the kit registers. */
function collect(): {
  serial: [string, (t: TestContext) => unknown][];
  skipped: string[];
  register: Parameters<typeof conformance>[0];
} {
  const serial: [string, (t: TestContext) => unknown][] = [];
  const skipped: string[] = [];
  return {
    serial,
    skipped,
    register: {
      serial: (title, run) => void serial.push([title, run]),
      skip: (title) => void skipped.push(title),
    },
  };
}

const subject = {
  title: 'reference',
  algorithm: Reference,
  exportName: 'Reference',
  module: referenceModule,
};

test('every row of the ArceOS tests is registered, at both scales with its numbers', (t) => {
  const titles = (scale: 'quick' | 'full') => {
    const { serial, register } = collect();
    conformance(register, subject, { scale });
    return serial.map(([title]) => title).join('\n');
  };
  for (const row of [
    'align_test',
    'basic_test',
    'mi_test',
    'multi_thread_test',
    'glibc_bench',
    'malloc_large',
  ]) {
    t.true(titles('quick').includes(`reference: ${row}`));
  }
  const full = titles('full');
  for (const numbers of [
    'align_test: 50000 steps',
    '3000000 numbers pushed',
    '30000 × 64 and 7500 × 520',
    'map, 50000 operations',
    '10000 vectors, every second of 32 replaced by one of 64',
    '1000 × 2 MiB',
    '10 threads × 100 rounds × 1000 slots',
    '1000000 blocks each',
    '100000 replacements',
  ]) {
    t.true(full.includes(numbers), numbers);
  }
});

test('what an algorithm cannot do shows as skipped', (t) => {
  const { serial, skipped, register } = collect();
  conformance(register, subject, { maxAlign: 64, locks: false, omit: { bytes: 'it has no pools' } });
  t.deepEqual(skipped, [
    'reference: alignments above 64 are not offered',
    'reference: bytes is left out: it has no pools',
  ]);
  const titles = serial.map(([title]) => title);
  t.true(titles.some((title) => title.includes('every alignment 1 … 64')));
  t.false(titles.some((title) => /lock '|without a lock/.test(title)));
  t.true(
    titles.some((title) => /4 workers, 80000 operations/.test(title)),
    'threads run all the same',
  );
  t.false(
    titles.some((title) => /memory that is added/.test(title)),
    'what rests on addMemory goes with it',
  );
});

test('a check that throws fails its test', async (t) => {
  const { serial, register } = collect();
  conformance(register, { ...subject, algorithm: FAULTS.Unclean });
  const [, run] = serial.find(([title]) => title.includes('calloc zeroes'))!;
  const context = { log: () => {}, pass: () => t.fail('it passed'), timeout: () => {} };
  await t.throwsAsync(async () => run(context), { message: /not 0/ });
});
