import { AllocError, SCALAR_BYTES, type ScalarType } from '@shmalloc/allocator-api';
import { MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';
import { SMALL, validatedHeap } from '../support/validated.ts';

test('mallocAs gives an array of each type over its block, and free takes it back', (t) => {
  const { heap, errors } = validatedHeap();
  for (const type of Object.keys(SCALAR_BYTES) as ScalarType[]) {
    const view = heap.mallocAs(type, 100);
    t.not(view, null);
    if (view === null) continue;
    t.is(view.length, 100);
    t.is(view.buffer, heap.memory.buffer);
    t.true(heap.usableSize(view.byteOffset) >= 100 * SCALAR_BYTES[type]);
    t.true(heap.containsBlock(view.byteOffset));
    heap.free(view);
    t.false(heap.containsBlock(view.byteOffset));
  }
  t.deepEqual(errors, []);
  const floats = heap.mallocAs('f32', 4);
  floats?.set([1, 2, 3, 4]);
  t.deepEqual([...heap.memory.view('f32', floats?.byteOffset ?? 0, 4)], [1, 2, 3, 4]);
});

test('an empty array has a block of its own', (t) => {
  const { heap } = validatedHeap();
  const first = heap.mallocAs('f64', 0);
  const second = heap.mallocAs('u8', 0);
  t.is(first?.length, 0);
  t.not(first?.byteOffset, second?.byteOffset);
  t.true(heap.containsBlock(first?.byteOffset ?? 0));
  heap.free(first as Float64Array);
  heap.free(second as Uint8Array);
  heap.collect(true);
  t.is(heap.usedBytes(), 0);
});

test('without memory there is no array', (t) => {
  const { heap } = validatedHeap();
  t.is(heap.mallocAs('f64', 2 ** 20), null);
  t.is(heap.mallocAs('f64', 2 ** 53 - 1), null);
  t.is(heap.heapNew().mallocAs('u8', 2 ** 30), null);
});

test('wrong types and lengths are errors that name the value', (t) => {
  const { heap } = validatedHeap();
  t.throws(() => heap.mallocAs('f16' as 'f32', 1), {
    code: 'InvalidParam',
    message: /type must be one of .*"f16"/,
  });
  t.throws(() => heap.mallocAs(7 as never, 1), { instanceOf: TypeError });
  t.throws(() => heap.mallocAs('f32', -1), { instanceOf: RangeError, message: /length .*-1/ });
  t.throws(() => heap.mallocAs('f32', 1.5), { instanceOf: RangeError });
});

test('a view of other memory is refused, and one of another place of this memory is reported', (t) => {
  const { heap, errors } = validatedHeap();
  const other = MiMalloc.create(SMALL);
  const foreign = other.mallocAs('u8', 10) as Uint8Array;
  for (const view of [foreign, new Uint8Array(10), new DataView(new ArrayBuffer(8))]) {
    t.throws(() => heap.free(view), { instanceOf: AllocError, message: /got a view of other memory/ });
  }
  t.throws(() => heap.free({ byteOffset: 8 } as never), {
    instanceOf: TypeError,
    message: /address must be a number/,
  });
  t.throws(() => heap.free([8] as never), { instanceOf: TypeError });
  const view = heap.mallocAs('u8', 1000) as Uint8Array;
  heap.free(heap.memory.view('u8', 16, 4));
  t.deepEqual(errors, ['NotAllocated: free(16): no such block is handed out']);
  heap.free(new DataView(heap.memory.buffer, view.byteOffset, 3));
  t.false(heap.containsBlock(view.byteOffset), 'any view that starts at the block will do');
});

test('an array from before the memory grew is still taken back', (t) => {
  const heap = MiMalloc.create({ bytes: 1 << 20, maxBytes: 8 << 20 });
  const view = heap.mallocAs('i32', 100) as Int32Array;
  heap.memory.grow(1 << 20);
  t.not(view.buffer as unknown, heap.memory.buffer);
  heap.free(view);
  t.false(heap.containsBlock(view.byteOffset));
  heap.validate({ quiet: true });
});

test('a heap gives arrays of its own', (t) => {
  const { heap } = validatedHeap();
  const part = heap.heapNew();
  const view = part.mallocAs('f64', 8) as Float64Array;
  t.true(part.contains(view.byteOffset));
  part.free(view);
  t.is(
    part.visitBlocks(() => false),
    true,
  );
});

test('a scope frees all that was allocated through it, the newest first', (t) => {
  const heap = MiMalloc.create(SMALL);
  const freed: number[] = [];
  const blocks: number[] = [];
  {
    using scope = heap.scope();
    blocks.push(
      scope.malloc(10),
      scope.zalloc(20),
      scope.calloc(3, 10),
      scope.alignedAlloc(256, 100),
      scope.strdup('scope'),
      scope.mallocAs('f64', 3)?.byteOffset ?? 0,
      scope.realloc(0, 5),
    );
    const { free } = heap;
    heap.free = (block) => {
      freed.push(block as number);
      free.call(heap, block);
    };
  }
  t.deepEqual(freed, blocks.reverse());
  heap.collect(true);
  t.is(heap.usedBytes(), 0);
  heap.validate({ quiet: true });
});

test('a scope also ends when its code throws', (t) => {
  const { heap } = validatedHeap();
  t.throws(() => {
    using scope = heap.scope();
    scope.malloc(100);
    throw new Error('on purpose');
  });
  heap.collect(true);
  t.is(heap.usedBytes(), 0);
});

test('a block can be freed early, moved, and let out of its scope', (t) => {
  const { heap, errors } = validatedHeap();
  const kept: number[] = [];
  let view: Uint8Array | null = null;
  {
    using scope = heap.scope();
    const early = scope.malloc(10);
    scope.free(early);
    const moved = scope.realloc(scope.malloc(10), 5000);
    t.is(scope.realloc(moved, 2 ** 31), 0);
    t.true(heap.containsBlock(moved));
    kept.push(scope.release(scope.malloc(10)));
    view = scope.release(scope.mallocAs('u8', 10) as Uint8Array);
    t.throws(() => scope.release(kept[0]), { message: `this scope does not keep a block at ${kept[0]}` });
    t.throws(() => scope.free(heap.malloc(8)), { code: 'InvalidParam' });
    t.throws(() => scope.realloc(kept[0], 8), { code: 'InvalidParam' });
    t.is(scope.malloc(2 ** 31), 0);
    t.is(scope.mallocAs('u8', 2 ** 31), null);
  }
  t.true(heap.containsBlock(kept[0]));
  t.true(heap.containsBlock(view.byteOffset));
  t.deepEqual(errors, []);
});

test('a scope that has ended gives nothing', (t) => {
  const { heap } = validatedHeap();
  const scope = heap.heapNew().scope();
  const block = scope.malloc(8);
  scope[Symbol.dispose]();
  scope[Symbol.dispose]();
  for (const use of [
    () => scope.malloc(8),
    () => scope.zalloc(8),
    () => scope.calloc(1, 8),
    () => scope.alignedAlloc(8, 8),
    () => scope.strdup('a'),
    () => scope.mallocAs('u8', 8),
    () => scope.realloc(block, 8),
    () => scope.release(block),
    () => scope.free(block),
  ]) {
    t.throws(use, { instanceOf: AllocError, message: 'this scope has ended' });
  }
  heap.collect(true);
  t.is(heap.usedBytes(), 0);
});
