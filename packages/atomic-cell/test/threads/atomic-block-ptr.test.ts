import { SharedMemory } from '@shmalloc/allocator-api';
import { AtomicBlockPtr } from '@shmalloc/atomic-cell';
import test from 'ava';
import { CELL } from '../support/places.ts';
import { BACKINGS } from '../support/team.ts';

/** Both halves of the address space, and its ends. */
const ADDRESSES = [0, 16, 2 ** 31 - 16, 2 ** 31, 2 ** 31 + 16, 2 ** 32 - 16];

test('addresses of both halves come out as they went in', (t) => {
  const ptr = new AtomicBlockPtr(SharedMemory.create({ bytes: 65536 }), CELL);
  t.is(ptr.load(), 0);
  let before = 0;
  for (const address of ADDRESSES) {
    t.is(ptr.swap(address), before);
    t.is(ptr.load(), address);
    ptr.store(0);
    t.is(ptr.load(), 0);
    ptr.store(address);
    t.is(ptr.load(), address);
    before = address;
  }
});

test('compareExchange says what it found, and changes only what was expected', (t) => {
  const ptr = new AtomicBlockPtr(SharedMemory.create({ bytes: 65536 }), CELL);
  for (const from of ADDRESSES) {
    for (const to of ADDRESSES) {
      ptr.store(from);
      t.is(ptr.compareExchange(from + 4, to), from, 'refused');
      t.is(ptr.load(), from);
      t.is(ptr.compareExchange(from, to), from, 'granted');
      t.is(ptr.load(), to);
    }
  }
});

test('a clone is a snapshot: neither sees what is done to the other', (t) => {
  const memory = SharedMemory.create({ bytes: 65536 });
  const ptr = new AtomicBlockPtr(memory, CELL);
  ptr.store(2 ** 31 + 32);
  const clone = ptr.clone();
  t.is(clone.load(), 2 ** 31 + 32);
  ptr.store(16);
  t.is(clone.load(), 2 ** 31 + 32);
  clone.store(48);
  t.is(ptr.load(), 16);
  t.is(memory.u32[CELL / 4], 16);
  t.is(new AtomicBlockPtr(memory, CELL).load(), 16, 'the same word is the same cell');
});

test('what is no address is refused by name, and the pointer stays as it was', (t) => {
  const ptr = new AtomicBlockPtr(SharedMemory.create({ bytes: 65536 }), CELL);
  ptr.store(64);
  for (const [value, name] of [
    [-16, 'RangeError'],
    [0.5, 'RangeError'],
    [Number.NaN, 'RangeError'],
    [2 ** 32, 'AllocError'],
    ['64', 'TypeError'],
    [undefined, 'TypeError'],
    [64n, 'TypeError'],
  ] as const) {
    const refused = { name, message: new RegExp(`got "?${value}`) };
    t.throws(() => ptr.store(value as never), refused);
    t.throws(() => ptr.swap(value as never), refused);
    t.throws(() => ptr.compareExchange(64, value as never), refused);
    t.throws(() => ptr.compareExchange(value as never, 0), refused);
    t.is(ptr.load(), 64);
  }
});

for (const backing of BACKINGS) {
  test(`a pointer in the upper half of a 4 GiB region (${backing})`, (t) => {
    const memory = SharedMemory.create({ bytes: 2 ** 32, backing });
    const ptr = new AtomicBlockPtr(memory, 2 ** 32 - 8);
    ptr.store(2 ** 32 - 64);
    t.is(memory.u32[(2 ** 32 - 8) / 4], 2 ** 32 - 64);
    t.is(ptr.compareExchange(2 ** 32 - 64, 2 ** 31), 2 ** 32 - 64);
    t.is(ptr.swap(0), 2 ** 31);
  });
}
