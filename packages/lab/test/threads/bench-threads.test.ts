import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { someOf } from '@shmalloc/alloc-test';
import { SharedMemory } from '@shmalloc/allocator-api';
import { MiMalloc } from '@shmalloc/mimalloc';
import test, { type ExecutionContext } from 'ava';
import type { BenchReport } from '../../dist/bench/report.js';
import {
  type HeapContestant,
  type NativeContestant,
  type SharedHeap,
  THREAD_CONTESTANTS,
} from '../../dist/bench/threads/contestant.js';
import { type CrewOrder, gatherCrew } from '../../dist/bench/threads/crew.js';
import { larson } from '../../dist/bench/threads/larson.js';
import { gather, measureThreads, type ThreadPlan, threadSteps } from '../../dist/bench/threads/measure.js';
import { leak, watchMemory } from '../../dist/bench/threads/memory.js';
import { LEFT, Leak, THREADS } from '../../dist/bench/threads/mleak.js';
import { threadNotes } from '../../dist/bench/threads/notes.js';
import { BATCH, BATCHES, newRing, Ring } from '../../dist/bench/threads/ring.js';
import { newStage, Stage } from '../../dist/bench/threads/stage.js';
import { summarizeThreads } from '../../dist/bench/threads/summary.js';
import { memoryTable, threadTables } from '../../dist/bench/threads/table.js';
import { type Part, THREAD_WORKLOADS, type ThreadWorkload } from '../../dist/bench/threads/workload.js';
import { xmalloc, xmallocSizes } from '../../dist/bench/threads/xmalloc.js';
import { bench } from '../support/bench.ts';
import { testsWith } from '../support/native.ts';

const MIB = 2 ** 20;
const FROM_C = ['mimalloc-c', 'glibc', 'jemalloc'];
const testWith = await testsWith(FROM_C);
const testC = testWith('glibc');
/** Short rounds, short lives; every block is looked at. */
const ORDER = { bytes: 512 * MIB, seed: 3, life: 2000, checked: true };
const SECONDS = 0.02;

function contestant<T>(name: string): T {
  return THREAD_CONTESTANTS.find((each) => each.name === name) as T;
}

const mimalloc = contestant<HeapContestant>('mimalloc');

const ALL = Object.fromEntries(THREAD_CONTESTANTS.map((each) => [each.name, each]));

for (const [, each] of someOf('contestants with threads', ALL, 2)) {
  const run = FROM_C.includes(each.name) ? testWith(each.name) : test.serial;
  run(
    `${each.name}: two threads pass blocks, replace them and succeed one another, and every stamp is right`,
    async (t: ExecutionContext) => {
      for (const workload of THREAD_WORKLOADS) {
        const crew = await gather(each, workload, { ...ORDER, workload: workload.name });
        for (const workers of workload.crews) {
          for (let round = 0; round < 2; round++) {
            const { operations, nanoseconds, busy, cpu } = await crew.round(workers, SECONDS);
            t.true(operations > 0 && Number.isInteger(operations), `${operations}`);
            if (workload !== larson) t.is(operations % BATCH, 0);
            t.true(nanoseconds >= 0.99 * SECONDS * 1e9); // two clocks
            t.is(busy.length, workers);
            t.true(cpu > 0);
            t.true(busy.every((time) => time > 0 && time <= nanoseconds));
          }
        }
        await crew.close();
      }
    },
  );
}

// ── The workloads, on one thread and on heaps that are wrong ──

/** A heap that hands out what it is told to. */
class Scripted implements SharedHeap {
  readonly memory: SharedMemory = SharedMemory.create({ bytes: 16 * MIB, backing: 'sab' });
  detached = 0;
  private readonly address: (index: number) => number;
  private count = 0;

  constructor(address: (index: number) => number) {
    this.address = address;
  }

  malloc(): number {
    return this.address(this.count++);
  }
  free(): void {}
  share(): null {
    return null;
  }
  footprintBytes(): number {
    return 0;
  }
  detach(): void {
    this.detached++;
  }
}

function partOf(workload: ThreadWorkload, worker: number, heap: SharedHeap, shared = workload.share()): Part {
  const stage = new Stage(newStage());
  return { worker, heap, attach: () => heap, stage, shared, seed: 1, life: 1500, checked: true };
}

test('the consumer finds a block whose stamp another one has overwritten', (t) => {
  for (const [heap, fault] of [
    [new Scripted((index) => 64 * (index + 1)), undefined],
    [
      new Scripted((index) => 64 * (index === 77 ? 5 : index + 1)),
      /^block 320 has the stamp 77 in place of 4$/,
    ],
  ] as const) {
    const shared = xmalloc.share();
    const produce = xmalloc.start(partOf(xmalloc, 0, heap, shared));
    const consume = xmalloc.start(partOf(xmalloc, 1, heap, shared));
    t.is(produce(0).operations, 0, 'one batch');
    if (fault !== undefined) t.throws(() => consume(0), { message: fault });
    else t.is(consume(0).operations, BATCH);
  }
});

test('larson finds a block that was handed out twice, and that there is no memory', (t) => {
  const fine = new Scripted((index) => 64 * (1 + (index % 200_000)));
  const play = larson.start(partOf(larson, 1, fine));
  t.is(play(0).operations, 1000);
  t.is(fine.detached, 0);
  t.is(play(0).operations, 1000);
  t.is(fine.detached, 1, 'after 1500 replacements');
  const twice = new Scripted((index) => 64 * (1 + (index % 4999)));
  t.throws(() => larson.start(partOf(larson, 0, twice))(1), {
    message: /has the stamp \d+ in place of \d+$/,
  });
  t.throws(() => larson.start(partOf(larson, 0, new Scripted(() => 0))), {
    message: /^no memory for \d+ bytes$/,
  });
});

test('the sizes are those of the workloads, for each worker its own', (t) => {
  t.deepEqual([...new Set(xmalloc.draw(1)[0])], [64]);
  t.is(new Set(xmallocSizes.draw(1)[0]).size, 17);
  const drawn = larson.draw(1);
  t.is(drawn.length, 4);
  t.notDeepEqual(drawn[0], drawn[2]);
  t.true(drawn[0].every((size) => size >= 8 && size <= 1000));
  t.true(drawn[3].every((place) => place < 5000));
});

test('the ring keeps the order, holds a hundred batches, and ends', (t) => {
  const stage = new Stage(newStage());
  const buffer = newRing();
  const [producer, consumer] = [new Ring(buffer, stage), new Ring(buffer, stage)];
  let given = 0;
  let taken = 0;
  for (const [gives, takes] of [
    [100, 1],
    [1, 99],
    [60, 30],
    [30, 61],
  ]) {
    for (let i = 0; i < gives; i++) {
      producer.words[producer.room()] = given++;
      producer.give();
    }
    for (let i = 0; i < takes; i++) {
      t.is(consumer.words[consumer.take()], taken++);
      consumer.taken();
    }
  }
  t.is(given, taken);
  t.is(producer.waited + consumer.waited, 0);
  producer.close();
  t.is(consumer.take(), -1);
  producer.clear();
  stage.fail();
  t.is(consumer.take(), -1, 'nobody waits for one who has failed');
  for (let i = 0; i < BATCHES; i++) producer.give();
  t.is(producer.room(), -1);
  t.true(producer.waited > 0 && consumer.waited > 0);
});

test('a heap that is full ends the round for both threads, with the reason', async (t) => {
  // Less than one batch: however quick the other thread is to free it, there is no memory.
  const crew = await gatherCrew(mimalloc, xmalloc, { ...ORDER, bytes: 256 * 1024, workload: 'xmalloc' });
  await t.throwsAsync(crew.round(2, 10), { message: 'no memory for 64 bytes' });
  await crew.close();
  await t.throwsAsync(gatherCrew(mimalloc, larson, { ...ORDER, bytes: MIB, workload: 'larson' }), {
    message: /^no memory for \d+ bytes$/,
  });
  const nobody = { ...mimalloc, name: 'nobody' };
  await t.throwsAsync(gatherCrew(nobody, xmalloc, { ...ORDER, workload: 'xmalloc' }));
  await t.throwsAsync(
    gatherCrew({ ...mimalloc, name: 'glibc' }, xmalloc, { ...ORDER, workload: 'xmalloc' }),
    {
      message: 'glibc is not called from JavaScript',
    },
  );
});

testC('C finds blocks that overlap, too', async (t) => {
  const broken: NativeContestant = {
    name: 'broken',
    title: 'broken',
    kind: 'native',
    allocator: {
      flags: [fileURLToPath(new URL('../../test/support/overlapping.c', import.meta.url))],
      debian: '',
    },
  };
  for (const workload of [xmalloc, larson]) {
    const crew = await gather(broken, workload, { ...ORDER, workload: workload.name });
    await t.throwsAsync(crew.round(2, SECONDS), { message: 'a block has lost its stamp' });
    await crew.close();
  }
});

testC('the C program refuses what it does not know', async (t) => {
  const glibc = contestant<NativeContestant>('glibc');
  const order: CrewOrder = { ...ORDER, workload: 'pairs' };
  await t.throwsAsync(gather(glibc, { ...xmalloc, name: 'pairs' }, order), {
    message: 'there is no such workload',
  });
  const short = { ...larson, draw: () => [new Uint16Array(10)] };
  await t.throwsAsync(gather(glibc, short, { ...order, seed: 77 }), {
    message: 'there are fewer numbers than the workload draws',
  });
  const crew = await gather(glibc, xmalloc, order);
  await t.throwsAsync(crew.round(1, SECONDS), { message: 'there is no such crew' });
  await crew.close();
});

// ── The measurement ──

const PLAN: ThreadPlan = {
  contestants: [mimalloc, contestant('mimalloc-mutex')],
  workloads: [xmalloc, larson],
  rounds: 2,
  roundSeconds: SECONDS,
  warmSeconds: SECONDS,
  bytes: 256 * MIB,
  seed: 1,
  life: 2000,
};

test.serial('who cannot take part is told of, and stops nobody', async (t) => {
  const absent = {
    ...mimalloc,
    name: 'absent',
    load: async () => {
      throw new Error('not today');
    },
  };
  let steps = 0;
  const plan = { ...PLAN, contestants: [...PLAN.contestants, absent] };
  const { samples, absences } = await measureThreads(plan, () => steps++);
  t.deepEqual(
    samples.map(({ contestant, workload, workers }) => [contestant, workload, workers]),
    [
      ['mimalloc', 'xmalloc', 2],
      ['mimalloc-mutex', 'xmalloc', 2],
      ['mimalloc', 'larson', 1],
      ['mimalloc', 'larson', 2],
      ['mimalloc-mutex', 'larson', 1],
      ['mimalloc-mutex', 'larson', 2],
    ],
  );
  t.true(samples.every(({ rounds }) => rounds.length === 2 && rounds.every((time) => time > 0)));
  t.deepEqual(
    absences,
    ['xmalloc', 'larson'].map((workload) => ({ contestant: 'absent', workload, reason: 'not today' })),
  );
  t.is(steps, threadSteps(plan) - 4, 'the absent one has no rounds');
  // Less than one batch of 4096 blocks of 64 B.
  const full = await measureThreads({ ...PLAN, bytes: 256 * 1024, workloads: [xmalloc] });
  t.deepEqual(full.samples, []);
  t.is(full.absences.length, 2);
  for (const { reason } of full.absences) t.regex(reason, /memory/);
});

const SAMPLES = [
  ['mimalloc', 'larson', 1, [40, 44, 48]],
  ['mimalloc', 'larson', 2, [20, 22, 30]],
  ['mimalloc-mutex', 'larson', 2, [200, 110, 90]],
  ['mimalloc', 'xmalloc', 2, [20, 30, 40]],
  ['mimalloc-c', 'xmalloc', 2, [10, 30, 40]],
] as const;

function madeUp() {
  return SAMPLES.map(([contestant, workload, workers, rounds]) => ({
    contestant,
    workload,
    workers,
    rounds: [...rounds],
    busy: rounds.map((time) => [time, time / 2].slice(0, workers)),
    cpu: rounds.map((time) => (time === 10 || contestant === 'mimalloc-mutex' ? 0.5 : 1)),
    ...(contestant === 'mimalloc-c' && { version: '9.9' }),
  }));
}

test('figures: medians, quotients round by round, and what the second thread brings', (t) => {
  const figures = summarizeThreads(madeUp(), ['mimalloc-c', 'mimalloc-mutex']);
  const [alone, both, locked, passed] = figures;
  t.is(both.nanoseconds, 22);
  t.is(both.perSecond, 1e9 / 22);
  t.deepEqual(both.ratios, { 'mimalloc-mutex': 0.2 });
  t.is(both.scaling, 2, 'the median of 2, 2, 1.6');
  t.is(alone.scaling, 1);
  t.deepEqual(alone.ratios, {}, 'the other one was not measured alone');
  t.is(locked.scaling, undefined);
  t.deepEqual(passed.ratios, { 'mimalloc-c': 1 });
  t.deepEqual(passed.busy, [30, 15]);
});

test('the tables have a row for each contestant, and the columns that there are', (t) => {
  const figures = summarizeThreads(madeUp(), ['mimalloc-c', 'mimalloc-mutex']);
  const [first, second] = threadTables(figures);
  t.regex(first, /^xmalloc, 64 B +ns a block +spread +malloc +free +M\/s +÷ C mimalloc\n/);
  t.regex(first, /^MiMalloc +30\.0 +±\d+\.\d % +30\.0 +15\.0 +33\.33 +1\.00$/m);
  t.regex(second, /^larson +ns a replacement +spread +M\/s, 1 +M\/s, 2 +2 ÷ 1 +× one Mutex\n/);
  t.regex(second, /^MiMalloc +22\.0 +±\d+\.\d % +22\.73 +45\.45 +2\.00 +5\.00$/m);
  t.regex(second, /^one MiAllocatorInner, Mutex +110\.0 .* – +9\.09 +– +1\.00$/m);
  t.deepEqual(threadTables([]), []);
  const { contestants: _, workloads: __, ...plan } = PLAN;
  const notes = threadNotes({ plan, figures, absences: [], samples: madeUp() });
  t.true(notes.some((line) => line === 'Threads in C: C mimalloc 9.9.'));
  t.true(notes.some((line) => /^larson: 5000 blocks/.test(line)));
  t.true(
    notes.some((line) => line.startsWith('DISTURBED: in 1 of 12 rounds')),
    'but for who sleeps in a lock',
  );
  const calm = madeUp().map((sample) => ({ ...sample, cpu: [1] }));
  t.notRegex(threadNotes({ plan, figures, absences: [], samples: calm }).join(), /DISTURBED/);
  t.deepEqual(threadNotes({ plan, figures: [], absences: [], samples: [] }), []);
});

// ── Memory over time ──

test.serial(
  'threads leave blocks behind, later ones free them, and in the end nothing is lost',
  async (t) => {
    const heap = MiMalloc.create({ bytes: 256 * MIB });
    const generations = new Leak(mimalloc, heap.share(), 1);
    t.deepEqual(generations.left, []);
    await generations.round();
    await generations.round();
    const { left } = generations;
    t.is(new Set(left).size, THREADS * LEFT);
    for (const block of left) heap.free(block);
    heap.collect(true);
    t.is(heap.usedBytes(), 0);
    heap.validate();
  },
);

test.serial('a block that has changed since it was left behind is found', async (t) => {
  const heap = MiMalloc.create({ bytes: 256 * MIB });
  const generations = new Leak(mimalloc, heap.share(), 1);
  await generations.round();
  heap.memory.u32[generations.left[1234] / 4] = 0;
  await t.throwsAsync(generations.round(), { message: /^block \d+ has the stamp 0$/ });
});

test.serial('a heap is looked at over time, from which it is seen whether it grows', async (t) => {
  const order = { bytes: 256 * MIB, seed: 1, life: 1000, seconds: 1 };
  const full = {
    ...mimalloc,
    load: async () => ({ ...(await mimalloc.load()), create: () => new Scripted(() => 0) }),
  };
  const { figures, absences } = await watchMemory([mimalloc], [leak], order);
  t.deepEqual(absences, []);
  const [figure] = figures;
  t.is(figure.workload, 'mleak');
  t.true(figure.threads >= THREADS && figure.threads % THREADS === 0);
  t.true(figure.samples.length > 1 && figure.endBytes >= figure.settledBytes && figure.settledBytes > 0);
  t.is(figure.endBytes, figure.samples.at(-1)!);
  t.is(figure.committed.length, figure.samples.length);
  t.true(figure.committed.every((bytes) => bytes > 0));
  const failing = await watchMemory([full as HeapContestant], [leak], order);
  t.is(failing.absences[0].workload, 'memory of mleak');
  t.deepEqual(failing.figures, []);
});

test('the memory reads as a row for each heap and workload', (t) => {
  const figure = {
    contestant: 'mimalloc',
    workload: 'mleak',
    seconds: 60,
    threads: 1230,
    settledSeconds: 10,
    settledBytes: 10 * MIB,
    endBytes: 11 * MIB,
    samples: [],
    committed: [MIB, 2 * MIB],
  };
  const text = memoryTable([figure, { ...figure, contestant: 'other', committed: [] }]);
  t.regex(
    text,
    /^memory over time +workload +threads +after 10\.0 s +after 60\.0 s +growth +committed then\n/,
  );
  t.regex(text, /^MiMalloc +mleak +1,230 +10\.0 MiB +11\.0 MiB +10\.0 % +2\.00 MiB$/m);
  t.regex(text, /^other .* –$/m);
  t.is(memoryTable([]), '');
});

// ── The command ──

test.serial('shmalloc bench with several threads prints tables and writes the same as JSON', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'shmalloc-bench-'));
  const out = path.join(folder, 'bench.json');
  const few = ['--quick', '--rounds', '1', '--footprint-seconds', '1'];
  const text = await bench(
    ...few,
    '--workload',
    'xmalloc,mleak',
    '--only',
    'mimalloc,mimalloc-mutex',
    '-o',
    out,
  );
  t.regex(text, /^xmalloc, 64 B +ns a block .* × one Mutex$/m);
  t.regex(text, /^MiMalloc +mleak +\d/m);
  t.notRegex(text, /÷ glibc|Medians of 5|No ratios/, 'nothing of what was not asked for');
  const { threads, memory, figures, footprint, garbage } = JSON.parse(
    readFileSync(out, 'utf8'),
  ) as BenchReport;
  t.deepEqual([figures, garbage, footprint], [[], [], null]);
  t.deepEqual(
    threads?.figures.map(({ contestant, workers, ratios }) => [
      contestant,
      workers,
      Object.keys(ratios).join(),
    ]),
    [
      ['mimalloc', 2, 'mimalloc-mutex'],
      ['mimalloc-mutex', 2, 'mimalloc-mutex'],
    ],
  );
  t.deepEqual(
    memory?.figures.map(({ workload }) => workload),
    ['xmalloc', 'mleak'],
  );
  t.deepEqual(threads?.absences, []);
  rmSync(folder, { recursive: true });
});

test.serial('shmalloc bench leaves the threads out when it is told to', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'shmalloc-bench-'));
  const out = path.join(folder, 'bench.json');
  const args = ['--quick', '--only', 'mimalloc', '--no-threads', '--workload', 'larson', '-o', out];
  await t.throwsAsync(bench(...args), { message: 'nothing could be measured' });
  const { threads, memory } = JSON.parse(readFileSync(out, 'utf8')) as BenchReport;
  t.deepEqual([threads, memory], [null, null]);
  await t.throwsAsync(bench('--footprint-seconds', '-1'), { message: /--footprint-seconds/ });
  rmSync(folder, { recursive: true });
});
