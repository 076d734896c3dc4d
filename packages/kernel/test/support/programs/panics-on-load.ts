import { cpuCurrent, halt, panic } from '@shmalloc/kernel';

// On load a program has no argument; it has its URL.
if (import.meta.url.endsWith('?halt')) halt();
if (cpuCurrent() === 0) panic('while loading');

export default function unreachable(): void {}
