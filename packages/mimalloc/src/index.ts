export { MiMalloc } from './mi-malloc.ts';
export type { MiMallocOptions } from './options.ts';
