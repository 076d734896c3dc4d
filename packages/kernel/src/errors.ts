/**
 * What the machine throws. Wrong arguments are a TypeError, a RangeError or an AllocError `InvalidParam`, as
 * everywhere in shmalloc.
 */

/**
 * Why the machine refuses.
 *
 * - `Busy`: another run is under way
 * - `Halted`: the machine has been halted
 * - `Panicked`: one of its CPUs has panicked; `cause` is the {@link KernelPanic}
 * - `BadProgram`: the program's module cannot be loaded, or exports no function by default
 * - `BootFailed`: a CPU did not come up
 * - `NotOnCpu`: a function for programs was called on a thread that is no CPU
 * - `NotPaged`: pages, and a change of the allocator, are for a machine that was booted with `paged`
 * @public
 */
export type KernelErrorCode =
  | 'Busy'
  | 'Halted'
  | 'Panicked'
  | 'BadProgram'
  | 'BootFailed'
  | 'NotOnCpu'
  | 'NotPaged';

/**
 * The machine cannot do this now; `code` says why.
 * @public
 */
export class KernelError extends Error {
  readonly code: KernelErrorCode;

  constructor(code: KernelErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'KernelError';
    this.code = code;
  }
}

/** What a panic calls the CPU that noticed. */
export function cpuName(cpu: number): string {
  return cpu < 0 ? 'timer' : `cpu ${cpu}`;
}

/**
 * A CPU panicked: its program threw, called `panic`, or its thread died. The machine has stopped.
 * @public
 */
export class KernelPanic extends Error {
  /** The CPU that panicked first; −1 when it was the machine's timer that noticed what is wrong. */
  readonly cpu: number;

  /**
   * @param cpu - which one
   * @param message - what it said
   * @param stack - the frames on that CPU, as V8 prints them; its first lines may repeat the message
   */
  constructor(cpu: number, message: string, stack?: string) {
    super(message);
    this.name = 'KernelPanic';
    this.cpu = cpu;
    const frames = stack?.split('\n').filter((line) => /^\s+at |@.*:\d+:\d+$/.test(line)) ?? [];
    this.stack = [`KernelPanic: ${cpuName(cpu)}: ${message}`, ...frames].join('\n');
  }
}

/**
 * Unwinds a program when its machine stops: thrown by `panic`, `halt` and by calls that wait. A program that
 * catches it lets it pass; one that goes on is terminated after the grace period.
 * @public
 */
export class MachineStopped extends Error {
  constructor() {
    super('the machine has stopped');
    this.name = 'MachineStopped';
  }
}
