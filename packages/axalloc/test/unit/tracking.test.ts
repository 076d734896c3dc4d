import { AxAlloc } from '@shmalloc/axalloc';
import { BitmapPages } from '@shmalloc/bitmap';
import test from 'ava';
import { algorithmsWith } from '../support/tools.js';

function newAllocator(tracking: boolean | undefined): AxAlloc {
  const pages = BitmapPages.create({ bytes: 1 << 20 });
  return AxAlloc.create({ pages, algorithms: algorithmsWith({}), algorithm: 'tlsf', tracking });
}

test('live blocks between two moments, with place, number and generation', (t) => {
  const allocator = newAllocator(true);
  function forgets(size: number): number {
    return allocator.malloc(size);
  }
  const early = forgets(100);
  const from = allocator.allocationCount();
  t.is(from, 1);
  const kept = [forgets(3000), allocator.realloc(forgets(10), 500)];
  allocator.free(forgets(50));
  const to = allocator.allocationCount();
  allocator.swap('mimalloc');
  const late = forgets(40);

  const between = allocator.allocationsIn(from, to);
  t.deepEqual(
    between.map(({ address, number, generation }) => [address, number, generation]),
    [
      [kept[0], 1, 1],
      [kept[1], 3, 1],
    ],
  );
  t.regex(between[0].site ?? '', /^at forgets .*tracking\.test/);
  t.deepEqual(
    allocator.allocationsIn(to).map(({ address, generation }) => [address, generation]),
    [[late, 2]],
  );
  t.is(
    allocator
      .leaks()
      .find(({ address }) => address === early)
      ?.site?.includes('forgets'),
    true,
  );
  for (const block of [early, late, ...kept]) allocator.free(block);
  t.deepEqual(allocator.allocationsIn(0), []);
  t.is(allocator.stats().generations.length, 1, 'the old heap is gone');
  allocator.validate({ quiet: true });
});

test('another thread’s object tells the same', (t) => {
  const allocator = newAllocator(true);
  const block = allocator.malloc(10);
  const other = AxAlloc.attach(structuredClone(allocator.share()), {
    attachPages: BitmapPages.attach,
    algorithms: algorithmsWith({}),
  });
  other.malloc(20);
  t.deepEqual(other.allocationsIn(0, 1), allocator.allocationsIn(0, 1));
  t.is(other.allocationsIn(0, 1)[0].address, block);
  other.detach();
  t.is(allocator.allocationsIn(0).length, 2);
});

test('without tracking there is no number, and the state takes less', (t) => {
  const allocator = newAllocator(undefined);
  allocator.malloc(10);
  t.is(allocator.leaks()[0].site, null);
  t.throws(() => allocator.allocationCount(), { code: 'Unsupported', message: /tracking/ });
  t.throws(() => allocator.allocationsIn(0), { code: 'Unsupported' });
  t.true(allocator.stats().statePages < newAllocator(true).stats().statePages);
  t.throws(() => newAllocator('yes' as never), { message: /tracking/ });
});

test('a header whose table of sites cannot be is refused', (t) => {
  for (const tracking of [false, true]) {
    const allocator = newAllocator(tracking);
    const handle = allocator.share();
    const word = handle.start / 4 + 7;
    const options = { attachPages: BitmapPages.attach, algorithms: algorithmsWith({}) };
    for (const words of [-1, 7, allocator.memory.i32[word] + 1]) {
      allocator.memory.i32[word] = words;
      t.throws(() => AxAlloc.attach(handle, options), { code: 'InvalidParam', message: /table of sites/ });
    }
  }
});
