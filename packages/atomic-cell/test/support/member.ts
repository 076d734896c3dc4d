/**
 * A thread of the team: runs one task after another. A task is a module, which is evaluated again for each.
 */

import { parentPort } from 'node:worker_threads';
import { type Order, serve } from './team.ts';

let tasks = 0;
parentPort!.on('message', async (order: Order) => {
  const module = new URL(`./workers/${order.file}.js?task=${++tasks}`, import.meta.url);
  parentPort!.postMessage(await serve(order, () => import(module.href)));
});
