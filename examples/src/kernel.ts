/**
 * A kernel in one file: it boots four CPUs on one memory, all of them allocate, the allocator is changed under them, and a block that is freed
 * twice ends in a panic. The file's default export is the program that each CPU runs.
 *
 *     node examples/dist/kernel.js
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread } from 'node:worker_threads';
import {
  ALLOCATORS,
  type AllocatorName,
  boot,
  type Cpu,
  cpuBarrier,
  KernelPanic,
  kalloc,
  kfree,
  printf,
} from '@shmalloc/kernel';

/** What the CPUs share besides the memory: word 0 says when to stop, the others hold addresses. */
type Slots = Int32Array<SharedArrayBuffer>;

export default function program(cpu: Cpu, argument: unknown): void {
  if (argument === 'make a mistake') freeTwice(cpu);
  else replaceBlocks(cpu, argument as Slots);
}

/** Puts new blocks into slots, and frees what it finds there, whoever has allocated it. */
function replaceBlocks(cpu: Cpu, slots: Slots): void {
  let random = cpu.id + 1;
  let blocks = 0;
  let foreign = 0;
  while (Atomics.load(slots, 0) === 0) {
    random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
    const block = kalloc(16 + (random >>> 21));
    if (block === 0) continue;
    blocks++;
    cpu.memory.u8[block] = cpu.id;
    // Whoever takes an address out of a slot is the only one who has it.
    const old = Atomics.exchange(slots, 1 + ((random >>> 8) % (slots.length - 1)), block) >>> 0;
    if (old !== 0 && cpu.memory.u8[old] !== cpu.id) foreign++;
    kfree(old);
  }
  cpuBarrier();
  for (let slot = 1 + cpu.id; slot < slots.length; slot += cpu.count) kfree(slots[slot] >>> 0);
  const enough = blocks > 0 && foreign > 0 ? 'many' : 'too few';
  printf('cpu %d of %d: %s blocks, and freed those of others\n', cpu.id, cpu.count, enough);
}

function freeTwice(cpu: Cpu): void {
  if (cpu.id !== 1) return;
  const block = kalloc(100);
  kfree(block);
  kfree(block);
  printf('nobody has noticed\n');
}

if (isMainThread) {
  const names = Object.keys(ALLOCATORS) as AllocatorName[];
  const machine = await boot({
    cpus: 4,
    bytes: 64 << 20,
    allocator: names[0],
    paged: { swap: true },
    debug: true, // every wrong free is noticed
    onPrint: (_cpu, line) => console.log(line),
  });
  const pages = machine.physical.usedPages();

  const slots: Slots = new Int32Array(new SharedArrayBuffer(4 * 1000));
  const running = machine.run(import.meta.url, slots);
  for (const name of [...names.slice(1), names[0]]) {
    await sleep(20);
    machine.swap(name);
    console.log(`new blocks are from ${name}`);
  }
  await sleep(20);
  Atomics.store(slots, 0, 1);
  await running;

  // All is freed: with the last heap that has grown go the last pages.
  machine.swap(names[0]);
  await machine.settle();
  machine.allocator.validate();
  console.log(`${machine.physical.usedPages() - pages} pages more than before`);

  const end = await machine.run(import.meta.url, 'make a mistake').catch((error: unknown) => error);
  console.log(end instanceof KernelPanic ? `the machine has ${machine.state}` : end);
  await machine.halt();
}
