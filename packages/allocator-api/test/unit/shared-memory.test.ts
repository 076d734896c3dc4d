import { AllocError, MAX_BYTES, SCALAR_BYTES, type ScalarType, SharedMemory } from '@shmalloc/allocator-api';
import test from 'ava';
import { Peer } from '../support/peer.ts';
import { BACKINGS, KIB, SAMPLES } from '../support/sources.ts';

const TYPES = Object.keys(SCALAR_BYTES) as ScalarType[];

for (const [name, options] of Object.entries(BACKINGS)) {
  test(`${name}: every view spans the whole buffer, indexed by address divided by element size`, (t) => {
    const memory = SharedMemory.create(options);
    t.is(memory.byteLength, 128 * KIB);
    t.is(memory.buffer.byteLength, 128 * KIB);
    t.is(memory.start, 0);
    t.is(memory.end, 128 * KIB);
    for (const type of TYPES) {
      const bytes = SCALAR_BYTES[type];
      t.is(memory[type].byteLength, 128 * KIB, type);
      t.is(memory[type].buffer, memory.buffer, type);
      const address = 64 * KIB;
      memory[type][address / bytes] = SAMPLES[type];
      const block = memory.view(type, address, 4);
      t.is(block[0], type === 'f32' ? Math.fround(SAMPLES.f32 as number) : SAMPLES[type], type);
      t.is(block.length, 4);
      t.is(block.byteOffset, address);
      block[3] = SAMPLES[type];
      t.is(memory[type][address / bytes + 3], block[0], type);
    }
  });

  test(`${name}: another thread sees what is written here, and the other way round`, async (t) => {
    const memory = SharedMemory.create(options);
    const peer = new Peer();
    await peer.ask({ op: 'attach', source: memory.source });
    for (const type of TYPES) {
      const address = 4 * KIB;
      await peer.ask({ op: 'write', type, address, value: SAMPLES[type] });
      const written = memory.view(type, address, 1)[0];
      t.is(written, type === 'f32' ? Math.fround(SAMPLES.f32 as number) : SAMPLES[type], type);
      memory.view(type, address + 8, 1)[0] = written;
      t.is(await peer.ask({ op: 'index', type, address: address + 8 }), written, type);
    }
    await peer.close();
  });

  test(`${name}: a sub-range keeps its start and end in every thread and addresses stay those of the buffer`, async (t) => {
    const whole = SharedMemory.create(options);
    const part = SharedMemory.from(whole.source, 4 * KIB, 12 * KIB);
    t.is(part.start, 4 * KIB);
    t.is(part.end, 12 * KIB);
    t.is(part.byteLength, 128 * KIB);
    part.u32[(4 * KIB) / 4] = 7;
    t.is(whole.u32[(4 * KIB) / 4], 7);
    const peer = new Peer();
    await peer.ask({ op: 'attach', source: part.source, start: part.start, end: part.end });
    t.like(await peer.ask<object>({ op: 'shape' }), { start: 4 * KIB, end: 12 * KIB, byteLength: 128 * KIB });
    t.is(await peer.ask({ op: 'read', type: 'u32', address: 4 * KIB }), 7);
    await peer.close();
  });

  test(`${name}: a region that leaves the buffer or ends before it starts is refused`, (t) => {
    const { source } = SharedMemory.create(options);
    for (const [start, end] of [
      [0, 128 * KIB + 1],
      [16, 8],
      [128 * KIB + 8, undefined],
      [2 ** 32, 2 ** 33],
    ] as const) {
      const error = t.throws(() => SharedMemory.from(source, start, end), { instanceOf: AllocError });
      t.is(error?.code, 'InvalidParam');
      t.is(
        error?.message,
        `region [${start}, ${end ?? 128 * KIB}) does not fit into memory of ${128 * KIB} bytes`,
      );
    }
    t.is(SharedMemory.from(source, 64, 64).end, 64, 'an empty region is a region');
  });

  test(`${name}: a view that is misaligned or leaves the buffer is refused`, (t) => {
    const memory = SharedMemory.create(options);
    for (const type of TYPES) {
      const bytes = SCALAR_BYTES[type];
      const length = (128 * KIB) / bytes;
      t.is(memory.view(type, 0, length).length, length);
      t.is(memory.view(type, 128 * KIB, 0).length, 0);
      if (bytes > 1) {
        t.throws(() => memory.view(type, bytes + 1, 1), {
          instanceOf: RangeError,
          message: `address ${bytes + 1} is not a multiple of ${bytes}, as ${type} needs`,
        });
      }
      t.throws(() => memory.view(type, bytes, length), {
        instanceOf: RangeError,
        message: `${length} × ${type} at ${bytes} leave the memory of ${128 * KIB} bytes`,
      });
    }
    t.throws(() => memory.view('u128' as never, 0, 1), { instanceOf: AllocError, message: /"u128"$/ });
    t.throws(() => memory.view(8 as never, 0, 1), { instanceOf: TypeError, message: /^type / });
    t.throws(() => memory.view('u8', -1, 1), { instanceOf: RangeError, message: /^address .*-1$/ });
    t.throws(() => memory.view('u8', 0, 1.5), { instanceOf: RangeError, message: /^length .*1\.5$/ });
  });
}

test('the default is 16 MiB of shared WebAssembly memory that does not grow', (t) => {
  const memory = SharedMemory.create();
  t.true(memory.source instanceof WebAssembly.Memory);
  t.is(memory.byteLength, 16 * KIB * KIB);
  t.throws(() => memory.grow(1), { instanceOf: AllocError });
});

test('a maximum below the default is the size', (t) => {
  t.is(SharedMemory.create({ maxBytes: 64 * KIB }).byteLength, 64 * KIB);
  t.is(SharedMemory.create({ maxBytes: 32 * KIB * KIB }).byteLength, 16 * KIB * KIB);
});

test('WebAssembly memory comes in 64 KiB, a SharedArrayBuffer in bytes', (t) => {
  t.is(SharedMemory.create({ bytes: 1, backing: 'wasm' }).byteLength, 64 * KIB);
  t.is(SharedMemory.create({ bytes: 0, backing: 'wasm' }).byteLength, 0);
  const odd = SharedMemory.create({ bytes: 13, backing: 'sab' });
  t.is(odd.byteLength, 13);
  t.deepEqual([odd.u8.length, odd.u16.length, odd.u32.length, odd.f64.length], [13, 6, 3, 1]);
});

test('maxByteLength tells how far a buffer can grow', (t) => {
  t.is(SharedMemory.create({ bytes: 64, backing: 'sab' }).maxByteLength, 64);
  t.is(SharedMemory.create({ bytes: 64, maxBytes: 128, backing: 'sab' }).maxByteLength, 128);
  t.is(SharedMemory.create({ bytes: 64, backing: 'wasm' }).maxByteLength, MAX_BYTES);
});

test('memory that threads cannot share is a TypeError that says what arrived', (t) => {
  for (const [memory, found] of [
    [new ArrayBuffer(64), '[object ArrayBuffer]'],
    [new Uint8Array(64), '[object Uint8Array]'],
    [new WebAssembly.Memory({ initial: 1 }), 'a WebAssembly.Memory that is not shared'],
    [null, '[object Null]'],
    ['memory', '[object String]'],
  ] as const) {
    t.throws(() => SharedMemory.create({ memory: memory as never }), {
      instanceOf: TypeError,
      message: `memory must be a SharedArrayBuffer or a shared WebAssembly.Memory, got ${found}`,
    });
  }
});

test('memory excludes the options that describe new memory', (t) => {
  const memory = new SharedArrayBuffer(64);
  for (const [option, message] of [
    [{ bytes: 64 }, 'bytes (64) cannot be given together with memory'],
    [{ maxBytes: 64 }, 'maxBytes (64) cannot be given together with memory'],
    [{ backing: 'sab' }, 'backing (sab) cannot be given together with memory'],
  ] as const) {
    const error = t.throws(() => SharedMemory.create({ memory, ...option }), {
      instanceOf: AllocError,
      message,
    });
    t.is(error?.code, 'InvalidParam');
  }
  t.notThrows(() => SharedMemory.create({ memory, bytes: undefined }));
});

test('options of a wrong kind or value are named', (t) => {
  t.throws(() => SharedMemory.create({ bytes: '64' as never }), {
    instanceOf: TypeError,
    message: /^bytes .*"64"/,
  });
  t.throws(() => SharedMemory.create({ bytes: -1 }), { instanceOf: RangeError, message: /^bytes .*-1$/ });
  t.throws(() => SharedMemory.create({ maxBytes: 0.5 }), {
    instanceOf: RangeError,
    message: /^maxBytes .*0\.5$/,
  });
  t.throws(() => SharedMemory.create({ start: -8 }), { instanceOf: RangeError, message: /^start .*-8$/ });
  t.throws(() => SharedMemory.create({ end: NaN }), { instanceOf: RangeError, message: /^end .*NaN$/ });
  t.throws(() => SharedMemory.create({ backing: 1 as never }), {
    instanceOf: TypeError,
    message: /^backing .*1/,
  });
  for (const [options, message] of [
    [{ backing: 'file' as never }, 'backing must be one of wasm, sab; got "file"'],
    [{ bytes: 128, maxBytes: 64 }, 'bytes (128) ≤ maxBytes (64) ≤ 4 GiB must hold'],
    [{ bytes: 0, maxBytes: 2 ** 33 }, 'bytes (0) ≤ maxBytes (8589934592) ≤ 4 GiB must hold'],
  ] as const) {
    const error = t.throws(() => SharedMemory.create(options), { instanceOf: AllocError, message });
    t.is(error?.code, 'InvalidParam');
  }
});

test('a buffer of more than 4 GiB is refused', (t) => {
  const error = t.throws(() => SharedMemory.create({ memory: new SharedArrayBuffer(MAX_BYTES + 8) }), {
    instanceOf: AllocError,
    message: `a region has at most 4 GiB, got ${MAX_BYTES + 8} bytes`,
  });
  t.is(error?.code, 'InvalidParam');
});

// The two tests below stand in for engines: one without WebAssembly, one that refuses to give that much
// memory.
test.serial('without WebAssembly the default is a SharedArrayBuffer', (t) => {
  const { WebAssembly: real } = globalThis;
  Object.assign(globalThis, { WebAssembly: undefined });
  try {
    const memory = SharedMemory.create({ bytes: 64 });
    t.true(memory.source instanceof SharedArrayBuffer);
    t.is(memory.maxByteLength, 64);
    t.throws(() => SharedMemory.create({ memory: {} as never }), { instanceOf: TypeError });
  } finally {
    Object.assign(globalThis, { WebAssembly: real });
  }
});

test.serial('what the engine refuses is NoMemory, with the engine’s own reason', (t) => {
  const { SharedArrayBuffer: real } = globalThis;
  class Refusing {
    constructor() {
      throw new RangeError('Array buffer allocation failed');
    }
  }
  Object.assign(globalThis, { SharedArrayBuffer: Refusing });
  try {
    const error = t.throws(() => SharedMemory.create({ bytes: 64, maxBytes: 128, backing: 'sab' }), {
      instanceOf: AllocError,
      message:
        'the engine cannot make a region of 64 (up to 128) bytes: RangeError: Array buffer allocation failed',
    });
    t.is(error?.code, 'NoMemory');
  } finally {
    Object.assign(globalThis, { SharedArrayBuffer: real });
  }
});
