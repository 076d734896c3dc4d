import { damage } from '@shmalloc/alloc-test';
import { Tlsf } from '@shmalloc/tlsf';
import test from 'ava';

const subject = { algorithm: Tlsf, exportName: 'Tlsf', module: import.meta.resolve('@shmalloc/tlsf') };
/** The lock's word, counted from the header's first. */
const spared = [16];

for (const create of [{}, { debug: true }, { lock: 'mutex' }] as const)
  damage(test, subject, { spared, create });
