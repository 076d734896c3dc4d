/**
 * Contestants that cannot be here, each with one note. In a process of its own, since it changes where
 * compilers are looked for.
 */

import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import type { BenchReport } from '../../dist/bench/report.js';
import { bench } from '../support/bench.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'shmalloc-absent-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
process.env.CC = '';

const FROM_C = ['mimalloc-c', 'glibc', 'jemalloc'];
const COMPILED = ['wasi-dlmalloc', ...FROM_C];

/** A compiler that only complains. */
function complaining(name: string, complaint: string): void {
  const file = path.join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${complaint}\nexit 1\n`);
  chmodSync(file, 0o700);
}

async function benched(...more: string[]): Promise<{ text: string; report: BenchReport }> {
  const out = path.join(folder, 'bench.json');
  const only = ['harness', 'tlsf', ...COMPILED].join();
  const text = await bench(
    '--quick',
    '--rounds',
    '1',
    '--no-garbage',
    '--no-threads',
    '--only',
    only,
    '-o',
    out,
    ...more,
  );
  return { text, report: JSON.parse(readFileSync(out, 'utf8')) as BenchReport };
}

test.serial('without a compiler those that need one are left out, and their columns', async (t) => {
  process.env.PATH = folder;
  const { text, report } = await benched();
  t.deepEqual(
    report.absences.map(({ contestant, workload }) => [contestant, workload]),
    COMPILED.map((name) => [name, undefined]),
    'one note each',
  );
  for (const { contestant, reason } of report.absences) {
    const compiler = contestant === 'wasi-dlmalloc' ? 'clang' : 'cc';
    t.regex(
      reason,
      new RegExp(`^needs a compiler: cannot run '${compiler}' \\(on Debian: apt-get install .+\\)$`),
    );
    t.is(text.split(`Not measured: ${contestant}: ${reason}\n`).length, 2, 'and one line');
  }
  t.deepEqual(
    report.figures.map(({ contestant }) => contestant),
    ['tlsf', 'harness', 'tlsf', 'harness', 'tlsf', 'harness'],
  );
  t.true(report.figures.every(({ ratios }) => Object.keys(ratios).length === 0));
  t.notRegex(text, /÷ (C mimalloc|glibc|AssemblyScript)/);
  t.regex(text, /^No ratios to C mimalloc, glibc malloc, AssemblyScript TLSF: not measured\.$/m);
  t.deepEqual(report.footprint?.absences, []);
  t.deepEqual(
    report.footprint?.means.map(({ contestant }) => contestant),
    ['tlsf'],
  );
  t.notRegex(text, /C mimalloc\n? *committed/);
});

test.serial('without a library the first complaint of the compiler is the reason', async (t) => {
  process.env.PATH = `${folder}:/usr/bin:/bin`;
  complaining(
    'cc',
    'echo "seat.c: In function main" >&2; echo "seat.c:1:10: fatal error: mimalloc.h: No such file" >&2',
  );
  complaining('clang', 'echo "wasm-ld: error: cannot open crt1-reactor.o" >&2');
  const little = ['--workload', 'pairs', '--no-footprint'];
  const { report } = await benched(...little);
  const reasons = new Map(report.absences.map(({ contestant, reason }) => [contestant, reason]));
  t.is(
    reasons.get('mimalloc-c'),
    "'cc' cannot compile it: mimalloc.h: No such file (on Debian: apt-get install gcc libc6-dev libmimalloc-dev)",
  );
  t.is(
    reasons.get('glibc'),
    "'cc' cannot compile it: mimalloc.h: No such file (on Debian: apt-get install gcc libc6-dev)",
  );
  t.is(
    reasons.get('wasi-dlmalloc'),
    "'clang' cannot compile it: cannot open crt1-reactor.o (on Debian: apt-get install clang lld wasi-libc libclang-rt-dev-wasm32)",
  );
  complaining('cc', '');
  process.env.PATH = `${folder}:/usr/bin`;
  const silent = await benched(...little);
  t.regex(
    silent.report.absences.find(({ contestant }) => contestant === 'glibc')!.reason,
    /^'cc' cannot compile it: exit code 1 /,
  );
});

test.serial('the same with several threads: one note each', async (t) => {
  process.env.PATH = folder;
  rmSync(path.join(folder, 'cc'), { force: true });
  const out = path.join(folder, 'threads.json');
  const only = ['tlsf', ...FROM_C].join();
  const few = ['--quick', '--rounds', '1', '--workload', 'xmalloc,larson'];
  const text = await bench(...few, '--only', only, '-o', out);
  const { threads, memory } = JSON.parse(readFileSync(out, 'utf8')) as BenchReport;
  t.deepEqual(
    threads?.absences.map(({ contestant, workload }) => [contestant, workload]),
    FROM_C.map((name) => [name, 'several threads']),
  );
  for (const name of FROM_C) {
    t.is(text.split(`Not measured: ${name} in several threads: needs a compiler`).length, 2);
  }
  t.deepEqual([...new Set(threads?.figures.map(({ contestant }) => contestant))], ['tlsf']);
  t.notRegex(text, /÷ C mimalloc$|Threads in C/m);
  t.is(memory, null, 'nobody of them has its memory watched');
});
