/** Traces for tests: by hand, and at random for properties. */
import type { Trace } from '@shmalloc/trace';
import { events, TraceBuilder, type TraceEvent } from '@shmalloc/trace';
import type { ExecutionContext } from 'ava';
import fc from 'fast-check';

/**
 * One step of a random program; `pick` chooses among the blocks that are live or the threads that have not
 * ended.
 */
interface Step {
  kind: 'malloc' | 'calloc' | 'realloc' | 'aligned' | 'free' | 'exit' | 'freeNull' | 'reallocNull' | 'spawn';
  pick: number;
  size: number;
  alignLog2: number;
}

const sizes = fc.oneof(
  fc.integer({ min: 0, max: 200 }),
  fc.integer({ min: 0, max: 70_000 }),
  fc.integer({ min: 0, max: 2 ** 32 - 1 }),
);

const steps: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(
    'malloc',
    'malloc',
    'calloc',
    'realloc',
    'aligned',
    'free',
    'free',
    'exit',
    'freeNull',
    'reallocNull',
    'spawn',
  ),
  pick: fc.nat(1000),
  size: sizes,
  alignLog2: fc.integer({ min: 0, max: 31 }),
});

/** Any trace of up to a few hundred operations. */
export const traces: fc.Arbitrary<Trace> = fc.array(steps, { maxLength: 300 }).map(run);

function run(program: readonly Step[]): Trace {
  const builder = new TraceBuilder();
  const live: number[] = [];
  const threads: number[] = [];
  for (const { kind, pick, size, alignLog2 } of program) {
    if (threads.length === 0 || kind === 'spawn') threads.push(builder.threads);
    const who = kind === 'spawn' ? threads.length - 1 : pick % threads.length;
    const thread = threads[who];
    const victim = pick % Math.max(live.length, 1);
    const take = (): number => (live.length === 0 ? 0 : live.splice(victim, 1)[0]);
    if (kind === 'malloc' || kind === 'spawn') live.push(builder.malloc(thread, size));
    else if (kind === 'calloc') live.push(builder.calloc(thread, size));
    else if (kind === 'aligned') live.push(builder.aligned(thread, 2 ** alignLog2, size));
    else if (kind === 'realloc') live.push(builder.realloc(thread, take(), size));
    else if (kind === 'reallocNull') live.push(builder.realloc(thread, 0, size));
    else if (kind === 'free') builder.free(thread, take());
    else if (kind === 'freeNull') builder.free(thread, 0);
    else {
      builder.exit(thread);
      threads.splice(who, 1);
    }
  }
  return builder.build();
}

/** Builds a trace from events, written as `[thread, op, …]`. */
export function traceOf(...list: TraceEvent[]): Trace {
  const builder = new TraceBuilder();
  for (const event of list) builder.add(event);
  return builder.build();
}

/** Events in short: `0 malloc 1:24`, `1 realloc 1>3:48`, `0 aligned 2:100@64`, `1 free 2`, `1 exit`. */
export function brief(trace: Trace): string[] {
  return [...events(trace)].map(({ thread, op, id, size, align, oldId }) => {
    if (op === 'exit') return `${thread} exit`;
    if (op === 'free') return `${thread} free ${id}`;
    if (op === 'realloc') return `${thread} realloc ${oldId}>${id}:${size}`;
    return `${thread} ${op} ${id}:${size}${op === 'aligned' ? `@${align}` : ''}`;
  });
}

/** A reproducible program of `threads` threads that free a share of each other's blocks, without leaks. */
export function churn(threads: number, operations: number, seed: number, maxSize = 500): Trace {
  const builder = new TraceBuilder();
  let state = seed >>> 0;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const live: number[] = [];
  for (let thread = 0; thread < threads; thread++) live.push(builder.malloc(thread, random(maxSize)));
  while (builder.operations < operations) {
    const thread = random(threads);
    const what = random(10);
    const take = (): number => {
      const at = random(live.length);
      const id = live[at];
      live[at] = live[live.length - 1];
      live.pop();
      return id;
    };
    if (live.length < 50 || (what < 4 && live.length < 2000))
      live.push(builder.malloc(thread, random(maxSize)));
    else if (what < 5) live.push(builder.realloc(thread, take(), random(maxSize)));
    else if (what === 5) live.push(builder.aligned(thread, 2 ** random(8), random(maxSize)));
    else if (what === 6) live.push(builder.calloc(thread, random(maxSize)));
    else builder.free(thread, take());
  }
  while (live.length > 0) builder.free(random(threads), live.pop() as number);
  return builder.build();
}

/** Runs a property and logs its seed, so that a failure can be run again with `SEED=… npx ava …`. */
export function checkProperty<T>(t: ExecutionContext, property: fc.IProperty<T>, numRuns = 200): void {
  const seed = seedOf(t);
  fc.assert(property, { seed, numRuns });
}

/** A new seed, or the one in the environment; logged. */
export function seedOf(t: ExecutionContext): number {
  const seed = Number(process.env.SEED ?? Date.now() >>> 0) >>> 0;
  t.log(`seed ${seed}`);
  return seed;
}
