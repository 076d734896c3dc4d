/**
 * A Web Worker made of a thread of Node, with as much of the interface as browsers offer: no exit event,
 * `close()` inside. Installing it makes the kernel believe that it is not on Node.
 */
import { Worker as NodeWorker } from 'node:worker_threads';

type Listener = (event: object) => void;

class WebWorker {
  /** All of this thread, for the tests to break. */
  static readonly all: WebWorker[] = [];
  readonly #node: NodeWorker;
  readonly #listeners: { type: string; listener: Listener }[] = [];

  constructor(url: URL, options: { type: string; name: string }) {
    if (options.type !== 'module') throw new TypeError('only modules');
    this.#node = new NodeWorker(new URL('./web-worker-scope.js', import.meta.url), { workerData: url.href });
    this.#node.on('message', (data: object) => this.dispatch('message', { data }));
    this.#node.on('error', (error) => this.dispatch('error', { error, message: error.message }));
    WebWorker.all.push(this);
  }

  addEventListener(type: string, listener: Listener): void {
    this.#listeners.push({ type, listener });
  }

  dispatch(type: string, event: object): void {
    for (const entry of this.#listeners) {
      if (entry.type === type) entry.listener({ preventDefault: () => undefined, ...event });
    }
  }

  postMessage(message: unknown): void {
    this.#node.postMessage(message);
  }

  terminate(): void {
    void this.#node.terminate();
  }
}

/** From now on this process is no Node. */
export function pretendToBeABrowser(): typeof WebWorker {
  Object.assign(globalThis, { Bun: {}, Worker: WebWorker });
  return WebWorker;
}
