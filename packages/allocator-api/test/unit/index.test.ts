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
    'SiteTable',
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
    'findSites',
    'headerWord',
    'isAligned',
    'isNullWrite',
    'isPowerOfTwo',
    'layNullZone',
    'laySites',
    'liveBlocks',
    'maskOf',
    'nextPowerOfTwo',
    'notShared',
    'noteSites',
    'nullWordsOf',
    'openHeader',
    'openRegion',
    'publishHeader',
    'siteTableBytes',
    'takeNullWrite',
    'traceHeap',
    'trailingZeros',
    'writeIdentity',
    'wrongLayout',
  ]);
});

test('the allocator interfaces cost nothing at run time', (t) => {
  t.deepEqual(Object.keys(interfaces), []);
});
