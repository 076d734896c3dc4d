import { packageOf } from '../build.ts';
import type { IsolateContestant } from '../contestant.ts';

/** @public */
export const buddy: IsolateContestant = {
  name: 'buddy',
  title: 'Buddy',
  kind: 'ours',
  package: 'buddy',
  async open(bytes, _prepared, build) {
    const { Buddy } = await packageOf<typeof import('@shmalloc/buddy')>('buddy', build);
    return Buddy.create({ bytes, lock: 'none' });
  },
};
