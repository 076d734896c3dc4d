/**
 * Regions of 4 GiB. They are only reserved; the few pages that are touched here are all that the machine
 * gives.
 */
import {
  alignDown,
  alignUp,
  MAX_BYTES,
  NULL,
  SCALAR_BYTES,
  type ScalarType,
  SharedMemory,
} from '@shmalloc/allocator-api';
import test from 'ava';
import fc from 'fast-check';
import { addresses, checkProperty } from '../support/arbitraries.ts';
import { Peer } from '../support/peer.ts';
import { GIB, KIB, SAMPLES } from '../support/sources.ts';

const TYPES = Object.keys(SCALAR_BYTES) as ScalarType[];
/** The last and first words around the places where signed and unsigned 32-bit addresses differ. */
const EDGES = [2 * GIB - 8, 2 * GIB, 2 * GIB + 8, 3 * GIB, 4 * GIB - 64 * KIB, 4 * GIB - 8];

for (const backing of ['sab', 'wasm'] as const) {
  const memory = SharedMemory.create({ bytes: MAX_BYTES, backing });

  test(`${backing}: a region of 4 GiB is read and written through every view above 2 GiB`, (t) => {
    t.is(memory.end, MAX_BYTES);
    for (const type of TYPES) {
      const bytes = SCALAR_BYTES[type];
      t.is(memory[type].length, MAX_BYTES / bytes, type);
      for (const address of EDGES) {
        const sample = type === 'f32' ? Math.fround(SAMPLES.f32 as number) : SAMPLES[type];
        memory[type][address / bytes] = sample;
        const block = memory.view(type, address, 8 / bytes);
        t.is(block.byteOffset, address, `${type} at ${address}`);
        t.is(block[0], sample, `${type} at ${address}`);
        block[block.length - 1] = sample;
        t.is(memory[type][(address + 8) / bytes - 1], sample, `${type} at ${address}`);
      }
    }
  });

  test(`${backing}: a second thread reads and writes above 2 GiB`, async (t) => {
    const peer = new Peer();
    await peer.ask({ op: 'attach', source: memory.source });
    for (const type of TYPES) {
      for (const address of EDGES) {
        const here = alignDown(address, 4 * KIB) + 2 * KIB; // apart from what the other tests write
        const sample = type === 'f32' ? Math.fround(SAMPLES.f32 as number) : SAMPLES[type];
        await peer.ask({ op: 'write', type, address: here, value: sample });
        t.is(memory[type][here / SCALAR_BYTES[type]], sample, `${type} at ${here}`);
        memory[type][here / SCALAR_BYTES[type] + 1] = sample;
        const back = await peer.ask({ op: 'index', type, address: here + SCALAR_BYTES[type] });
        t.is(back, sample, `${type} at ${here}`);
      }
    }
    await peer.close();
  });

  test(`${backing}: a sub-range may lie in the upper half`, async (t) => {
    const part = SharedMemory.from(memory.source, 3 * GIB, 4 * GIB);
    t.is(part.end - part.start, GIB);
    const peer = new Peer();
    await peer.ask({ op: 'attach', source: part.source, start: part.start, end: part.end });
    t.like(await peer.ask<object>({ op: 'shape' }), { start: 3 * GIB, end: 4 * GIB });
    await peer.close();
  });

  test(`${backing}: the last byte is reached, the one after it is not`, (t) => {
    memory.view('u8', MAX_BYTES - 1, 1)[0] = 0xff;
    t.is(memory.u8[MAX_BYTES - 1], 0xff);
    memory.u8[MAX_BYTES - 1] = 0;
    t.is(memory.view('u8', MAX_BYTES, 0).length, 0);
    t.throws(() => memory.view('u8', MAX_BYTES, 1), { instanceOf: RangeError });
    t.throws(() => memory.view('u64', MAX_BYTES - 8, 2), { instanceOf: RangeError });
    t.throws(() => memory.view('u64', MAX_BYTES - 4, 1), { instanceOf: RangeError });
  });

  test(`${backing}: an aligned address survives the trip through a u32 word of the region`, (t) => {
    const word = 64;
    checkProperty(
      t,
      fc.property(addresses, fc.integer({ min: 0, max: 20 }), (address, bit) => {
        const aligned = alignUp(address, 2 ** bit);
        if (aligned === MAX_BYTES) return;
        memory.u32[word / 4] = aligned;
        t.is(memory.u32[word / 4], aligned);
        t.is(memory.i32[word / 4] >>> 0, aligned);
      }),
    );
    memory.u32[word / 4] = NULL;
  });
}
