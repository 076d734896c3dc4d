import { Tlsf } from '@shmalloc/tlsf';
import test from 'ava';
import { regionTests } from '../../../heap-base/dist-test/support/region-tests.js';

regionTests(test, Tlsf);
