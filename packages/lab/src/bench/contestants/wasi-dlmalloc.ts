import { readFile } from 'node:fs/promises';
import type { IsolateContestant } from '../contestant.ts';
import { compile } from '../native/compiler.ts';

const WASM_PAGE = 65536;

/** A module without a main function that exports the C library's own functions. */
const FLAGS = ['--target=wasm32-wasi', '-O2', '-mexec-model=reactor', '-Wl,--export=malloc,--export=free'];

/**
 * dlmalloc in WASM, called from JavaScript: what C programs that are compiled for WASI allocate with.
 * @public
 */
export const wasiDlmalloc: IsolateContestant = {
  name: 'wasi-dlmalloc',
  title: 'wasi-libc dlmalloc in WASM',
  kind: 'foreign',

  async prepare() {
    const file = compile({
      compiler: 'clang',
      source: 'dlmalloc.c',
      flags: FLAGS,
      debian: 'clang lld wasi-libc libclang-rt-dev-wasm32',
    });
    return WebAssembly.compile(await readFile(file));
  },

  /**
   * The memory grows to its size before the first call, because the heap takes what is there when it starts.
   */
  async open(bytes, prepared) {
    const { exports } = await WebAssembly.instantiate(prepared as WebAssembly.Module);
    const { malloc, free, memory, _initialize } = exports as unknown as {
      malloc(size: number): number;
      free(address: number): void;
      memory: WebAssembly.Memory;
      _initialize(): void;
    };
    memory.grow(Math.ceil((bytes - memory.buffer.byteLength) / WASM_PAGE));
    _initialize();
    return { malloc, free };
  },
};
