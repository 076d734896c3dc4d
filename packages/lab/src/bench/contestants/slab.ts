import { packageOf } from '../build.ts';
import type { IsolateContestant } from '../contestant.ts';

/** @public */
export const slab: IsolateContestant = {
  name: 'slab',
  title: 'Slab',
  kind: 'ours',
  package: 'slab',
  async open(bytes, _prepared, build) {
    const { Slab } = await packageOf<typeof import('@shmalloc/slab')>('slab', build);
    return Slab.create({ bytes });
  },
};
