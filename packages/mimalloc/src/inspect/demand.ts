import { type Demand, demandOf } from '@shmalloc/allocator-api';

/** Demands an invariant of mimalloc's. */
export const demand: Demand = demandOf('mimalloc');
