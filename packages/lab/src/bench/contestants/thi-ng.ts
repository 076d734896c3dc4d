import type { IsolateContestant } from '../contestant.ts';

/**
 * `@thi.ng/malloc`, a first-fit pool over an ArrayBuffer. Its free looks through the list of used blocks, so
 * it stands in the churn with far fewer pairs than the others. Aligned to 16, as the others align.
 * @public
 */
export const thing: IsolateContestant = {
  name: 'thi-ng',
  title: '@thi.ng/malloc',
  kind: 'foreign',
  async open(bytes) {
    const { MemPool } = await import('@thi.ng/malloc');
    return new MemPool({ buf: new SharedArrayBuffer(bytes), align: 16 });
  },
};
