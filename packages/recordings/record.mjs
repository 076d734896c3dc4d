/**
 * Makes every recording of this package anew, on a Debian machine:
 *
 *     node packages/recordings/record.mjs --install   # apt-get install what is recorded, then record all
 *     node packages/recordings/record.mjs lua jq      # only these
 *
 * Build the workspace first. Writes `data/<name>.trace`, the list `src/list.ts` and the table in `README.md`. Programs with several
 * threads make a little more or less of their operations in every run, so the files differ from one run to the next.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { traceInfo, writeTrace } from '@shmalloc/trace';
import { record } from '@shmalloc/trace/record';

const here = path.dirname(fileURLToPath(import.meta.url));
const inputs = path.join(here, 'workloads');
const work = mkdtempSync(path.join(tmpdir(), 'shmalloc-recordings-'));
const redisSocket = path.join(work, 'redis.sock');

/** What every recorded program sees: nothing of the person who records. */
const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8', HOME: work };

/**
 * The workloads. `process` picks one of the programs that a command starts; `drive` talks to the program while it runs; `shown` is the
 * command for people, where it differs from what is typed.
 */
const workloads = [
  {
    name: 'git-log',
    packages: ['git'],
    version: ['git', '--version'],
    what: 'the log of 100 commits to text files, with patches and statistics',
    prepare: makeRepository,
    command: ['git', '-C', 'repository', 'log', '-p', '--stat', '-n', '100'],
  },
  {
    name: 'python',
    packages: ['python3'],
    version: ['/usr/bin/python3', '--version'],
    what: 'makes records, writes and reads them as JSON, indexes them, rewrites text; with malloc in place of its own small-object allocator',
    env: { PYTHONMALLOC: 'malloc' },
    command: ['/usr/bin/python3', `${inputs}/records.py`],
  },
  {
    name: 'perl',
    packages: ['perl'],
    version: ['perl', '-e', 'print "perl $^V\n"'],
    what: 'counts words, keeps lists of them, rewrites lines',
    command: ['perl', `${inputs}/words.pl`],
  },
  {
    name: 'sqlite',
    packages: ['sqlite3'],
    version: ['sqlite3', '-version'],
    versionName: 'sqlite',
    what: 'two tables, two indexes, joins, an update, a delete, in memory',
    command: ['sqlite3', ':memory:', `.read ${inputs}/sales.sql`],
  },
  {
    name: 'cc1',
    packages: ['gcc', 'libc6-dev'],
    version: ['gcc', '--version'],
    what: "the compiler proper of GCC, a child of its driver, on 120 lines of C and the C library's headers",
    process: 'cc1',
    command: ['gcc', '-O2', '-c', `${inputs}/tree.c`, '-o', 'tree.o'],
  },
  {
    name: 'jq',
    packages: ['jq'],
    version: ['jq', '--version'],
    what: 'filters, reshapes, groups and joins 1500 records',
    command: ['jq', '-n', '-f', `${inputs}/scores.jq`],
  },
  {
    name: 'lua',
    packages: ['lua5.4'],
    version: ['lua5.4', '-v'],
    what: 'replaces small tables and growing strings in 500 slots; all through realloc and free',
    command: ['lua5.4', `${inputs}/tables.lua`],
  },
  {
    name: 'bash',
    packages: ['bash'],
    version: ['bash', '--version'],
    what: 'associative arrays, string building, word splitting',
    command: ['bash', `${inputs}/words.sh`],
  },
  {
    name: 'git-pack',
    packages: ['git'],
    version: ['git', '--version'],
    what: 'packs the same repository: two threads search for deltas',
    prepare: makeRepository,
    command:
      'git -C repository pack-objects -q --threads=2 --all --no-reuse-delta --window=20 --depth=50 out'.split(
        ' ',
      ),
  },
  {
    name: 'ripgrep',
    packages: ['ripgrep', 'g++', 'libc6-dev'],
    version: ['rg', '--version'],
    versionName: 'ripgrep',
    what: 'two threads (Rust) search header files and print what they find',
    command: [
      'rg',
      '-j2',
      '-i',
      'return',
      '/usr/include/c++',
      '/usr/include/linux',
      '/usr/include/x86_64-linux-gnu',
    ],
  },
  {
    name: 'lld',
    packages: ['lld', 'g++'],
    version: ['ld.lld', '--version'],
    what: 'the linker of LLVM (C++), two threads, links a C++ program with the static standard library',
    process: 'ld.lld',
    prepare: () => run(['g++', '-O1', '-g', '-c', `${inputs}/link.cc`, '-o', 'link.o']),
    command: ['g++', '-static', '-fuse-ld=lld', '-Wl,--threads=2', 'link.o', '-o', 'link'],
  },
  {
    name: 'node',
    packages: ['nodejs'],
    version: [process.execPath, '--version'],
    versionName: 'node',
    what: "a worker and the main thread post buffers to one another while the thread pool compresses, hashes and reads; NodeSource's package",
    command: [process.execPath, `${inputs}/workers.mjs`],
    shown: ['node', 'workers.mjs'],
  },
  {
    name: 'redis',
    packages: ['redis-server', 'redis-tools'],
    version: ['redis-server', '--version'],
    what: 'under redis-benchmark (strings, lists, sets, hashes, sorted sets), then large keys are unlinked and all is flushed: a thread of its own frees them; allocates through jemalloc',
    command: [
      'redis-server',
      ...['--port', '0', '--unixsocket', redisSocket, '--save', '', '--io-threads', '2'],
      ...['--io-threads-do-reads', 'yes', '--lazyfree-lazy-user-del', 'yes'],
    ],
    shown: [
      'redis-server',
      '--io-threads',
      '2',
      '--io-threads-do-reads',
      'yes',
      '--lazyfree-lazy-user-del',
      'yes',
    ],
    drive: driveRedis,
  },
  {
    name: 'pbzip2',
    packages: ['pbzip2'],
    version: ['pbzip2', '--version'],
    what: 'compresses 24 MB of text in two threads; few blocks, large ones, passed from thread to thread',
    prepare: makeText,
    command: ['pbzip2', '-p2', '-b1', '-k', '-f', 'text'],
  },
];

// ---- What the workloads need --------------------------------------------------------------------------------------------------

/** Runs a program to its end, unrecorded. */
function run(command, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command[0], command.slice(1), {
    cwd: work,
    env,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    ...options,
  });
  if (error !== undefined || status !== 0) {
    throw new Error(`${command.join(' ')}: ${error?.message ?? `exit code ${status}\n${stderr}`}`);
  }
  return stdout + stderr;
}

/** The generator of the conformance tests; the same numbers in every run. */
function randomNumbers() {
  let state = 2332n;
  return (below) => {
    state = (state * 6364136223846793005n + 1n) & 0xffffffffffffffffn;
    return Number((state >> 33n) % BigInt(below));
  };
}

/** 150 commits that each change 6 of 96 files of 200 lines. */
function makeRepository() {
  const directory = path.join(work, 'repository');
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory);
  const random = randomNumbers();
  const files = new Map();
  const stream = [];
  for (let commit = 0; commit < 150; commit++) {
    const message = `commit ${commit}\n`;
    stream.push(
      `commit refs/heads/main\ncommitter A U Thor <author@example.org> ${1600000000 + commit * 3600} +0000\n`,
    );
    stream.push(`data ${message.length}\n${message}`);
    for (let change = 0; change < 6; change++) {
      const name = `directory${random(8)}/file${random(12)}.txt`;
      const lines = files.get(name) ?? Array.from({ length: 200 }, () => `line ${random(1000)}`);
      files.set(name, lines);
      for (let line = 0; line < 5; line++) lines[random(200)] = `line ${random(1e9)} changed in ${commit}`;
      const text = `${lines.join('\n')}\n`;
      stream.push(`M 100644 inline ${name}\ndata ${text.length}\n${text}\n`);
    }
  }
  run(['git', 'init', '-q', '-b', 'main', directory]);
  run(['git', '-C', directory, 'fast-import', '--quiet'], { input: stream.join('') });
}

function makeText() {
  const random = randomNumbers();
  const lines = [];
  for (let bytes = 0; bytes < 24e6; ) {
    const line = `${random(1e6)} a line of the text ${random(1e9).toString(16)}\n`;
    bytes += line.length;
    lines.push(line);
  }
  writeFileSync(path.join(work, 'text'), lines.join(''));
}

async function driveRedis() {
  const start = (command) =>
    new Promise((resolve, reject) => {
      const child = spawn(command[0], ['-s', redisSocket, ...command.slice(1)], {
        env,
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      let text = '';
      child.stdout.on('data', (data) => (text += data));
      child.on('error', reject).on('close', () => resolve(text));
    });
  const client = (...args) => start(['redis-cli', ...args]);
  const benchmark = (...args) => start(['redis-benchmark', '-q', ...args]);

  for (let patience = 100; !(await client('ping')).includes('PONG'); patience--) {
    if (patience === 0) throw new Error('redis-server does not answer');
    await sleep(50);
  }
  await benchmark(
    '-n',
    '150',
    '-c',
    '8',
    '-P',
    '4',
    '-r',
    '2000',
    '-t',
    'set,get,incr,lpush,rpush,lpop,sadd,hset,spop,zadd,mset',
  );
  const many = ['-n', '1000', '-c', '2', '-P', '16', '-r', '100000'];
  for (let k = 0; k < 2; k++) {
    await benchmark(...many, 'sadd', `set${k}`, 'element-of-a-set-__rand_int__');
    await benchmark(...many, 'zadd', `sorted${k}`, '__rand_int__', 'element-of-a-sorted-set-__rand_int__');
    await benchmark(
      ...many,
      'hset',
      `hash${k}`,
      'field-__rand_int__',
      'a value that is long enough for a block of its own __rand_int__',
    );
    await client('unlink', `set${k}`, `sorted${k}`, `hash${k}`);
  }
  await client('flushall', 'async');
  await sleep(300);
  await client('shutdown', 'nosave');
}

// ---- Recording ------------------------------------------------------------------------------------------------------------------

/** Records one workload and returns its entry in the list. */
async function recordOne(workload) {
  workload.prepare?.();
  const [command, ...args] = workload.command;
  let driven;
  let failure;
  const { traces, exitCode, problems } = await record({
    command,
    args,
    cwd: work,
    env: { ...env, ...workload.env },
    stdio: 'ignore',
    onStart: (pid) => {
      driven = workload.drive?.().catch((error) => {
        failure = error;
        try {
          process.kill(pid); // else it would wait for its driver for ever
        } catch {
          // It has ended, and that may be why its driver failed.
        }
      });
    },
  });
  await driven;
  if (failure !== undefined) throw failure;
  if (exitCode !== 0) throw new Error(`${workload.name}: exit code ${exitCode}`);
  const wanted =
    workload.process === undefined ? traces[0] : traces.find((one) => one.process === workload.process);
  if (wanted === undefined) throw new Error(`${workload.name}: no trace of ${workload.process ?? command}`);
  for (const problem of problems.filter(({ pid }) => pid === wanted.pid)) {
    console.log(`${workload.name}: ${problem.count} × ${problem.reason}`);
  }
  const bytes = writeTrace(wanted.trace);
  writeFileSync(path.join(here, 'data', `${workload.name}.trace`), bytes);
  const { operations, threads, peakLiveBytes, crossThreadFrees } = traceInfo(wanted.trace);
  const perOperation = (bytes.length / operations).toFixed(2);
  console.log(
    `${workload.name.padEnd(10)} ${operations} operations, ${threads} threads, peak ${peakLiveBytes}, ${crossThreadFrees} frees across threads, ${bytes.length} bytes (${perOperation} each)`,
  );
  return {
    name: workload.name,
    program: versionOf(workload),
    packages: workload.packages,
    description: `${workload.what}: \`${shown(workload)}\``,
    operations,
    threads,
    peakBytes: peakLiveBytes,
    crossThreadFrees,
  };
}

/** `git 2.39.5`: the first word with digits and dots in what the program says of itself. */
function versionOf({ command, version, process: child, versionName }) {
  const number = run(version).match(/\d+(\.\d+)+/)[0];
  return `${versionName ?? child ?? path.basename(command[0])} ${number}`;
}

/** The command as a person would type it, without our directories. */
function shown({ env: extra = {}, command, shown = command }) {
  const words = shown.map((word) => word.replaceAll(`${inputs}/`, '').replace(/^\/usr\/bin\//, ''));
  const variables = Object.entries(extra).map(([key, value]) => `${key}=${value}`);
  return [...variables, ...words.map((word) => (/[ \\]/.test(word) ? `'${word}'` : word))].join(' ');
}

// ---- The list and the table -------------------------------------------------------------------------------------------------------

function writeList(entries) {
  const text = `/** Written by \`record.mjs\`: change that, not this. */

import type { Recording } from './recordings.ts';

/** Without the place of the file. */
export const LIST: readonly Omit<Recording, 'url'>[] = ${JSON.stringify(entries)};
`;
  const file = path.join(here, 'src', 'list.ts');
  writeFileSync(file, text);
  run(['npx', 'biome', 'check', '--write', file], { cwd: here, env: process.env });
}

/** The list as it is in the source; it may be newer than what is built. */
async function presentList() {
  run(['npx', 'tsc', '-b', here], { cwd: here, env: process.env });
  return (await import('./dist/list.js')).LIST;
}

/** What the table in the README stands between. */
const OPEN = '<!-- table -->';
const CLOSE = '<!-- end -->';

/** The figures as a table, and under it a line for each that says how it was recorded. */
function writeTable(entries) {
  const rows = entries.map((entry) => {
    const numbers = [entry.operations, entry.threads, entry.peakBytes, entry.crossThreadFrees];
    const figures = numbers.map((number) => number.toLocaleString('en')).join(' | ');
    return `| ${entry.name} | ${entry.program} | ${figures} |`;
  });
  const lines = entries.map((entry) => {
    return `- **${entry.name}** (Debian: ${entry.packages.join(', ')}): ${entry.description}`;
  });
  const text = [
    OPEN,
    '| name | program | operations | threads | peak bytes | frees across threads |',
    '|---|---|--:|--:|--:|--:|',
    ...rows,
    '',
    ...lines,
    CLOSE,
  ];
  const file = path.join(here, 'README.md');
  const readme = readFileSync(file, 'utf8');
  writeFileSync(file, readme.split(OPEN)[0] + text.join('\n') + readme.split(CLOSE)[1]);
  run(['npx', 'biome', 'check', '--write', file], { cwd: here, env: process.env });
}

const INSTALL = '--install';
const words = process.argv.slice(2);
const names = words.filter((word) => word !== INSTALL);
const unknown = names.filter((name) => !workloads.some((workload) => workload.name === name));
if (unknown.length > 0) {
  console.error(
    `no such recording: ${unknown.join(', ')}; there are ${workloads.map(({ name }) => name).join(', ')}; or ${INSTALL}`,
  );
  rmSync(work, { recursive: true });
  process.exit(2);
}
const chosen = workloads.filter(({ name }) => names.length === 0 || names.includes(name));
if (words.includes(INSTALL)) {
  const packages = new Set(
    chosen.flatMap((workload) => workload.packages).filter((name) => name !== 'nodejs'),
  );
  const { status } = spawnSync('apt-get', ['install', '-y', '--no-install-recommends', ...packages], {
    stdio: 'inherit',
  });
  if (status !== 0) console.error('apt-get failed: going on with what is installed');
}
try {
  const known = names.length === 0 ? [] : await presentList();
  const entries = [];
  for (const workload of workloads) {
    const kept = chosen.includes(workload) ? undefined : known.find(({ name }) => name === workload.name);
    if (chosen.includes(workload)) entries.push(await recordOne(workload));
    else if (kept !== undefined) entries.push(kept);
  }
  writeList(entries);
  writeTable(entries);
} finally {
  rmSync(work, { recursive: true, force: true });
}
