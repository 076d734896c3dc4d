import type { IsolateContestant } from '../contestant.ts';

/** @public */
export const slab: IsolateContestant = {
  name: 'slab',
  title: 'Slab',
  kind: 'ours',
  async open(bytes) {
    const { Slab } = await import('@shmalloc/slab');
    return Slab.create({ bytes });
  },
};
