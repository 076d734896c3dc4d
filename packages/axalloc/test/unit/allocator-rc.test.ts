import { AllocError } from '@shmalloc/allocator-api';
import { AllocatorRc } from '@shmalloc/axalloc';
import { Tlsf } from '@shmalloc/tlsf';
import test from 'ava';
import { allocatorOver } from '../support/tools.js';

test('the allocator is let go with the last handle', (t) => {
  const heap = Tlsf.create({ bytes: 1 << 16 });
  const gone: unknown[] = [];
  const rc = AllocatorRc.of(heap, (last) => gone.push(last));
  t.is(rc.allocator, heap);
  const other = rc.retain();
  t.is(rc.count, 2);
  {
    using third = other.retain();
    t.is(third.count, 3);
    third.dealloc(third.alloc(100, 16), 100, 16);
  }
  rc.release();
  rc.release();
  t.is(other.count, 1);
  t.deepEqual(gone, []);
  other.release();
  t.deepEqual(gone, [heap]);
  for (const call of [
    () => rc.alloc(1, 1),
    () => other.dealloc(1, 1, 1),
    () => rc.retain(),
    () => rc.count,
    () => rc.allocator,
  ])
    t.is(t.throws(call, { instanceOf: AllocError })?.code, 'InvalidParam');
});

test('containers share a two-level allocator', (t) => {
  const { allocator } = allocatorOver(1 << 20);
  const rc = AllocatorRc.of(allocator, (last) => last.detach());
  const block = rc.alloc(100, 64);
  allocator.swap('buddy');
  rc.dealloc(block, 100, 64);
  rc.release();
  t.throws(() => allocator.malloc(1), { message: /detached/ });
});

test('what is no allocator is refused', (t) => {
  t.throws(() => AllocatorRc.of(undefined as never), { instanceOf: TypeError, message: /Undefined/ });
  t.throws(() => AllocatorRc.of({ alloc() {} } as never), { instanceOf: TypeError, message: /Object/ });
});
