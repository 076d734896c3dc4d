import type { IsolateContestant } from '../contestant.ts';

function basic(policy: 'first' | 'best' | 'worst'): IsolateContestant {
  return {
    name: `basic-${policy}`,
    title: `Basic, ${policy} fit`,
    kind: 'ours',
    async open(bytes) {
      const { Basic } = await import('@shmalloc/basic');
      return Basic.create({ bytes, policy });
    },
  };
}

/** @public */
export const basicFirst: IsolateContestant = basic('first');
/** @public */
export const basicBest: IsolateContestant = basic('best');
/** @public */
export const basicWorst: IsolateContestant = basic('worst');
