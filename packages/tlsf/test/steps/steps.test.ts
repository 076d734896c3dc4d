import { scaled } from '@shmalloc/alloc-test';
import { SharedMemory } from '@shmalloc/allocator-api';
import { Basic } from '@shmalloc/basic';
import { Tlsf } from '@shmalloc/tlsf';
import test from 'ava';

/**
 * A step is one access to a word of the region. They are counted from outside, by words that count, so that
 * nothing the allocator does can stay unseen: no loop, no list, no bitmap.
 */
class StepCounter {
  steps = 0;

  /** A heap of this class over `bytes`, whose every access is counted. */
  heap<H extends Tlsf | Basic>(heapClass: typeof Tlsf | typeof Basic, bytes: number): H {
    // Not from address 0: a request that fails would look at the words of NULL, 256 of them at most. No lock:
    // Atomics are not counted.
    const region = { memory: new SharedArrayBuffer(bytes), start: 64 };
    const handle = heapClass.create({ ...region, lock: 'outside' }).share();
    const memory = SharedMemory.from(handle.memory, handle.start);
    memory.i32 = new Proxy(memory.i32, {
      get: (words, key) => {
        if (typeof key === 'string' && key.charCodeAt(0) <= 57) {
          this.steps++;
          return words[key as unknown as number];
        }
        const value = Reflect.get(words, key, words);
        return typeof value === 'function' ? value.bind(words) : value;
      },
      set: (words, key, value) => {
        this.steps++;
        words[key as unknown as number] = value;
        return true;
      },
    });
    return new heapClass(memory, handle.start / 4) as H;
  }

  /** Steps of one operation. */
  of(operation: () => unknown): number {
    const before = this.steps;
    operation();
    return this.steps - before;
  }
}

/** Numbers below `n` from a linear congruential generator: the same on every run. */
function generator(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

const OPERATIONS = ['malloc', 'free', 'alignedAlloc', 'resize'] as const;
type Steps = Record<(typeof OPERATIONS)[number], number>;

/**
 * The worst of `count` operations on a heap that is driven to be as ragged as it can: sizes of every power of
 * two, phases that only allocate until nothing fits, phases that free every other block, so that every size
 * of hole appears and neighbours of each kind meet.
 */
function adversary(heap: Tlsf | Basic, counter: StepCounter, count: number): Steps {
  const worst: Steps = { malloc: 0, free: 0, alignedAlloc: 0, resize: 0 };
  const random = generator(2332);
  const live: number[] = [];
  const measure = (name: keyof Steps, operation: () => unknown): void => {
    worst[name] = Math.max(worst[name], counter.of(operation));
  };
  const size = (): number => 2 ** random(random(4) === 0 ? 14 : 9) + random(64);
  let growing = true;
  for (let step = 0; step < count; step++) {
    let block = 0;
    const choice = random(16);
    if (growing && choice < 11) {
      measure('malloc', () => (block = heap.malloc(size())));
    } else if (growing && choice < 13) {
      measure('alignedAlloc', () => (block = heap.alignedAlloc(2 ** random(13), size())));
    } else if (live.length > 0 && choice < 14) {
      // In place or not at all: a move copies, which no allocator bounds.
      const target = live[random(live.length)];
      const usable = heap.usableSize(target);
      measure('resize', () => heap.realloc(target, random(usable + 1)));
    } else if (live.length > 0) {
      const index = random(live.length);
      measure('free', () => heap.free(live[index]));
      live[index] = live[live.length - 1];
      live.pop();
    }
    if (block !== 0) live.push(block);
    else if (choice < 13) growing = false;
    if (!growing && heap.usedBytes() < heap.totalBytes() / 2) growing = true;
  }
  return worst;
}

/** No operation may access more words than this. */
const BOUND = 40;

const OPERATIONS_TRIED = scaled(200_000, 1_000_000);

test(`no operation takes more than a fixed number of steps in ${OPERATIONS_TRIED} of them on a ragged heap`, (t) => {
  const counter = new StepCounter();
  const heap = counter.heap<Tlsf>(Tlsf, 1 << 21);
  const worst = adversary(heap, counter, OPERATIONS_TRIED);
  t.log(worst, heap.stats());
  for (const name of OPERATIONS) t.true(worst[name] > 0 && worst[name] <= BOUND, `${name}: ${worst[name]}`);
  heap.validate();
});

test('the bound is the same in a heap that is sixteen times as large', (t) => {
  const worst = [1 << 18, 1 << 22].map((bytes) => {
    const counter = new StepCounter();
    return adversary(counter.heap<Tlsf>(Tlsf, bytes), counter, 60_000);
  });
  t.log(worst);
  for (const name of OPERATIONS) t.true(Math.abs(worst[1][name] - worst[0][name]) <= 8, name);
});

test('the counter sees a search: first fit exceeds the bound at once', (t) => {
  const counter = new StepCounter();
  const worst = adversary(counter.heap<Basic>(Basic, 1 << 20), counter, 20_000);
  t.log(worst);
  t.true(worst.malloc > 10 * BOUND);
});
