/** What `ltrace` prints, and what it means. */
import test from 'ava';
import { taken } from '../support/imports.ts';

test('ltrace -f', async (t) => {
  const lines = [
    '[pid 71] malloc(24)                             = 0x55f134c922a0',
    '[pid 71] prog->calloc(4, 16)                    = 0x55f134c922c0',
    '[pid 72] prog->malloc(77 <unfinished ...>',
    '[pid 71] realloc(0x55f134c922a0, 48)            = 0x55f134c92310',
    '[pid 72] <... malloc resumed> )                 = 0x7f7018000b70',
    '[pid 71] aligned_alloc(32, 64, 0x55f13, 7)      = 0x55f134c925e0',
    '[pid 72] prog->free(0x55f134c922c0 <unfinished ...>',
    '[pid 71] malloc(64)                             = 0x55f134c922c0',
    '[pid 72] <... free resumed> )                   = <void>',
    '[pid 72] strlen("p->malloc(3)")                 = 12',
    '[pid 71] --- SIGCHLD (Child exited) ---',
    '[pid 72] +++ exited (status 0) +++',
    '[pid 71] realloc(0, 33)                         = 0x55f134c92350',
    '[pid 71] realloc(0x55f134c92350, 0)             = 0',
    '[pid 71] free(nil)                              = <void>',
    '[pid 71] free(0x7f7018000b70)                   = <void>',
    '+++ killed by SIGKILL +++',
    '',
  ];
  t.deepEqual(await taken('ltrace', ...lines), {
    events: [
      '0 malloc 1:24',
      '0 calloc 2:64',
      '0 realloc 1>3:48',
      '1 malloc 4:77',
      '0 aligned 5:64@32',
      '1 free 2',
      '0 malloc 6:64',
      '1 exit',
      '0 realloc 0>7:33',
      '0 free 7',
      '0 free 0',
      '0 free 4',
    ],
    problems: [],
    ignored: 5,
  });
});

test('ltrace -o FILE: the process without brackets; times and places; functions that few use', async (t) => {
  const lines = [
    '71 valloc(100, 0x7ffc, 0x7ffc)                  = 0x55aea3eb1000',
    '72 01:19:50.400948 pvalloc(7)                   = 0x55aea3eb2000',
    '72 01:19:50 reallocarray(0, 3, 10)              = 0x55aea3eb1300',
    '71 1732150790.400948 [0x5572521c1] reallocarray(0x55aea3eb1300, 5, 1000) = 0x55aea3eb3010 <0.000082>',
    '71   0.000129 prog->free(0x55aea3eb3010 <unfinished ...>',
    '72 malloc(8)                                    = 0x55aea3eb3010',
    '71 <... free resumed> )                         = <void>',
    '71 +++ exited (status 0) +++',
    '[0x5572521c1] malloc(9)                         = 0x10',
    '71 [here] malloc(9)                             = 0x20',
    '71 reallocarray(0x10, 5)                        = 0x20',
  ];
  t.deepEqual(await taken('ltrace', ...lines), {
    events: [
      '0 aligned 1:100@4096',
      '1 aligned 2:7@4096',
      '1 realloc 0>3:30',
      '0 realloc 3>4:5000',
      '0 free 4',
      '1 malloc 5:8',
      '0 exit',
      '2 malloc 6:9',
    ],
    problems: ['10 malformed', '11 malformed'],
    ignored: 1,
  });
});

test('ltrace: of nested heap calls the outermost counts', async (t) => {
  const lines = [
    '[pid 7] n->_Znam(40, 4, 0 <unfinished ...>',
    '[pid 7] libstdc++.so.6->_Znwm(40, 4, 0 <unfinished ...>',
    '[pid 7] libstdc++.so.6->malloc(40)              = 0x55d5af4b7ed0',
    '[pid 7] <... _Znwm resumed> )                   = 0x55d5af4b7ed0',
    '[pid 7] <... _Znam resumed> )                   = 0x55d5af4b7ed0',
    '[pid 7] n->_ZnwmSt11align_val_t(128, 64, 0)     = 0x55d5af4b7f00',
    '[pid 7] n->_ZdaPv(0x55d5af4b7ed0, 1 <unfinished ...>',
    '[pid 7] libstdc++.so.6->_ZdlPv(0x55d5af4b7ed0 <unfinished ...>',
    '[pid 7] libstdc++.so.6->free(0x55d5af4b7ed0)    = <void>',
    '[pid 7] <... _ZdlPv resumed> )                  = 0',
    '[pid 7] <... _ZdaPv resumed> )                  = 0',
    '[pid 7] n->posix_memalign(0x7fff, 64, 8 <unfinished ...>',
    '[pid 7] libc.so.6->memalign(64, 8)              = 0x55d5af4b7e00',
    '[pid 7] <... posix_memalign resumed> )          = 0',
    '[pid 7] n->qsort(0x7fff, 64, 8 <unfinished ...>',
    '[pid 7] n->malloc(3)                            = 0x10',
    '[pid 7] <... qsort resumed> )                   = 0',
  ];
  t.deepEqual(await taken('ltrace', ...lines), {
    events: ['0 malloc 1:40', '0 aligned 2:128@64', '0 free 1', '0 aligned 3:8@64', '0 malloc 4:3'],
    problems: [],
    ignored: 11,
  });
});

test('ltrace: halves without the other, results that are not there, and lines that are none', async (t) => {
  const lines = [
    '[pid 1] <... malloc resumed> )  = 0x10',
    '[pid 1] malloc(8 <unfinished ...>',
    '[pid 1] <... calloc resumed> )  = 0x10',
    '[pid 1] posix_memalign(0x7fff, 64, 8)  = 0',
    '[pid x] malloc(8)  = 0x10',
    '[pid 1] malloc(8)',
    '[pid 1] malloc(8',
    '[pid 1] malloc(eight)  = 0x10',
    '[pid 1] malloc(8)  = here',
    '[pid 1] operator new(unsigned long)(8)  = 0x10',
    'hello',
    '[pid 1] malloc(8 <unfinished ...>',
    '[pid 1] <... malloc resumed> now',
    '[pid 1] realloc(0x10, 8 <unfinished ...>',
    '[pid 1] +++ exited (status 0) +++',
    '[pid 2] malloc(8 <unfinished ...>',
  ];
  t.deepEqual(await taken('ltrace', ...lines), {
    events: ['0 exit'],
    problems: [
      '1 unfinished',
      '3 unfinished',
      '4 unknown-address',
      '5 malformed',
      '6 malformed',
      '7 malformed',
      '8 malformed',
      '9 malformed',
      '10 malformed',
      '11 malformed',
      '13 malformed',
      '15 unfinished',
      '16 unfinished',
    ],
    ignored: 0,
  });
});
