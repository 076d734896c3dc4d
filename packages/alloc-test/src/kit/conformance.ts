/**
 * The kit as ava tests: one call in an algorithm's test file.
 */

import { checkChoice } from '@shmalloc/allocator-api';
import { alignmentChecks, KIT_MAX_ALIGN } from './alignment.ts';
import { arceosChecks } from './arceos.ts';
import { badInputChecks } from './bad-input.ts';
import { Bench, type Check } from './bench.ts';
import { bytesChecks } from './bytes.ts';
import { contractChecks } from './contract.ts';
import { exhaustionChecks } from './exhaustion.ts';
import { interfaceChecks } from './interface.ts';
import { propertyChecks } from './property.ts';
import { regionChecks } from './regions.ts';
import { type ConformanceOptions, type Group, type Subject, titleOf } from './subject.ts';
import { threadChecks } from './threads.ts';

/**
 * What a check uses of ava's `t`.
 * @public
 */
export interface TestContext {
  /** Shows what a check did. */
  log(...values: unknown[]): void;
  /** Counts as an assertion. */
  pass(): unknown;
  /** Allows a test this long. */
  timeout(milliseconds: number): void;
}

/**
 * What the kit uses of ava's `test`.
 * @public
 */
export interface TestFunction {
  /** Tests run one after the other: those with workers would slow each other down. */
  serial(title: string, run: (t: TestContext) => void | Promise<void>): void;
  /** What is switched off stays visible. */
  skip(title: string, run: (t: TestContext) => void | Promise<void>): void;
}

/** Each group's checks, in the order in which they run: the small before the large. */
const GROUPS: Readonly<Record<Group, (bench: Bench) => Check[]>> = {
  contract: contractChecks,
  interface: interfaceChecks,
  alignment: alignmentChecks,
  'bad-input': badInputChecks,
  exhaustion: exhaustionChecks,
  bytes: bytesChecks,
  regions: regionChecks,
  property: propertyChecks,
  arceos: arceosChecks,
  threads: threadChecks,
};

/** Minutes that one test may take, by scale. */
const MINUTES = { brief: 15, quick: 15, medium: 15, full: 30 };

/**
 * Registers every check of the kit for one algorithm. What the options switch off is registered as skipped,
 * with the reason in its title.
 *
 * @example
 * ```ts
 * import { conformance } from '@shmalloc/alloc-test';
 * import { Tlsf } from '@shmalloc/tlsf';
 * import test from 'ava';
 *
 * conformance(test, { algorithm: Tlsf, module: import.meta.resolve('@shmalloc/tlsf'), exportName: 'Tlsf' });
 * ```
 * @param test - ava's
 * @param subject - the algorithm: its class, and where workers find it
 * @param options - what it declares of itself, and the scale
 * @throws TypeError, RangeError or AllocError `InvalidParam` for options that cannot be, naming the value
 * @public
 */
export function conformance(test: TestFunction, subject: Subject, options: ConformanceOptions = {}): void {
  const bench = new Bench(subject, options);
  const name = titleOf(subject);
  for (const group of Object.keys(options.omit ?? {})) checkChoice('omit', group, Object.keys(GROUPS));
  if (bench.maxAlign < KIT_MAX_ALIGN) {
    test.skip(`${name}: alignments above ${bench.maxAlign} are not offered`, (t) => void t.pass());
  }
  for (const [group, checks] of Object.entries(GROUPS) as [Group, (bench: Bench) => Check[]][]) {
    const reason = options.omit?.[group];
    if (reason !== undefined) {
      test.skip(`${name}: ${group} is left out: ${reason}`, (t) => void t.pass());
      continue;
    }
    for (const { title, run } of checks(bench)) {
      test.serial(`${name}: ${title}`, async (t) => {
        t.timeout(MINUTES[bench.scale] * 60_000);
        bench.log = (line) => t.log(line);
        await run(bench);
        t.pass();
      });
    }
  }
}
