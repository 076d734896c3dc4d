import { conformance } from '@shmalloc/alloc-test';
import { Basic, type Policy } from '@shmalloc/basic';
import test from 'ava';

const module = import.meta.resolve('@shmalloc/basic');

for (const policy of ['first', 'best', 'worst'] satisfies Policy[]) {
  const name = `basic-${policy}, full scale`;
  conformance(
    test,
    { name, allocator: Basic, module, options: { policy } },
    { workers: [1, 4], scale: 'full' },
  );
}
