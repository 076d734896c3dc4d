/**
 * A hundred million operations on one heap. The witness is a cheap one of its own: a byte for each 16 bytes
 * of the region that says which block has them, and a stamp in each block's first and last word.
 *
 * ```
 *   region   ├──────┤ block ├───────────────┤ block ├────────┤
 *   owners   │ 0  0  7  7  7  0  0  0  0  0  3  3  0  0  0  0│     a block's number, not 0; large blocks mark their two ends
 * ```
 */
import { MiMalloc } from '@shmalloc/mimalloc';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { counted, type Random, randomOf, seedOf } from '../support/harness.ts';
import { MIXTURES } from '../support/mixtures.ts';
import { soak as soakThreads } from '../support/soak.ts';

const OPERATIONS = Number(process.env.SOAK_OPERATIONS ?? 100_000_000);
const BYTES = 64 * 2 ** 20;
const SLOTS = 1 << 14;
const VALIDATE_EVERY = 1_000_000;
/** Up to this many bytes a block marks every granule. */
const WHOLE = 1024;

/** One that has which granule. */
class Witness {
  private readonly owners = new Uint8Array(BYTES / 16);
  private readonly words: Int32Array;

  constructor(words: Int32Array) {
    this.words = words;
  }

  /** Takes down a new block, and stamps it. Returns what is wrong, or nothing. */
  enter(block: number, size: number): string {
    if (block % 8 !== 0 || (size >= 16 && block % 16 !== 0))
      return `${size} bytes at ${block} are misaligned`;
    if (block + size > BYTES) return `${size} bytes at ${block} leave the region`;
    if (size < 16) return this.stamp(block, size);
    const number = 1 + ((block >>> 4) % 255);
    const last = (block + size - 1) >>> 4;
    const step = size <= WHOLE ? 1 : last - (block >>> 4);
    for (let at = block >>> 4; at <= last; at += step) {
      if (this.owners[at] !== 0) return `${size} bytes at ${block} overlap a live block at ${at * 16}`;
      this.owners[at] = number;
    }
    return this.stamp(block, size);
  }

  /** Compares a block's stamp, and crosses it out. */
  leave(block: number, size: number): string {
    const stamp = stampOf(block, size);
    const last = (block + size - 4) >>> 2;
    if (size >= 8 && (this.words[block >>> 2] !== stamp || this.words[last] !== ~stamp)) {
      return `${size} bytes at ${block} were written to by somebody`;
    }
    if (size < 16) return '';
    const end = (block + size - 1) >>> 4;
    const step = size <= WHOLE ? 1 : end - (block >>> 4);
    const number = 1 + ((block >>> 4) % 255);
    for (let at = block >>> 4; at <= end; at += step) {
      if (this.owners[at] !== number)
        return `${size} bytes at ${block} were taken by another block at ${at * 16}`;
      this.owners[at] = 0;
    }
    return '';
  }

  private stamp(block: number, size: number): string {
    if (size < 8) return '';
    const stamp = stampOf(block, size);
    this.words[block >>> 2] = stamp;
    this.words[(block + size - 4) >>> 2] = ~stamp;
    return '';
  }
}

function stampOf(block: number, size: number): number {
  return Math.imul(block ^ Math.imul(size, 0x85ebca6b), 0xc2b2ae35) | 1;
}

/** Runs until `operations` are done; returns what went wrong, or nothing. */
function soak(t: ExecutionContext, heap: MiMalloc, operations: number, random: Random): string {
  const witness = new Witness(heap.memory.i32);
  const blocks = new Uint32Array(SLOTS);
  const sizes = new Uint32Array(SLOTS);
  let refused = 0;
  let mixture = MIXTURES[0];
  let slots = SLOTS;
  for (let done = 0; done < operations; done++) {
    if (done % 500_000 === 0) {
      mixture = MIXTURES[random(MIXTURES.length)];
      slots = 1 << (4 + random(11));
    }
    if (done % VALIDATE_EVERY === 0) heap.validate({ quiet: true });
    const slot = random(slots);
    const old = blocks[slot];
    let wrong = '';
    if (old !== 0) {
      wrong = witness.leave(old, sizes[slot]);
      heap.free(old);
      blocks[slot] = 0;
    } else {
      const size = mixture(random);
      const block = heap.malloc(size);
      if (block === 0) refused++;
      else {
        wrong = witness.enter(block, size);
        blocks[slot] = block;
        sizes[slot] = size;
      }
    }
    if (wrong !== '') return `after ${done} operations: ${wrong}`;
  }
  t.log(
    `${operations} operations, ${refused} answered with 0, ${counted(heap, 'pages')} pages, ${heap.usedBytes()} bytes in use`,
  );
  heap.validate({ quiet: true });
  for (let slot = 0; slot < SLOTS; slot++) {
    if (blocks[slot] === 0) continue;
    const wrong = witness.leave(blocks[slot], sizes[slot]);
    if (wrong !== '') return `at the end: ${wrong}`;
    heap.free(blocks[slot]);
  }
  return '';
}

test(`${OPERATIONS} operations on one heap overlap nothing, lose nothing and leave it sound`, (t) => {
  t.timeout(10 * 60_000);
  const heap = MiMalloc.create({ bytes: BYTES, grow: false });
  t.is(soak(t, heap, OPERATIONS, randomOf(seedOf(t))), '');
  heap.collect(true);
  heap.validate({ quiet: true });
  t.is(heap.usedBytes(), 0);
  t.is(counted(heap, 'segmentsClaimed'), counted(heap, 'segmentsReleased'));
});

test('ten million operations of random programs on real workers, in memory that grows', async (t) => {
  t.timeout(25 * 60_000);
  const seed = seedOf(t);
  const { operations, rounds, fault } = await soakThreads({ seed, operations: 10_000_000 });
  t.log(`${operations} operations in ${rounds} rounds`);
  t.is(fault, '', `round ${rounds - 1} of seed ${seed}`);
});
