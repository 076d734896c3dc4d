/**
 * Inside of a {@link file://./web-worker.ts | pretended Web Worker}: the globals of its scope, then its
 * module.
 */
import { parentPort, workerData } from 'node:worker_threads';

Object.assign(globalThis, {
  Bun: {},
  postMessage: (message: unknown) => parentPort!.postMessage(message),
  addEventListener: (_: 'message', listener: (event: object) => void) =>
    parentPort!.on('message', (data) => listener({ data })),
  close: () => process.exit(),
});

await import(workerData as string);
