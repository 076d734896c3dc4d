/** A worker of the workloads: does one of them, ends. */
import { enlist } from './crew.ts';
import { work } from './workloads.ts';

enlist(work);
