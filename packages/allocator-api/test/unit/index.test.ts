import * as api from '@shmalloc/allocator-api';
import test from 'ava';
import * as interfaces from '../../dist/allocators.js';

test('the package hands on its vocabulary and nothing else', (t) => {
  t.deepEqual(Object.keys(api).sort(), [
    'AllocError',
    'HEADER_MAGIC',
    'LOCK_KINDS',
    'Layout',
    'MAX_BYTES',
    'NULL',
    'SCALAR_BYTES',
    'SharedMemory',
    'alignDown',
    'alignUp',
    'broken',
    'checkAlign',
    'checkAttachLock',
    'checkChoice',
    'checkFlag',
    'checkHandle',
    'checkHook',
    'checkInteger',
    'checkNullZone',
    'checkOptions',
    'checkRange',
    'countBits',
    'defaultAlign',
    'demandOf',
    'demandWord',
    'headerStart',
    'isAligned',
    'isNullWrite',
    'isPowerOfTwo',
    'layNullZone',
    'liveBlocks',
    'maskOf',
    'nextPowerOfTwo',
    'notShared',
    'nullWordsOf',
    'openHeader',
    'openRegion',
    'publishHeader',
    'takeNullWrite',
    'trailingZeros',
    'writeIdentity',
    'wrongLayout',
  ]);
});

test('the allocator interfaces cost nothing at run time', (t) => {
  t.deepEqual(Object.keys(interfaces), []);
});
