/** Replays one CPU in a worker, on the allocator that it is told of. */
import { parentPort, workerData } from 'node:worker_threads';
import { Oracle } from '@shmalloc/alloc-test/oracle';
import { SharedMemory } from '@shmalloc/allocator-api';
import { Basic } from '@shmalloc/basic';
import { replayOn } from '@shmalloc/trace';
import { CONTROL_SLEEPERS, progressWord } from '../../dist/plan.js';
import { PlainAllocator } from './plain-allocator.ts';
import type { Task } from './replay-workers.ts';

const { plan, cpu, basic, plain, oracle, options, optionsOf, misdeed, done } = workerData as Task;

function plainAllocator(): PlainAllocator {
  const allocator = new PlainAllocator(SharedMemory.from(plain!.source), plain!.log);
  if (misdeed === 'throw' && cpu === 0) {
    let calls = 0;
    allocator.before = () => {
      if (++calls === 10) throw new Error('the allocator is broken');
    };
  }
  if (misdeed === 'dawdle' && cpu === 0) {
    // Nothing is allocated until the other CPU sleeps for it, or has failed because it did not.
    allocator.before = () => {
      while (Atomics.load(done, 1) === 0 && plan.control[progressWord(0) + CONTROL_SLEEPERS] === 0) {
        Atomics.wait(done, 1, 0, 1);
      }
      allocator.before = () => {};
    };
  }
  return allocator;
}

try {
  const allocator = basic === undefined ? plainAllocator() : Basic.attach(basic);
  const result = replayOn(plan, cpu, allocator, {
    ...options,
    ...optionsOf?.[cpu],
    oracle: oracle === undefined ? undefined : Oracle.attach(oracle),
    footprint:
      basic !== undefined && cpu === 0 ? () => (allocator as Basic).stats().footprintBytes : undefined,
  });
  parentPort?.postMessage({ result });
} catch (error) {
  const { name, message, reason } = error as Error & { reason?: string };
  parentPort?.postMessage({ failure: { name, message, reason } });
} finally {
  Atomics.store(done, cpu, 1);
}
