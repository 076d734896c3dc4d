/**
 * The crew of a contestant that is called from C: `native/threads.c` in a process of its own. This is our end
 * of it.
 */

import { programFor } from '../native/allocator.ts';
import { startProgram } from '../native/program.ts';
import { numbersFile } from '../native/seat.ts';
import type { NativeContestant } from './contestant.ts';
import type { Crew, CrewOrder } from './crew.ts';
import type { ThreadWorkload } from './workload.ts';

/**
 * Compiles the program if need be, and starts it.
 * @throws Error of one line when there is no C compiler, or no such library
 * @internal
 */
export async function gatherNativeCrew(
  { allocator }: NativeContestant,
  workload: ThreadWorkload,
  { seed, life, checked = false }: CrewOrder,
): Promise<Crew> {
  const file = programFor('threads.c', { ...allocator, flags: [...allocator.flags, '-pthread'] });
  const args = [workload.name, numbersFile(workload, seed), String(life), checked ? '1' : '0'];
  const program = startProgram(file, args);
  const version = await program.answer(); // its threads are there
  return {
    version,
    async round(workers, seconds) {
      program.say(`${workers} ${Math.round(1000 * seconds)}`);
      const [operations, nanoseconds, cpu, ...busy] = (await program.answer()).split(' ').map(Number);
      return { operations, nanoseconds, busy, cpu };
    },
    close: () => program.close(),
  };
}
