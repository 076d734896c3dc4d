/**
 * One sample for each format but ltrace (which has a file of its own), as the tools print it, with what it
 * means.
 */
import test from 'ava';
import { taken } from '../support/imports.ts';

const CSAPP = ['a 0 512', 'a 1 128', 'r 0 640', 'f 1', 'r 2 8', 'f -1', 'f 0', 'a 0 16', 'f 0', 'f 2'];
const CSAPP_EVENTS = [
  '0 malloc 1:512',
  '0 malloc 2:128',
  '0 realloc 1>3:640',
  '0 free 2',
  '0 realloc 0>4:8',
  '0 free 0',
  '0 free 3',
  '0 malloc 5:16',
  '0 free 5',
  '0 free 4',
];

test('.rep with the header of 2002: heap, ids, operations, weight', async (t) => {
  t.deepEqual(await taken('rep', '20000', '3', '10', '1', ...CSAPP), {
    events: CSAPP_EVENTS,
    problems: [],
    ignored: 4,
  });
});

test('.rep with the header of 2016: weight, ids, operations, largest heap; on one line, with CRLF', async (t) => {
  const lines = ['1 3 10 4096', '', ...CSAPP].map((line) => `${line}\r`);
  t.deepEqual(await taken('rep', ...lines), { events: CSAPP_EVENTS, problems: [], ignored: 2 });
});

test('.rep: an id in use, an id not live, a header that is wrong, lines that are none', async (t) => {
  const lines = [
    '1',
    '2',
    '3',
    '9',
    'a 0 8',
    'a 0 16',
    'f 1',
    'f 7',
    'x 1 2',
    'a 1',
    'a 1 2 3',
    'f -1 1',
    'f',
    'a -2 1',
  ];
  t.deepEqual(await taken('rep', ...lines), {
    events: ['0 malloc 1:8', '0 malloc 2:16'],
    problems: [
      '6 in-use',
      '7 unknown-block',
      '8 unknown-block',
      '9 malformed',
      '10 malformed',
      '11 malformed',
      '12 malformed',
      '13 malformed',
      '14 malformed',
      '14 header',
      '14 header',
    ],
    ignored: 4,
  });
});

test('.rep that ends within its header, or has letters in it', async (t) => {
  t.deepEqual((await taken('rep', '1', '2')).problems, ['2 header']);
  t.deepEqual((await taken('rep', '1 2 3 4 5', 'a 0 8')).problems, ['1 malformed', '2 header']);
  t.deepEqual((await taken('rep', 'one')).problems, ['1 malformed', '1 header']);
});

test('glibc mtrace', async (t) => {
  const lines = [
    '= Start',
    '@ ./a.out:[0x11c0] + 0x55e497da62a0 0x18',
    '@ ./a dir/b.out:(main+0x1e)[0x11d3] + 0x55e497da64a0 0x40',
    '@ ./a.out:[0x11e8] < 0x55e497da62a0',
    '@ ./a.out:[0x11e8] > 0x7f8742a1a010 0x75300',
    '@ ./a.out:[0x1219] + 0x55e497da62a0 0',
    '@ ./a.out:[0x1272] ! 0x55e497da6530 0x4000000000000000',
    '@ ./a.out:[0x1288] + (nil) 0x4000000000000000',
    '@ ./a.out:[0x12ad] - 0x55e497da64a0',
    '- 0x7f8742a1a010',
    '- (nil)',
    '+ 0x55e497da64a0 0x7',
    '= End',
  ];
  t.deepEqual(await taken('mtrace', ...lines), {
    events: [
      '0 malloc 1:24',
      '0 malloc 2:64',
      '0 realloc 1>3:480000',
      '0 malloc 4:0',
      '0 free 2',
      '0 free 3',
      '0 free 0',
      '0 malloc 5:7',
    ],
    problems: ['7 failed', '8 failed'],
    ignored: 2,
  });
});

test('mtrace: halves of a reallocation without the other, and lines that are none', async (t) => {
  const lines = [
    '+ 0x10 0x8',
    '< 0x10', //           its > is missing
    '+ 0x20 0x8',
    '> 0x30 0x10', //      its < is missing
    'hello',
    '+ 0x40',
    '- 0x10 0x8',
    '- here',
    '+ 0x40 0x8 0x8',
    '< 0x20', //           the end comes first
  ];
  t.deepEqual(await taken('mtrace', ...lines), {
    events: ['0 malloc 1:8', '0 malloc 2:8'],
    problems: [
      '3 unfinished',
      '4 unfinished',
      '5 malformed',
      '6 malformed',
      '7 malformed',
      '8 malformed',
      '9 malformed',
      '10 unfinished',
    ],
    ignored: 0,
  });
});

test('valgrind --trace-malloc=yes', async (t) => {
  const lines = [
    '==18019== Memcheck, a memory error detector',
    '--18019-- malloc(24) = 0x4A40040',
    '--18019-- calloc(4,16) = 0x4A400A0',
    '--18019-- realloc(0x4A40040,48) = 0x4A40120',
    '--18019-- realloc(0x0,33)malloc(33) = 0x4AB54D0',
    '--18019-- memalign(al 64, size 100) = 0x4AB55C0',
    '--18019-- aligned_alloc(alignment 32, size 64) = 0x4AB58C0',
    '--18019-- realloc(0x4AB54D0,4611686018427387904) = 0x0',
    '--18019-- realloc(0x4AB54D0,0)free(0x4AB54D0)',
    '--18019--  = 0',
    '--18019-- free(0x4A400A0)',
    '--18019-- free(0x0)',
    '**00:00:00:00.613 18019** _Znwm(4) = 0x4D6DC80',
    '--00:00:00:00.621 18019-- _ZnwmSt11align_val_t(size 128, al 64) = 0x4D6DD80',
    '--18019-- _ZdlPvmSt11align_val_t(0x4D6DD80)',
    '--18019-- _ZdaPv(0x4D6DC80)',
    '--18019-- _ZnajRKSt9nothrow_t(9) = 0x4D6DC80',
    '--18019-- malloc_usable_size(0x4D6DC80) = 9',
    '--18019-- REDIR: 0x4 (libc.so.6:strlen) redirected to 0x5 (strlen)',
    '',
    '==18019== HEAP SUMMARY:',
  ];
  t.deepEqual(await taken('valgrind', ...lines), {
    events: [
      '0 malloc 1:24',
      '0 calloc 2:64',
      '0 realloc 1>3:48',
      '0 malloc 4:33',
      '0 aligned 5:100@64',
      '0 aligned 6:64@32',
      '0 free 4',
      '0 free 2',
      '0 free 0',
      '0 malloc 7:4',
      '0 aligned 8:128@64',
      '0 free 8',
      '0 free 7',
      '0 malloc 9:9',
    ],
    problems: ['8 failed'],
    ignored: 6,
  });
});

test('valgrind: another process, the program’s own output, calls that are cut off', async (t) => {
  const lines = [
    '--7-- malloc(24) = 0x40',
    '--8-- malloc(24) = 0x40',
    'hello world',
    '--7-- malloc(2',
    '--7-- malloc(24) = here',
    '--7-- calloc(4) = 0x80',
    '--7-- free(0x40) again',
    '--7-- realloc(0x40,8)strlen(5) = 0x80',
    '--7-- memalign(al 64 size 100) = 0x80',
    '--pid-- malloc(24) = 0x40',
    '--7-- free(here)',
    '--7-- realloc(0x40) = 0x80',
  ];
  t.deepEqual(await taken('valgrind', ...lines), {
    events: ['0 malloc 1:24'],
    problems: [
      '2 other-process',
      '3 malformed',
      '4 malformed',
      '5 malformed',
      '6 malformed',
      '7 malformed',
      '8 malformed',
      '9 malformed',
      '10 malformed',
      '11 malformed',
      '12 malformed',
    ],
    ignored: 0,
  });
});

test('Android memory_replay', async (t) => {
  const lines = [
    '202: malloc 0xb4827400 1024',
    '187: calloc 0xb400007b8a3ffff0 4 16',
    '187: memalign 0xb4000000 64 100 1640995200123 1640995200125',
    '187: realloc 0xb4000100 0xb4827400 2048 5 6',
    '202: free 0xb400007b8a3ffff0 7 8',
    '202: free 0x0',
    '187: realloc 0xb4000200 0x0 33',
    '187: realloc 0x0 0xb4000200 0',
    '202: thread_done 0x0',
    '202: malloc 0xb4827400 8',
    '187: thread_done 0x0 1 2',
    '202: thread_done',
  ];
  t.deepEqual(await taken('memory-replay', ...lines), {
    events: [
      '0 malloc 1:1024',
      '1 calloc 2:64',
      '1 aligned 3:100@64',
      '1 realloc 1>4:2048',
      '0 free 2',
      '0 free 0',
      '1 realloc 0>5:33',
      '1 free 5',
      '0 exit',
      '2 malloc 6:8',
      '1 exit',
      '2 exit',
    ],
    problems: [],
    ignored: 0,
  });
});

test('memory_replay: what does not fit is named, with what is done about it', async (t) => {
  const lines = [
    '1: malloc 0x10 8',
    '1: malloc 0x10 16', //        its free was not recorded: one is put in
    '1: free 0x99',
    '1: realloc 0x20 0x99 8', //   becomes an allocation
    '1: malloc 0x0 8',
    '1: malloc 0x30 4294967296',
    '1: calloc 0x30 65536 65536',
    '1: realloc 0x30 0x20 4294967296', // the old block is gone all the same
    '1: realloc 0x0 0x10 99', //   failed: the old block stays
    '1: memalign 0x40 3 8', //     taken as an alignment of 1
    '1: free 0x10',
    '',
  ];
  t.deepEqual(await taken('memory-replay', ...lines), {
    events: [
      '0 malloc 1:8',
      '0 free 1',
      '0 malloc 2:16',
      '0 realloc 0>3:8',
      '0 free 3',
      '0 aligned 4:8@1',
      '0 free 2',
    ],
    problems: [
      '2 in-use',
      '3 unknown-block',
      '4 unknown-block',
      '5 failed',
      '6 too-large',
      '7 too-large',
      '8 too-large',
      '9 failed',
      '10 bad-align',
    ],
    ignored: 1,
  });
});

for (const line of [
  'malloc 0x10 8',
  '1 malloc 0x10 8',
  '1: malloc',
  '1: malloc 10 8',
  '1: malloc 0x10',
  '1: malloc 0x10 8 1',
  '1: malloc 0x10 -8',
  '1: malloc 0x12345678901234567 8',
  '1: calloc 0x10 8',
  '1: calloc 10 8 8',
  '1: calloc 0x10 x 8',
  '1: calloc 0x10 8 8 8',
  '1: memalign 0x10 8',
  '1: realloc 0x10 8',
  '1: realloc x 0x10 8',
  '1: realloc 0x10 0x20',
  '1: realloc 0x10 0x20 8 8',
  '1: free',
  '1: free 0x',
  '1: free 0x10 1 2 3',
  '1: thread_done 0x0 1',
  '1: mmap 0x10 8',
]) {
  test(`memory_replay: malformed: ${line}`, async (t) => {
    t.deepEqual(await taken('memory-replay', line), { events: [], problems: ['1 malformed'], ignored: 0 });
  });
}
