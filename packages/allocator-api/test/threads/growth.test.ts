import { AllocError, SharedMemory } from '@shmalloc/allocator-api';
import test from 'ava';
import { Peer, type Shape } from '../support/peer.ts';
import { BACKINGS, KIB } from '../support/sources.ts';

const GROWABLE = ['a growable SharedArrayBuffer', 'a WebAssembly.Memory'];

for (const name of GROWABLE) {
  const options = BACKINGS[name];

  test(`${name}: growth adds zeroed memory at the end and says where`, (t) => {
    const memory = SharedMemory.create(options);
    memory.u8[128 * KIB - 1] = 5;
    t.is(memory.grow(64 * KIB), 128 * KIB);
    t.is(memory.byteLength, 192 * KIB);
    t.is(memory.end, 192 * KIB);
    t.is(memory.u8[128 * KIB - 1], 5);
    t.is(memory.u8[128 * KIB], 0);
    t.is(memory.f64.byteLength, 192 * KIB);
    t.is(memory.grow(0), 192 * KIB);
    t.is(memory.byteLength, 192 * KIB);
  });

  test(`${name}: a view from before the growth stays valid for the bytes it covers`, (t) => {
    const memory = SharedMemory.create(options);
    const { u32 } = memory;
    const block = memory.view('u32', 64, 4);
    memory.grow(64 * KIB);
    t.not(memory.u32, u32);
    t.is(u32.length, (128 * KIB) / 4, 'a view never changes its length');
    u32[16] = 0xabcd;
    t.is(memory.u32[16], 0xabcd);
    t.is(block[0], 0xabcd);
    memory.u32[17] = 0x1234;
    t.is(block[1], 0x1234);
    t.is(u32[17], 0x1234);
  });

  test(`${name}: another thread sees the growth after its refresh(), and not before`, async (t) => {
    const memory = SharedMemory.create(options);
    const peer = new Peer();
    await peer.ask({ op: 'attach', source: memory.source });
    t.false(await peer.ask({ op: 'refresh' }), 'nothing has grown yet');
    const address = memory.grow(64 * KIB);
    memory.u32[address / 4] = 99;
    t.like(await peer.ask<Shape>({ op: 'shape' }), { byteLength: 128 * KIB, end: 128 * KIB });
    t.is(await peer.ask({ op: 'index', type: 'u32', address }), undefined);
    t.true(await peer.ask({ op: 'refresh' }));
    t.like(await peer.ask<Shape>({ op: 'shape' }), { byteLength: 192 * KIB, end: 192 * KIB });
    t.is(await peer.ask({ op: 'index', type: 'u32', address }), 99);
    t.false(await peer.ask({ op: 'refresh' }));
    await peer.close();
  });

  test(`${name}: view() finds memory that another thread has added`, async (t) => {
    const memory = SharedMemory.create(options);
    const peer = new Peer();
    await peer.ask({ op: 'attach', source: memory.source });
    const address = await peer.ask<number>({ op: 'grow', bytes: 64 * KIB });
    t.is(address, 128 * KIB);
    await peer.ask({ op: 'write', type: 'f64', address, value: 2.5 });
    t.is(memory.byteLength, 128 * KIB);
    t.is(memory.view('f64', address, 1)[0], 2.5);
    t.is(memory.byteLength, 192 * KIB);
    await peer.close();
  });

  test(`${name}: an end that was given stays where it is`, (t) => {
    const whole = SharedMemory.create(options);
    const part = SharedMemory.from(whole.source, 8, 64 * KIB);
    whole.grow(64 * KIB);
    t.true(part.refresh());
    t.is(part.byteLength, 192 * KIB);
    t.is(part.end, 64 * KIB);
  });

  test(`${name}: growth beyond the maximum is NoMemory and changes nothing`, (t) => {
    const memory = SharedMemory.create(options);
    const error = t.throws(() => memory.grow(1024 * KIB), { instanceOf: AllocError });
    t.is(error?.code, 'NoMemory');
    t.is(error?.message, `cannot grow ${128 * KIB} bytes of memory by ${1024 * KIB}: see maxBytes`);
    t.is(memory.byteLength, 128 * KIB);
    t.is(memory.grow(1024 * KIB - 128 * KIB), 128 * KIB, 'up to the maximum it can');
  });

  test(`${name}: growth by no non-negative integer is refused`, (t) => {
    const memory = SharedMemory.create(options);
    t.throws(() => memory.grow(Number.MAX_VALUE), { instanceOf: AllocError, message: /^cannot grow/ });
    t.throws(() => memory.grow(-1), { instanceOf: RangeError, message: /^bytes .*-1$/ });
    t.throws(() => memory.grow('1' as never), { instanceOf: TypeError, message: /^bytes .*"1"/ });
  });
}

for (const backing of ['wasm', 'sab'] as const) {
  test(`${backing}: threads that grow one memory at once get a part each`, async (t) => {
    const memory = SharedMemory.create({ bytes: 64 * KIB, maxBytes: 32 * KIB * KIB, backing });
    memory.agreeOnGrowth(4);
    const peers = [new Peer(), new Peer()];
    for (const peer of peers) await peer.ask({ op: 'attach', source: memory.source, word: 4 });
    const gate = new Int32Array(new SharedArrayBuffer(8));
    gate[1] = peers.length;
    // Different lengths, so that each order in which the engine can see two of them is there.
    const sizes = peers.map((_, peer) =>
      Array.from({ length: 100 }, (_, round) => ((peer + round) % 2 === 0 ? 64 * KIB : 128 * KIB)),
    );
    const got = await Promise.all(
      peers.map((peer, index) => peer.ask<number[]>({ op: 'race', bytes: sizes[index], gate })),
    );
    const ranges = got
      .flatMap((starts, peer) => starts.map((start, round) => [start, start + sizes[peer][round]]))
      .sort(([a], [b]) => a - b);
    t.is(ranges[0][0], 64 * KIB);
    for (let index = 1; index < ranges.length; index++) t.is(ranges[index][0], ranges[index - 1][1]);
    memory.refresh();
    t.is(memory.byteLength, ranges[ranges.length - 1][1]);
    await Promise.all(peers.map((peer) => peer.close()));
  });

  test(`${backing}: a thread that is stopped between its look at the length and its growth gets its own range`, (t) => {
    const memory = SharedMemory.create({ bytes: 64 * KIB, maxBytes: 1024 * KIB, backing });
    const other = SharedMemory.from(memory.source);
    for (const each of [memory, other]) each.agreeOnGrowth(4);
    const source = memory.source as { grow(length: number): unknown };
    const { grow } = Object.getPrototypeOf(source) as typeof source;
    let theirs = 0;
    // The engine's own `grow` is the one step that cannot be seen into: the other thread runs right before
    // it.
    source.grow = (length) => {
      source.grow = grow;
      theirs = other.grow(128 * KIB);
      return grow.call(source, length);
    };
    const ours = memory.grow(64 * KIB);
    t.deepEqual(
      [ours, theirs].sort((a, b) => a - b),
      ours < theirs ? [64 * KIB, 128 * KIB] : [64 * KIB, 192 * KIB],
    );
    t.is(memory.byteLength, 256 * KIB);
  });
}

test('a range of a SharedArrayBuffer that was claimed and not reached stays between two others', (t) => {
  const memory = SharedMemory.create({ bytes: 64 * KIB, maxBytes: 1024 * KIB, backing: 'sab' });
  memory.agreeOnGrowth(4);
  const source = memory.source as { grow(length: number): unknown };
  source.grow = () => {
    throw new Error('the thread ends here');
  };
  t.throws(() => memory.grow(64 * KIB), { instanceOf: AllocError, code: 'NoMemory' });
  source.grow = (Object.getPrototypeOf(source) as typeof source).grow;
  t.is(memory.grow(64 * KIB), 128 * KIB);
  t.is(memory.byteLength, 192 * KIB);
});

test('a memory is looked at once when it is taken, however it grows meanwhile', (t) => {
  const source = new WebAssembly.Memory({ initial: 1, maximum: 100, shared: true });
  const { get } = Object.getOwnPropertyDescriptor(WebAssembly.Memory.prototype, 'buffer') as {
    get(): ArrayBuffer;
  };
  Object.defineProperty(source, 'buffer', {
    get(): ArrayBuffer {
      const seen = get.call(source);
      if (seen.byteLength < 16 * 64 * KIB) source.grow(1);
      return seen;
    },
  });
  const memory = SharedMemory.from(source);
  const views = ['i8', 'u8', 'i16', 'u16', 'i32', 'u32', 'i64', 'u64', 'f32', 'f64'] as const;
  for (const view of views) {
    t.is(memory[view].byteLength, memory.byteLength);
    t.is(memory[view].buffer, memory.buffer);
  }
  t.is(memory.end, memory.byteLength);
  t.true(memory.refresh());
  for (const view of views) t.is(memory[view].byteLength, memory.byteLength);
});

test('a SharedArrayBuffer without a maximum does not grow', (t) => {
  const memory = SharedMemory.create(BACKINGS['a SharedArrayBuffer']);
  const error = t.throws(() => memory.grow(8), { instanceOf: AllocError });
  t.is(error?.code, 'NoMemory');
  t.false(memory.refresh());
});
