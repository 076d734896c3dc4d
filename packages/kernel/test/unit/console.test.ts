import test from 'ava';
import { BellWatch } from '../../dist/bell.js';
import { Board } from '../../dist/board.js';
import { ConsoleReader, ConsoleWriter } from '../../dist/console.js';
import { bootForTest, program } from '../support/machines.js';
import { lineOf } from '../support/programs/printer.js';

/** Both ends of one ring in one thread. */
function ends(
  bytes: number,
  patience = 0,
): { writer: ConsoleWriter; reader: ConsoleReader; lines: string[] } {
  const board = Board.create(1, bytes);
  const lines: string[] = [];
  const reader = new ConsoleReader(board, (_, line) => void lines.push(line));
  return { writer: new ConsoleWriter(board, 0, patience), reader, lines };
}

test('a line appears when its newline has been printed', (t) => {
  const { writer, reader, lines } = ends(256);
  writer.write('one');
  reader.drain();
  t.deepEqual(lines, []);
  writer.write(' line\nand a ');
  reader.drain();
  t.deepEqual(lines, ['one line']);
  writer.flush();
  writer.flush();
  reader.drain();
  t.deepEqual(lines, ['one line', 'and a ']);
});

test('empty lines are lines', (t) => {
  const { writer, reader, lines } = ends(256);
  writer.write('\n\na\n\n');
  reader.drain();
  t.deepEqual(lines, ['', '', 'a', '']);
});

test('lines wrap around the end of the ring at every position', (t) => {
  const { writer, reader, lines } = ends(256);
  const expected: string[] = [];
  for (let i = 0; i < 1000; i++) {
    expected.push(`${i}${'ü'.repeat(i % 50)}`);
    writer.write(`${expected[i]}\n`);
    reader.drain();
  }
  t.deepEqual(lines, expected);
});

test('a full ring loses lines visibly, at the place where they are missing', (t) => {
  const { writer, reader, lines } = ends(256);
  for (let i = 0; i < 30; i++) writer.write(`line number ${i}\n`);
  reader.drain();
  const kept = lines.length;
  t.true(kept > 5 && kept < 30);
  writer.write('after\n');
  reader.drain();
  t.deepEqual(lines.slice(kept), [`[${30 - kept} lines lost: the console was full]`, 'after']);
});

test('lines lost at the very end are told when the console closes', (t) => {
  const { writer, reader, lines } = ends(256);
  const count = 256 / 16;
  for (let i = 0; i <= count; i++) writer.write('12345678\n');
  reader.close();
  t.is(lines.length, count + 1);
  t.is(lines.at(-1), '[1 line lost: the console was full]');
  reader.close();
  t.is(lines.length, count + 1);
});

test('a line that does not fit in pieces either is cut off and counted', (t) => {
  const { writer, reader, lines } = ends(256);
  writer.write(`${'é'.repeat(500)}\n`);
  reader.drain();
  t.deepEqual(lines, []);
  writer.write('next\n');
  reader.drain();
  t.is(lines.length, 3);
  t.regex(lines[0], /^é+\ufffd? \[cut off\]$/);
  t.is(lines[1], '[1 line lost: the console was full]');
  t.is(lines[2], 'next');
});

test('whoever gets a line may look for more: every line still comes once and in order', (t) => {
  const board = Board.create(1, 256);
  const lines: string[] = [];
  const reader = new ConsoleReader(board, (_, line) => {
    lines.push(line);
    reader.drain();
  });
  new ConsoleWriter(board, 0, 0).write('a\nb\nc\n');
  reader.drain();
  t.deepEqual(lines, ['a', 'b', 'c']);
});

test.serial('a writer waits for room, but not twice in vain', (t) => {
  const { writer, reader, lines } = ends(256, 20);
  const { wait } = Atomics;
  let vain = 0;
  Atomics.wait = ((...call: Parameters<typeof wait>) => {
    const end = wait(...call);
    if (end === 'timed-out') vain++;
    return end;
  }) as typeof wait;
  try {
    for (let i = 0; i < 1000; i++) writer.write('0123456789\n');
  } finally {
    Atomics.wait = wait;
  }
  // One patience; the engine may divide it, since its clock is not the one of the waits.
  t.true(vain >= 1 && vain < 10, `${vain} waits in vain, and not one for each of a thousand lines`);
  reader.close();
  t.regex(lines.at(-1)!, /lines lost/);
});

test('four CPUs print thousands of lines at once into small rings: whole, in order per CPU, none lost', async (t) => {
  const cpus = 4;
  const count = 2500;
  const { machine, lines } = await bootForTest(t, { cpus, consoleBytes: 1024, consoleWaitMs: 600_000 });
  await machine.run(program('printer'), { count });
  for (let cpu = 0; cpu < cpus; cpu++) {
    t.deepEqual(
      lines[cpu],
      Array.from({ length: count }, (_, i) => lineOf(cpu, i)),
    );
  }
});

test('a line far longer than the ring arrives in one piece', async (t) => {
  const { machine, lines } = await bootForTest(t, { cpus: 2, consoleBytes: 256, consoleWaitMs: 600_000 });
  await machine.run(new URL('../support/programs/long-line.js', import.meta.url));
  for (const cpu of [0, 1]) t.is(lines[cpu].join('|'), `${'→🙂'.repeat(3000)} from ${cpu}`);
});

test('everything that was printed is there when run resolves, whatever the ring holds', async (t) => {
  const { machine, lines } = await bootForTest(t, { cpus: 2 });
  for (let round = 1; round <= 5; round++) {
    await machine.run(program('printer'), { count: 10 });
    t.deepEqual(
      lines.map(({ length }) => length),
      [10 * round, 10 * round],
    );
  }
});

test('the bell is heard through a timer where the engine cannot wait asynchronously', async (t) => {
  const board = Board.create(1, 256);
  for (const waitAsync of [undefined, Atomics.waitAsync]) {
    // The argument `undefined` would be replaced by the default.
    const watch = new BellWatch(board, () => heard(), waitAsync ?? null);
    let heard = (): void => undefined;
    for (let i = 0; i < 3; i++) {
      const news = new Promise<void>((resolve) => {
        heard = resolve;
      });
      board.ringBell();
      await news;
    }
    // Wakes even when the bell was set by another thread that could not wake.
    const news = new Promise<void>((resolve) => {
      heard = resolve;
    });
    watch.wake();
    await news;
    watch.close();
  }
  t.pass();
});

test('nobody looks while the bell is silent', async (t) => {
  const board = Board.create(1, 256);
  let looks = 0;
  const watch = new BellWatch(board, () => void looks++);
  const settle = async (): Promise<number> => {
    for (let i = 0; i < 10; i++) await new Promise((resolve) => setTimeout(resolve, 1));
    return looks;
  };
  const before = await settle();
  t.is(await settle(), before);
  board.ringBell();
  // However long the engine takes to tell of it.
  while (looks === before) await new Promise((resolve) => setTimeout(resolve, 1));
  const after = await settle();
  t.is(await settle(), after);
  watch.close();
});

test('an error in onPrint is the host to report; the console goes on', async (t) => {
  const errors: unknown[] = [];
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => void errors.push(error));
  t.teardown(() => {
    process.removeAllListeners('uncaughtException');
    for (const listener of listeners) process.on('uncaughtException', listener);
  });
  let calls = 0;
  const { machine } = await bootForTest(t, {
    onPrint: () => {
      if (calls++ === 0) throw new Error('no paper');
    },
  });
  await machine.run(program('printer'), { count: 3 });
  t.is(calls, 3);
  t.deepEqual(errors.map(String), ['Error: no paper']);
});

test('onPrint may halt the machine: every line comes once and in order all the same', async (t) => {
  const lines: string[] = [];
  let halted: Promise<void> | undefined;
  const { machine } = await bootForTest(t, {
    onPrint: (_, line) => {
      lines.push(line);
      if (lines.length === 3) halted = machine.halt();
    },
  });
  await machine.run(program('printer'), { count: 10 }).catch(() => undefined);
  await halted;
  t.deepEqual(
    lines,
    Array.from({ length: 10 }, (_, i) => lineOf(0, i)),
  );
});

test.serial('without onPrint the console is that of the main thread', async (t) => {
  const { log } = console;
  const printed: unknown[][] = [];
  console.log = (...values) => void printed.push(values);
  t.teardown(() => {
    console.log = log;
  });
  const { machine } = await bootForTest(t, { onPrint: undefined });
  await machine.run(program('printer'), { count: 2 });
  t.deepEqual(printed, [[lineOf(0, 0)], [lineOf(0, 1)]]);
});
