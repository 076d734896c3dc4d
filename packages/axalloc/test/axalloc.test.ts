import test from 'ava';
import { allocatorOver, NAMES } from './tools.js';

test('a block goes through malloc, realloc and free', (t) => {
  for (const name of NAMES) {
    const { pages, allocator } = allocatorOver(4 << 20, { algorithm: name });
    const used = pages.usedPages();
    const block = allocator.malloc(100);
    allocator.memory.u8[block] = 42;
    allocator.swap('basic');
    const moved = allocator.realloc(block, 100_000);
    t.is(allocator.memory.u8[moved], 42);
    allocator.free(moved);
    allocator.validate();
    t.is(allocator.name, 'basic');
    t.log(name, used, pages.usedPages(), allocator.stats().generations.length);
    t.is(allocator.stats().generations.length, 1);
  }
});
