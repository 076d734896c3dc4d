/** The other thread of a duel: attaches, does one operation at a time, stops where it is told. */

import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { MiMalloc } from '@shmalloc/mimalloc';
import type { Package } from './mutants.ts';
import { ACCESSES, type Command, FAILED, IDLE, RESUMED, STATE, STOPPED, stopAt, TOLD } from './stops.ts';

const { words, port, module } = workerData as { words: Int32Array; port: MessagePort; module: string };
const { MiMalloc: Class } = (await import(module)) as typeof Package;
let heap: MiMalloc | undefined;

function say(state: number): void {
  Atomics.store(words, STATE, state);
  Atomics.notify(words, STATE);
}

function waitFor(state: number): void {
  for (;;) {
    const found = Atomics.load(words, STATE);
    if (found === state) return;
    Atomics.wait(words, STATE, found);
  }
}

function operate(at: MiMalloc, command: Command): void {
  if (command.kind === 'free') for (const block of command.blocks) at.free(block);
  else if (command.kind === 'collect') at.collect(true);
  else at.detach();
}

/** Stopped: another one is at work now. */
function pause(): void {
  say(STOPPED);
  waitFor(RESUMED);
}

for (;;) {
  waitFor(TOLD);
  const command = receiveMessageOnPort(port)?.message as Command;
  try {
    if (command.kind === 'attach') {
      heap = Class.attach(command.handle);
      heap.registerError((error) => {
        throw error;
      });
    } else if (heap !== undefined) {
      const at = heap;
      // Counted after the operation: the words between the threads are read with Atomics, too.
      const accesses = stopAt(command.at, pause, () => operate(at, command));
      Atomics.store(words, ACCESSES, accesses);
    }
    say(IDLE);
  } catch (error) {
    port.postMessage(error instanceof Error ? (error.stack ?? error.message) : String(error));
    say(FAILED);
  }
}
