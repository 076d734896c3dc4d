/** A running C program and the lines between it and us. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/**
 * Says lines and is answered in lines: `WORD REST`. `failed WHY` becomes an Error.
 * @internal
 */
export interface Program {
  /**
   * @returns the rest of its next line
   * @throws Error with what it says when it fails, or that it has ended
   */
  answer(): Promise<string>;
  say(line: string): void;
  /** Ends its input, upon which it ends. */
  close(): Promise<void>;
}

/** Variables that change how an allocator works, or which one it is. */
const TAMPERING = /^(MIMALLOC_|MALLOC_|GLIBC_TUNABLES$|LD_PRELOAD$)/;

/**
 * Starts one.
 * @param file - the program
 * @param args - its arguments
 * @param more - variables that it shall have besides ours
 * @internal
 */
export function startProgram(file: string, args: readonly string[], more: NodeJS.ProcessEnv = {}): Program {
  const env = { ...plainEnvironment(), ...more };
  const child = spawn(file, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const exit = once(child, 'exit').catch(() => {});
  // It may have ended before it reads; what there is to know then is that its lines end.
  child.stdin.on('error', () => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async answer() {
      const { done, value } = await lines.next();
      if (done) throw new Error('its program has ended');
      const space = value.indexOf(' ');
      const rest = value.slice(space + 1);
      if (value.slice(0, space) === 'failed') throw new Error(rest);
      return rest;
    },
    say: (line) => void child.stdin.write(`${line}\n`),
    async close() {
      child.stdin.end();
      await exit;
    },
  };
}

/**
 * Ours without what would change the allocators; all functions are found at the start, not in the middle of a
 * measurement.
 */
function plainEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !TAMPERING.test(name));
  return { ...Object.fromEntries(kept), LD_BIND_NOW: '1' };
}
