/** Allocates blocks of every size, checks their alignment, and frees those of the next CPU. */
import { type Address, isAligned, nextPowerOfTwo } from '@shmalloc/allocator-api';
import { type Cpu, cpuBarrier, kalloc, kfree, panic } from '@shmalloc/kernel';

export interface BlocksArgument {
  readonly sizes: readonly number[];
  /** Where every CPU leaves its addresses for the next. */
  readonly table: Uint32Array<SharedArrayBuffer>;
}

export default function blocks(cpu: Cpu, argument: unknown): { nulls: number } {
  const { sizes, table } = argument as BlocksArgument;
  let nulls = 0;
  sizes.forEach((size, i) => {
    const address: Address = kalloc(size);
    if (address === 0) nulls++;
    const align = Math.min(nextPowerOfTwo(size), 4096);
    if (!isAligned(address, align)) panic(`kalloc(${size}) returned ${address}, not aligned to ${align}`);
    if (size > 0 && address > 0) cpu.memory.u8.fill(cpu.id + 1, address, address + size);
    table[cpu.id * sizes.length + i] = address;
  });
  cpuBarrier();
  const next = (cpu.id + 1) % cpu.count;
  sizes.forEach((size, i) => {
    const address = table[next * sizes.length + i];
    if (size > 0 && address > 0 && cpu.memory.u8[address + size - 1] !== next + 1) {
      panic(`the block of cpu ${next} at ${address} was overwritten`);
    }
    kfree(address);
  });
  return { nulls };
}
