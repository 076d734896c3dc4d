import { packageOf } from '../build.ts';
import type { IsolateContestant } from '../contestant.ts';

/** @public */
export const tlsf: IsolateContestant = {
  name: 'tlsf',
  title: 'Tlsf',
  kind: 'ours',
  package: 'tlsf',
  async open(bytes, _prepared, build) {
    const { Tlsf } = await packageOf<typeof import('@shmalloc/tlsf')>('tlsf', build);
    return Tlsf.create({ bytes, lock: 'none' });
  },
};
