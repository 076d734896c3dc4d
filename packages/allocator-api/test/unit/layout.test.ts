import {
  AllocError,
  defaultAlign,
  Layout,
  MAX_BYTES,
  SCALAR_BYTES,
  type ScalarType,
} from '@shmalloc/allocator-api';
import test from 'ava';
import fc from 'fast-check';
import { aligns, checkProperty } from '../support/arbitraries.ts';

test('malloc aligns to 16 from 16 bytes on and to 8 below', (t) => {
  t.is(defaultAlign(0), 8);
  t.is(defaultAlign(15), 8);
  t.is(defaultAlign(16), 16);
  t.is(defaultAlign(MAX_BYTES), 16);
  t.is(new Layout(15).align, 8);
  t.is(new Layout(16).align, 16);
});

test('a layout keeps its size and pads it to its alignment', (t) => {
  const layout = new Layout(10, 8);
  t.is(layout.size, 10);
  t.is(layout.align, 8);
  t.is(layout.paddedSize, 16);
  t.is(new Layout(0, 4096).paddedSize, 0);
  t.is(new Layout(MAX_BYTES, 8).size, MAX_BYTES);
});

test('a layout of machine values has their size and alignment', (t) => {
  for (const [type, bytes] of Object.entries(SCALAR_BYTES) as [ScalarType, number][]) {
    t.is(Layout.of(type).size, bytes);
    t.is(Layout.of(type, 3).size, 3 * bytes);
    t.is(Layout.of(type, 3).align, bytes);
  }
  t.deepEqual(Object.keys(SCALAR_BYTES), [
    'i8',
    'u8',
    'i16',
    'u16',
    'i32',
    'u32',
    'i64',
    'u64',
    'f32',
    'f64',
  ]);
});

test('repeat, alignTo and padTo derive layouts', (t) => {
  const row = new Layout(10, 8).repeat(3);
  t.is(row.size, 48);
  t.is(row.align, 8);
  const raised = new Layout(10, 8).alignTo(64);
  t.is(raised.size, 10);
  t.is(raised.align, 64);
  t.is(raised.alignTo(16).align, 64, 'alignTo never lowers');
  const line = Layout.of('f64', 2).repeat(2).padTo(64);
  t.is(line.size, 64);
  t.is(line.align, 64);
});

test('bad input is named: kind, range, alignment, and a whole beyond 4 GiB', (t) => {
  t.throws(() => new Layout('8' as never), { instanceOf: TypeError, message: /^size .*"8"/ });
  t.throws(() => new Layout(-8), { instanceOf: RangeError, message: /^size .*-8/ });
  t.throws(() => new Layout(8, 'page' as never), { instanceOf: TypeError, message: /^align .*"page"/ });
  t.throws(() => new Layout(8, 1.5), { instanceOf: RangeError, message: /^align .*1\.5/ });
  t.throws(() => Layout.of(4 as never), { instanceOf: TypeError, message: /^type .*4/ });
  t.throws(() => Layout.of('f32', -1), { instanceOf: RangeError, message: /^length .*-1/ });
  t.throws(() => new Layout(8).repeat(0.5), { instanceOf: RangeError, message: /^count .*0\.5/ });
  for (const [make, message] of [
    [() => new Layout(8, 12), /^align .*12$/],
    [() => new Layout(8).alignTo(0), /^align .*0$/],
    [() => new Layout(8).padTo(100), /^align .*100$/],
    [() => Layout.of('f16' as never), /^type must be one of i8, .*"f16"$/],
    [() => new Layout(MAX_BYTES + 1, 1), /^size 4294967297 rounded up to align 1 exceeds 4 GiB$/],
    [() => new Layout(MAX_BYTES - 1, 2 ** 31).padTo(2 ** 31).repeat(2), /^size 8589934592 .*4 GiB$/],
    [() => new Layout(16).repeat(2 ** 40), /exceeds 4 GiB$/],
  ] as const) {
    const error = t.throws(make, { instanceOf: AllocError, message });
    t.is(error?.code, 'InvalidParam');
  }
});

test('padding is less than the alignment, for every size up to 4 GiB', (t) => {
  checkProperty(
    t,
    fc.property(fc.integer({ min: 0, max: MAX_BYTES }), aligns, (size, align) => {
      const layout = new Layout(size, align);
      t.is(layout.paddedSize % align, 0);
      t.true(layout.paddedSize >= size && layout.paddedSize - size < align);
      t.is(layout.padTo(align).size, layout.paddedSize);
    }),
  );
});
