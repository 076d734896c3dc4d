import type { IsolateContestant } from '../contestant.ts';

/** @public */
export const mimalloc: IsolateContestant = {
  name: 'mimalloc',
  title: 'MiMalloc',
  kind: 'ours',
  async open(bytes) {
    const { MiMalloc } = await import('@shmalloc/mimalloc');
    return MiMalloc.create({ bytes });
  },
};
