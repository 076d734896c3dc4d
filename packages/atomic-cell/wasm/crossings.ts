/**
 * The operations that cross threads, as WebAssembly: there an atomic operation is an instruction, where
 * JavaScript's `Atomics` are calls. What each does and promises stands in `src/crossings.ts`;
 * `src/js-crossings.ts` is the same in JavaScript, line by line.
 *
 * The dialect is AssemblyScript. The module has no data, no start function and no stack in memory: it writes
 * what its callers name, and nothing else. `load` and `store` are plain accesses, `atomic.…` are sequentially
 * consistent.
 */

/** Where a word lies. Unsigned: words go up to 2^30 − 1, addresses to 4 GiB. */
function at(word: i32): usize {
  return (word as usize) << 2;
}

// ── Words ──

/** Not `load`, which is the dialect's own word for a plain access; exported as that. */
function read(place: i32): i32 {
  return atomic.load<i32>(at(place));
}

function write(place: i32, value: i32): void {
  atomic.store<i32>(at(place), value);
}

export function claim(place: i32, from: i32, to: i32): bool {
  return atomic.cmpxchg<i32>(at(place), from, to) === from;
}

export function setBits(place: i32, bits: i32): i32 {
  return atomic.or<i32>(at(place), bits);
}

export function clearBits(place: i32, bits: i32): i32 {
  return atomic.and<i32>(at(place), ~bits);
}

export { read as load, write as store };

// ── Lists ──

export function push(place: i32, block: i32): void {
  let head = load<i32>(at(place));
  while (true) {
    // Plain: no other thread looks at the block before the exchange has published it.
    store<i32>(at(block), head);
    // Release: pairs with the exchange in takeAll.
    const found = atomic.cmpxchg<i32>(at(place), head, block);
    if (found === head) return;
    head = found;
  }
}

export function pushUnlessMarked(place: i32, block: i32): bool {
  let head = load<i32>(at(place));
  while (true) {
    if ((head & 1) !== 0) {
      // Acquire: pairs with the `or` that set the mark. Of several threads that saw it, one finds it in the
      // answer.
      head = atomic.and<i32>(at(place), ~1);
      if ((head & 1) !== 0) return false;
    }
    store<i32>(at(block), head);
    // Release: pairs with the `and` in takeAllMarked. Fails when the mark has come, or gone and come, since
    // the look.
    const found = atomic.cmpxchg<i32>(at(place), head, block);
    if (found === head) return true;
    head = found;
  }
}

export function takeAll(place: i32): i32 {
  // Acquire: pairs with the exchange of each push since the last take.
  return load<i32>(at(place)) === 0 ? 0 : atomic.xchg<i32>(at(place), 0);
}

export function takeAllMarked(place: i32): i32 {
  // Acquire: pairs with the exchange of each push since the last take. What stays is bit 0.
  return (load<i32>(at(place)) & ~1) === 0 ? 0 : atomic.and<i32>(at(place), 1) & ~1;
}

// ── Bitmaps ──

/** The bits of a run that lie in one word: `count` of them from `shift` on, as far as the word goes. */
function maskOf(shift: i32, count: i32): i32 {
  return (count < 32 ? (1 << count) - 1 : -1) << shift;
}

export function claimRun(place: i32, words: i32, count: i32): i32 {
  const end = words << 5;
  let first = 0;
  for (let bit = 0; bit < end; ) {
    const rest = load<i32>(at(place + (bit >>> 5))) >>> (bit & 31);
    if ((rest & 1) === 0) {
      bit = rest === 0 ? (bit | 31) + 1 : bit + ctz<i32>(rest);
      first = bit;
      continue;
    }
    // The shift has brought zeros in from above: ones beyond the word's end are not counted.
    bit += ctz<i32>(~rest);
    if (bit - first < count) continue;
    if (claimRunAt(place, first, count)) return first;
    bit = first; // a bit was lost: look at the same place again
  }
  return -1;
}

export function claimRunAt(place: i32, first: i32, count: i32): bool {
  const end = first + count;
  for (let bit = first; bit < end; bit = (bit | 31) + 1) {
    const mask = maskOf(bit & 31, end - bit);
    const word = at(place + (bit >>> 5));
    let bits = load<i32>(word);
    while (true) {
      if ((bits & mask) !== mask) {
        releaseRun(place, first, bit - first);
        return false;
      }
      // Acquire: pairs with the `or` in releaseRun. All bits of a word go at once, so no part of it is ever
      // given back.
      const found = atomic.cmpxchg<i32>(word, bits, bits & ~mask);
      if (found === bits) break;
      bits = found;
    }
  }
  return true;
}

export function releaseRun(place: i32, first: i32, count: i32): void {
  const end = first + count;
  for (let bit = first; bit < end; bit = (bit | 31) + 1) {
    // Release: pairs with the exchange in claimRunAt.
    atomic.or<i32>(at(place + (bit >>> 5)), maskOf(bit & 31, end - bit));
  }
}
