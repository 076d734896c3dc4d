import { packageOf } from '../build.ts';
import type { IsolateContestant } from '../contestant.ts';

function basic(policy: 'first' | 'best' | 'worst'): IsolateContestant {
  return {
    name: `basic-${policy}`,
    title: `Basic, ${policy} fit`,
    kind: 'ours',
    package: 'basic',
    async open(bytes, _prepared, build) {
      const { Basic } = await packageOf<typeof import('@shmalloc/basic')>('basic', build);
      return Basic.create({ bytes, policy, lock: 'none' });
    },
  };
}

/** @public */
export const basicFirst: IsolateContestant = basic('first');
/** @public */
export const basicBest: IsolateContestant = basic('best');
/** @public */
export const basicWorst: IsolateContestant = basic('worst');
