/**
 * Asks for crossings in a thread that may not compile WebAssembly, or has none, and pushes a block with what
 * it gets.
 */

import { runInNewContext } from 'node:vm';
import { AllocError } from '@shmalloc/allocator-api';
import { crossingsFor } from '@shmalloc/atomic-cell';
import { answer, ticket } from '../team.ts';

export interface ForbiddenTask {
  /**
   * The engine refuses to compile, as it does under a content-security policy; or there is no WebAssembly at
   * all.
   */
  how: 'policy' | 'absent';
}

export interface ForbiddenAnswer {
  kind: string;
  /** Of the error when WebAssembly is demanded. */
  code: string;
  message: string;
}

const { memory, task } = ticket<ForbiddenTask>();
if (task.how === 'absent') Reflect.deleteProperty(globalThis, 'WebAssembly');
else {
  // The engine's own refusal: the constructor of a context that was made without the right.
  const Module = runInNewContext('WebAssembly.Module', {}, { contextCodeGeneration: { wasm: false } });
  Object.defineProperty(WebAssembly, 'Module', { value: Module });
}

const result: ForbiddenAnswer = { kind: '', code: '', message: '' };
const crossings = crossingsFor(memory);
result.kind = crossings.kind;
crossings.push(16, 258);
try {
  crossingsFor(memory, 'wasm');
} catch (error) {
  if (!(error instanceof AllocError)) throw error;
  result.code = error.code;
  result.message = error.message;
}
answer(result);
