/** One of several threads that use an account. Posts a list of what was not as it should be. */
import { parentPort, workerData } from 'node:worker_threads';
import { type MemorySource, SharedMemory } from '@shmalloc/allocator-api';
import type { VmAccount } from '@shmalloc/kernel';
import { accountOf, type Fault, PAGE } from './vm-accounts.js';

export interface VmJob {
  readonly source: MemorySource;
  readonly pages: number;
  readonly frames: number;
  readonly me: number;
  readonly workers: number;
  readonly rounds: number;
  readonly seed: number;
  readonly kind: 'own pages and shared ones' | 'all touch one page';
  readonly fault?: Fault;
}

const job = workerData as VmJob;
const account = accountOf(job.pages, job.frames, SharedMemory.from(job.source), job.fault);
const problems: string[] = [];

function complain(message: string): void {
  if (problems.length < 5) problems.push(`thread ${job.me}: ${message}`);
}

/** xorshift32 */
let state = (job.seed ^ (job.me * 0x9e3779b1)) | 1;
function below(n: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % n;
}

/** Every thread waits here for all others; the account's first page of memory is no thread's else. */
function barrier(words: Int32Array<SharedArrayBuffer>): void {
  const generation = Atomics.load(words, 1);
  if (Atomics.add(words, 0, 1) + 1 === job.workers) {
    Atomics.store(words, 0, 0);
    Atomics.add(words, 1, 1);
    Atomics.notify(words, 1);
  } else while (Atomics.load(words, 1) === generation) Atomics.wait(words, 1, generation, 1000);
}

/** What a page of one's own must hold: zeros, a value, or after FREE either of the two. */
interface Belief {
  value: number;
  sure: boolean;
}

/**
 * Every page whose number is `me` modulo the threads is this one's, and what it holds is known; the first
 * half of the others is reserved, and touched and dropped by all.
 */
function ownPagesAndSharedOnes(vm: VmAccount): void {
  const { i32 } = vm.memory;
  const half = job.pages / 2;
  const beliefs = new Map<number, Belief>();
  for (let page = half + job.me; page < job.pages; page += job.workers) {
    vm.reserve(vm.start + page * PAGE, PAGE);
    beliefs.set(page, { value: 0, sure: true });
  }
  const own = [...beliefs.keys()];
  for (let round = 1; round <= job.rounds; round++) {
    const page = own[below(own.length)];
    const belief = beliefs.get(page)!;
    const address = vm.start + page * PAGE;
    const first = i32[address / 4];
    const last = i32[address / 4 + PAGE / 4 - 1];
    const known = (value: number): boolean => value === belief.value || (!belief.sure && value === 0);
    if (!known(first) || !known(last)) {
      complain(
        `page ${page} holds ${first} … ${last} instead of ${belief.value}${belief.sure ? '' : ' or 0'}`,
      );
    }
    const action = below(16);
    if (action < 8) {
      if (vm.touch(address + below(PAGE), 1)) {
        const now = i32[address / 4];
        if (!known(now) || now !== i32[address / 4 + PAGE / 4 - 1])
          complain(`page ${page} holds ${now} after touch`);
        belief.value = (job.me << 24) | round;
        belief.sure = true;
        i32[address / 4] = belief.value;
        i32[address / 4 + PAGE / 4 - 1] = belief.value;
      } else if (belief.sure && belief.value !== 0)
        complain(`page ${page} was resident, and touch found no frame`);
    } else if (action < 10) {
      vm.madvise(address, PAGE, 'DONTNEED');
      belief.value = 0;
      belief.sure = true;
    } else if (action < 14) {
      vm.madvise(address, PAGE, 'FREE');
      belief.sure = belief.value === 0;
    } else if (action < 15) {
      vm.release(address, PAGE);
      vm.reserve(address, PAGE);
      belief.value = 0;
      belief.sure = true;
    }
    // Pages that belong to all: nothing is written there, so they hold zeros whatever happens.
    const from = below(half);
    const shared = vm.start + from * PAGE;
    const length = (1 + below(Math.min(4, half - from))) * PAGE;
    if (action < 6) vm.touch(shared, length);
    else vm.madvise(shared, length, action < 10 ? 'DONTNEED' : 'FREE');
    if (vm.residentPages > job.frames) complain(`${vm.residentPages} pages are resident`);
  }
}

/** Again and again all touch one page at once, with one frame left: it is enough, and no more is taken. */
function allTouchOnePage(vm: VmAccount): void {
  const { i32 } = vm.memory;
  for (let round = 0; round < job.rounds; round++) {
    const address = vm.start + (round % job.pages) * PAGE;
    barrier(i32);
    if (!vm.touch(address, PAGE)) complain(`round ${round}: no frame`);
    barrier(i32);
    if (vm.residentPages !== 1) complain(`round ${round}: ${vm.residentPages} pages are resident`);
    barrier(i32);
    if (job.me === round % job.workers) vm.madvise(address, PAGE, 'DONTNEED');
  }
}

if (job.kind === 'all touch one page') allTouchOnePage(account);
else ownPagesAndSharedOnes(account);
parentPort!.postMessage(problems);
