import {
  alignDown,
  alignUp,
  isAligned,
  isPowerOfTwo,
  MAX_BYTES,
  NULL,
  nextPowerOfTwo,
} from '@shmalloc/allocator-api';
import test from 'ava';
import fc from 'fast-check';
import { addresses, aligns, checkProperty } from '../support/arbitraries.ts';

const GIB = 2 ** 30;

test('NULL is 0 and a region has at most 4 GiB', (t) => {
  t.is(NULL, 0);
  t.is(MAX_BYTES, 4 * GIB);
});

test('isPowerOfTwo knows the 32 powers from 1 to 2^31 and nothing else', (t) => {
  for (let bit = 0; bit < 32; bit++) {
    t.true(isPowerOfTwo(2 ** bit), `2^${bit}`);
    if (bit > 1) {
      t.false(isPowerOfTwo(2 ** bit - 1), `2^${bit} - 1`);
      t.false(isPowerOfTwo(2 ** bit + 1), `2^${bit} + 1`);
    }
  }
  for (const value of [
    0,
    -1,
    -8,
    -(2 ** 31),
    0.5,
    1.5,
    2 ** 32,
    2 ** 33,
    2 ** 53,
    NaN,
    Infinity,
    -Infinity,
  ]) {
    t.false(isPowerOfTwo(value), String(value));
  }
});

test('alignment keeps addresses unsigned across 2^31 and reaches 2^32', (t) => {
  t.is(alignUp(2 * GIB - 1, 16), 2 * GIB);
  t.is(alignUp(2 * GIB, 16), 2 * GIB);
  t.is(alignUp(2 * GIB + 1, 16), 2 * GIB + 16);
  t.is(alignDown(2 * GIB + 15, 16), 2 * GIB);
  t.is(alignDown(4 * GIB - 1, 4096), 4 * GIB - 4096);
  t.is(alignUp(4 * GIB - 1, 8), 4 * GIB);
  t.is(alignUp(4 * GIB, 2 * GIB), 4 * GIB);
  t.is(alignUp(1, 2 * GIB), 2 * GIB);
  t.is(alignUp(2 * GIB + 1, 2 * GIB), 4 * GIB);
  t.is(alignDown(4 * GIB - 1, 2 * GIB), 2 * GIB);
  t.is(alignDown(4 * GIB, 2 * GIB), 4 * GIB);
  t.true(isAligned(4 * GIB, 2 * GIB));
  t.true(isAligned(3 * GIB, GIB));
  t.false(isAligned(3 * GIB, 2 * GIB));
  t.false(isAligned(4 * GIB - 1, 2));
});

test('alignDown and alignUp are the nearest multiples, as whole-number arithmetic says', (t) => {
  checkProperty(
    t,
    fc.property(addresses, aligns, (address, align) => {
      const down = Number((BigInt(address) / BigInt(align)) * BigInt(align));
      const exact = down === address;
      t.is(alignDown(address, align), down);
      t.is(alignUp(address, align), exact ? address : down + align);
      t.is(isAligned(address, align), exact);
    }),
  );
});

test('nextPowerOfTwo is the smallest power that is not below its argument', (t) => {
  t.is(nextPowerOfTwo(0), 1);
  t.is(nextPowerOfTwo(1), 1);
  t.is(nextPowerOfTwo(2), 2);
  t.is(nextPowerOfTwo(3), 4);
  t.is(nextPowerOfTwo(GIB + 1), 2 * GIB);
  t.is(nextPowerOfTwo(2 * GIB - 1), 2 * GIB);
  t.is(nextPowerOfTwo(2 * GIB), 2 * GIB);
  checkProperty(
    t,
    fc.property(fc.integer({ min: 1, max: 2 * GIB }), (value) => {
      const power = nextPowerOfTwo(value);
      t.true(isPowerOfTwo(power) && power >= value && power / 2 < value, `${value} → ${power}`);
    }),
  );
});
