import { type Cpu, printf } from '@shmalloc/kernel';

export default function longLine(cpu: Cpu): void {
  printf('%s from %d\n', '→🙂'.repeat(3000), cpu.id);
}
