import { SharedMemory } from '@shmalloc/allocator-api';
import { Buddy } from '@shmalloc/buddy';
import test from 'ava';
import { randomOf } from '../support/tools.js';

/** Orders that a block can pass: from 16 bytes to the whole pool. */
const orders = (bytes: number): number => Math.log2(bytes) - 4;

/** Accesses to the region's words by one call, the most that there were: counted from outside. */
function worst(bytes: number): number {
  const handle = Buddy.create({ memory: new SharedArrayBuffer(bytes), lock: 'outside' }).share();
  const memory = SharedMemory.from(handle.memory);
  let steps = 0;
  memory.i32 = new Proxy(memory.i32, {
    get: (words, key) => {
      if (typeof key === 'string' && key.charCodeAt(0) <= 57) {
        steps++;
        return words[key as unknown as number];
      }
      const value = Reflect.get(words, key, words);
      return typeof value === 'function' ? value.bind(words) : value;
    },
    set: (words, key, value) => {
      steps++;
      words[key as unknown as number] = value;
      return true;
    },
  });
  const heap = new Buddy(memory, handle.start / 4);
  const random = randomOf(2332);
  const held: number[] = [];
  let most = 0;
  for (let step = 0; step < 20_000; step++) {
    const before = steps;
    if (random(2) === 0) {
      const block =
        random(4) === 0 ? heap.alignedAlloc(2 ** random(14), random(99)) : heap.malloc(2 ** random(13));
      if (block !== 0) held.push(block);
    } else if (held.length > 0) heap.free(held.splice(random(held.length), 1)[0]);
    most = Math.max(most, steps - before);
  }
  // The longest way: one granule out of the whole pool, and back.
  for (const block of held) heap.free(block);
  const before = steps;
  heap.free(heap.malloc(1));
  most = Math.max(most, steps - before);
  heap.validate();
  return most;
}

test('no call takes more than a fixed number of steps for each order', (t) => {
  const [small, large] = [worst(2 ** 18), worst(2 ** 24)];
  t.log({ small, large });
  t.true(small > orders(2 ** 18));
  t.true(large <= 12 * orders(2 ** 24) + 20, `${large}`);
});
