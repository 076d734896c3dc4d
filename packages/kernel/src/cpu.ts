/**
 * What a program sees: the CPU that it runs on and the kernel's functions. A thread is one CPU at most, so
 * the functions find it without being told.
 */

import {
  type Address,
  AllocError,
  checkInteger,
  nextPowerOfTwo,
  type SharedMemory,
} from '@shmalloc/allocator-api';
import type { KernelAllocator } from './allocators.ts';
import { leaveBarrier, waitAtBarrier } from './barrier.ts';
import type { Board } from './board.ts';
import type { ConsoleWriter } from './console.ts';
import { KernelError } from './errors.ts';
import { KernelHeap } from './heap/kernel-heap.ts';
import { Klib } from './klib/klib.ts';
import { nullWrite } from './null-watch.ts';
import { declareHalt, declarePanic, unwind } from './panic.ts';

/**
 * A page: the largest alignment that {@link kalloc} gives of itself, in bytes.
 * @public
 */
export const PAGE_SIZE = 4096;

/**
 * The most that {@link kalloc} gives at once, in bytes: 16 MiB. More is refused with 0, whatever there is:
 * one that needs so much wants pages, and gets them from `vmalloc`.
 * @public
 */
export const KALLOC_MAX_BYTES: number = 16 << 20;

/**
 * The CPU that a program runs on.
 * @public
 */
export interface Cpu {
  /** 0 … count − 1. */
  readonly id: number;
  /** How many the machine has. */
  readonly count: number;
  /**
   * The machine's allocator, attached in this thread; a {@link KernelHeap} when it was booted with `paged`.
   */
  readonly allocator: KernelAllocator;
  /** The machine's physical memory. */
  readonly memory: SharedMemory;
}

/**
 * A program: what its module exports by default.
 * @param cpu - the CPU that it runs on
 * @param argument - what `run` was given, a copy for each CPU
 * @returns what `run` returns for this CPU; it must be possible to post it
 * @public
 */
export type Program = (cpu: Cpu, argument: unknown) => unknown;

const encoder = new TextEncoder();

/** The CPU of this thread and its connections. */
interface Seat {
  readonly cpu: Cpu;
  readonly board: Board;
  readonly console: ConsoleWriter;
  /** The C library over its memory. */
  readonly klib: Klib;
  /** How many programs it has run before. */
  run: number;
}

let seat: Seat | undefined;

/** Makes this thread a CPU. */
export function occupy(cpu: Cpu, board: Board, console: ConsoleWriter): void {
  seat = { cpu, board, console, klib: new Klib(cpu.memory), run: 0 };
}

/** Looks for a write through NULL. In calls that are not on the fast path. */
function lookAtNull({ cpu, board }: Seat): void {
  const found = nullWrite(cpu.memory, board.nullWords, `cpu ${cpu.id}`);
  if (found !== null) panic(found);
}

/** The same for a program that has ended. @throws MachineStopped */
export function lookAtNullAtEnd(): void {
  lookAtNull(mySeat('the end of a program'));
}

/** A program has ended. */
export function endRun(): void {
  const mine = mySeat('endRun()');
  leaveBarrier(mine.board);
  mine.run++;
}

/**
 * The allocator over pages of this thread's CPU.
 * @param name - what asks, for the message
 * @throws KernelError `NotPaged` when the machine has none
 */
export function heapOfCpu(name: string): KernelHeap {
  const mine = mySeat(name);
  const { allocator } = mine.cpu;
  lookAtNull(mine);
  if (allocator instanceof KernelHeap) return allocator;
  throw notPaged(name);
}

export function notPaged(name: string): KernelError {
  return new KernelError('NotPaged', `${name} needs a machine with pages: boot({ paged: true, … })`);
}

/** This CPU is about to wait, or at the end of its program: it lets go of heaps that were swapped out. */
export function settle(): void {
  const allocator = seat?.cpu.allocator;
  if (allocator instanceof KernelHeap) allocator.settle();
}

/** The C library of this thread's CPU; undefined when it is none. */
export function klibOfCpu(): Klib | undefined {
  return seat?.klib;
}

function mySeat(name: string): Seat {
  if (seat === undefined) throw new KernelError('NotOnCpu', `${name} works in a program that a machine runs`);
  return seat;
}

/**
 * The number of this CPU, 0 … `cpuCount() − 1`.
 * @throws KernelError `NotOnCpu` outside of a program, as all functions for programs
 * @public
 */
export function cpuCurrent(): number {
  return mySeat('cpuCurrent()').cpu.id;
}

/**
 * How many CPUs the machine has.
 * @public
 */
export function cpuCount(): number {
  return mySeat('cpuCount()').cpu.count;
}

/**
 * Allocates from the machine's allocator. Whether it may block is the allocator's affair: with one that needs
 * no lock, CPUs never wait for each other here.
 * @param size - bytes, up to {@link KALLOC_MAX_BYTES}
 * @returns an address that is a multiple of the next power of two ≥ `size`, up to a page; 0 when there is no
 *   memory, or `size` is above the bound
 * @throws TypeError, RangeError when `size` is no non-negative integer
 * @public
 */
export function kalloc(size: number): Address {
  const mine = mySeat('kalloc()');
  const { allocator } = mine.cpu;
  // Every block is aligned to 8, so the plain entry serves the smallest.
  if (size <= 8) return allocator.malloc(size);
  if (size > KALLOC_MAX_BYTES) {
    checkInteger('size', size);
    lookAtNull(mine);
    return 0;
  }
  const block = allocator.alignedAlloc(size >= PAGE_SIZE ? PAGE_SIZE : nextPowerOfTwo(size), size);
  if (block === 0) lookAtNull(mine);
  return block;
}

/**
 * Gives back what {@link kalloc} returned, on whichever CPU. 0 is ignored.
 * @public
 */
export function kfree(address: Address): void {
  mySeat('kfree()').cpu.allocator.free(address);
}

/**
 * Prints on the machine's console, formatted as {@link (sprintf:1)} does. A line appears when its newline has
 * been printed, whole; a program's last line also when the program ends. Waits when the console is full, for
 * `consoleWaitMs` at most; then the line is lost, and the console says so.
 * @param format - the template, with the newline
 * @param values - one for each conversion
 * @returns the bytes of what was printed, as UTF-8
 * @public
 */
export function printf(format: string, ...values: readonly unknown[]): number {
  const mine = mySeat('printf()');
  const { console, klib } = mine;
  const text = klib.sprintf(format, ...values);
  console.write(text);
  lookAtNull(mine);
  return encoder.encode(text).length;
}

/**
 * Stops the machine: the console shows `panic: cpu N: message`, and `run` rejects with a `KernelPanic`. Only
 * the first panic of a machine is told; later ones only unwind.
 * @param message - what is wrong
 * @returns never; it throws `MachineStopped`
 * @public
 */
export function panic(message: string): never {
  const { cpu, board, console } = mySeat('panic()');
  console.flush();
  declarePanic(board, cpu.id, String(message), String(new Error().stack));
  return unwind();
}

/**
 * Switches the machine off: every CPU is stopped. With exit code 0 `run` resolves with the results that were
 * there by then (and `undefined` for the rest), with another it rejects.
 * @param exitCode - 0 … 255
 * @returns never; it throws `MachineStopped`
 * @throws TypeError, RangeError or AllocError `InvalidParam` for a wrong exit code
 * @public
 */
export function halt(exitCode = 0): never {
  const { cpu, board, console } = mySeat('halt()');
  if (checkInteger('exitCode', exitCode) > 255)
    throw new AllocError('InvalidParam', `exitCode must be 0 … 255, got ${exitCode}`);
  console.flush();
  lookAtNull(mySeat('halt()'));
  declareHalt(board, cpu.id, exitCode);
  return unwind();
}

/**
 * Waits until every CPU of the machine has called it as often. Blocks.
 *
 * It panics when that can never be, because a CPU's program has ended.
 * @throws MachineStopped when the machine stops meanwhile
 * @public
 */
export function cpuBarrier(): void {
  const mine = mySeat('cpuBarrier()');
  const { board, run } = mine;
  lookAtNull(mine);
  settle();
  const outcome = waitAtBarrier(board, run);
  if (outcome === 'hopeless') panic('cpuBarrier() waits for a CPU whose program has ended');
  if (outcome === 'stopped') unwind();
}
