/**
 * What the main thread and its CPUs post to each other. The main thread asks all CPUs the same and collects
 * one answer from each; there is one question at a time. Everything urgent (stopping, panics, the console)
 * goes over the board instead, because a CPU in an endless loop reads no messages.
 */

import type { Handle, LockKind } from '@shmalloc/allocator-api';
import type { AllocatorModule, AllocatorName } from './allocators.ts';
import type { HeapChoice } from './heap/algorithms.ts';

/** What a CPU needs to come up. */
export interface BootMessage {
  readonly type: 'boot';
  readonly cpu: number;
  readonly board: SharedArrayBuffer;
  readonly allocator: AllocatorName | AllocatorModule;
  readonly handle: Handle;
  /** The allocator's lock. */
  readonly lock: LockKind | undefined;
  /** What a machine with pages has besides. */
  readonly full: { readonly physical: Handle; readonly choice: HeapChoice } | null;
  /** Milliseconds that a line waits for room in the console. */
  readonly patience: number;
}

/** From the main thread to a CPU. */
export type Message =
  | BootMessage
  | { readonly type: 'load'; readonly url: string }
  | { readonly type: 'start'; readonly argument: unknown }
  | { readonly type: 'settle' }
  | { readonly type: 'report' }
  | { readonly type: 'leave' };

/** From a CPU to the main thread: the answer to whatever was asked. */
export type Reply =
  | { readonly type: 'done'; readonly value: unknown }
  | { readonly type: 'failed'; readonly message: string; readonly stack: string };

/** An error's text and frames; anything can be thrown. */
export function describeError(error: unknown): { message: string; stack: string } {
  try {
    return { message: String(error), stack: String((error as Error)?.stack ?? '') };
  } catch {
    return { message: Object.prototype.toString.call(error), stack: '' };
  }
}
