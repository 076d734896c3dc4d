import { AllocError } from '@shmalloc/allocator-api';
import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import {
  geometryOf,
  OS_PAGE_BYTES,
  SEGMENTS_PER_CHUNK,
  segmentShiftFor,
} from '../../dist/layout/geometry.js';
import { forEachSegment } from '../../dist/region/walk.js';
import { headerField, segmentBytes, small } from '../support/harness.ts';
import { tldOf } from '../support/inside.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

/** Bytes of the segments that have an owner. */
function claimedBytes(heap: MiMalloc): number {
  let bytes = 0;
  forEachSegment(tldOf(heap), (segment) => {
    if (tldOf(heap).i32[segment] !== 0) bytes += segmentBytes(heap);
  });
  return bytes;
}

/** Sizes from 128 KiB to 4 GiB: each power of two, what is around it, and what lies between. */
const SIZES = Array.from({ length: 16 }, (_, power) => 128 * KIB * 2 ** power).flatMap((size) =>
  [size - 64 * KIB, size, size + 64 * KIB, size * 1.5].filter((each) => each >= 128 * KIB && each <= 4 * GIB),
);

test('a first malloc claims at most 1/16 of a region from 1 MiB up, and one segment of a smaller one', (t) => {
  for (const bytes of SIZES) {
    const heap = small({ memory: new SharedArrayBuffer(bytes) });
    t.is(claimedBytes(heap), 0);
    const block = heap.malloc(100);
    t.not(block, 0, `${bytes} bytes`);
    const claimed = claimedBytes(heap);
    t.is(claimed, segmentBytes(heap));
    if (bytes >= MIB) t.true(claimed <= bytes / 16, `${claimed} of ${bytes} bytes`);
    heap.free(block);
    heap.collect(true);
    heap.validate({ quiet: true });
    t.is(claimedBytes(heap), 0, 'and gives it back');
  }
});

test('the geometry of a region is that of its length, wherever it starts and whatever buffer it is in', (t) => {
  const memory = new SharedArrayBuffer(4 * GIB);
  for (const bytes of [256 * KIB, MIB, 8 * MIB, 100 * MIB]) {
    const alone = small({ memory: new SharedArrayBuffer(bytes) });
    for (const start of [0, 3 * MIB, 2 * GIB - 64 * KIB, 4 * GIB - bytes]) {
      const heap = small({ memory, start, end: start + bytes });
      t.is(segmentBytes(heap), segmentBytes(alone));
      t.is(headerField(heap, 'segmentShift'), headerField(alone, 'segmentShift'));
    }
  }
});

test('every segment size divides into slices of whole OS pages, whose bitmap has at most 64 bits', (t) => {
  for (let shift = 16; shift <= 22; shift++) {
    const { segmentShift, sliceShift, chunkShift, slicesPerSegment } = geometryOf(shift);
    t.is(4 << segmentShift, 1 << shift);
    t.is(slicesPerSegment << sliceShift, 1 << segmentShift);
    t.true(slicesPerSegment >= 16 && slicesPerSegment <= 64, `${slicesPerSegment} slices`);
    t.true((4 << sliceShift) % OS_PAGE_BYTES === 0 && 4 << sliceShift <= 64 * KIB);
    t.is(1 << chunkShift, SEGMENTS_PER_CHUNK << segmentShift);
  }
});

test('segments grow with the region and are never larger than 4 MiB or smaller than 64 KiB', (t) => {
  let before = 0;
  for (const bytes of SIZES.toSorted((a, b) => a - b)) {
    const shift = segmentShiftFor(bytes);
    t.true(shift >= before && shift >= 16 && shift <= 22, `${bytes}`);
    before = shift;
  }
  t.is(segmentShiftFor(4 * GIB), 22);
  t.is(segmentShiftFor(1), 16);
});

test('a segment size that there is none of is refused by name', (t) => {
  for (const shift of [0, 15, 23, 32]) {
    t.throws(() => geometryOf(shift), { instanceOf: AllocError, message: new RegExp(`2\\^${shift}`) });
  }
  for (const segmentShift of [15, 23]) {
    t.throws(() => MiMalloc.create({ bytes: MIB, backing: 'sab', segmentShift }), {
      instanceOf: AllocError,
      message: new RegExp(`segmentShift.*${segmentShift}`),
    });
  }
});

test('the segment size can be chosen, and every choice works in a region that has room for it', (t) => {
  for (let segmentShift = 16; segmentShift <= 22; segmentShift++) {
    const heap = small({ bytes: 16 * MIB, segmentShift });
    t.is(segmentBytes(heap), 1 << segmentShift);
    const blocks = [8, 100, 1000, 10_000, 100_000, 1_000_000].map((size) => heap.malloc(size));
    t.true(blocks.every((block) => block !== 0));
    heap.validate({ quiet: true });
    for (const block of blocks) heap.free(block);
    heap.collect(true);
    heap.validate({ quiet: true });
    t.is(heap.usedBytes(), 0);
  }
});
