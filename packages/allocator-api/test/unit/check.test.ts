import {
  AllocError,
  checkAlign,
  checkChoice,
  checkHandle,
  checkInteger,
  checkOptions,
} from '@shmalloc/allocator-api';
import test from 'ava';

const NOT_NUMBERS: [unknown, string][] = [
  ['8', '"8" (string)'],
  [undefined, 'undefined (undefined)'],
  [null, 'null (object)'],
  [true, 'true (boolean)'],
  [8n, '8n (bigint)'],
  [{}, '[object Object] (object)'],
  [[8], '[object Array] (object)'],
  [() => 8, '[object Function] (function)'],
];

test('checkInteger hands back every non-negative integer', (t) => {
  for (const value of [0, 1, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER, 2 ** 53, Number.MAX_VALUE])
    t.is(checkInteger('size', value), value);
});

test('checkInteger answers a wrong kind with a TypeError that names the argument, the value and its kind', (t) => {
  for (const [value, shown] of NOT_NUMBERS) {
    t.throws(() => checkInteger('size', value), {
      instanceOf: TypeError,
      message: `size must be a number, got ${shown}`,
    });
  }
  t.throws(() => checkInteger('size', Symbol('s')), {
    instanceOf: TypeError,
    message: /Symbol\(s\) \(symbol\)/,
  });
});

test('checkInteger answers a number that is no non-negative integer with a RangeError that names it', (t) => {
  for (const value of [-1, -(2 ** 53), 0.5, NaN, Infinity, -Infinity]) {
    t.throws(() => checkInteger('count', value), {
      instanceOf: RangeError,
      message: `count must be a non-negative integer, got ${value}`,
    });
  }
});

test('checkAlign takes powers of two up to 2^31', (t) => {
  for (let bit = 0; bit < 32; bit++) t.is(checkAlign('align', 2 ** bit), 2 ** bit);
  for (const value of [0, 3, 24, 2 ** 31 + 1, 2 ** 32, 2 ** 53]) {
    const error = t.throws(() => checkAlign('align', value), { instanceOf: AllocError });
    t.is(error?.code, 'InvalidParam');
    t.is(error?.message, `align must be a power of two from 1 to 2^31, got ${value}`);
  }
  t.throws(() => checkAlign('align', '16'), { instanceOf: TypeError, message: /^align .*"16"/ });
  t.throws(() => checkAlign('align', -16), { instanceOf: RangeError, message: /^align .*-16/ });
});

test('checkChoice lists the choices when a name is none of them', (t) => {
  const locks = ['none', 'spin', 'mutex'] as const;
  t.is(checkChoice('lock', 'spin', locks), 'spin');
  const error = t.throws(() => checkChoice('lock', 'futex', locks), { instanceOf: AllocError });
  t.is(error?.code, 'InvalidParam');
  t.is(error?.message, 'lock must be one of none, spin, mutex; got "futex"');
  t.throws(() => checkChoice('lock', 2, locks), {
    instanceOf: TypeError,
    message: 'lock must be a string, got 2 (number)',
  });
});

test('checkOptions takes what every algorithm knows and what one has of its own, and lists both for anything else', (t) => {
  t.notThrows(() => checkOptions({}, []));
  t.notThrows(() => checkOptions({ bytes: 1, lock: 'spin', grow: true, policy: undefined }, ['policy']));
  t.throws(() => checkOptions({ lokc: 'spin' }, ['policy']), {
    instanceOf: AllocError,
    code: 'InvalidParam',
    message:
      'unknown option lokc; known are bytes, maxBytes, backing, memory, start, end, grow, threads, lock, debug, onError, policy',
  });
  for (const value of [null, undefined, 7, 'spin'])
    t.throws(() => checkOptions(value, []), { instanceOf: TypeError, message: /^options must be an object/ });
});

test('checkHandle hands back the handle of its own algorithm', (t) => {
  for (const memory of [
    new SharedArrayBuffer(64),
    new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }),
  ]) {
    const handle = { algorithm: 'tlsf', memory, start: 0 };
    t.is(checkHandle(handle, 'tlsf'), handle);
  }
});

test('checkHandle answers what is no handle with a TypeError', (t) => {
  const memory = new SharedArrayBuffer(64);
  for (const value of [
    undefined,
    null,
    7,
    'tlsf',
    {},
    memory,
    { memory, start: 0 },
    { algorithm: 'tlsf', start: 0 },
    { algorithm: 'tlsf', memory },
    { algorithm: 'tlsf', memory: 5, start: 0 },
    { algorithm: 'tlsf', memory, start: '0' },
  ]) {
    t.throws(() => checkHandle(value, 'tlsf'), {
      instanceOf: TypeError,
      message: /^handle must be what share\(\) returned, got \[object /,
    });
  }
});

test('checkHandle refuses the handle of another algorithm and names both', (t) => {
  const handle = { algorithm: 'buddy', memory: new SharedArrayBuffer(64), start: 0 };
  const error = t.throws(() => checkHandle(handle, 'tlsf'), { instanceOf: AllocError });
  t.is(error?.code, 'InvalidParam');
  t.is(error?.message, 'handle belongs to the algorithm buddy, not to tlsf');
});

test('AllocError is an Error with a name and each of the codes', (t) => {
  const codes = [
    'InvalidParam',
    'MemoryOverlap',
    'NoMemory',
    'NotAllocated',
    'Corrupted',
    'Unsupported',
  ] as const;
  for (const code of codes) {
    const error = new AllocError(code, `because of ${code}`);
    t.true(error instanceof Error);
    t.is(error.name, 'AllocError');
    t.is(error.code, code);
    t.is(String(error), `AllocError: because of ${code}`);
    t.true(error.stack?.includes('check.test'));
  }
});
