import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import type { NativeContestant, Subject } from '../../dist/bench/contestant.js';
import { programFor } from '../../dist/bench/native/allocator.js';
import { scratchFolder } from '../../dist/bench/native/compiler.js';
import { startProgram } from '../../dist/bench/native/program.js';
import { numbersFile } from '../../dist/bench/native/seat.js';
import { WORKLOADS } from '../../dist/bench/workload.js';
import { contestantOf, LEDGER, testsWith } from '../support/native.ts';

const FROM_C = ['mimalloc-c', 'glibc', 'jemalloc'];
const testWith = await testsWith(FROM_C);
const testC = testWith('glibc');
const ORDER = { bytes: 0, seed: 1 };

for (const name of FROM_C) {
  const version = name === 'glibc' ? /^2\.\d+$/ : /^\d+\.\d+\.\d+$/;
  testWith(name)(`${name}: a C program runs every workload and says its version`, async (t) => {
    const contestant = contestantOf<NativeContestant>(name);
    const prepared = await contestant.prepare?.();
    for (const { name: workload } of WORKLOADS) {
      const seat = await contestant.seat({ ...ORDER, workload, prepared });
      t.regex(seat.version ?? '', version);
      const pairs = await seat.settle(0.001, 0.02);
      t.true(Number.isInteger(pairs) && pairs > 0);
      t.true((await seat.round(pairs)) > 0);
      await seat.close();
    }
  });
}

/** The calls of a C program, by the allocator that writes them down. */
let files = 0;
async function callsOf(workload: string, seed: number, rounds: readonly number[]): Promise<string[]> {
  const ledger = path.join(scratchFolder(), `ledger-${files++}`);
  const numbers = numbersFile(WORKLOADS.find((each) => each.name === workload)!, seed);
  const program = startProgram(programFor('seat.c', LEDGER), [workload, numbers], { LEDGER: ledger });
  await program.answer();
  for (const pairs of rounds) {
    program.say(String(pairs));
    await program.answer();
  }
  await program.close();
  return readFileSync(ledger, 'utf8').trimEnd().split('\n');
}

/** Those of the workload in JavaScript. */
function expectedCalls(workload: string, seed: number, rounds: readonly number[]): string[] {
  const calls: string[] = [];
  let blocks = 0;
  const subject: Subject = {
    malloc(size) {
      calls.push(`malloc ${size}`);
      return ++blocks;
    },
    free: (address) => calls.push(`free ${address - 1}`),
  };
  const run = WORKLOADS.find((each) => each.name === workload)!.start(subject, seed);
  for (const pairs of rounds) run(pairs);
  return calls;
}

for (const { name } of WORKLOADS) {
  testC(`${name}: C makes the same calls in the same order as JavaScript`, async (t) => {
    const rounds = [1000, 64, 70_000]; // beyond the 65,536 numbers that pairs draws
    const calls = await callsOf(name, 5, rounds);
    t.true(calls.length > 140_000);
    t.deepEqual(calls, expectedCalls(name, 5, rounds));
    t.notDeepEqual(calls, expectedCalls(name, 6, rounds), 'another seed is other work');
  });
}

testC('an allocator that has no memory left ends its seat, which says so', async (t) => {
  const contestant = contestantOf<NativeContestant>('glibc');
  const prepared = programFor('seat.c', LEDGER); // it has 256 MiB and takes nothing back
  const seat = await contestant.seat({ ...ORDER, workload: 'pairs', prepared });
  await t.throwsAsync(seat.round(10_000_000), { message: /^no memory for \d+ bytes$/ });
  await t.throwsAsync(seat.round(64), { message: 'its program has ended' });
  await seat.close();
});

testC('a C program refuses a workload it does not know, and numbers that are not all there', async (t) => {
  const program = programFor('seat.c', { flags: [], debian: '' });
  const short = path.join(scratchFolder(), 'short.numbers');
  writeFileSync(short, new Uint16Array(100));
  for (const [args, message] of [
    [['larson', short], 'there is no such workload'],
    [['pairs', short], 'there are fewer numbers than the workload draws'],
    [['churn', path.join(scratchFolder(), 'nowhere')], 'there are fewer numbers than the workload draws'],
    [['pairs'], 'usage: seat WORKLOAD NUMBERS'],
  ] as const) {
    const running = startProgram(program, args);
    await t.throwsAsync(running.answer(), { message });
    await running.close();
  }
});

testC('a program is compiled once, and what changes allocators does not reach it', async (t) => {
  const allocator = { flags: [], debian: '' };
  t.is(programFor('seat.c', allocator), programFor('seat.c', allocator));
  t.not(programFor('seat.c', allocator), programFor('seat.c', LEDGER));
  const script = path.join(scratchFolder(), 'environment.sh');
  writeFileSync(
    script,
    '#!/bin/sh\necho "found $MIMALLOC_VERBOSE$MALLOC_ARENA_MAX$GLIBC_TUNABLES|$HARMLESS"\n',
    { mode: 0o700 },
  );
  for (const name of ['MIMALLOC_VERBOSE', 'MALLOC_ARENA_MAX', 'HARMLESS']) process.env[name] = '1';
  const running = startProgram(script, []);
  t.is(await running.answer(), '|1');
  await running.close();
});

test('a program that cannot be started has ended', async (t) => {
  const running = startProgram('/nowhere/program', []);
  running.say('64');
  await t.throwsAsync(running.answer(), { message: 'its program has ended' });
  await running.close();
});
