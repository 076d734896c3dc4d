import test from 'ava';
import type { Subject } from '../../dist/bench/contestant.js';
import { drawn, generator } from '../../dist/bench/random.js';
import { settle } from '../../dist/bench/settle.js';
import { WORKLOADS, type Workload, wholeBatches } from '../../dist/bench/workload.js';

/** Hands out ever new addresses and remembers which are live and which sizes were asked for. */
class Ledger implements Subject {
  readonly live = new Set<number>();
  readonly freed: number[] = [];
  readonly sizes: number[] = [];
  #next = 16;

  malloc(size: number): number {
    this.sizes.push(size);
    this.live.add(this.#next);
    return this.#next++;
  }

  free(address: number): void {
    if (!this.live.delete(address)) throw new Error(`${address} is not live`);
    this.freed.push(address);
  }
}

function workload(name: string): Workload {
  return WORKLOADS.find((each) => each.name === name)!;
}

test('the same seed draws the same numbers, another seed others', (t) => {
  t.deepEqual(drawn(100, 8, 1031, 7), drawn(100, 8, 1031, 7));
  t.notDeepEqual(drawn(100, 8, 1031, 7), drawn(100, 8, 1031, 8));
  const next = generator(0);
  t.not(next(), next());
});

test('drawn numbers fill their range evenly and never leave it', (t) => {
  const counts = new Array<number>(4).fill(0);
  for (const value of drawn(40_000, 3, 6, 2332)) counts[value - 3]++;
  for (const count of counts) t.true(Math.abs(count - 10_000) < 500, String(counts));
});

for (const name of ['pairs', 'pairs-fifo']) {
  test(`${name}: every block of 16–128 bytes is freed before the next batch`, (t) => {
    const ledger = new Ledger();
    const run = workload(name).start(ledger, 1);
    run(1000);
    t.is(ledger.sizes.length, 1024, 'whole batches of 64');
    t.is(ledger.live.size, 0);
    t.is(Math.min(...ledger.sizes), 16);
    t.is(Math.max(...ledger.sizes), 128);
    run(64);
    t.is(ledger.sizes.length, 1088);
  });
}

test('pairs frees the last block first, pairs-fifo the first one', (t) => {
  for (const [name, first, last] of [
    ['pairs', 79, 16],
    ['pairs-fifo', 16, 79],
  ] as const) {
    const ledger = new Ledger();
    workload(name).start(ledger, 1)(64);
    t.is(ledger.freed[0], first);
    t.is(ledger.freed[63], last);
  }
});

test('churn keeps 16,384 blocks of 8–1031 bytes live and replaces random ones', (t) => {
  const ledger = new Ledger();
  const run = workload('churn').start(ledger, 1);
  t.is(ledger.live.size, 16_384);
  run(20_000);
  t.is(ledger.live.size, 16_384);
  t.is(ledger.sizes.length, 36_384);
  t.is(Math.min(...ledger.sizes), 8);
  t.is(Math.max(...ledger.sizes), 1031);
  const survivors = [...ledger.live].filter((address) => address < 16 + 16_384).length;
  t.true(
    Math.abs(survivors / 16_384 - Math.exp(-20_000 / 16_384)) < 0.02,
    `${survivors} were never replaced`,
  );
});

test('a heap without memory ends every workload', (t) => {
  const empty: Subject = { malloc: () => 0, free: () => {} };
  for (const each of WORKLOADS) {
    t.throws(() => each.start(empty, 1)(1), { message: /^no memory for \d+ bytes$/ }, each.name);
  }
});

/** A loop that takes `microseconds` a pair on a clock of its own. */
function simulated(microseconds: number): {
  run: (pairs: number) => void;
  now: () => number;
  total: () => number;
} {
  let clock = 0;
  let total = 0;
  return {
    run: (pairs) => {
      clock += (pairs * microseconds) / 1000;
      total += pairs;
    },
    now: () => clock,
    total: () => total,
  };
}

test('settling goes on until the heap has settled, and finds how many pairs fill a round', (t) => {
  const loop = simulated(1);
  const pairs = settle(workload('pairs'), loop.run, 0.2, 60, loop.now);
  t.is(pairs, wholeBatches(workload('pairs'), 200_000));
  t.is(pairs % 64, 0);
  t.true(loop.total() >= workload('pairs').settle);
});

test('settling gives up at its limit, so that a slow contestant costs seconds, not hours', (t) => {
  const loop = simulated(300);
  const pairs = settle(workload('churn'), loop.run, 0.2, 1, loop.now);
  t.true(Math.abs(pairs - 667) <= 1, String(pairs));
  t.true(loop.now() < 4000);
  const slower = simulated(5e6);
  t.is(settle(workload('churn'), slower.run, 0.2, 1, slower.now), 1, 'at least one pair');
});
