import { AllocError } from '@shmalloc/allocator-api';
import { MiAllocatorInner, MiMalloc, type MiMallocOptions } from '@shmalloc/mimalloc';
import { MiMallocCore } from '@shmalloc/mimalloc/core';
import test from 'ava';
import { BY_REGION, settingsOf } from '../../dist/region/options.js';
import { AccountingOs } from '../../dist/thread/os.js';
import { headerField } from '../support/harness.ts';

/** Everything that is a number or a flag: what it is given, and what it is then; values it does not take. */
const OPTIONS: Record<
  string,
  { variable: string; usual: number; good: [value: number | boolean, is: number][]; bad: unknown[] }
> = {
  secure: {
    variable: 'SHMALLOC_SECURE',
    usual: 0,
    good: [
      [0, 0],
      [4, 4],
    ],
    bad: [5, -1, 1.5, 'high'],
  },
  purgeDelay: {
    variable: 'SHMALLOC_PURGE_DELAY',
    usual: BY_REGION,
    good: [
      [-1, -1],
      [0, 0],
      [5000, 5000],
    ],
    bad: [-2, 0.5, 2 ** 31, 'soon'],
  },
  purgeResets: {
    variable: 'SHMALLOC_PURGE_RESETS',
    usual: 0,
    good: [
      [true, 1],
      [false, 0],
    ],
    bad: [2, 'yes'],
  },
  retireCycles: {
    variable: 'SHMALLOC_RETIRE_CYCLES',
    usual: 16,
    good: [
      [0, 0],
      [31, 31],
    ],
    bad: [32, -1, 'never'],
  },
  threads: {
    variable: 'SHMALLOC_THREADS',
    usual: BY_REGION,
    good: [
      [1, 1],
      [1000, 1000],
    ],
    bad: [0, 1001, -1, 'many'],
  },
  segmentShift: {
    variable: 'SHMALLOC_SEGMENT_SHIFT',
    usual: BY_REGION,
    good: [
      [16, 16],
      [22, 22],
    ],
    bad: [15, 23, 16.5, 'x'],
  },
  grow: {
    variable: 'SHMALLOC_GROW',
    usual: BY_REGION,
    good: [
      [true, 1],
      [false, 0],
    ],
    bad: [7, 'no'],
  },
  reclaimOnFree: {
    variable: 'SHMALLOC_RECLAIM_ON_FREE',
    usual: 0,
    good: [
      [true, 1],
      [false, 0],
    ],
    bad: [7, 'no'],
  },
  sampleRate: {
    variable: 'SHMALLOC_SAMPLE_RATE',
    usual: 1000,
    good: [
      [0, 0],
      [1, 1],
    ],
    bad: [-1, 2 ** 31, 'often'],
  },
  seed: {
    variable: 'SHMALLOC_SEED',
    usual: BY_REGION,
    good: [
      [0, 0],
      [2 ** 32 - 1, 2 ** 32 - 1],
    ],
    bad: [2 ** 32, -1, 'dice'],
  },
};

/** Runs with these variables and none of the others. */
function withEnvironment<T>(variables: Record<string, string>, run: () => T): T {
  const before = { ...process.env };
  for (const name of Object.keys(process.env)) if (name.startsWith('SHMALLOC_')) delete process.env[name];
  Object.assign(process.env, variables);
  try {
    return run();
  } finally {
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
    Object.assign(process.env, before);
  }
}

const settings = (options: object): Record<string, number> =>
  withEnvironment({}, () => ({ ...settingsOf(options as MiMallocOptions) }));

test.serial('what is not said has its usual value', (t) => {
  t.deepEqual(settings({}), {
    ...Object.fromEntries(Object.entries(OPTIONS).map(([name, { usual }]) => [name, usual])),
    debug: 0,
  });
});

for (const [name, { variable, good, bad }] of Object.entries(OPTIONS)) {
  test.serial(`${name} can be given in code, and ${variable} in the environment`, (t) => {
    for (const [value, is] of good) {
      t.is(settings({ [name]: value })[name], is, `${value}`);
      const text = String(value);
      withEnvironment({ [variable]: text }, () => {
        t.is({ ...settingsOf({}) }[name as 'seed'], is, `${variable}=${text}`);
      });
    }
    const flag = typeof good[0][0] === 'boolean';
    if (flag) {
      withEnvironment({ [variable]: '1' }, () => t.is({ ...settingsOf({}) }[name as 'seed'], 1));
      t.throws(() => settings({ [name]: 1 }), {
        instanceOf: TypeError,
        message: `${name} must be true or false, got 1`,
      });
    }
    for (const value of bad) {
      const message = (what: string): RegExp =>
        new RegExp(`^${what} must .*${String(value).replace('.', '\\.')}`);
      if (!flag) t.throws(() => settings({ [name]: value }), { message: message(name) }, `${value}`);
      withEnvironment({ [variable]: String(value) }, () => {
        t.throws(() => settingsOf({}), { message: message(variable) }, `${variable}=${value}`);
      });
    }
  });

  test.serial(`${name} in code goes before ${variable}`, (t) => {
    const [[first, is], [second]] = good;
    withEnvironment({ [variable]: String(second) }, () => {
      t.is({ ...settingsOf({ [name]: first } as MiMallocOptions) }[name as 'seed'], is);
    });
  });
}

test.serial('debug is secure 3 at least', (t) => {
  t.is(settings({ debug: true }).secure, 3);
  t.is(settings({ debug: true, secure: 4 }).secure, 4);
  t.is(settings({ debug: true, secure: 1 }).secure, 3);
  t.is(settings({ debug: false }).secure, 0);
  withEnvironment({ SHMALLOC_DEBUG: '1' }, () => t.is(settingsOf({}).secure, 3));
  t.throws(() => settings({ debug: 'yes' }), { message: 'debug must be true or false, got yes' });
});

test.serial('an option that there is not is an error that lists those that there are', (t) => {
  const all = ['debug', 'bytes', 'maxBytes', 'memory', 'os', ...Object.keys(OPTIONS)];
  const error = t.throws(() => MiMalloc.create({ segmentSize: 4 } as never), { instanceOf: AllocError });
  t.regex(error?.message ?? '', /^unknown option segmentSize; known are /);
  for (const name of all) t.true(error?.message.includes(name), name);
  withEnvironment({ SHMALLOC_SEGMENTS: '4' }, () => {
    const wrong = t.throws(() => MiMalloc.create(), { instanceOf: AllocError });
    t.regex(wrong?.message ?? '', /^unknown option SHMALLOC_SEGMENTS in the environment; known are /);
    for (const { variable } of Object.values(OPTIONS)) t.true(wrong?.message.includes(variable), variable);
  });
  t.notThrows(() => settings({ lock: 'spin' }), 'what every allocator takes, and this one has no use for');
});

test('an option that an attaching thread does not have is an error that lists those that it has', (t) => {
  const heap = MiMalloc.create({ bytes: 1 << 20 });
  for (const Class of [MiMalloc, MiMallocCore, MiAllocatorInner]) {
    const attach = (options: object): unknown => Class.attach(heap.share(), options as never);
    const error = t.throws(() => attach({ crossing: 'js' }), {
      instanceOf: AllocError,
      code: 'InvalidParam',
    });
    t.regex(error?.message ?? '', /^unknown option crossing; known are /);
    for (const name of ['os', 'crossings', 'lock']) t.true(error?.message.includes(name), name);
    t.throws(() => attach({ secure: 3 }), { message: /^unknown option secure; known are / });
    t.throws(() => attach(7 as never), {
      instanceOf: TypeError,
      message: 'options must be an object, got 7',
    });
    t.notThrows(() => attach({ lock: 'spin', crossings: 'js' }));
  }
});

test.serial('where there is no environment, there are no variables', (t) => {
  const { process } = globalThis;
  Reflect.set(globalThis, 'process', undefined);
  try {
    t.is(settingsOf({}).secure, 0);
  } finally {
    Reflect.set(globalThis, 'process', process);
  }
});

test.serial('options do what they say', (t) => {
  const shift = MiMalloc.create({ bytes: 4 << 20, segmentShift: 17 });
  t.is(shift.inspect().region.segmentBytes, 1 << 17);
  const few = MiMalloc.create({ bytes: 1 << 20, threads: 2 });
  MiMalloc.attach(few.share());
  t.throws(() => MiMalloc.attach(few.share()), {
    code: 'TooManyThreads',
    message: /all 2 threads .* see threads/,
  });

  const grows = MiMalloc.create({ bytes: 1 << 20, maxBytes: 4 << 20 });
  t.not(grows.malloc(2 << 20), 0);
  const stays = MiMalloc.create({ bytes: 1 << 20, maxBytes: 4 << 20, grow: false });
  t.is(stays.malloc(2 << 20), 0);

  const eager = MiMalloc.create({ bytes: 1 << 20, retireCycles: 0 });
  eager.free(eager.malloc(100));
  t.is(eager.stats().pages, 0);
  const keeps = MiMalloc.create({ bytes: 1 << 20, retireCycles: 2 });
  keeps.free(keeps.malloc(100));
  t.is(keeps.stats().pages, 1);

  const never = MiMalloc.create({ bytes: 1 << 20, purgeDelay: -1 });
  never.free(never.malloc(100_000));
  never.collect(true);
  t.is(never.stats().purges, 0);
  const atOnce = MiMalloc.create({ bytes: 1 << 20, purgeDelay: 0 });
  atOnce.free(atOnce.malloc(100_000));
  t.true(atOnce.stats().purges > 0);

  t.is(MiMalloc.create({ bytes: 1 << 20, secure: 1 }).stats().secure, 1);
});

test.serial('the layer below can be given', (t) => {
  const commits: number[] = [];
  class Os extends AccountingOs {
    override commit(_address?: number, bytes?: number): boolean {
      commits.push(bytes ?? 0);
      return true;
    }
  }
  const memory = new SharedArrayBuffer(1 << 20);
  const { memory: region } = MiMalloc.create({ memory });
  const heap = MiMalloc.create({ memory, os: new Os(region, false) });
  const state = Math.ceil(headerField(heap, 'end') / 1024) * 4096;
  t.deepEqual(commits, [state], 'the header and its tables');
  heap.malloc(100);
  t.deepEqual(commits, [state, 4096]);
});
