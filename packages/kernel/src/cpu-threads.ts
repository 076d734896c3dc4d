/**
 * The threads that are a machine's CPUs, as the main thread has them: started, asked all at once, stopped.
 */

import type { Board } from './board.ts';
import type { Message, Reply } from './messages.ts';
import { declareDeath, declarePanic } from './panic.ts';
import { startThread, type Thread } from './platform.ts';

/** A question to all CPUs and the answers so far. */
export interface Call {
  readonly replies: Reply[];
  missing: number;
  resolve(replies: Reply[]): void;
  reject(reason: Error): void;
}

/** A CPU's thread and the news of its end. */
interface CpuThread {
  readonly thread: Thread;
  readonly gone: Promise<void>;
}

/** What the threads tell the machine. */
export interface CpuEvents {
  /** There is something on the board. */
  attend(): void;
  /** A thread has ended. */
  exit(): void;
  /** Whether answers are not waited for any more. */
  isStopping(): boolean;
}

/** All CPUs' threads. */
export class CpuThreads {
  readonly #board: Board;
  readonly #events: CpuEvents;
  readonly #threads: readonly CpuThread[];
  /** The question that is being answered. */
  #call: Call | undefined;

  constructor(board: Board, cpus: number, events: CpuEvents) {
    this.#board = board;
    this.#events = events;
    this.#threads = Array.from({ length: cpus }, (_, cpu) => this.#start(cpu));
  }

  #start(cpu: number): CpuThread {
    let tellGone: () => void;
    const gone = new Promise<void>((resolve) => {
      tellGone = resolve;
    });
    const thread = startThread(`cpu ${cpu}`, {
      reply: (reply) => this.#receive(cpu, reply),
      error: (message, stack) => {
        declarePanic(this.#board, cpu, `uncaught ${message}`, stack);
        this.#events.attend();
      },
      exit: (reason) => {
        declareDeath(this.#board, cpu, `its thread has ended (${reason})`);
        tellGone();
        this.#events.exit();
        this.#events.attend();
      },
    });
    return { thread, gone };
  }

  /** Asks all CPUs, and waits for as many answers. */
  ask(message: Message | ((cpu: number) => Message)): Promise<Reply[]> {
    return new Promise((resolve, reject) => {
      // The first post throws when the message cannot be cloned: then no thread has got it, and no thread
      // will answer.
      this.#threads.forEach(({ thread }, cpu) => {
        thread.post(typeof message === 'function' ? message(cpu) : message);
      });
      const cpus = this.#threads.length;
      this.#call = { replies: new Array(cpus), missing: cpus, resolve, reject };
    });
  }

  /** The question that no answer is waited for any more. */
  takeCall(): Call | undefined {
    const call = this.#call;
    this.#call = undefined;
    return call;
  }

  #receive(cpu: number, reply: Reply): void {
    const call = this.#call;
    if (call === undefined) return;
    call.replies[cpu] = reply;
    call.missing--;
    // Everything that was printed before the answer comes first, and so does a panic that the program has
    // caught.
    this.#events.attend();
    if (call.missing === 0 && !this.#events.isStopping()) this.takeCall()?.resolve(call.replies);
  }

  /** Asks the threads to leave, and ends those that have not after the grace period. */
  async stop(graceMs: number): Promise<void> {
    for (const { thread } of this.#threads) thread.post({ type: 'leave' });
    const allGone = Promise.all(this.#threads.map(({ gone }) => gone));
    let timer: ReturnType<typeof setTimeout> | undefined;
    const grace = new Promise((resolve) => {
      timer = setTimeout(resolve, graceMs);
    });
    await Promise.race([allGone, grace]);
    clearTimeout(timer);
    for (const { thread } of this.#threads) thread.terminate();
    await allGone;
  }
}
