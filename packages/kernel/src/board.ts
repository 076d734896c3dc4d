/**
 * The board: what the CPUs and the main thread share besides the physical memory. It is a buffer of its own,
 * so that a program which scribbles over the heap cannot lose its last words.
 *
 * ```
 *  byte 0        64       128       256             2304            8192
 *  ├─────────────┼────────┼─────────┼───────────────┼───────────────┼─────────┬─────────┬───
 *  │ geometry    │ bell   │ barrier │ panic message │ panic stack   │ ring    │ ring    │ …
 *  │ state claim │        │         │ UTF-8         │ UTF-8         │ of CPU 0│ of CPU 1│
 *  └─────────────┴────────┴─────────┴───────────────┴───────────────┴─────────┴─────────┴───
 * ```
 *
 * A machine stops once. A thread that wants it to stop claims that first (one compare-exchange, the first
 * wins), writes what there is to say, and then publishes the state: one that reads a state other than RUNNING
 * can read the words that explain it.
 *
 * Rings are drawn in `console.ts`.
 */

// What the state word says.
const RUNNING = 0;
const HALTED = 1;
const PANICKED = 2;

/**
 * The claim of the main thread, and of its timer, which may find that the machine has to panic; CPU n claims
 * as n + 1, and 0 is no claim.
 */
export const MAIN: number = -1;

// Word indices. What different threads write lies on different cache lines.
const CPUS = 0;
const RING_BYTES = 1;
const STATE = 2;
const CLAIM = 3;
const EXIT_CODE = 4;
const MESSAGE_BYTES = 5;
const STACK_BYTES = 6;
const NULL_WORDS = 7;
/** 1 when another thread has news for the main thread. */
export const BELL = 16;
/** CPUs that wait at the barrier. */
export const ARRIVED = 32;
/** How often the barrier has opened. */
export const GENERATION = 33;
/** How often a CPU's program has ended. */
export const FINISHED = 34;

const MESSAGE_AT = 256;
const STACK_AT = 2304;
const RINGS_AT = 8192;

/** Bytes of a ring before its data: a cache line each for the reader's and for the writer's words. */
export const RING_HEADER = 128;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** One thread's view of the board. */
export class Board {
  /** What to post to another thread. */
  readonly buffer: SharedArrayBuffer;
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly bytes: Uint8Array<SharedArrayBuffer>;

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.words = new Int32Array(buffer);
    this.bytes = new Uint8Array(buffer);
  }

  /**
   * Makes the board of a new machine.
   * @param cpus - how many
   * @param ringBytes - data bytes of one console ring, a power of two
   * @param nullWords - words from address 0 of the memory on that have the pattern of NULL
   */
  static create(cpus: number, ringBytes: number, nullWords = 0): Board {
    const board = new Board(new SharedArrayBuffer(RINGS_AT + cpus * (RING_HEADER + ringBytes)));
    board.words[CPUS] = cpus;
    board.words[RING_BYTES] = ringBytes;
    board.words[NULL_WORDS] = nullWords;
    return board;
  }

  get cpus(): number {
    return this.words[CPUS];
  }

  /** Words from address 0 of the memory on that have the pattern of NULL; 0 when nothing keeps them clear. */
  get nullWords(): number {
    return this.words[NULL_WORDS];
  }

  get ringBytes(): number {
    return this.words[RING_BYTES];
  }

  /** Where the ring of a CPU starts, in bytes. */
  ringAt(cpu: number): number {
    return RINGS_AT + cpu * (RING_HEADER + this.ringBytes);
  }

  get running(): boolean {
    return Atomics.load(this.words, STATE) === RUNNING;
  }

  get panicked(): boolean {
    return Atomics.load(this.words, STATE) === PANICKED;
  }

  /** One that stops the machine: 0 no thread, n + 1 for CPU n, or MAIN. */
  get claimant(): number {
    return Atomics.load(this.words, CLAIM);
  }

  get exitCode(): number {
    return this.words[EXIT_CODE];
  }

  /**
   * Asks to be the one that stops the machine.
   * @returns whether the caller is
   */
  claim(who: number): boolean {
    // Of all that ask, exactly one finds 0.
    return Atomics.compareExchange(this.words, CLAIM, 0, who) === 0;
  }

  /** Tells everyone that the machine has halted. The caller holds the claim. */
  publishHalt(exitCode: number): void {
    this.words[EXIT_CODE] = exitCode;
    this.#publish(HALTED);
  }

  /** Tells everyone that the claimant has panicked, and why. Texts that are too long are cut. */
  publishPanic(message: string, stack: string): void {
    this.words[MESSAGE_BYTES] = this.#writeText(MESSAGE_AT, STACK_AT - MESSAGE_AT, message);
    this.words[STACK_BYTES] = this.#writeText(STACK_AT, RINGS_AT - STACK_AT, stack);
    this.#publish(PANICKED);
  }

  /** What the CPU that panicked has to say; its number is −1 for the timer. The state is PANICKED. */
  panicRecord(): { cpu: number; message: string; stack: string } {
    return {
      cpu: Math.max(this.claimant, 0) - 1,
      message: this.#readText(MESSAGE_AT, this.words[MESSAGE_BYTES]),
      stack: this.#readText(STACK_AT, this.words[STACK_BYTES]),
    };
  }

  /** Wakes the main thread; costs a system call only when it sleeps. */
  ringBell(): void {
    // Pairs with the store of 0 in the bell's watch: either that one's look at the news comes after ours were
    // written, or it finds this 1 and does not sleep.
    if (Atomics.exchange(this.words, BELL, 1) === 0) Atomics.notify(this.words, BELL);
  }

  #publish(state: number): void {
    // Release: one that reads this state also reads the words written before it.
    Atomics.store(this.words, STATE, state);
    // A new generation, so that no thread can fall asleep at the barrier any more; those that wake look at
    // the state first.
    Atomics.add(this.words, GENERATION, 1);
    Atomics.notify(this.words, GENERATION);
    this.ringBell();
  }

  #writeText(at: number, room: number, text: string): number {
    const bytes = encoder.encode(text);
    const length = bytes.length <= room ? bytes.length : cutUtf8(bytes, room);
    this.bytes.set(bytes.subarray(0, length), at);
    return length;
  }

  #readText(at: number, length: number): string {
    // `slice` copies into memory of our own: browsers do not decode shared memory.
    return decoder.decode(this.bytes.slice(at, at + length));
  }
}

/** The largest length ≤ `room` that cuts no character of UTF-8 in two. */
function cutUtf8(bytes: Uint8Array, room: number): number {
  let length = room;
  while ((bytes[length] & 0xc0) === 0x80) length--;
  return length;
}
