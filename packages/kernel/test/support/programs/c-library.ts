/** Every CPU writes its name into a block with the C library and reads that of the next one. */
import {
  type Cpu,
  cpuBarrier,
  kalloc,
  kfree,
  memchr,
  memcmp,
  memcpy,
  memmove,
  memset,
  panic,
  printf,
  snprintf,
  sprintf,
  strcat,
  strchr,
  strcmp,
  strcpy,
  strcspn,
  strlen,
  strncat,
  strncmp,
  strncpy,
  strnlen,
  strpbrk,
  strrchr,
  strspn,
  strstr,
} from '@shmalloc/kernel';

export default function cLibrary(cpu: Cpu, argument: unknown): unknown {
  const table = argument as Uint32Array<SharedArrayBuffer>;
  const block = kalloc(64);
  memset(block, 0x2e, 64);
  const bytes = sprintf(block, 'cpu %d of %s', cpu.id, 'many');
  table[cpu.id] = block;
  cpuBarrier();
  const next = table[(cpu.id + 1) % cpu.count];
  if (strcmp(next, `cpu ${(cpu.id + 1) % cpu.count} of many`) !== 0) panic('not what the next one wrote');
  const printed = printf('%s → %.5s\n', block, next);
  cpuBarrier();
  const copy = kalloc(64);
  const found = {
    bytes,
    printed,
    length: strlen(block),
    cut: snprintf(copy, 6, '%s', block),
    copy: sprintf('%s', copy),
    compared: [
      memcmp(block, copy, 5),
      strncmp(block, copy, 5),
      strncmp(block, 'cpX', 2),
      memcmp(block, copy, 6) > 0,
    ],
    offsets: [
      memchr(block, 0x75, 9) - block,
      strchr(block, 0x6f) - block,
      strrchr(block, 0x6d) - block,
      strstr(block, 'of') - block,
      strpbrk(block, 'xyz') - block,
      strspn(block, 'cpu '),
      strcspn(block, 'xyz '),
      strnlen(block, 3),
    ],
    built: sprintf('%s', strcat(strncat(strncpy(strcpy(copy, 'XX'), 'ab', 3), 'cdef', 2), 'gh')),
    moved: sprintf('%.4s', memmove(copy + 1, memcpy(copy, block, 8), 6)),
  };
  kfree(copy);
  kfree(block);
  return found;
}
