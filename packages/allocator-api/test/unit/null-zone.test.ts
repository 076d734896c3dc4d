import {
  checkNullZone,
  type HeaderKind,
  headerWord,
  layNullZone,
  nullWordsOf,
  openHeader,
  openRegion,
  publishHeader,
  SharedMemory,
  takeNullWrite,
  writeIdentity,
} from '@shmalloc/allocator-api';
import test from 'ava';

const KIB = 1024;

test('a region that starts at 0 keeps 1 KiB clear, or 64 bytes when it is below 256 KiB; any other region nothing', (t) => {
  const words = (bytes: number, start = 0): number =>
    nullWordsOf(SharedMemory.create({ memory: new SharedArrayBuffer(bytes), start }));
  t.is(words(256 * KIB) * 4, KIB);
  t.is(words(256 * KIB - 4) * 4, 64);
  t.is(words(512 * KIB, 64), 0);
});

test('each word of the zone that is written to is named, with what it holds', (t) => {
  const i32 = new Int32Array(new SharedArrayBuffer(4 * KIB));
  layNullZone(i32, 256);
  t.is(checkNullZone(i32, 256), null);
  for (let word = 0; word < 256; word++) {
    i32[word] = -1;
    const error = checkNullZone(i32, 256);
    t.is(error?.code, 'Corrupted');
    t.regex(error?.message ?? '', new RegExp(`address ${word * 4} was written to \\(0xffffffff\\).*NULL`));
    t.is(takeNullWrite(i32, 256)?.message, error?.message, 'told …');
    t.is(takeNullWrite(i32, 256), null, '… once');
  }
  i32[256] = -1;
  t.is(checkNullZone(i32, 256), null, 'what lies behind is not looked at');
});

test('a zone of any length that a damaged header tells is looked at for 1 KiB at most', (t) => {
  const i32 = new Int32Array(new SharedArrayBuffer(4 * KIB));
  layNullZone(i32, 256);
  t.is(checkNullZone(i32, 2 ** 31 - 1), null);
  t.is(checkNullZone(i32, -5), null);
});

test('a heap of which the region starts at 0 has its header behind the zone, and no view starts at NULL', (t) => {
  const kind: HeaderKind = {
    algorithm: 'test',
    code: 1,
    version: 1,
    words: 8,
    align: 64,
    nullWords: 4,
    grown: 5,
  };
  const memory = openRegion({ bytes: 256 * KIB });
  const start = headerWord(memory, { align: 64 }) * 4;
  t.is(start, KIB);
  writeIdentity(memory, start / 4, kind);
  publishHeader(memory.i32, start / 4);
  const attached = openHeader({ algorithm: 'test', memory: memory.source, start }, kind).memory;
  t.is(checkNullZone(attached.i32, attached.i32[start / 4 + kind.nullWords]), null);
  for (const each of [memory, attached]) {
    t.throws(() => each.view('f64', 0, 128), {
      instanceOf: RangeError,
      message: "view('f64', 0, 128): address 0 is NULL and no block lies there; did an allocation answer 0?",
    });
    t.is(each.view('u8', 0, 0).length, 0);
    t.is(each.view('u8', 8, 1).length, 1);
  }
  t.is(
    SharedMemory.from(memory.source).view('u8', 0, 1).length,
    1,
    'memory that is no heap has a first byte',
  );
});
