import { conformance } from '@shmalloc/alloc-test';
import { BasicFirst } from '@shmalloc/basic';
import test from 'ava';

const module = import.meta.resolve('@shmalloc/basic');

conformance(test, { algorithm: BasicFirst, exportName: 'BasicFirst', module }, { workers: [1, 4] });
