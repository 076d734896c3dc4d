/** Damage in the region: it is reported, and no call hangs. */
import test from 'ava';
import { small, watch } from './harness.ts';

test('damage is reported as Corrupted, each kind once, and the hook may use the heap', (t) => {
  const { heap, errors } = watch(small());
  heap.damage('the list at 16 does not end');
  heap.damage('the list at 32 does not end');
  heap.damage('the table at 16 is none');
  t.deepEqual(
    errors.map(({ code, message }) => [code, message]),
    [
      ['Corrupted', 'the list at 16 does not end'],
      ['Corrupted', 'the table at 16 is none'],
    ],
  );
  t.is(heap.stats().errors, 2);
});
