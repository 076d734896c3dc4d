import type { IsolateContestant } from '../contestant.ts';

/** @public */
export const tlsf: IsolateContestant = {
  name: 'tlsf',
  title: 'Tlsf',
  kind: 'ours',
  async open(bytes) {
    const { Tlsf } = await import('@shmalloc/tlsf');
    return Tlsf.create({ bytes });
  },
};
