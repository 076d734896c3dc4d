import { damage } from '@shmalloc/alloc-test';
import { Basic } from '@shmalloc/basic';
import test from 'ava';

const subject = {
  title: 'basic',
  algorithm: Basic,
  exportName: 'Basic',
  module: import.meta.resolve('@shmalloc/basic'),
};
/** The lock's word, counted from the header's first. */
const spared = [16];

for (const policy of ['first', 'best', 'worst'] as const)
  damage(test, { ...subject, title: `basic, ${policy} fit`, options: { policy } }, { spared });
damage(test, subject, { spared, create: { debug: true } });
