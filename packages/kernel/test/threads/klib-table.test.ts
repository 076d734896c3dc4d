/**
 * klib against C: every call of the table that `c-table/table.c` printed, with the same arguments.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { SharedMemory } from '@shmalloc/allocator-api';
import { Klib } from '@shmalloc/kernel';
import test from 'ava';

const FOLDER = fileURLToPath(new URL('../../test/support/c-table/', import.meta.url));
const TABLE = readFileSync(path.join(FOLDER, 'table.jsonl'), 'utf8');
const LINES = TABLE.trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as unknown[]);

/**
 * Where the 64 bytes of the table's functions lie: at the very end, so that no step beyond them goes
 * unnoticed.
 */
const BYTES = 65536;
const ARENA = BYTES - 64;
/** Where strings and output of the others lie. */
const TEXT = 1024;
const OUT = 2048;

type Argument = string | { s: string } | { at: number };

const memory = SharedMemory.create({ bytes: BYTES });
const c = new Klib(memory);

function hex(address: number, length: number): string {
  return Buffer.from(memory.u8.slice(address, address + length)).toString('hex');
}

/** A call in which C's answer and ours differ. */
function differences(lines: unknown[][], look: (line: unknown[]) => string | undefined): string[] {
  return lines.flatMap((line) => {
    const wrong = look(line);
    return wrong === undefined ? [] : [`${JSON.stringify(line.slice(0, 3))}: ${wrong}`];
  });
}

/** What a call of `snprintf` does differently from C, with every argument made by `convert`. */
function printsOtherwise(line: unknown[], convert: (argument: Argument) => unknown): string | undefined {
  const [, template, args, size, result, text] = line as [string, string, Argument[], number, number, string];
  memory.u8.fill(0x7e, OUT, OUT + 1024);
  const values = args.map(convert);
  const returned = c.snprintf(OUT, size, template, ...values);
  if (returned !== result) return `returned ${returned}, C's ${result}`;
  const length = size === 0 ? 0 : Math.min(result, size - 1);
  const expected = size === 0 ? '' : `${Buffer.from(text).toString('hex')}00`;
  const written = hex(OUT, length + (size === 0 ? 0 : 1));
  if (written !== expected)
    return `wrote ${JSON.stringify(Buffer.from(written, 'hex').toString())}, C ${text}`;
  if (memory.u8[OUT + (size === 0 ? 0 : length + 1)] !== 0x7e) return 'wrote beyond the end';
  return undefined;
}

const PRINTS = LINES.filter(([name]) => name === 'printf');
const CALLS = LINES.filter(([name]) => name !== 'printf' && name !== 'arena');
const CONTENTS = LINES.filter(([name]) => name === 'arena').map(([, , bytes]) => bytes as string);

const asNumber = (argument: Argument): unknown => {
  if (typeof argument === 'string') return Number(argument);
  return 's' in argument ? argument.s : argument.at;
};

/** Whether all integers of a line can be told apart as numbers. */
const isSafe = ([, , args]: unknown[]): boolean =>
  (args as Argument[]).every(
    (argument) => typeof argument !== 'string' || Number.isSafeInteger(Number(argument)),
  );

test('the table has hundreds of cases of either kind', (t) => {
  t.true(PRINTS.length > 500 && CALLS.length > 500);
  t.is(CONTENTS.length, 4);
});

test('printf gives what C gives, integers as numbers', (t) => {
  const lines = PRINTS.filter(isSafe);
  t.true(lines.length > 500);
  t.deepEqual(
    differences(lines, (line) => printsOtherwise(line, asNumber)),
    [],
  );
});

test('printf gives what C gives, integers as bigints', (t) => {
  // Without a length a negative bigint has 64 bits under the unsigned conversions, an int has 32.
  const lines = PRINTS.filter(
    ([, template, args]) =>
      /%[^%]*(l|j|z|t|[dic])/.test(template as string) ||
      (args as Argument[]).every((argument) => typeof argument !== 'string' || !argument.startsWith('-')),
  );
  t.true(lines.length > 500);
  t.deepEqual(
    differences(lines, (line) =>
      printsOtherwise(line, (argument) =>
        typeof argument === 'string' ? BigInt(argument) : asNumber(argument),
      ),
    ),
    [],
  );
});

test('printf gives what C gives, strings by their addresses', (t) => {
  const lines = PRINTS.filter((line) => isSafe(line) && JSON.stringify(line[2]).includes('"s"'));
  t.true(lines.length > 50);
  t.deepEqual(
    differences(lines, (line) =>
      printsOtherwise(line, (argument) => {
        if (typeof argument === 'string' || 'at' in argument) return asNumber(argument);
        return c.strcpy(TEXT, argument.s);
      }),
    ),
    [],
  );
});

/** What a function of memory or strings does differently from C. */
function doesOtherwise(line: unknown[], literal: boolean): string | undefined {
  const [name, args, result, content, after] = line as [
    keyof Klib,
    Argument[],
    number | null,
    number,
    string | null,
  ];
  memory.u8.fill(0x7e, 0, ARENA);
  memory.u8.set(Buffer.from(CONTENTS[content], 'hex'), ARENA);
  const values = args.map((argument) =>
    typeof argument === 'object' && 'at' in argument ? ARENA + argument.at : Number(argument),
  );
  // The second string may be given as a literal.
  const second = literal ? [c.sprintf('%s', values[1]), ...values.slice(2)] : values.slice(1);
  const call = c[name] as (...values: unknown[]) => number;
  const returned = call.call(c, values[0], ...second);
  const number = name.endsWith('cmp') ? Math.sign(returned) : returned;
  const expected = result === null ? 0 : isAddress(name) ? ARENA + result : result;
  if (number !== expected) return `returned ${number}, C ${expected}`;
  const bytes = hex(ARENA, 64);
  if (bytes !== (after ?? CONTENTS[content])) return `left ${bytes}`;
  return memory.u8.subarray(0, ARENA).every((byte) => byte === 0x7e) ? undefined : 'wrote before the arena';
}

/** Whether a function returns an address. */
function isAddress(name: string): boolean {
  return !/cmp|len|spn/.test(name);
}

test('every function of memory and strings gives what C gives', (t) => {
  t.deepEqual(
    differences(CALLS, (line) => doesOtherwise(line, false)),
    [],
  );
});

test('the same with a literal in the place of the string that is read', (t) => {
  const lines = CALLS.filter(
    ([name, , , content]) => /^str(n?cpy|n?cat|n?cmp|str|c?spn|pbrk)$/.test(name as string) && content === 1,
  );
  t.true(lines.length > 200);
  t.deepEqual(
    differences(lines, (line) => doesOtherwise(line, true)),
    [],
  );
});

test('a comparison with C can fail', (t) => {
  const print = PRINTS.find(([, template]) => template === '%+5d')!;
  t.is(printsOtherwise(print, asNumber), undefined);
  t.regex(printsOtherwise([...print.slice(0, 5), '   42'], asNumber)!, /^wrote/);
  t.regex(printsOtherwise(print, () => 123456)!, /^returned/);
  const call = CALLS.find(([name, , , , after]) => name === 'memmove' && after !== null)!;
  t.is(doesOtherwise(call, false), undefined);
  t.regex(doesOtherwise([...call.slice(0, 4), null], false)!, /^left/);
  t.regex(doesOtherwise([...call.slice(0, 2), null, ...call.slice(3)], false)!, /^returned/);
});

test("the table is what the system's C compiler makes", (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'klib-table-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const program = path.join(folder, 'table');
  const options = [
    '-std=c11',
    '-w',
    '-D_POSIX_C_SOURCE=200809L',
    '-o',
    program,
    path.join(FOLDER, 'table.c'),
  ];
  const compiler = spawnSync('cc', options, { encoding: 'utf8' });
  if (compiler.error) {
    t.log('no C compiler here: the table stands as it was committed');
    t.true(LINES.length > 1000);
    return;
  }
  t.is(compiler.status, 0, compiler.stderr);
  const { status, stdout } = spawnSync(program, { encoding: 'utf8', maxBuffer: 1 << 24 });
  if (status === 3) {
    t.log(
      'another C library than the one that the table was made with, which may differ where C leaves it open',
    );
    t.true(LINES.length > 1000);
    return;
  }
  t.is(status, 0);
  t.true(
    stdout === TABLE,
    'regenerate packages/kernel/test/support/c-table/table.jsonl as the head of table.c says',
  );
});
