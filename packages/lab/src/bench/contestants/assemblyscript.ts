import type { IsolateContestant } from '../contestant.ts';

const WASM_PAGE = 65536;

/**
 * AssemblyScript's own two-level segregated fit, `std/assembly/rt/tlsf.ts`, without the collector that
 * usually stands on it.
 */
const SOURCE = `
export function malloc(size: usize): usize { return heap.alloc(size); }
export function free(address: usize): void { heap.free(address); }
`;

/** How its own documentation has a release built. */
const FLAGS = ['--optimizeLevel', '3', '--shrinkLevel', '0', '--runtime', 'minimal'];

/** @public */
export const assemblyscript: IsolateContestant = {
  name: 'assemblyscript',
  title: 'AssemblyScript TLSF',
  kind: 'foreign',

  /** Compiles the module, in about a second. */
  async prepare() {
    const { default: asc } = await import('assemblyscript/asc');
    let binary: Uint8Array | undefined;
    const { error, stderr } = await asc.main(['heap.ts', '--outFile', 'heap.wasm', ...FLAGS], {
      readFile: (name: string) => (name === 'heap.ts' ? SOURCE : null),
      writeFile: (name: string, contents: string | Uint8Array) => {
        if (name === 'heap.wasm') binary = contents as Uint8Array;
      },
      listFiles: () => [],
    });
    if (error || !binary) throw new Error(`AssemblyScript does not compile its heap: ${error ?? stderr}`);
    return WebAssembly.compile(binary as Uint8Array<ArrayBuffer>);
  },

  /**
   * The region grows to its size before the first call, because the heap manages what is there when it
   * starts.
   */
  async open(bytes, prepared) {
    const abort = (): never => {
      throw new Error('AssemblyScript aborted');
    };
    const { exports } = await WebAssembly.instantiate(prepared as WebAssembly.Module, { env: { abort } });
    const { malloc, free, memory } = exports as unknown as {
      malloc(size: number): number;
      free(address: number): void;
      memory: WebAssembly.Memory;
    };
    memory.grow(Math.ceil((bytes - memory.buffer.byteLength) / WASM_PAGE));
    return { malloc, free };
  },
};
