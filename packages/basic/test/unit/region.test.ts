import { Basic } from '@shmalloc/basic';
import test from 'ava';
import { regionTests } from '../../../heap-base/dist-test/support/region-tests.js';

regionTests(test, Basic, [{ policy: 'first' }, { policy: 'best' }, { policy: 'worst' }]);
