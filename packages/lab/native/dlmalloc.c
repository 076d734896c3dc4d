/*
 * dlmalloc.c: wasi-libc's malloc and free as a WASM module, called from JavaScript by src/bench/contestants/wasi-dlmalloc.ts. There is nothing to
 * write: the linker exports the C library's own functions, with no other call in between.
 */
#include <stdlib.h>
