import test from 'ava';
import fc from 'fast-check';
import { Shadow } from '../../dist/oracle/shadow.js';

const BYTES = 8 << 20;

/**
 * Addresses and sizes near the borders that matter: granules, words of bits (256), pages (4096), long records
 * (1 MiB).
 */
const borders = fc
  .tuple(
    fc.oneof(fc.nat(2), fc.nat(BYTES / 4096 - 1)),
    fc.constantFrom(0, 8, 248, 256, 264, 2048, 4080, 4088),
  )
  .map(([page, offset]) => page * 4096 + offset);
const sizes = fc.oneof(
  fc.nat(40),
  fc.constantFrom(248, 256, 257, 4088, 4096, 4097, 8192, 12_288, 2 ** 20 - 2, 2 ** 20 - 1, 2 ** 20, 3 << 20),
  fc.nat(100_000),
);

/** The same set in a few lines: an array. */
class Model {
  readonly blocks: { thread: number; address: number; size: number }[] = [];

  overlapping(address: number, size: number) {
    const end = address + Math.max(8, Math.ceil(size / 8) * 8);
    return this.blocks.find(
      (b) => b.address < end && address < b.address + Math.max(8, Math.ceil(b.size / 8) * 8),
    );
  }
}

test('claims, releases and owners are those of a plain list of intervals', (t) => {
  const seed = Date.now() % 2 ** 31;
  t.log(`seed ${seed}`);
  const step = fc.record({
    address: borders,
    size: sizes,
    thread: fc.nat(4094),
    pick: fc.option(fc.nat(100)),
  });
  const run = (steps: { address: number; size: number; thread: number; pick: number | null }[]) => {
    const shadow = Shadow.create(BYTES);
    const model = new Model();
    for (const { address, size, thread, pick } of steps) {
      if (pick !== null && model.blocks.length > 0) {
        const [block] = model.blocks.splice(pick % model.blocks.length, 1);
        if (shadow.release(block.address, block.size + 1)) throw new Error('released with a wrong size');
        if (!shadow.release(block.address, block.size)) throw new Error('a live block was not released');
        if (shadow.release(block.address, block.size)) throw new Error('a block was released twice');
        continue;
      }
      if (address + Math.max(size, 8) > BYTES) continue;
      const taken = shadow.claim(thread, address, size);
      const other = model.overlapping(address, size);
      if ((taken === -1) !== (other === undefined))
        throw new Error(`claim of [${address}, +${size}) gave ${taken}`);
      if (other === undefined) model.blocks.push({ thread, address, size });
      else if (!model.blocks.some((b) => JSON.stringify(b) === JSON.stringify(shadow.ownerOf(taken)))) {
        throw new Error(`the owner of ${taken} is said to be ${JSON.stringify(shadow.ownerOf(taken))}`);
      }
      const sorted = model.blocks.toSorted((a, b) => a.address - b.address);
      if (JSON.stringify([...shadow.blocks()]) !== JSON.stringify(sorted)) throw new Error('the sets differ');
    }
  };
  fc.assert(fc.property(fc.array(step, { maxLength: 40, size: 'max' }), run), { seed, numRuns: 100 });
  t.pass();
});

test('a claim that fails leaves nothing behind', (t) => {
  const shadow = Shadow.create(BYTES);
  t.is(shadow.claim(1, 40_960, 8), -1);
  t.is(shadow.claim(2, 8, 100_000), 40_960);
  t.true(shadow.release(40_960, 8));
  t.is(shadow.claim(3, 0, BYTES), -1);
});

test('a claim that fails inside a page leaves no bit set, in the word where it fails and in those before', (t) => {
  const shadow = Shadow.create(BYTES);
  // Granules 40 … 43, in the second word of 32 bits.
  t.is(shadow.claim(1, 320, 32), -1);
  t.is(shadow.claim(2, 288, 96), 320, 'bits on both sides in the same word');
  t.is(shadow.claim(2, 0, 352), 320, 'all bits of the word before');
  t.true(shadow.release(320, 32));
  for (let address = 0; address < 512; address += 8) t.is(shadow.claim(3, address, 8), -1, `${address}`);
});

test('only where a block starts is it in the set: not inside, not between granules, not 4 GiB further', (t) => {
  const shadow = Shadow.create(BYTES);
  // The size's lower 20 bits are 48: what stands behind the first word of the long record reads like a block
  // of 48 bytes.
  const size = (2 << 20) + 48;
  shadow.claim(1, 4096, size);
  for (const [address, bytes] of [
    [4096 + 8, 48],
    [4096 + 4, size],
    [4096.5, size],
    [4096 + 2 ** 32, size],
    [4096 - 2 ** 32, size],
    [BYTES + 4096, size],
    [Number.NaN, size],
    [4096, size + 2 ** 32],
  ]) {
    t.false(shadow.has(address, bytes), `${address}`);
    t.false(shadow.release(address, bytes), `${address}`);
  }
  t.deepEqual([...shadow.blocks()], [{ thread: 1, address: 4096, size }]);
  t.true(shadow.release(4096, size));
  t.is(shadow.claim(2, 0, BYTES), -1);
});

test('no owner is found where there is none', (t) => {
  const shadow = Shadow.create(BYTES);
  t.is(shadow.ownerOf(4096), undefined);
  shadow.claim(1, 64, 8);
  t.is(shadow.ownerOf(128), undefined);
  t.is(shadow.ownerOf(0), undefined);
  t.false(shadow.has(64, 9));
  t.true(shadow.has(64, 8));
});
