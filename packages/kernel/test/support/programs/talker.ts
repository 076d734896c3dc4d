/** Prints without end, half a line at a time. */
import { printf } from '@shmalloc/kernel';

export default async function talker(): Promise<never> {
  for (let i = 0; ; i++) {
    printf('%d\nbegun', i);
    await new Promise((resolve) => setTimeout(resolve, 1));
    printf(' and ended\n');
  }
}
