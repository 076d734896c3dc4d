/** What the JSON has of the measurements with several threads. */

import type { Absence } from '../measure.ts';
import type { ThreadPlan, ThreadSample } from './measure.ts';
import type { ThreadFigure } from './summary.ts';

/** @public */
export interface Threads {
  readonly plan: Omit<ThreadPlan, 'contestants' | 'workloads'>;
  readonly figures: readonly ThreadFigure[];
  readonly absences: readonly Absence[];
  readonly samples: readonly ThreadSample[];
}
