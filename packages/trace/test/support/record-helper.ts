/** Small programs for the tests of the recorder: written out, compiled with `cc`, recorded. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { events, type Trace, type TraceEvent } from '@shmalloc/trace';
import { type Recorded, type RecordOptions, record } from '@shmalloc/trace/record';
import anyTest, { type ExecutionContext } from 'ava';

/** Where the programs and the compiled recorder lie. */
export const directory: string = mkdtempSync(path.join(tmpdir(), 'shmalloc-record-test-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
export const cache: string = path.join(directory, 'cache');

const works = (compiler: string): boolean => spawnSync(compiler, ['--version']).status === 0;
const missing =
  process.platform !== 'linux' ? 'this is not Linux' : works('cc') ? undefined : 'there is no cc';
const missingCxx = missing ?? (works('g++') ? undefined : 'there is no g++');

type Test = (title: string, run: (t: ExecutionContext) => void | Promise<void>) => void;

function unless(reason: string | undefined, to: Test = (title, run) => anyTest(title, run)): Test {
  if (reason === undefined) return to;
  console.warn(`THE RECORDER IS NOT TESTED: ${reason}`);
  return (title, run) => anyTest.skip(`${title} (SKIPPED: ${reason})`, run);
}

/**
 * `test` where a program can be compiled and recorded; a test that is reported as skipped, and why, where
 * not.
 */
export const test: Test = unless(missing);
/** Before all others and alone: the test does something to every program that is being recorded. */
export const testAlone: Test = unless(missing, (title, run) => anyTest.serial(title, run));
export const testCxx: Test = unless(missingCxx);

const PRELUDE = `
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
`;

let programs = 0;

/** Compiles a program; `cc` gets the C library's headers that the tests need, `g++` none. */
export function compile(source: string, flags: string[] = [], compiler = 'cc'): string {
  const program = path.join(directory, `program${programs++}`);
  const file = `${program}.${compiler === 'cc' ? 'c' : 'cc'}`;
  writeFileSync(file, compiler === 'cc' ? PRELUDE + source : source);
  const args = ['-O0', '-fno-builtin', '-pthread', '-o', program, file, ...flags];
  const { status, stderr } = spawnSync(compiler, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${file} does not compile:\n${stderr}`);
  return program;
}

/** Compiles a program and records it in silence. */
export async function recordProgram(
  source: string,
  args: string[] = [],
  options: Partial<RecordOptions> = {},
): Promise<Recorded> {
  return record({ command: compile(source), args, stdio: 'ignore', cache, ...options });
}

/** How often an operation with a size occurs: programs use sizes that the C library never asks for. */
export function countOf(trace: Trace, op: TraceEvent['op'], size: number): number {
  let count = 0;
  for (const event of events(trace)) if (event.op === op && event.size === size) count++;
  return count;
}

/** The blocks of a size, with the threads that allocated and freed them. */
export function livesOf(trace: Trace, size: number): { by: number; freedBy?: number }[] {
  const lives = new Map<number, { by: number; freedBy?: number }>();
  for (const { op, id, thread, size: bytes } of events(trace)) {
    if (op !== 'free' && op !== 'exit' && bytes === size) lives.set(id, { by: thread });
    const life = lives.get(id);
    if (op === 'free' && life !== undefined) life.freedBy = thread;
  }
  return [...lives.values()];
}

/**
 * The operations between the two blocks of 77,777 bytes that a program makes as marks, blocks numbered from
 * 1.
 */
export function betweenMarks(trace: Trace): TraceEvent[] {
  const all = [...events(trace)];
  const from = all.findIndex(({ size }) => size === 77_777);
  const to = all.findLastIndex(({ size }) => size === 77_777);
  const base = all[from].id;
  const shift = (id: number): number => (id === 0 ? 0 : id - base);
  return all.slice(from + 1, to).map((event) => {
    const moved = { ...event, id: shift(event.id) };
    return event.oldId === undefined ? moved : { ...moved, oldId: shift(event.oldId) };
  });
}
