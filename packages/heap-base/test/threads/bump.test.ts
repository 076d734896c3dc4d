import { conformance } from '@shmalloc/alloc-test';
import test from 'ava';
import { BumpHeap } from '../support/bump-heap.js';

const module = new URL('../support/bump-heap.js', import.meta.url).href;
const subject = { algorithm: BumpHeap, exportName: 'BumpHeap', module };

conformance(test, subject, {
  variant: true,
  omit: { exhaustion: 'a free block is used again only when all blocks behind it are free, too' },
});
