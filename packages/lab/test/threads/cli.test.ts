import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeTrace } from '@shmalloc/trace';
import test from 'ava';
import { main } from '../../dist/cli.js';
import type { Report } from '../../dist/report/report.js';
import { twoThreads } from '../support/traces.js';

const BIN = fileURLToPath(new URL('../../dist/bin.js', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'shmalloc-cli-'));
test.after.always(() => rmSync(folder, { recursive: true }));

writeFileSync(path.join(folder, 'tiny.trace'), writeTrace(twoThreads()));
writeFileSync(path.join(folder, 'good.rep'), '65536\n2\n4\n1\na 0 100\na 1 2000\nf 1\nf 0\n');
writeFileSync(path.join(folder, 'bad.rep'), '65536\n1\n3\n1\na 0 100\nwhat is this\nf 0\n');

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/**
 * Runs `shmalloc` in a folder of its own, with the environment of another thread that did not come through
 * npm.
 */
function shmalloc(args: string[], env: NodeJS.ProcessEnv = {}, cwd = folder): Promise<Outcome> {
  const { INIT_CWD: _1, npm_package_json: _2, ...inherited } = process.env;
  return new Promise((resolve) => {
    const options = { cwd, env: { ...inherited, NO_COLOR: '1', ...env }, maxBuffer: 2 ** 26 };
    execFile(process.execPath, [BIN, ...args], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

/**
 * The same in this process, which is as good where nothing but the command line is asked, and takes a
 * hundredth of the time. One at a time: it takes the standard streams over.
 */
async function inProcess(args: string[]): Promise<Outcome> {
  const streams = ['stdout', 'stderr'] as const;
  const written = { stdout: '', stderr: '' };
  const writes = streams.map((name) => process[name].write);
  const before = process.cwd();
  const { INIT_CWD: initial } = process.env;
  delete process.env.INIT_CWD;
  process.chdir(folder);
  for (const name of streams) {
    process[name].write = (text: string | Uint8Array) => {
      written[name] += text;
      return true;
    };
  }
  try {
    const code = await main(args);
    return { code, ...written };
  } finally {
    process.exitCode = undefined; // it is the command's, not this process's
    streams.forEach((name, index) => {
      process[name].write = writes[index];
    });
    process.chdir(before);
    if (initial !== undefined) process.env.INIT_CWD = initial;
  }
}

const WRONG_USE: [string, string[], RegExp][] = [
  ['an unknown command', ['bogus'], /^shmalloc: unknown command 'bogus'\n$/],
  ['an unknown flag', ['run', '--bogus'], /^shmalloc: unknown option '--bogus'\n$/],
  [
    'a flag that is nearly right',
    ['replay', 'x', '--cpu', '1'],
    /^shmalloc: unknown option '--cpu' \(Did you mean --cpus\?\)\n$/,
  ],
  [
    'an unknown allocator',
    ['replay', 'tiny.trace', '--alloc', 'tlsf,dlmalloc'],
    /^shmalloc: unknown allocator 'dlmalloc'; there are .*tlsf.*\n$/,
  ],
  [
    'an unknown lock',
    ['replay', 'tiny.trace', '--lock', 'padlock'],
    /^shmalloc: unknown lock 'padlock'; there are none, spin, mutex, outside\n$/,
  ],
  [
    'no lock between two CPUs',
    ['replay', 'tiny.trace', '--lock', 'none'],
    /^shmalloc: lock 'none' is for one CPU .*\n$/,
  ],
  [
    'an unknown recording',
    ['run', '--traces', 'nothing'],
    /^shmalloc: unknown recording 'nothing'; there are .*\n$/,
  ],
  [
    'a number of CPUs that is none',
    ['run', '--cpus', 'two'],
    /^shmalloc: option '--cpus <n>' argument 'two' is invalid\. .*1 to 64\.\n$/,
  ],
  [
    'no names',
    ['run', '--alloc', ','],
    /^shmalloc: option '--alloc <names>' argument ',' is invalid\. .*\n$/,
  ],
  [
    'an unreadable file',
    ['replay', 'nowhere.trace'],
    /^shmalloc: cannot read nowhere\.trace: there is no such file\n$/,
  ],
  ['a folder for a file', ['trace', 'info', '.'], /^shmalloc: cannot read \.: it is a folder\n$/],
  [
    'a file that is no trace',
    ['trace', 'info', BIN],
    /^shmalloc: cannot read .*: no operation found in any format .*\n$/,
  ],
  [
    'a step that is not there',
    ['steps', '7'],
    /^shmalloc: .*'7' is invalid for argument 'step'\. .*0 to 6\.\n$/,
  ],
  [
    'traces twice',
    ['run', '--trace', 'x', '--traces', 'pbzip2'],
    /^shmalloc: --traces and --trace exclude each other\n$/,
  ],
  ['a quick machine', ['run', '--machine', '--quick'], /^shmalloc: --quick is for timed replays.*\n$/],
  [
    'swaps without a lock',
    ['run', '--swap-every', '5', '--lock', 'none', '--cpus', '1'],
    /^shmalloc: lock 'none' is not for --swap-every.*\n$/,
  ],
  [
    'swaps all the time',
    ['run', '--swap-every', '0'],
    /^shmalloc: option '--swap-every <ms>' argument '0' is invalid\. .*\n$/,
  ],
  ['a missing argument', ['trace', 'convert'], /^shmalloc: missing required argument 'in'\n$/],
  [
    'an unknown format',
    ['trace', 'info', 'x', '-f', 'elf'],
    /^shmalloc: option '-f, --format <name>' argument 'elf' is invalid\. .*\n$/,
  ],
  [
    'a program that is not there',
    ['record', '--', 'no-such-program'],
    /^shmalloc: cannot run no-such-program: there is no such program\n$/,
  ],
  [
    'a folder that is not there',
    ['record', '-o', 'no/where.trace', '--', 'true'],
    /^shmalloc: cannot write .*no\/where\.trace: .*\n$/,
  ],
  [
    'a report that cannot be written',
    ['replay', 'tiny.trace', '--alloc', 'tlsf', '--repeat', '1', '--out', 'good.rep'],
    /shmalloc: cannot write .*good\.rep\/report\.json: .*\n$/,
  ],
];

for (const [what, args, message] of WRONG_USE) {
  test.serial(`${what} ends with exit code 2 and one line`, async (t) => {
    const { code, stdout, stderr } = await inProcess(args);
    t.is(code, 2, stderr);
    t.regex(stderr, message);
    t.is(stdout, '');
  });
}

for (const command of [[], ['run'], ['replay'], ['record'], ['trace'], ['bench'], ['steps']]) {
  test.serial(`${['shmalloc', ...command].join(' ')} --help has examples`, async (t) => {
    const { code, stdout, stderr } = await inProcess([...command, '--help']);
    t.is(code, 0);
    t.regex(stdout, /^Usage: shmalloc /);
    t.regex(stdout, /Examples:\n {2}/);
    t.is(stderr, '');
  });
}

test('the program ends with the code, and writes to the streams, that the command says', async (t) => {
  const [what, args, message] = WRONG_USE[0];
  const wrong = await shmalloc(args);
  t.deepEqual([wrong.code, wrong.stdout], [2, ''], what);
  t.regex(wrong.stderr, message);
  const right = await shmalloc(['--help']);
  t.deepEqual([right.code, right.stderr], [0, '']);
  t.regex(right.stdout, /^Usage: shmalloc /);
});

test.serial('without a command the help goes to standard error', async (t) => {
  const { code, stdout, stderr } = await inProcess([]);
  t.is(code, 2);
  t.is(stdout, '');
  t.regex(stderr, /^Usage: shmalloc /);
});

test.serial('--version prints the version of the package', async (t) => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  t.is((await inProcess(['--version'])).stdout, `${version}\n`);
});

test('replay checks and measures traces in any format, and prints one table', async (t) => {
  const { code, stdout, stderr } = await shmalloc([
    ...['replay', 'tiny.trace', 'good.rep', './tiny.trace'],
    ...['--alloc', 'tlsf,basic-best', '--repeat', '1', '--cpus', '2'],
  ]);
  t.is(code, 0, stderr);
  t.regex(stdout, /peak live +Mops\/s +peak\ntrace +operations +bytes +allocator +spin +footprint +÷ live\n/);
  t.regex(stdout, /tiny +1,300/);
  t.regex(stdout, /good +4 /);
  t.regex(stdout, /\.\/tiny\.trace /, 'the same name twice is told apart');
  t.regex(stdout, /operations checked: 0 violations, 0 failed allocations \(on 2 CPUs, in /);
  t.regex(stderr, /\[ 1\/12\] tiny · tlsf · spin · checking/);
});

test('replay --json prints the report alone, --no-check leaves the oracle out', async (t) => {
  const { stdout } = await shmalloc([
    'replay',
    'tiny.trace',
    '--alloc',
    'tlsf',
    '--lock',
    'none',
    '--cpus',
    '1',
    '--no-check',
    '--json',
  ]);
  const report = JSON.parse(stdout) as Report;
  t.is(report.results.length, 1);
  t.is(report.results[0].lock, 'none');
  t.is(report.results[0].checkedSeconds, 0);
  const { stdout: table } = await shmalloc([
    'replay',
    'tiny.trace',
    '--alloc',
    'tlsf',
    '--no-check',
    '--repeat',
    '2',
  ]);
  t.regex(table, /nothing checked, 0 violations/);
});

test('run writes report.json and report.html with the promised fields', async (t) => {
  const { code, stdout, stderr } = await shmalloc([
    ...[
      'run',
      '--traces',
      'pbzip2',
      '--alloc',
      'tlsf',
      '--lock',
      'mutex',
      '--cpus',
      '1',
      '--quick',
      '--out',
      'made',
    ],
  ]);
  t.is(code, 0, stderr);
  t.true(stdout.includes(path.join(folder, 'made', 'report.html')));
  const report = JSON.parse(readFileSync(path.join(folder, 'made', 'report.json'), 'utf8')) as Report;
  t.like(report.results[0], {
    allocator: 'tlsf',
    lock: 'mutex',
    trace: 'pbzip2',
    cpus: 1,
    violations: 0,
    failedAllocations: 0,
  });
  t.true(report.results[0].operations > 0 && report.results[0].seconds > 0);
  t.true(report.results[0].peakFootprintBytes >= report.results[0].peakLiveBytes);
  t.is(report.machine.node, process.version);
  t.is(
    report.command,
    'npm run -s shmalloc -- run --alloc tlsf --lock mutex --traces pbzip2 --cpus 1 --quick',
  );
  t.true(readFileSync(path.join(folder, 'made', 'report.html'), 'utf8').includes('id="trace-pbzip2"'));
});

test('run --trace on the full machine reports what every CPU did, and writes machine.json', async (t) => {
  const { code, stdout, stderr } = await shmalloc([
    ...['run', '--alloc', 'slab,tlsf', '--cpus', '2', '--trace', 'tiny.trace', '--out', 'full'],
  ]);
  t.is(code, 0, stderr);
  t.regex(stdout, /^tiny\.trace · slab: [\d,]+ operations in 1 replay, /);
  t.regex(stdout, /\ntiny\.trace · tlsf: /);
  t.regex(stdout, /\nCPU 0 .*\nCPU 1 .*\nmain /);
  t.regex(stdout, /0 violations, 0 failed allocations\n/);
  const { runs, command } = JSON.parse(readFileSync(path.join(folder, 'full', 'machine.json'), 'utf8'));
  t.deepEqual(
    runs.map(({ allocators }: { allocators: string[] }) => allocators),
    [['slab'], ['tlsf']],
  );
  t.is(command, 'npm run -s shmalloc -- run --machine --alloc slab,tlsf --trace tiny.trace --cpus 2');
});

test('run --swap-every swaps through all allocators, also of a recording by name', async (t) => {
  const { code, stdout, stderr } = await shmalloc([
    ...['run', '--alloc', 'slab,tlsf', '--trace', 'pbzip2', '--swap-every', '5', '--json', '--out', 'swaps'],
  ]);
  t.is(code, 0, stderr);
  const [run] = JSON.parse(stdout).runs;
  t.true(run.swaps >= 2);
  t.like(run, { trace: 'pbzip2', allocators: ['slab', 'tlsf'], violations: 0 });
  t.is(run.pagesAfter, run.pagesBefore);
});

test.serial('trace info prints the figures and a histogram, or JSON', async (t) => {
  const { code, stdout } = await inProcess(['trace', 'info', 'tiny.trace', 'good.rep']);
  t.is(code, 0);
  t.regex(stdout, /^tiny\.trace\nformat +compact\noperations +1,300\n/);
  t.regex(stdout, /cross-thread frees +200 \(40/);
  t.regex(stdout, /block size +blocks +share/);
  t.regex(stdout, /1,025–2,048 B +1 +50\.0 % +█+/);
  const one = JSON.parse((await inProcess(['trace', 'info', 'good.rep', '--json'])).stdout);
  t.like(one, { file: 'good.rep', format: 'rep', operations: 4, peakLiveBytes: 2100, problems: 0 });
  const two = JSON.parse((await inProcess(['trace', 'info', 'good.rep', 'tiny.trace', '--json'])).stdout);
  t.is(two.length, 2);
});

test.serial(
  'trace convert writes the compact format; what is wrong with a line is printed with file, line and reason',
  async (t) => {
    const { code, stdout, stderr } = await inProcess(['trace', 'convert', 'bad.rep']);
    t.is(code, 0);
    t.regex(stdout, /bad\.trace: 2 operations of 1 thread in .* from rep/);
    t.regex(stderr, /bad\.rep:6: malformed: .*"what is this"/);
    t.regex(stderr, /bad\.rep: \d problems? \(malformed 1/);
    t.regex((await inProcess(['trace', 'info', 'bad.trace'])).stdout, /operations +2\n/);
  },
);

test.serial(
  'trace convert --strict writes nothing when a line has a problem, and ends with exit code 1',
  async (t) => {
    const { code, stderr } = await inProcess(['trace', 'convert', 'bad.rep', 'strict.trace', '--strict']);
    t.is(code, 1);
    t.regex(stderr, /nothing written \(--strict\)/);
    t.false(existsSync(path.join(folder, 'strict.trace')));
    const { stdout } = await inProcess(['trace', 'convert', 'tiny.trace', '--json', '--strict']);
    t.like(JSON.parse(stdout), { format: 'compact', operations: 1300, problems: 0 });
    t.true(existsSync(path.join(folder, 'tiny.trace.trace')), 'the original is not overwritten');
  },
);

test.serial('of many problems the first are printed and all are counted', async (t) => {
  const lines = [
    'a 0 100',
    ...Array.from({ length: 50 }, (_, i) => `what ${i}`),
    ...Array.from({ length: 60 }, () => 'f -1'),
  ];
  writeFileSync(path.join(folder, 'many.rep'), `65536\n1\n61\n1\n${lines.join('\n')}\n`);
  const { stderr } = await inProcess(['trace', 'convert', 'many.rep']);
  t.regex(stderr, /many\.rep: … and \d+ more\n/);
  t.regex(stderr, /many\.rep: \d+ problems \(malformed 50/);
});

test('relative names start from the folder where npm was called', async (t) => {
  const { code, stdout } = await shmalloc(['trace', 'info', 'tiny.trace'], { INIT_CWD: folder }, tmpdir());
  t.is(code, 0);
  t.regex(stdout, /^tiny\.trace\n/);
});

const onLinux = process.platform === 'linux' ? test : test.skip;

onLinux('record runs a program and writes what it asked for; its own output stays its own', async (t) => {
  const { code, stdout, stderr } = await shmalloc(['record', '-o', 'sort.trace', '--', 'sort', 'good.rep']);
  t.is(code, 0, stderr);
  t.regex(stdout, /^1\n2\n4\n65536\n|^1\n/);
  t.regex(stderr, /sort\.trace: [\d,]+ operations?, 1 thread, peak live /);
  t.regex((await shmalloc(['trace', 'info', 'sort.trace'])).stdout, /threads +1 /);
});

onLinux('record --json prints the figures, and tells what the program ended with', async (t) => {
  const { code, stdout } = await shmalloc(['record', '--json', '--', 'sort', '--no-such-flag']);
  t.is(code, 0);
  const recorded = JSON.parse(stdout);
  t.is(recorded.exitCode, 2);
  t.is(recorded.traces[0].process, 'sort');
  t.true(existsSync(path.join(folder, 'sort.trace')));
  const { stderr } = await shmalloc(['record', '-o', 'again.trace', '--', 'sort', '--no-such-flag']);
  t.regex(stderr, /sort ended with exit code 2/);
});

onLinux('record without a C compiler fails with one line', async (t) => {
  const { code, stderr } = await shmalloc(['record', '-o', 'x.trace', '--', 'true'], {
    CC: 'no-such-compiler',
    HOME: path.join(folder, 'no-home'),
    XDG_CACHE_HOME: path.join(folder, 'no-cache'),
  });
  t.is(code, 1, stderr);
  t.regex(stderr, /^shmalloc: .*no-such-compiler.*\n$/);
});
