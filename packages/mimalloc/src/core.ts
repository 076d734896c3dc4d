export { MiMalloc } from './mi-malloc.ts';
