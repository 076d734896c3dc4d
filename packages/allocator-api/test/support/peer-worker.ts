import { parentPort } from 'node:worker_threads';
import { SCALAR_BYTES, SharedMemory } from '@shmalloc/allocator-api';
import type { Request } from './peer.ts';

let memory: SharedMemory;

function answer(request: Request): unknown {
  switch (request.op) {
    case 'attach':
      memory = SharedMemory.from(request.source, request.start, request.end);
      if (request.word !== undefined) memory.agreeOnGrowth(request.word);
      return 'attached';
    case 'write':
      memory.view(request.type, request.address, 1)[0] = request.value;
      return 'written';
    case 'read':
      return memory.view(request.type, request.address, 1)[0];
    case 'index':
      return memory[request.type][request.address / SCALAR_BYTES[request.type]];
    case 'grow':
      return memory.grow(request.bytes);
    case 'race':
      // All threads begin at the same moment, so that they meet.
      Atomics.add(request.gate, 0, 1);
      while (Atomics.load(request.gate, 0) < request.gate[1]);
      return request.bytes.map((bytes) => memory.grow(bytes));
    case 'refresh':
      return memory.refresh();
    case 'shape':
      return {
        start: memory.start,
        end: memory.end,
        byteLength: memory.byteLength,
        maxByteLength: memory.maxByteLength,
      };
    case 'close':
      parentPort?.close();
      return 'closed';
  }
}

parentPort?.on('message', (request: Request) => parentPort?.postMessage(answer(request)));
