/**
 * Takes a mutex once, counts itself in a shared word, and gives it back. The answer is the mutex' state while
 * this thread held it.
 */

import { Mutex } from '@shmalloc/atomic-cell';
import { CELL, DATA, GATE } from '../places.ts';
import { answer, ticket } from '../team.ts';

const { memory } = ticket<unknown>();
const mutex = new Mutex(memory, CELL);
Atomics.add(memory.i32, GATE / 4, 1);
mutex.lock();
memory.i32[DATA / 4]++;
const state = Atomics.load(memory.i32, CELL / 4);
mutex.unlock();
answer(state);
