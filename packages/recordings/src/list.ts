/** Written by `record.mjs`: change that, not this. */

import type { Recording } from './recordings.ts';

/** Without the place of the file. */
export const LIST: readonly Omit<Recording, 'url'>[] = [
  {
    name: 'git-log',
    program: 'git 2.39.5',
    packages: ['git'],
    description:
      'the log of 100 commits to text files, with patches and statistics: `git -C repository log -p --stat -n 100`',
    operations: 131152,
    threads: 1,
    peakBytes: 2073135,
    crossThreadFrees: 0,
  },
  {
    name: 'python',
    program: 'python3 3.11.2',
    packages: ['python3'],
    description:
      'makes records, writes and reads them as JSON, indexes them, rewrites text; with malloc in place of its own small-object allocator: `PYTHONMALLOC=malloc python3 records.py`',
    operations: 138620,
    threads: 1,
    peakBytes: 2583406,
    crossThreadFrees: 0,
  },
  {
    name: 'perl',
    program: 'perl 5.36.0',
    packages: ['perl'],
    description: 'counts words, keeps lists of them, rewrites lines: `perl words.pl`',
    operations: 118145,
    threads: 1,
    peakBytes: 832012,
    crossThreadFrees: 0,
  },
  {
    name: 'sqlite',
    program: 'sqlite 3.40.1',
    packages: ['sqlite3'],
    description:
      "two tables, two indexes, joins, an update, a delete, in memory: `sqlite3 :memory: '.read sales.sql'`",
    operations: 101253,
    threads: 1,
    peakBytes: 2912926,
    crossThreadFrees: 0,
  },
  {
    name: 'cc1',
    program: 'cc1 12.2.0',
    packages: ['gcc', 'libc6-dev'],
    description:
      "the compiler proper of GCC, a child of its driver, on 120 lines of C and the C library's headers: `gcc -O2 -c tree.c -o tree.o`",
    operations: 124586,
    threads: 1,
    peakBytes: 3254526,
    crossThreadFrees: 0,
  },
  {
    name: 'jq',
    program: 'jq 1.6',
    packages: ['jq'],
    description: 'filters, reshapes, groups and joins 1500 records: `jq -n -f scores.jq`',
    operations: 126931,
    threads: 1,
    peakBytes: 2277052,
    crossThreadFrees: 0,
  },
  {
    name: 'lua',
    program: 'lua5.4 5.4.4',
    packages: ['lua5.4'],
    description:
      'replaces small tables and growing strings in 500 slots; all through realloc and free: `lua5.4 tables.lua`',
    operations: 116088,
    threads: 1,
    peakBytes: 393068,
    crossThreadFrees: 0,
  },
  {
    name: 'bash',
    program: 'bash 5.2.15',
    packages: ['bash'],
    description: 'associative arrays, string building, word splitting: `bash words.sh`',
    operations: 112253,
    threads: 1,
    peakBytes: 149879,
    crossThreadFrees: 0,
  },
  {
    name: 'git-pack',
    program: 'git 2.39.5',
    packages: ['git'],
    description:
      'packs the same repository: two threads search for deltas: `git -C repository pack-objects -q --threads=2 --all --no-reuse-delta --window=20 --depth=50 out`',
    operations: 121247,
    threads: 3,
    peakBytes: 2691131,
    crossThreadFrees: 1524,
  },
  {
    name: 'ripgrep',
    program: 'ripgrep 13.0.0',
    packages: ['ripgrep', 'g++', 'libc6-dev'],
    description:
      'two threads (Rust) search header files and print what they find: `rg -j2 -i return /usr/include/c++ /usr/include/linux /usr/include/x86_64-linux-gnu`',
    operations: 42638,
    threads: 3,
    peakBytes: 1069721,
    crossThreadFrees: 1099,
  },
  {
    name: 'lld',
    program: 'ld.lld 14.0.6',
    packages: ['lld', 'g++'],
    description:
      'the linker of LLVM (C++), two threads, links a C++ program with the static standard library: `g++ -static -fuse-ld=lld -Wl,--threads=2 link.o -o link`',
    operations: 106192,
    threads: 3,
    peakBytes: 9304906,
    crossThreadFrees: 10058,
  },
  {
    name: 'node',
    program: 'node 20.20.2',
    packages: ['nodejs'],
    description:
      "a worker and the main thread post buffers to one another while the thread pool compresses, hashes and reads; NodeSource's package: `node workers.mjs`",
    operations: 144581,
    threads: 11,
    peakBytes: 6951004,
    crossThreadFrees: 11296,
  },
  {
    name: 'redis',
    program: 'redis-server 7.0.15',
    packages: ['redis-server', 'redis-tools'],
    description:
      'under redis-benchmark (strings, lists, sets, hashes, sorted sets), then large keys are unlinked and all is flushed: a thread of its own frees them; allocates through jemalloc: `redis-server --io-threads 2 --io-threads-do-reads yes --lazyfree-lazy-user-del yes`',
    operations: 163174,
    threads: 4,
    peakBytes: 2034143,
    crossThreadFrees: 21396,
  },
  {
    name: 'pbzip2',
    program: 'pbzip2 1.1.13',
    packages: ['pbzip2'],
    description:
      'compresses 24 MB of text in two threads; few blocks, large ones, passed from thread to thread: `pbzip2 -p2 -b1 -k -f text`',
    operations: 3436,
    threads: 6,
    peakBytes: 16361976,
    crossThreadFrees: 723,
  },
];
