/** Progress on standard error: a bar on a terminal, a plain line now and then elsewhere. */

import { SingleBar } from 'cli-progress';

/** Between two plain lines pass at least so many milliseconds. */
const PLAIN_INTERVAL = 5000;

/** What ends a job from outside. */
const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * What a long job tells about itself.
 * @public
 */
export interface Progress {
  /** The next step begins. */
  step(label: string): void;
  /** A line that stays. */
  note(line: string): void;
  /** The job has ended, well or not. */
  done(): void;
}

/**
 * @param total - how many steps there will be
 * @param stream - where to write; standard error when left out
 * @param now - the clock, in milliseconds
 * @public
 */
export function startProgress(
  total: number,
  stream: NodeJS.WriteStream = process.stderr,
  now: () => number = Date.now,
): Progress {
  return stream.isTTY ? bar(total, stream) : plainLines(total, stream, now);
}

function bar(total: number, stream: NodeJS.WriteStream): Progress {
  const single = new SingleBar({
    stream,
    format: '{bar} {value}/{total} {label}',
    barCompleteChar: '━',
    barIncompleteChar: '┄',
    barsize: 24,
    hideCursor: true,
    clearOnComplete: true,
    linewrap: false,
  });
  const stop = (): void => {
    single.stop();
    for (const signal of SIGNALS) process.off(signal, quit);
  };
  /** The terminal gets its cursor and its line wrapping back before the process ends as it would have. */
  const quit = (signal: NodeJS.Signals): void => {
    stop();
    process.kill(process.pid, signal);
  };
  let steps = 0;
  single.start(total, 0, { label: '' });
  for (const signal of SIGNALS) process.on(signal, quit);
  return {
    step: (label) => single.update(steps++, { label }),
    note: (line) => {
      stream.write(`\r\u001b[K${line}\n`);
      single.updateETA();
    },
    done: stop,
  };
}

function plainLines(total: number, stream: NodeJS.WriteStream, now: () => number): Progress {
  let steps = 0;
  let last = Number.NEGATIVE_INFINITY;
  return {
    step(label) {
      steps++;
      if (now() - last < PLAIN_INTERVAL) return;
      last = now();
      stream.write(`[${String(steps).padStart(String(total).length)}/${total}] ${label}\n`);
    },
    note: (line) => void stream.write(`${line}\n`),
    done: () => {},
  };
}
