/**
 * Stopping the machine from a CPU: `panic` and `halt`. The first one that claims the stop gets to say why;
 * everyone else is unwound. The main thread learns of it from the board and does the rest (`machine.ts`).
 */

import type { Board } from './board.ts';
import { MachineStopped } from './errors.ts';

/**
 * Says on the board that this CPU has panicked, unless the machine is being stopped already.
 * @param cpu - this CPU
 */
export function declarePanic(board: Board, cpu: number, message: string, stack: string): void {
  if (board.claim(cpu + 1)) board.publishPanic(message, stack);
}

/** Says on the board that this CPU halts the machine, unless it is being stopped already. */
export function declareHalt(board: Board, cpu: number, exitCode: number): void {
  if (board.claim(cpu + 1)) board.publishHalt(exitCode);
}

/**
 * Says for a CPU whose thread is gone that it has panicked. If it was killed between its claim and what it
 * had to say, the claim stands and its words are replaced.
 */
export function declareDeath(board: Board, cpu: number, message: string): void {
  const cutShort = board.claimant === cpu + 1 && board.running;
  if (cutShort || board.claim(cpu + 1)) board.publishPanic(message, '');
}

/** Leaves the program. */
export function unwind(): never {
  throw new MachineStopped();
}
