/**
 * The same program on two CPUs of a kernel, once for each algorithm. The program is this file's default
 * export: it is what each CPU runs.
 *
 *     node examples/dist/choose-an-algorithm.js
 */

import { isMainThread } from 'node:worker_threads';
import { ALLOCATORS, type AllocatorName, boot, type Cpu, kalloc, kfree, printf } from '@shmalloc/kernel';

const ROUNDS = 20_000;
const SLOTS = 200;

/** Allocates and frees blocks of 16 to 1039 bytes in a fixed pseudo-random order. */
export default function program(cpu: Cpu): number {
  const slots = new Uint32Array(SLOTS);
  let state = cpu.id + 1;
  let failures = 0;
  for (let round = 0; round < ROUNDS; round++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const slot = (state >>> 8) % SLOTS;
    kfree(slots[slot]);
    slots[slot] = kalloc(16 + (state >>> 22));
    if (slots[slot] === 0) failures++;
  }
  slots.forEach((block) => {
    kfree(block);
  });
  printf('cpu %d of %d: %d rounds, %d requests without an answer', cpu.id, cpu.count, ROUNDS, failures);
  return failures;
}

if (isMainThread) {
  for (const allocator of Object.keys(ALLOCATORS) as AllocatorName[]) {
    const onPrint = (_cpu: number, line: string) => console.log(`${allocator.padEnd(12)} ${line}`);
    const machine = await boot({ cpus: 2, bytes: 1 << 20, allocator, onPrint });
    await machine.run(import.meta.url);
    machine.allocator.validate();
    await machine.halt();
  }
}
