/**
 * The main thread's side: boots the CPUs, runs programs on them, reads their console, and stops them.
 *
 * ```
 *            boot                  run, run, …
 *   (none) ───────► running ◄──────────────────┐
 *                    │  │ └────────────────────┘
 *      halt (either  │  │  panic, uncaught error, death of a thread
 *      side)         ▼  ▼
 *               halted  panicked        no way back: boot another
 * ```
 *
 * There is one way down, `#stop`, whatever the cause: read the console, ask the CPUs to leave, terminate
 * those that have not after the grace period, read the console for the last time, settle the run. It waits
 * for nothing that a CPU could withhold.
 */

import type { Address, AllocError, SharedMemory } from '@shmalloc/allocator-api';
import type { AxStats } from '@shmalloc/axalloc';
import { cloneableChoice, createAllocator, type KernelAllocator } from './allocators.ts';
import { BellWatch } from './bell.ts';
import { Board, MAIN } from './board.ts';
import { ConsoleReader } from './console.ts';
import { notPaged } from './cpu.ts';
import { CpuThreads } from './cpu-threads.ts';
import { cpuName, KernelError, KernelPanic } from './errors.ts';
import { KernelHeap, type ThreadReport } from './heap/kernel-heap.ts';
import { PhysicalMemory, type PhysicalStats } from './memory/physical-memory.ts';
import type { Message, Reply } from './messages.ts';
import { damageText, nullWrite, TICK_MS, watchedWords } from './null-watch.ts';
import { type BootOptions, type BootPlan, planBoot, programUrl } from './options.ts';

/**
 * What {@link Machine.report} tells.
 * @public
 */
export interface MachineReport {
  /** The algorithm that new blocks come from. */
  readonly allocator: string;
  /** What each CPU has done. */
  readonly cpus: readonly ThreadReport[];
  /** What the main thread has done. */
  readonly main: ThreadReport;
  /** The pages. */
  readonly memory: PhysicalStats;
  /** What the two-level allocator tells of itself. */
  readonly heap: AxStats;
}

/**
 * A machine: N CPUs on one physical memory. {@link boot} makes it.
 * @public
 */
export class Machine {
  /** How many CPUs. */
  readonly cpus: number;
  /**
   * The allocator, attached in the main thread. After a panic it stays, for a post-mortem, until `halt`; a
   * CPU may have died with its lock.
   */
  readonly allocator: KernelAllocator;

  readonly #plan: BootPlan;
  readonly #board: Board;
  readonly #console: ConsoleReader;
  readonly #watch: BellWatch;
  readonly #threads: CpuThreads;
  readonly #timer: ReturnType<typeof setInterval>;
  #running = false;
  #panic: KernelPanic | undefined;
  #stopping: Promise<void> | undefined;
  #halting: Promise<void> | undefined;

  private constructor(plan: BootPlan, allocator: KernelAllocator) {
    this.cpus = plan.cpus;
    this.allocator = allocator;
    this.#plan = plan;
    this.#board = Board.create(plan.cpus, plan.consoleBytes, watchedWords(allocator.memory));
    allocator.registerError((error) => this.#hear(error));
    this.#console = new ConsoleReader(this.#board, (cpu, line) => this.#emit(cpu, line));
    this.#threads = new CpuThreads(this.#board, plan.cpus, {
      attend: () => this.#attend(),
      exit: () => this.#watch.wake(),
      isStopping: () => this.#stopping !== undefined,
    });
    this.#watch = new BellWatch(this.#board, () => this.#attend());
    this.#timer = setInterval(() => this.#lookAtNull(), TICK_MS);
  }

  /**
   * What {@link boot} does.
   * @internal
   */
  static async boot(options: BootOptions): Promise<Machine> {
    const plan = planBoot(options);
    const machine = new Machine(plan, await makeAllocator(plan));
    try {
      await machine.#bootCpus();
      return machine;
    } catch (error) {
      await machine.halt();
      throw error;
    }
  }

  /** The physical memory. */
  get memory(): SharedMemory {
    return this.allocator.memory;
  }

  /**
   * The pages.
   * @throws KernelError `NotPaged` when the machine was not booted with `paged`
   */
  get physical(): PhysicalMemory {
    return this.#heap('machine.physical').physical;
  }

  /** Where the physical memory lies in its buffer, in bytes: `[start, end)`. */
  get heap(): { readonly start: Address; readonly end: Address } {
    return { start: this.memory.start, end: this.memory.end };
  }

  /** Whether it runs, or how it ended. */
  get state(): 'running' | 'halted' | 'panicked' {
    if (this.#panic !== undefined) return 'panicked';
    return this.#stopping === undefined ? 'running' : 'halted';
  }

  /** What it died of, if it panicked. */
  get panic(): KernelPanic | undefined {
    return this.#panic;
  }

  /** What a program gave to `halt`; 0 unless one did. */
  get exitCode(): number {
    return this.#board.exitCode;
  }

  /**
   * Runs a program on all CPUs. They start when all have loaded it.
   * @param program - absolute URL of a module whose default export is a {@link Program}
   * @param argument - posted to every CPU; anything that can be cloned, shared memory included
   * @returns what the program returned, by CPU
   * @throws KernelPanic when a CPU panics; KernelError `Busy`, `Halted`, `Panicked`, `BadProgram`; TypeError
   *   when `program` is no absolute URL; a DataCloneError when `argument` cannot be cloned. After
   *   `BadProgram` and wrong arguments the machine goes on.
   */
  async run(program: string | URL, argument?: unknown): Promise<unknown[]> {
    const url = programUrl(program);
    this.#checkIdle();
    this.#running = true;
    try {
      checkReplies('BadProgram', `cannot load the program ${url}`, await this.#ask({ type: 'load', url }));
      const replies = await this.#ask({ type: 'start', argument });
      // A CPU has no reply when another one halted the machine before it was done.
      return Array.from(replies, (reply) => (reply?.type === 'done' ? reply.value : undefined));
    } finally {
      this.#running = false;
    }
  }

  /**
   * Chooses another byte allocator, at any time, while all CPUs allocate and free: new blocks come from it,
   * blocks that are there are still freed by the one that made them, and when its last block has gone its
   * pages return to the page allocator. CPUs learn of it through shared memory, at their next allocation; one
   * that allocates nothing, when its program ends or at a barrier. Programs have the same as `swap`.
   * @param name - what the machine was booted with: `allocator`, or one of `paged.swap`
   * @throws AllocError `InvalidParam` for another name, `NoMemory` when there are no pages for it (then
   *   nothing has changed); KernelError `NotPaged`, `Halted`, `Panicked`
   */
  swap(name: string): void {
    const heap = this.#heap('machine.swap()');
    this.#checkUp();
    heap.swap(name);
  }

  /**
   * Sees to it that every CPU has let go of what was swapped out. While a program runs, that is the CPUs' own
   * affair, and only the main thread does so; between programs it is worth a call before pages are counted.
   */
  async settle(): Promise<void> {
    const heap = this.#heap('machine.settle()');
    heap.settle();
    if (!this.#running && this.state === 'running') await this.#askAll({ type: 'settle' });
    heap.settle();
  }

  /**
   * What every CPU has done with the memory since the machine booted, and how the memory stands.
   * @throws KernelError `Busy` while a program runs, `NotPaged`, `Halted`, `Panicked`
   */
  async report(): Promise<MachineReport> {
    const heap = this.#heap('machine.report()');
    this.#checkIdle();
    const cpus = (await this.#askAll({ type: 'report' })) as ThreadReport[];
    return {
      allocator: heap.name,
      cpus,
      main: heap.report(),
      memory: this.physical.stats(),
      heap: heap.stats(),
    };
  }

  /**
   * Stops the CPUs, wherever they are, and lets go of the memory. A run that is under way rejects with
   * KernelError `Halted`. May be called at any time and again; always settles.
   */
  halt(): Promise<void> {
    return (this.#halting ??= this.#halt());
  }

  /** The same, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.halt();
  }

  async #bootCpus(): Promise<void> {
    const { allocator, allocatorOptions, full, consoleWaitMs } = this.#plan;
    const common = {
      type: 'boot',
      board: this.#board.buffer,
      allocator: cloneableChoice(allocator),
      handle: this.allocator.share(),
      lock: allocatorOptions.lock,
      full: full === undefined ? null : { physical: this.physical.share(), choice: full.choice },
      patience: consoleWaitMs,
    } as const;
    checkReplies('BootFailed', 'cannot boot', await this.#ask((cpu) => ({ ...common, cpu })));
  }

  #heap(name: string): KernelHeap {
    const { allocator } = this;
    if (allocator instanceof KernelHeap) return allocator;
    throw notPaged(name);
  }

  /** Asks idle CPUs; they are as busy as with a program meanwhile. */
  async #askAll(message: Message): Promise<unknown[]> {
    this.#running = true;
    try {
      const replies = await this.#ask(message);
      return Array.from(replies, (reply) => (reply?.type === 'done' ? reply.value : undefined));
    } finally {
      this.#running = false;
    }
  }

  #checkIdle(): void {
    this.#checkUp();
    if (this.#running)
      throw new KernelError('Busy', 'the machine runs a program already; wait for it to end');
  }

  /** The tick of the timer, and what every call of the main thread begins with. */
  #lookAtNull(): void {
    const found = nullWrite(this.memory, this.#board.nullWords, 'the timer');
    if (found !== null) this.#fail(found);
  }

  /** What the main thread's own use of the allocator has found. */
  #hear(error: AllocError): void {
    if (error.code === 'Corrupted') this.#fail(damageText(error, 'the main thread'));
    else console.error(`${error.name} ${error.code}: ${error.message}`);
  }

  #fail(message: string): void {
    if (this.#board.claim(MAIN)) this.#board.publishPanic(message, '');
    this.#attend();
  }

  #checkUp(): void {
    if (this.#stopping === undefined) this.#lookAtNull();
    if (this.#panic !== undefined) {
      const message = `the machine has panicked (${cpuName(this.#panic.cpu)}: ${this.#panic.message})`;
      throw new KernelError('Panicked', message, { cause: this.#panic });
    }
    if (this.#stopping !== undefined) throw haltedError(this.exitCode);
  }

  async #ask(message: Message | ((cpu: number) => Message)): Promise<Reply[]> {
    // A program can stop the machine while it is loaded; then no thread would answer any more.
    this.#checkUp();
    return this.#threads.ask(message);
  }

  /** Looks at the board. */
  #attend(): void {
    this.#console.drain();
    if (!this.#board.running) void this.#stop();
  }

  async #halt(): Promise<void> {
    if (this.#board.claim(MAIN)) this.#board.publishHalt(0);
    await this.#stop();
    this.allocator.detach();
  }

  #stop(): Promise<void> {
    return (this.#stopping ??= this.#shutDown());
  }

  async #shutDown(): Promise<void> {
    this.#console.drain();
    this.#tellPanic();
    await this.#threads.stop(this.#plan.graceMs);
    clearInterval(this.#timer);
    this.#watch.close();
    this.#console.close();
    // Not told yet if the main thread halted the machine while a CPU was about to say why it panics.
    this.#tellPanic();
    this.#settleCall();
  }

  /** Shows a panic on the console, once. The main thread does it, because the CPU's ring may be full. */
  #tellPanic(): void {
    if (this.#panic !== undefined || !this.#board.panicked) return;
    const { cpu, message, stack } = this.#board.panicRecord();
    this.#panic = new KernelPanic(cpu, message, stack);
    // What the timer says appears as if the first CPU had printed it.
    for (const line of `panic: ${cpuName(cpu)}: ${message}`.split('\n')) this.#emit(Math.max(cpu, 0), line);
  }

  /** A thread that waits for answers gets what there is. */
  #settleCall(): void {
    const call = this.#threads.takeCall();
    if (this.#panic !== undefined) call?.reject(this.#panic);
    else if (this.#board.claimant !== MAIN && this.exitCode === 0) call?.resolve(call.replies);
    else call?.reject(haltedError(this.exitCode));
  }

  #emit(cpu: number, line: string): void {
    try {
      this.#plan.onPrint(cpu, line);
    } catch (error) {
      // As with any event listener: its error is the host's to report, and the console goes on.
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}

/** The machine's allocator: over the whole region, or over pages of it. */
async function makeAllocator({ allocator, allocatorOptions, full }: BootPlan): Promise<KernelAllocator> {
  if (full === undefined) return createAllocator(allocator, allocatorOptions);
  const { lock: _lock, debug: _debug, ...region } = allocatorOptions;
  return KernelHeap.create(PhysicalMemory.create({ ...region, frames: full.frames }), full.choice);
}

function haltedError(exitCode = 0): KernelError {
  const suffix = exitCode === 0 ? '' : ` with exit code ${exitCode}`;
  return new KernelError('Halted', `the machine has been halted${suffix}`);
}

function checkReplies(code: 'BadProgram' | 'BootFailed', what: string, replies: readonly Reply[]): void {
  const cpu = replies.findIndex((reply) => reply?.type === 'failed');
  const reply = replies[cpu];
  if (reply?.type !== 'failed') return;
  throw new KernelError(code, `${what} on cpu ${cpu}: ${reply.message}`, { cause: reply.stack });
}

/**
 * Boots a machine: starts `cpus` threads, makes the allocator over the physical memory and attaches it in
 * every one of them. The machine keeps the process alive until it is halted.
 *
 * @example
 * ```ts
 * const machine = await boot({ cpus: 4, bytes: 64 << 20, allocator: 'tlsf' });
 * const results = await machine.run(new URL('./program.js', import.meta.url), { rounds: 1000 });
 * await machine.halt();
 * ```
 * @throws TypeError, RangeError, AllocError for wrong options, naming the option; AllocError `NoMemory` when
 *   the engine refuses that much; KernelError `BootFailed` or KernelPanic when a CPU does not come up
 * @public
 */
export function boot(options: BootOptions = {}): Promise<Machine> {
  return Machine.boot(options);
}
