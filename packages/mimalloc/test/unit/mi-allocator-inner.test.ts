import { SharedMemory } from '@shmalloc/allocator-api';
import { type BorrowMutError, MiAllocator } from '@shmalloc/atomic-cell';
import { MiAllocatorInner, MiMalloc } from '@shmalloc/mimalloc';
import test from 'ava';

const MIB = 1024 * 1024;

/** A wrapper as each thread makes one: the flag's words lie in front of the heap. */
function wrapped(bytes: number): { inner: MiAllocatorInner; allocator: MiAllocator; memory: SharedMemory } {
  const memory = SharedMemory.create({ bytes });
  const inner = MiAllocatorInner.create({ memory: memory.source, start: 64 });
  return { inner, allocator: MiAllocator.new(memory, 0, inner, { threadId: 1 }), memory };
}

test('MiAllocator wraps MiAllocatorInner: init, addMemory, alloc, dealloc, totals', (t) => {
  const { inner, allocator } = wrapped(16 * MIB);
  allocator.init(4 * MIB, 4 * MIB);
  t.is(allocator.totalBytes(), 4 * MIB);
  allocator.addMemory(8 * MIB, 8 * MIB);
  t.is(allocator.totalBytes(), 12 * MIB);
  const blocks = Array.from({ length: 1000 }, (_, i) => {
    const [size, align] = [1 + ((i * 37) % 3000), 2 ** (i % 8)];
    const address = allocator.alloc(size, align);
    t.is(address % align, 0);
    t.true(address >= 4 * MIB);
    return { address, size, align };
  });
  t.true(allocator.usedBytes() > 1000);
  for (const { address, size, align } of blocks) allocator.dealloc(address, size, align);
  inner.collect(true);
  inner.validate({ quiet: true });
  t.is(allocator.usedBytes(), 0);
  t.is(allocator.availableBytes(), 12 * MIB);
});

test('a borrow that is still out refuses the next one, and the heap goes on afterwards', (t) => {
  const { allocator } = wrapped(4 * MIB);
  const borrowed = allocator.innerMut();
  t.throws(() => allocator.alloc(100, 16), { name: 'BorrowMutError' } satisfies Partial<BorrowMutError>);
  const block = borrowed.value.alloc(100, 16);
  borrowed.release();
  allocator.dealloc(block, 100, 16);
  t.throws(() => allocator.dealloc(block, 100, 16), { code: 'NotAllocated' });
});

test('two objects over one heap are one owner: what one has freed the other hands out again', (t) => {
  const first = MiAllocatorInner.create({ bytes: 4 * MIB });
  const second = MiAllocatorInner.attach(first.share());
  t.is(second.threadId, first.threadId);
  const block = first.malloc(100);
  second.free(block);
  t.is(first.usedBytes(), 0);
  const seen = new Set<number>();
  for (let i = 0; i < 40; i++) seen.add((i % 2 === 0 ? first : second).malloc(100));
  t.is(seen.size, 40);
  t.true(seen.has(block));
  for (const address of seen) second.free(address);
  second.detach();
  first.collect(true);
  first.validate({ quiet: true });
  t.is(first.usedBytes(), 0);
});

test('an object sees memory that another one has added', (t) => {
  const first = MiAllocatorInner.create({ bytes: MIB, maxBytes: 8 * MIB, grow: false });
  const second = MiAllocatorInner.attach(first.share());
  t.is(second.malloc(2 * MIB), 0);
  first.addMemory(first.memory.grow(4 * MIB), 4 * MIB);
  const block = second.malloc(2 * MIB);
  t.true(block > 0 && block + 2 * MIB > MIB, 'it reaches into what has come');
  second.memory.u8.fill(1, block, block + 2 * MIB);
  first.free(block);
  first.validate({ quiet: true });
});

test('it takes no slot of the thread table, and threads with slots of their own can attach beside it', (t) => {
  const inner = MiAllocatorInner.create({ bytes: 4 * MIB, threads: 2 });
  for (let i = 0; i < 5; i++) MiAllocatorInner.attach(inner.share());
  const other = MiMalloc.attach(inner.share());
  t.not(other.threadId, inner.threadId);
  const block = inner.malloc(50);
  other.free(block);
  other.detach();
  inner.collect(true);
  inner.validate({ quiet: true });
  t.is(inner.usedBytes(), 0);
});
