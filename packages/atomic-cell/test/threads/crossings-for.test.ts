import { AllocError, SharedMemory } from '@shmalloc/allocator-api';
import { crossingsFor } from '@shmalloc/atomic-cell';
import test from 'ava';
import { crossingsBinary } from '../../dist/wasm-crossings.js';
import { runTeam } from '../support/team.ts';
import type { ForbiddenAnswer, ForbiddenTask } from '../support/workers/forbidden.ts';

const regions = {
  wasm: () => SharedMemory.create({ bytes: 65536, backing: 'wasm' }),
  sab: () => SharedMemory.create({ bytes: 65536, backing: 'sab' }),
};

test('WebAssembly for a WebAssembly.Memory, JavaScript for a SharedArrayBuffer, unless asked for', (t) => {
  t.is(crossingsFor(regions.wasm()).kind, 'wasm');
  t.is(crossingsFor(regions.wasm(), 'auto').kind, 'wasm');
  t.is(crossingsFor(regions.wasm(), 'wasm').kind, 'wasm');
  t.is(crossingsFor(regions.wasm(), 'js').kind, 'js');
  t.is(crossingsFor(regions.sab()).kind, 'js');
  t.is(crossingsFor(regions.sab(), 'js').kind, 'js');
});

test('a memory without a page, or of 4 GiB', (t) => {
  const empty = SharedMemory.create({ bytes: 0, maxBytes: 65536, backing: 'wasm' });
  t.is(crossingsFor(empty).kind, 'wasm');
  empty.grow(65536);
  crossingsFor(empty).store(16, 3);
  t.is(empty.i32[16], 3);
  t.is(crossingsFor(SharedMemory.create({ bytes: 2 ** 32, backing: 'wasm' })).kind, 'wasm');
});

test('what cannot be had is refused', (t) => {
  const invalid = { instanceOf: AllocError, code: 'InvalidParam' } as const;
  t.throws(() => crossingsFor(regions.sab(), 'wasm'), { ...invalid, message: /SharedArrayBuffer/ });
  t.throws(() => crossingsFor(regions.wasm(), 'fast' as never), { ...invalid, message: /choice.*"fast"/ });
  t.throws(() => crossingsFor(regions.wasm(), 1 as never), { instanceOf: TypeError, message: /choice/ });
  t.throws(() => crossingsFor(regions.wasm().buffer as never), {
    instanceOf: TypeError,
    message: /memory must be a SharedMemory, got \[object SharedArrayBuffer\]/,
  });
});

for (const how of ['policy', 'absent'] as const) {
  test(`a thread without WebAssembly has the same in JavaScript (${how})`, async (t) => {
    const memory = SharedMemory.create({ bytes: 65536, backing: 'wasm' });
    crossingsFor(memory).push(16, 256);
    const [answer] = await runTeam<ForbiddenTask, ForbiddenAnswer>('forbidden', memory, [{ how }]);
    t.is(answer.kind, 'js');
    t.is(answer.code, 'InvalidParam');
    t.regex(answer.message, how === 'policy' ? /CompileError/ : /ReferenceError/);
    t.is(crossingsFor(memory).takeAll(16), 258);
    t.is(memory.i32[258], 256, 'and the threads understand each other');
  });
}

test('the module is small, imports a memory, and has nothing that writes to it on its own', (t) => {
  const binary = crossingsBinary();
  t.log(`${binary.length} bytes`);
  t.true(binary.length < 1024);
  const module = new WebAssembly.Module(binary);
  t.deepEqual(WebAssembly.Module.imports(module), [{ module: 'env', name: 'memory', kind: 'memory' }]);
  t.true(WebAssembly.Module.exports(module).every(({ kind }) => kind === 'function'));
  const [START, DATA] = [8, 11];
  const sections = sectionsOf(binary);
  t.deepEqual(sections, [1, 2, 3, 7, 10], 'types, imports, functions, exports, code');
  t.false(sections.includes(START) || sections.includes(DATA));
});

/** The numbers of a module's sections. */
function sectionsOf(binary: Uint8Array): number[] {
  const sections: number[] = [];
  for (let at = 8; at < binary.length; ) {
    sections.push(binary[at++]);
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = binary[at++];
      size |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    at += size;
  }
  return sections;
}
