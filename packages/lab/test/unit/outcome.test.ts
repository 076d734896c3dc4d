import test from 'ava';
import { finish } from '../../dist/commands/outcome.js';
import { madeUpReport } from '../support/report.js';

/** What `finish` prints and leaves as exit code. */
function outcome(change: (report: ReturnType<typeof madeUpReport>) => void): {
  out: string;
  err: string;
  code: unknown;
} {
  const report = madeUpReport(1);
  change(report);
  const { log, error } = console;
  const lines = { out: '', err: '' };
  console.log = (line: string) => void (lines.out += `${line}\n`);
  console.error = (line: string) => void (lines.err += `${line}\n`);
  try {
    finish(report, {});
    return { ...lines, code: process.exitCode };
  } finally {
    Object.assign(console, { log, error });
    process.exitCode = undefined;
  }
}

test.serial('violations end the job with exit code 1, the first of them in words', (t) => {
  const { out, err, code } = outcome(({ results }) => {
    results[0].violations = 12;
    results[0].firstViolations = Array.from({ length: 12 }, (_, i) => `fault ${i}`);
  });
  t.is(code, 1);
  t.regex(out, /12 violations, 0 failed allocations/);
  t.regex(err, /^sqlite, basic-first, spin: fault 0\n/);
  t.is(err.split('\n').length, 11);
});

test.serial('an allocation that failed is told and is no violation', (t) => {
  const { out, err, code } = outcome(({ results }) => {
    results[0].failedAllocations = 1;
  });
  t.is(code, undefined);
  t.is(err, '');
  t.regex(out, /0 violations, 1 failed allocation /);
});
