/**
 * Threads, on Node (`worker_threads`) and on everything else (Web Workers). The rest of the package does not
 * know which.
 *
 * Nothing of Node is imported: `process.getBuiltinModule` asks for it at run time, so a bundler for browsers
 * has nothing to resolve.
 */

import type * as WorkerThreads from 'node:worker_threads';
import { describeError, type Message, type Reply } from './messages.ts';

/** What the main thread hears about a CPU's thread. */
export interface ThreadEvents {
  reply(reply: Reply): void;
  /** Something threw where nothing caught it. */
  error(message: string, stack: string): void;
  /** The thread is gone; nothing follows. */
  exit(reason: string): void;
}

/** A CPU's thread, seen from the main thread. */
export interface Thread {
  post(message: Message): void;
  /** Ends it at whatever instruction it is. `exit` follows. */
  terminate(): void;
}

/** The main thread, seen from a CPU. */
export interface Port {
  post(reply: Reply): void;
  /** Ends this thread from within. */
  leave(): void;
}

/** Node's module; undefined elsewhere. Bun and Deno imitate Node, but their own workers are the Web's. */
function workerThreads(): typeof WorkerThreads | undefined {
  if ('Bun' in globalThis || 'Deno' in globalThis || typeof process !== 'object') return undefined;
  return process.versions?.node ? process.getBuiltinModule('node:worker_threads') : undefined;
}

/** Starts the thread of a CPU. It runs `cpu-main.ts`. */
export function startThread(name: string, events: ThreadEvents): Thread {
  const node = workerThreads();
  return node ? startNodeThread(node, name, events) : startWebThread(name, events);
}

function startNodeThread(node: typeof WorkerThreads, name: string, events: ThreadEvents): Thread {
  const worker = new node.Worker(new URL('./cpu-main.js', import.meta.url), { name });
  const onError = (error: unknown): void => {
    const { message, stack } = describeError(error);
    events.error(message, stack);
  };
  worker.on('message', events.reply);
  worker.on('messageerror', onError);
  worker.on('error', onError);
  worker.on('exit', (code) => events.exit(`exit code ${code}`));
  return {
    post: (message) => worker.postMessage(message),
    terminate: () => void worker.terminate(),
  };
}

function startWebThread(name: string, events: ThreadEvents): Thread {
  // Written out like this, so that bundlers see what to bundle.
  const worker = new Worker(new URL('./cpu-main.js', import.meta.url), { type: 'module', name });
  let gone = false;
  const exit = (reason: string): void => {
    if (!gone) events.exit(reason);
    gone = true;
  };
  worker.addEventListener('message', ({ data }: MessageEvent<Reply | typeof CLOSED>) => {
    if (data === CLOSED) exit('closed');
    else events.reply(data);
  });
  worker.addEventListener('messageerror', () => events.error('a message could not be read', ''));
  worker.addEventListener('error', (event) => {
    event.preventDefault();
    const { message, stack } = describeError(event.error ?? event.message);
    events.error(message.replace(/^Uncaught (\(in promise\) )?/, ''), stack);
  });
  // Bun tells when a worker has ended in whatever way; browsers do not.
  worker.addEventListener('close', () => exit('closed'));
  return {
    post: (message) => worker.postMessage(message),
    terminate: () => {
      worker.terminate();
      exit('terminated');
    },
  };
}

/** The last message of a Web Worker: browsers do not tell when one has closed itself. */
const CLOSED = 'closed';

/** What is global in a Web Worker. */
interface WorkerScope {
  postMessage(reply: Reply | typeof CLOSED): void;
  addEventListener(type: 'message', listener: (event: MessageEvent<Message>) => void): void;
  close(): void;
}

/**
 * Connects this thread, a CPU's, with the main thread. To be called while its module is evaluated: messages
 * that no thread listens to are lost.
 * @param receive - gets every message
 */
export function connectToMain(receive: (message: Message) => void): Port {
  const node = workerThreads();
  if (node?.parentPort) {
    const port = node.parentPort;
    port.on('message', receive);
    // `exit` rather than closing the port: timers that a program has left behind must not keep the thread.
    return { post: (reply) => port.postMessage(reply), leave: () => process.exit(0) };
  }
  const scope = globalThis as unknown as WorkerScope;
  scope.addEventListener('message', ({ data }) => receive(data));
  const { close } = scope;
  // Replaced for everyone, so that a program that closes its worker does not leave the main thread waiting.
  scope.close = () => {
    scope.postMessage(CLOSED);
    close.call(scope);
  };
  return { post: (reply) => scope.postMessage(reply), leave: () => scope.close() };
}
