/**
 * A second thread that holds the same region and does what it is asked: `Peer` here, its loop in
 * `peer-worker.ts`.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Address, MemorySource, ScalarType } from '@shmalloc/allocator-api';

export type Request =
  | {
      op: 'attach';
      source: MemorySource;
      start?: number | undefined;
      end?: number | undefined;
      word?: number;
    }
  | { op: 'write'; type: ScalarType; address: Address; value: number | bigint }
  | { op: 'read'; type: ScalarType; address: Address }
  | { op: 'index'; type: ScalarType; address: Address }
  | { op: 'grow'; bytes: number }
  | { op: 'race'; bytes: readonly number[]; gate: Int32Array }
  | { op: 'refresh' }
  | { op: 'shape' }
  | { op: 'close' };

export interface Shape {
  start: number;
  end: number;
  byteLength: number;
  maxByteLength: number;
}

export class Peer {
  readonly #worker: Worker = new Worker(new URL('./peer-worker.js', import.meta.url));

  async ask<T = unknown>(request: Request): Promise<T> {
    this.#worker.postMessage(request);
    const [answer] = await once(this.#worker, 'message');
    return answer as T;
  }

  async close(): Promise<void> {
    const exit = once(this.#worker, 'exit');
    this.#worker.postMessage({ op: 'close' } satisfies Request);
    await exit;
  }
}
