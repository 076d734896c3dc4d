/**
 * Starts a program with the recorder, waits for it, and converts what was written down.
 */

import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { constants, endianness, tmpdir } from 'node:os';
import path from 'node:path';
import { AllocError, checkInteger } from '@shmalloc/allocator-api';
import { writeTrace } from '../compact.ts';
import type { Trace } from '../normal-form.ts';
import { recorderLibrary } from './compile.ts';
import { convertRaw } from './convert.ts';
import { RecordError } from './error.ts';
import { type RawHeader, readRawHeader } from './raw.ts';

/**
 * What to record, and how.
 * @public
 */
export interface RecordOptions {
  /** The program: a path, or a name to look for in `PATH`. */
  command: string;
  /** Its arguments. */
  args?: readonly string[] | undefined;
  /** Where it runs. Default: the current directory. */
  cwd?: string | undefined;
  /** Its environment, to which the recorder adds three variables. Default: ours. */
  env?: Readonly<Record<string, string | undefined>> | undefined;
  /** As for `child_process.spawn`. Default `'inherit'`. */
  stdio?: StdioOptions | undefined;
  /**
   * A file for the trace, in the compact format. The traces of the programs that it starts go beside it,
   * numbered and with their names: `out.trace`, `out.1-cc1.trace`, `out.2-as.trace`. Default: nothing is
   * written.
   */
  output?: string | undefined;
  /**
   * Operations that each process can make before the rest is left out. Default 2^27. The space is taken as it
   * is used, 24 bytes each.
   */
  room?: number | undefined;
  /**
   * Where the raw files lie meanwhile, 24 bytes an operation. Default: the system's directory for temporary
   * files. When that is full, the program dies of SIGBUS.
   */
  directory?: string | undefined;
  /** The C compiler that compiles the recorder on first use. Default `$CC`, else `cc`. */
  compiler?: string | undefined;
  /** Where the compiled recorder is kept. Default `~/.cache/shmalloc`. */
  cache?: string | undefined;
  /** Called with the process id when the program has started, and then the program can be talked to. */
  onStart?: ((pid: number) => void) | undefined;
}

/**
 * One process's operations.
 * @public
 */
export interface RecordedTrace {
  trace: Trace;
  /** The name that the program was called by, 15 bytes of it at most. */
  process: string;
  pid: number;
  /** Where the trace was written, when `output` asked for it. */
  file?: string;
}

/**
 * Something that the traces do not show as it happened.
 * @public
 */
export interface RecordProblem {
  process: string;
  pid: number;
  /** What, in words. */
  reason: string;
  /** How many operations; 0 when that cannot be told. */
  count: number;
}

/**
 * A program's recording.
 * @public
 */
export interface Recorded {
  /**
   * The program itself first, then the programs it started, in order of start. A child that was forked and
   * ran no other program is not recorded.
   */
  traces: RecordedTrace[];
  /** Of the program; 128 + the signal's number when a signal ended it, as shells say it. */
  exitCode: number;
  /** Everything that was left out or mended, by process and reason. */
  problems: RecordProblem[];
}

/**
 * Runs a program and records every allocation it makes.
 *
 * @param options - the program, and how to record it
 * @returns when the program has ended and its recording is converted
 * @throws RecordError when this is not Linux with glibc, there is no C compiler, or the program cannot be
 *   run; TypeError, RangeError or AllocError `InvalidParam` for a wrong `room`
 *
 * @example
 * ```ts
 * const { traces, exitCode, problems } = await record({ command: 'git', args: ['log', '--stat'] });
 * console.log(exitCode, traces[0].process, traceInfo(traces[0].trace).peakLiveBytes, problems);
 * ```
 * @public
 */
export async function record(options: RecordOptions): Promise<Recorded> {
  if (options.room !== undefined && checkInteger('room', options.room) === 0) {
    throw new AllocError('InvalidParam', 'room must be 1 operation at least, got 0');
  }
  const library = recorderLibrary(options.compiler, options.cache);
  if (endianness() !== 'LE') throw new RecordError('recording needs a little-endian machine');
  const parent = options.directory ?? tmpdir();
  mkdirSync(parent, { recursive: true });
  const directory = mkdtempSync(path.join(parent, 'shmalloc-record-'));
  try {
    const { exitCode, pid } = await run(options, library, directory);
    const images = await findImages(directory, pid);
    const recorded: Recorded = { traces: [], exitCode, problems: [] };
    if (images[0]?.header.pid !== pid) {
      const reason = 'not recorded: statically linked, set-user-id, or not allowed to write the raw file';
      recorded.problems.push({ process: path.basename(options.command), pid, reason, count: 0 });
    }
    let others = 0;
    for (const [number, image] of images.entries()) {
      const other = number === 0 && image.header.pid === pid ? 0 : ++others;
      await addImage(recorded, image, other, options.output);
    }
    return recorded;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** One process image and its raw file. */
interface Image {
  file: string;
  header: RawHeader;
}

async function run(
  options: RecordOptions,
  library: string,
  directory: string,
): Promise<{ exitCode: number; pid: number }> {
  const { command, args = [], cwd, stdio = 'inherit', room, onStart } = options;
  const env: NodeJS.ProcessEnv = { ...(options.env ?? process.env) };
  env.LD_PRELOAD = env.LD_PRELOAD ? `${library}:${env.LD_PRELOAD}` : library;
  env.RECORDER_DIRECTORY = path.resolve(directory);
  if (room !== undefined) env.RECORDER_ROOM = String(room);
  const child = spawn(command, args, { cwd, env, stdio });
  const release = passSignalsOn(child);
  try {
    return await new Promise((resolve, reject) => {
      child.on('spawn', () => onStart?.(child.pid as number));
      child.on('error', (error) => {
        reject(new RecordError(`cannot run '${command}': ${(error as NodeJS.ErrnoException).code}`));
      });
      child.on('exit', (code, signal) => {
        const exitCode = signal === null ? (code as number) : 128 + constants.signals[signal];
        resolve({ exitCode, pid: child.pid as number });
      });
    });
  } finally {
    release();
  }
}

/** The programs that are being recorded. */
const running = new Set<ChildProcess>();

/** Ctrl-C reaches the programs from the terminal itself; we stay, to convert what they did. */
function stay(): void {}

function passOn(signal: NodeJS.Signals): void {
  for (const child of running) child.kill(signal);
}

/** Keeps this process alive through signals, as long as any program runs, and hands them on. */
function passSignalsOn(child: ChildProcess): () => void {
  running.add(child);
  if (running.size === 1) process.on('SIGINT', stay).on('SIGTERM', passOn).on('SIGHUP', passOn);
  return () => {
    running.delete(child);
    if (running.size === 0) process.off('SIGINT', stay).off('SIGTERM', passOn).off('SIGHUP', passOn);
  };
}

async function findImages(directory: string, pid: number): Promise<Image[]> {
  const images: Image[] = [];
  for (const name of readdirSync(directory)) {
    const file = path.join(directory, name);
    const header = await readRawHeader(file);
    if (header !== undefined) images.push({ file, header });
  }
  const first = (image: Image): number => (image.header.pid === pid ? 0 : 1);
  return images.sort((a, b) => first(a) - first(b) || (a.header.started < b.header.started ? -1 : 1));
}

/** `other`: 0 for the program itself, else the number of the one that it started. */
async function addImage(
  recorded: Recorded,
  { file, header }: Image,
  other: number,
  output: string | undefined,
): Promise<void> {
  const { name, pid } = header;
  const itself = other === 0;
  const { trace, problems } = await convertRaw(file, header);
  rmSync(file);
  if (itself && trace.operations === 0) {
    problems.set('no allocation was seen: it may have an allocator of its own', 0);
  }
  if (!itself && isAlive(pid)) problems.set('still running when the program ended: the rest is left out', 0);
  for (const [reason, count] of problems) recorded.problems.push({ process: name, pid, reason, count });
  const entry: RecordedTrace = { trace, process: name, pid };
  if (output !== undefined) {
    entry.file = itself ? output : beside(output, `${other}-${name}`);
    writeFileSync(entry.file, writeTrace(trace));
  }
  recorded.traces.push(entry);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** `out.trace` with `1-cc1` put in: `out.1-cc1.trace`. */
function beside(output: string, label: string): string {
  const { dir, name, ext } = path.parse(output);
  return path.join(dir, `${name}.${label}${ext}`);
}
