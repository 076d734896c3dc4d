import type { IsolateContestant } from '../contestant.ts';

/** @public */
export const buddy: IsolateContestant = {
  name: 'buddy',
  title: 'Buddy',
  kind: 'ours',
  async open(bytes) {
    const { Buddy } = await import('@shmalloc/buddy');
    return Buddy.create({ bytes });
  },
};
