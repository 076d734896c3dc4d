import { damage } from '@shmalloc/alloc-test';
import { Buddy } from '@shmalloc/buddy';
import test from 'ava';

const subject = { algorithm: Buddy, exportName: 'Buddy', module: import.meta.resolve('@shmalloc/buddy') };
/** The lock's word, counted from the header's first. */
const spared = [16];

const extra = new URL('../support/damage-frames.js', import.meta.url).href;

for (const create of [{}, { debug: true }] as const) damage(test, subject, { spared, create, extra });
