/**
 * `node --import …/register.js`: in every thread of the process, the packages are loaded with their checks.
 */

import { register } from 'node:module';
import { isMainThread } from 'node:worker_threads';

register('./hooks.js', import.meta.url, {
  data: { log: isMainThread ? (process.env.BOUNDS_LOG ?? '') : '' },
});
