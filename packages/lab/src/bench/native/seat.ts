/**
 * The seat of a contestant that is called from C: `native/seat.c` in a process of its own. This is our end of
 * it.
 */

import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { NativeContestant, Seat, SeatOrder } from '../contestant.ts';
import { settling } from '../settle.ts';
import { WORKLOADS, type Workload } from '../workload.ts';
import { type CAllocator, programFor } from './allocator.ts';
import { scratchFolder } from './compiler.ts';
import { startProgram } from './program.ts';

/**
 * Makes a contestant of an allocator.
 * @param name - on the command line and in the JSON
 * @param title - in the table
 * @param allocator - what the compiler has to know
 * @public
 */
export function calledFromC(name: string, title: string, allocator: CAllocator): NativeContestant {
  return {
    name,
    title,
    kind: 'native',
    allocator,
    prepare: async () => programFor('seat.c', allocator),
    seat,
  };
}

async function seat({ workload: name, seed, prepared }: SeatOrder): Promise<Seat> {
  const workload = WORKLOADS.find((each) => each.name === name)!;
  const program = startProgram(prepared as string, [name, numbersFile(workload, seed)]);

  /** @returns nanoseconds */
  async function run(pairs: number): Promise<number> {
    program.say(String(pairs));
    return Number(await program.answer());
  }

  const version = await program.answer(); // the heap is filled
  return {
    version,
    async settle(roundSeconds, limitSeconds) {
      const steps = settling(workload, roundSeconds, limitSeconds);
      let step = steps.next();
      while (!step.done) step = steps.next((await run(step.value)) / 1e6);
      return step.value;
    },
    round: async (pairs) => (await run(pairs)) / pairs,
    close: () => program.close(),
  };
}

/**
 * What the workload draws, as the C program reads it: one array after the other, in the machine's order.
 * @returns the path of a file
 * @internal
 */
export function numbersFile(workload: Pick<Workload, 'name' | 'draw'>, seed: number): string {
  const file = path.join(scratchFolder(), `${workload.name}-${seed}.numbers`);
  if (!existsSync(file)) {
    writeFileSync(file, Buffer.concat(workload.draw(seed).map((each) => Buffer.from(each.buffer))));
  }
  return file;
}
