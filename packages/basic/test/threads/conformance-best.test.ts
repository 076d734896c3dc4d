import { conformance } from '@shmalloc/alloc-test';
import { BasicBest } from '@shmalloc/basic';
import test from 'ava';

const module = import.meta.resolve('@shmalloc/basic');

conformance(test, { algorithm: BasicBest, exportName: 'BasicBest', module }, { workers: [4], variant: true });
