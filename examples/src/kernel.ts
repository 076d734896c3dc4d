/**
 * A kernel in one file: it boots four CPUs on one memory, all of them allocate, the allocator is changed
 * under them, and a block that is freed twice ends in a panic. The file's default export is the program that
 * each CPU runs.
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

const CPUS = 4;

/**
 * What the CPUs share besides the memory: word 0 says when to stop, one for each CPU how many blocks of
 * others it has freed, the rest hold addresses.
 */
type Slots = Int32Array<SharedArrayBuffer>;
const FOREIGN = 1;
const FIRST = FOREIGN + CPUS;
/** Blocks of others that each CPU frees between two swaps. */
const STEP = 500;

export default function program(cpu: Cpu, argument: unknown): void {
  if (argument === 'make a mistake') freeTwice(cpu);
  else replaceBlocks(cpu, argument as Slots);
}

/** Puts new blocks into slots, and frees what it finds there, the thread that has allocated it. */
function replaceBlocks(cpu: Cpu, slots: Slots): void {
  let random = cpu.id + 1;
  let foreign = 0;
  while (Atomics.load(slots, 0) === 0) {
    random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
    const block = kalloc(16 + (random >>> 21));
    if (block === 0) continue;
    cpu.memory.u8[block] = cpu.id;
    // A thread that takes an address out of a slot is the only one that has it.
    const old = Atomics.exchange(slots, FIRST + ((random >>> 8) % (slots.length - FIRST)), block) >>> 0;
    if (old !== 0 && cpu.memory.u8[old] !== cpu.id) Atomics.store(slots, FOREIGN + cpu.id, ++foreign);
    kfree(old);
  }
  cpuBarrier();
  for (let slot = FIRST + cpu.id; slot < slots.length; slot += cpu.count) kfree(slots[slot] >>> 0);
  const enough = foreign >= STEP ? 'many' : 'too few';
  printf('cpu %d of %d: %s blocks, and freed those of others\n', cpu.id, cpu.count, enough);
}

function freeTwice(cpu: Cpu): void {
  if (cpu.id !== 1) return;
  const block = kalloc(100);
  kfree(block);
  kfree(block);
  printf('no CPU has noticed\n');
}

/** Waits until each CPU has gone a step further, however long it takes on this machine. */
async function allGoOn(slots: Slots): Promise<void> {
  const before = slots.slice(FOREIGN, FIRST);
  while (before.some((foreign, cpu) => Atomics.load(slots, FOREIGN + cpu) < foreign + STEP)) await sleep(1);
}

if (isMainThread) {
  const names = Object.keys(ALLOCATORS) as AllocatorName[];
  const machine = await boot({
    cpus: CPUS,
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
    await allGoOn(slots);
    machine.swap(name);
    console.log(`new blocks are from ${name}`);
  }
  await allGoOn(slots);
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
