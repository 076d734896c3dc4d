import test from 'ava';
import * as shmalloc from 'shmalloc';

const PARTS = {
  'atomic-cell': () => import('shmalloc/atomic-cell'),
  axalloc: () => import('shmalloc/axalloc'),
  basic: () => import('shmalloc/basic'),
  bitmap: () => import('shmalloc/bitmap'),
  buddy: () => import('shmalloc/buddy'),
  kernel: () => import('shmalloc/kernel'),
  mimalloc: () => import('shmalloc/mimalloc'),
  slab: () => import('shmalloc/slab'),
  tlsf: () => import('shmalloc/tlsf'),
};

for (const [name, load] of Object.entries(PARTS)) {
  test(`shmalloc/${name} is the whole package, and what shmalloc has of it is the same`, async (t) => {
    const part: Readonly<Record<string, unknown>> = await load();
    t.deepEqual(Object.keys(part), Object.keys(await import(`@shmalloc/${name}`)));
    const whole: Readonly<Record<string, unknown>> = shmalloc;
    const shared = Object.keys(part).filter((key) => key in whole);
    t.true(shared.length > 0 || name === 'kernel', 'something of it is in shmalloc');
    for (const key of shared) t.is(part[key], whole[key], key);
  });
}
