/**
 * The bytes that are live while a replay goes on, as asked for.
 *
 * Each CPU keeps what it has allocated less what it has freed, and lets others look at it: a plain store, and
 * their sum is the whole, as of a moment ago. That shows no peak, because a sum of numbers read one after the
 * other need never have been true. So CPUs can count instead: every change is one atomic addition to one
 * word, which says what the whole became by it. Since it can only rise by an addition, the largest of these
 * answers over all CPUs is the peak.
 *
 * An allocation is added once it is made and a free is taken off before it is done, so the word never says
 * more than is live (but for what a shrinking reallocation has just given back). What is live lies in one
 * region of at most 4 GiB, so 32 bits are enough for it.
 */

import { CONTROL_COUNTING, CONTROL_LIVE, liveSlot, type ReplayPlan } from './plan.ts';

/** One CPU's account. */
export class LiveBytes {
  readonly #cpus: number;
  readonly #control: Int32Array;
  readonly #live: Float64Array;
  readonly #slot: number;
  /** Whether all CPUs count. */
  #counts = false;
  #recentPeak = 0;
  /** The peak until {@link LiveBytes.recentPeak} was last asked. */
  #pastPeak = 0;

  constructor({ cpus, control, live }: ReplayPlan, cpu: number) {
    this.#cpus = cpus;
    this.#control = control;
    this.#live = live;
    this.#slot = liveSlot(cpu);
  }

  /** This CPU would count. Comes before all CPUs have met. */
  ask(): void {
    Atomics.add(this.#control, CONTROL_COUNTING, 1);
  }

  /** Finds out whether all CPUs asked. Comes after all CPUs have met, which orders it behind their asking. */
  begin(): void {
    this.#counts = this.#cpus > 1 && Atomics.load(this.#control, CONTROL_COUNTING) === this.#cpus;
  }

  /** So many bytes more are live, or fewer. */
  change(bytes: number): void {
    const own = this.#live[this.#slot] + bytes;
    this.#live[this.#slot] = own;
    const all = this.#counts ? this.#count(bytes) : own;
    if (all > this.#recentPeak) this.#recentPeak = all;
  }

  /** Bytes live now over all CPUs. */
  now(): number {
    if (this.#counts) return Atomics.load(this.#control, CONTROL_LIVE) >>> 0;
    let bytes = 0;
    for (let cpu = 0; cpu < this.#cpus; cpu++) bytes += this.#live[liveSlot(cpu)];
    return bytes;
  }

  /** The most over all CPUs, right after a change by this one; undefined when it is not known. */
  peak(): number | undefined {
    return this.#isExact() ? Math.max(this.#pastPeak, this.#recentPeak) : undefined;
  }

  /**
   * The same since this was last asked, that moment and this one included; what is live `now` when it is not
   * known.
   */
  recentPeak(now: number): number {
    const peak = this.#isExact() ? Math.max(this.#recentPeak, now) : now;
    this.#pastPeak = Math.max(this.#pastPeak, this.#recentPeak);
    this.#recentPeak = now;
    return peak;
  }

  /** Either all CPUs count, or there is but one. */
  #isExact(): boolean {
    return this.#counts || this.#cpus === 1;
  }

  /**
   * What is live over all CPUs by this change. Orders nothing: the word has had this value, and no more is
   * asked of it.
   */
  #count(bytes: number): number {
    return (Atomics.add(this.#control, CONTROL_LIVE, bytes) >>> 0) + bytes;
  }
}
