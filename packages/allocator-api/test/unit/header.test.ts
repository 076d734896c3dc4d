import {
  AllocError,
  checkRange,
  demandWord,
  HEADER_MAGIC,
  type HeaderKind,
  openHeader,
  publishHeader,
  SharedMemory,
  writeIdentity,
  wrongLayout,
} from '@shmalloc/allocator-api';
import test from 'ava';

const KIND: HeaderKind = {
  algorithm: 'test',
  code: 0x54455354,
  version: 3,
  words: 8,
  align: 64,
  nullWords: 4,
  grown: 5,
};

/** A memory with a finished header at `start`. */
function made(start: number): SharedMemory {
  const memory = SharedMemory.create({ memory: new SharedArrayBuffer(4096), start });
  writeIdentity(memory, start / 4, KIND);
  publishHeader(memory.i32, start / 4);
  return memory;
}

test('a header that was published is found by its handle', (t) => {
  const { source } = made(128);
  const { memory, header } = openHeader({ algorithm: 'test', memory: source, start: 128 }, KIND);
  t.is(header, 32);
  t.is(memory.i32[header], HEADER_MAGIC);
});

test('a header is not found before it is published', (t) => {
  const memory = SharedMemory.create({ memory: new SharedArrayBuffer(4096), start: 64 });
  writeIdentity(memory, 16, KIND);
  t.throws(() => openHeader({ algorithm: 'test', memory: memory.source, start: 64 }, KIND), {
    message: 'cannot attach test at address 64: wrong magic 0x0, expected 0x53484d31',
  });
});

test('another algorithm, another version, and places where no header can lie are refused by name', (t) => {
  const { source } = made(64);
  const open = (kind: Partial<HeaderKind>, start = 64): unknown =>
    openHeader({ algorithm: 'test', memory: source, start }, { ...KIND, ...kind });
  const refused = { instanceOf: AllocError, code: 'InvalidParam' };
  t.throws(() => open({ code: 1 }), { ...refused, message: /wrong algorithm 0x54455354, expected 0x1/ });
  t.throws(() => open({ version: 4 }), { ...refused, message: /wrong version 0x3, expected 0x4/ });
  t.throws(() => open({}, 32), { ...refused, message: /address 32, where no header can lie/ });
  t.throws(() => open({ words: 2000 }), { ...refused, message: /where no header can lie/ });
  t.throws(() => openHeader({ algorithm: 'other', memory: source, start: 64 }, KIND), {
    ...refused,
    message: /belongs to the algorithm other, not to test/,
  });
  t.throws(() => openHeader(7 as never, KIND), { instanceOf: TypeError });
});

test('demandWord names what is wrong, in hexadecimal', (t) => {
  t.notThrows(() => demandWord(KIND, 4, 'geometry', 5, 5));
  t.throws(() => demandWord(KIND, 4, 'geometry', -1, 5), {
    message: 'cannot attach test at address 16: wrong geometry 0xffffffff, expected 0x5',
  });
});

test('checkRange gives the end of a range that memory has, grown or not', (t) => {
  const memory = SharedMemory.create({ bytes: 65_536, maxBytes: 131_072 });
  t.is(checkRange(memory, 16, 100), 116);
  t.throws(() => checkRange(memory, 65_536, 1), {
    code: 'InvalidParam',
    message: `[65536, 65537) does not fit into memory of ${memory.byteLength} bytes`,
  });
  SharedMemory.from(memory.source).grow(65_536);
  t.is(checkRange(memory, 65_536, 1), 65_537);
  t.throws(() => checkRange(memory, -1, 1), { instanceOf: RangeError, message: /start/ });
  t.throws(() => checkRange(memory, 0, '1' as never), { instanceOf: TypeError, message: /size/ });
});

test('wrongLayout names all four numbers', (t) => {
  const error = wrongLayout(4096, 16, 100, 8);
  t.is(error.code, 'InvalidParam');
  t.is(error.message, 'dealloc(4096): the block of 16 usable bytes was not allocated with size 100, align 8');
});
