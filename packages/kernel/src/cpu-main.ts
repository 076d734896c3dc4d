/**
 * The main module of a CPU's thread: comes up, loads programs, runs them, leaves.
 */

import type { AllocError } from '@shmalloc/allocator-api';
import type { AxHandle } from '@shmalloc/axalloc';
import { attachAllocator, attachOptionsFor, type KernelAllocator } from './allocators.ts';
import { Board } from './board.ts';
import { ConsoleWriter } from './console.ts';
import { type Cpu, endRun, heapOfCpu, lookAtNullAtEnd, occupy, type Program, settle } from './cpu.ts';
import { MachineStopped } from './errors.ts';
import { KernelHeap } from './heap/kernel-heap.ts';
import { PhysicalMemory } from './memory/physical-memory.ts';
import { type BootMessage, describeError, type Message } from './messages.ts';
import { damageText, nullWrite } from './null-watch.ts';
import { declarePanic, unwind } from './panic.ts';
import { connectToMain } from './platform.ts';

/** This CPU once it has booted. */
let cpu: Cpu;
let board: Board;
let console: ConsoleWriter;
/** The program that was loaded last. */
let program: Program;

const port = connectToMain((message) => void receive(message));

async function receive(message: Message): Promise<void> {
  switch (message.type) {
    case 'boot':
      return answer(() => boot(message));
    case 'load':
      return answer(() => load(message.url));
    case 'start':
      return start(message.argument);
    case 'settle':
      return answer(() => settle());
    case 'report':
      return answer(() => heapOfCpu('a report').report());
    case 'leave':
      return leave();
  }
}

async function answer(action: () => unknown): Promise<void> {
  try {
    port.post({ type: 'done', value: await action() });
  } catch (error) {
    // A module that stops the machine while it is loaded: the board says so.
    if (error instanceof MachineStopped) return;
    port.post({ type: 'failed', ...describeError(error) });
  }
}

async function boot(message: BootMessage): Promise<void> {
  board = new Board(message.board);
  console = new ConsoleWriter(board, message.cpu, message.patience);
  const allocator = await attach(message);
  cpu = { id: message.cpu, count: board.cpus, allocator, memory: allocator.memory };
  occupy(cpu, board, console);
}

/** The machine's allocator: over the whole region, or over pages of it. */
async function attach({ allocator, handle, lock, full, cpu: id }: BootMessage): Promise<KernelAllocator> {
  const fail = (error: AllocError): void => {
    // While the CPU leaves there is no program to unwind.
    if (!board.running) return;
    console.flush();
    declarePanic(board, id, damageText(error, `cpu ${id}`), String(error.stack));
    unwind();
  };
  if (full === null) {
    const bare = await attachAllocator(allocator, handle, attachOptionsFor(lock));
    bare.registerError((error) => {
      // Damage, a write through NULL included: nothing can be trusted any more. A wrong free is the program's
      // affair here.
      if (error.code === 'Corrupted') fail(error);
      else globalThis.console.error(`${error.name} ${error.code}: ${error.message}`);
    });
    return bare;
  }
  const physical = PhysicalMemory.attach(full.physical);
  // A block freed twice, or one that never was: the program's account of its memory is wrong, and nothing
  // that it does can be trusted.
  return KernelHeap.attach(physical, handle as AxHandle, full.choice, fail);
}

async function load(url: string): Promise<void> {
  const found = ((await import(url)) as { default?: unknown }).default;
  if (typeof found !== 'function')
    throw new TypeError(`its default export must be a function, got ${typeof found}`);
  program = found as Program;
}

async function start(argument: unknown): Promise<void> {
  try {
    const value = await program(cpu, argument);
    console.flush();
    lookAtNullAtEnd();
    // Before others hear that this CPU is done: from now on it allocates nothing, and must not keep heaps
    // that were swapped out.
    settle();
    port.post({ type: 'done', value });
  } catch (error) {
    console.flush();
    // A program that is unwound has nothing to add: the board says what stopped the machine.
    if (!(error instanceof MachineStopped)) {
      const { message, stack } = describeError(error);
      const written = nullWrite(cpu.memory, board.nullWords, `cpu ${cpu.id}`);
      declarePanic(board, cpu.id, written ?? `uncaught ${message}`, stack);
    }
  } finally {
    endRun();
  }
}

/** The machine stops. Not reached by a program that never returns: that one is terminated. */
function leave(): void {
  console?.flush();
  cpu?.allocator.detach();
  port.leave();
}
