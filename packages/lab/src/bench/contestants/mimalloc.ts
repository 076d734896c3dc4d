import { packageOf } from '../build.ts';
import type { IsolateContestant } from '../contestant.ts';

/** @public */
export const mimalloc: IsolateContestant = {
  name: 'mimalloc',
  title: 'MiMalloc',
  kind: 'ours',
  package: 'mimalloc',
  async open(bytes, _prepared, build) {
    const { MiMalloc } = await packageOf<typeof import('@shmalloc/mimalloc')>('mimalloc', build);
    return MiMalloc.create({ bytes });
  },
};
