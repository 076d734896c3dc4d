/**
 * NULL is no place: what a program writes at address 0 is named by the next slow path, by validate and by
 * detach. Unknown options are named, too.
 */

import { AllocError } from '@shmalloc/allocator-api';
import { AxAlloc } from '@shmalloc/axalloc';
import { BitmapPages } from '@shmalloc/bitmap';
import test from 'ava';
import { ALGORITHMS, allocatorOver, attachTo, NAMES } from '../support/tools.js';

const PATTERN = 0x4c4c554e;

for (const algorithm of NAMES) {
  test(`${algorithm}: the zone of NULL holds the pattern and nothing else, and no page of it is handed out`, (t) => {
    const { allocator } = allocatorOver(1 << 20, { algorithm });
    const { i32, u8 } = allocator.memory;
    let bytes = 0;
    for (let size = 30_000; size >= 8; size >>= 1)
      for (let block = allocator.malloc(size); block !== 0; block = allocator.malloc(size), bytes += size) {
        t.true(block >= 4096);
        u8.fill(0xee, block, block + size);
      }
    for (;;) {
      try {
        const page = allocator.allocPages(1, 4096);
        t.true(page >= 4096);
        u8.fill(0xee, page, page + 4096);
      } catch {
        break;
      }
    }
    t.true(bytes > 500_000);
    t.true(i32.subarray(0, 256).every((word) => word === PATTERN));
    allocator.validate({ quiet: true });
  });

  test(`${algorithm}: a write through NULL is told once by the next slow path, and by detach`, (t) => {
    const { allocator } = allocatorOver(1 << 20, { algorithm });
    const told: AllocError[] = [];
    allocator.registerError((error) => void told.push(error));
    const write = (address: number): void => void (allocator.memory.u8[address] = 1);
    write(5);
    const error = t.throws(() => allocator.validate(), { instanceOf: AllocError });
    t.is(error?.code, 'Corrupted');
    t.regex(String(error?.message), /address 4 .*write through NULL/);
    t.is(told.length, 0);
    t.is(allocator.malloc(2 << 20), 0);
    write(9);
    allocator.swap(algorithm);
    write(13);
    allocator.collect(true);
    write(17);
    allocator.detach();
    t.deepEqual(
      told.map(({ code, message }) => [code, /address (\d+)/.exec(message)?.[1]]),
      [4, 8, 12, 16].map((address) => ['Corrupted', String(address)]),
    );
  });
}

test('the pattern is laid again when a write is told: another thread has nothing to tell', (t) => {
  const { allocator } = allocatorOver(1 << 20);
  const other = attachTo(allocator.share());
  const told: string[] = [];
  for (const [name, each] of Object.entries({ allocator, other }))
    each.registerError(({ message }) => void told.push(`${name}: ${message}`));
  allocator.memory.i32[0] = 0;
  other.collect();
  allocator.collect();
  allocator.validate({ quiet: true });
  other.detach();
  t.is(told.length, 1);
  t.regex(told[0], /^other: .*address 0 /);
});

test('an unknown option is refused, and the known ones are listed', (t) => {
  const pages = BitmapPages.create({ bytes: 1 << 20 });
  const { allocator } = allocatorOver(0, { pages });
  const attachPages = () => BitmapPages.attach(pages.share());
  for (const [call, known] of [
    [() => AxAlloc.create({ pages, algorithms: ALGORITHMS, maxCPUs: 4 } as never), 'threads'],
    [() => AxAlloc.create({ pages, algorithms: ALGORITHMS, bytes: 4 } as never), 'maxGenerations'],
    [() => AxAlloc.attach(allocator.share(), { attachPages, algorithm: [] } as never), 'algorithms'],
  ] as const) {
    const error = t.throws(call, { instanceOf: AllocError, message: /unknown option/ });
    t.is(error?.code, 'InvalidParam');
    t.true(error?.message.includes(known));
  }
  t.throws(() => AxAlloc.create(undefined as never), { instanceOf: TypeError });
});
