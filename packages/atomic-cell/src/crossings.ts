/**
 * The operations that cross threads, for allocators that have no lock: what one thread does to a word that
 * others do things to as well.
 *
 * ```
 *             31               1  0
 *   a list    ├────────────────┬──┤      ├────────┬─────────┤      ├────────┬─────────┤
 *    place ─▶ │ first block    │ M│ ───▶ │ next   │ …       │ ───▶ │ 0      │ …       │
 *             └────────────────┴──┘      └────────┴─────────┘      └────────┴─────────┘
 *                               mark     the rest of a block is untouched
 *
 *   a bitmap  ├───────────────────┼────────────────────┼── …
 *    place ─▶ │ bit 31 …… bit 0   │ bit 63 …… bit 32   │          1 can be claimed · 0 is taken
 *             └───────────────────┴────────────────────┘
 * ```
 *
 * A place, a block and a link are all **indices of 32-bit words**, 0 … 2^30 − 1: an address divided by 4. 0
 * is no block. On a list with a mark a block is an even word, so that bit 0 of the head is free to be the
 * mark.
 *
 * There are two implementations of this one interface, `wasm-crossings.ts` and `js-crossings.ts`; threads
 * that use different ones on the same words understand each other. `crossings-for.ts` chooses.
 *
 * **Order.** Each operation that changes a word, `store` apart, is one that reads, changes and writes it at
 * once, sequentially consistent: it publishes (release) what its thread wrote before it, and receives
 * (acquire) what was published by all the operations whose effect it finds. That includes those further back,
 * since every one of them had found the one before. The first look at a word is a plain one, 1 ns instead of
 * 15 in JavaScript. It is a guess, which the exchange confirms or corrects; only where it finds nothing to
 * take or to claim is it the answer, and then it may be late by a push or a release.
 *
 * **No ABA** on lists. Treiber's stack (1986) goes wrong with single pops: a popper holds the head and its
 * `next`, others pop both and push the head back, and the popper's exchange succeeds with a `next` that is no
 * longer in the list. Here no thread pops one block. A take depends on no `next`, and a push that succeeds
 * has linked to what is the head at that moment, whether or not that block was away in between.
 *
 * **No checks.** These are the innermost loops; a caller vouches for what it passes. A word outside the
 * memory is a `RangeError` or a `WebAssembly.RuntimeError`, and no list has changed.
 */

/**
 * The operations that cross threads, over the words of one region. Made by {@link crossingsFor}, once for
 * each thread and region.
 *
 * Nothing here waits for another thread, and a thread that is terminated inside an operation stops no thread.
 * It has done the operation or has not, apart from runs of bits across words; what is lost with a thread that
 * ends just after one is said where it matters.
 *
 * @example
 * ```ts
 * const crossings = crossingsFor(memory);
 * crossings.push(16, block); // in any thread
 * for (let block = crossings.takeAll(16), next; block !== 0; block = next) {
 *   next = memory.i32[block]; // before the block is used again: the link lies in it
 *   reuse(block);
 * }
 * ```
 * @public
 */
export interface Crossings {
  /** Which implementation this is: WebAssembly, or JavaScript's `Atomics`. */
  readonly kind: 'wasm' | 'js';

  // ── Words ──

  /**
   * What a word is now.
   *
   * Acquire: pairs with every operation that changes the word. Progress: wait-free. Cost: one atomic load.
   */
  load(place: number): number;

  /**
   * Sets a word, whatever it was.
   *
   * Release: pairs with every operation that finds the value. Progress: wait-free. Cost: one atomic store.
   */
  store(place: number, value: number): void;

  /**
   * Sets a word if it is what the caller believes: `claim(segment, FREE, me)` for an owner's name,
   * `claim(state, 0, 1)` for a step that one thread shall take.
   *
   * Acquire and release when it succeeds: pairs with the `store`, or the `claim` back, of the thread that had
   * it before, and with the `claim` of the thread that comes next. Progress: wait-free: of several threads
   * that try at once, exactly one succeeds. Cost: one `compareExchange`. ABA: a word that was changed and
   * changed back looks as if it had never been; that is right for a state, and wrong for what was concluded
   * from an earlier look.
   * @returns whether it was `from`, and is `to` now
   */
  claim(place: number, from: number, to: number): boolean;

  /**
   * Sets bits of a word and leaves the others as they are.
   *
   * Acquire and release: pairs with every operation that finds the bits, and those whose bits it finds.
   * Progress: wait-free as far as the processor has it (x86 retries when it is asked for the old word). Cost:
   * one atomic `or`.
   * @returns the word before: one that finds a bit not set there is the one that has set it
   */
  setBits(place: number, bits: number): number;

  /**
   * Clears bits of a word and leaves the others as they are. As {@link Crossings.setBits}, with an atomic
   * `and`.
   * @returns the word before: one that finds a bit set there is the one that has cleared it
   */
  clearBits(place: number, bits: number): number;

  // ── Lists ──

  /**
   * Adds a block in front of a list. Its first word becomes the link; it belongs to the list until it is
   * taken.
   *
   * Release: pairs with the take that gets the block out, and publishes the link and all that this thread
   * wrote before, into the block and elsewhere. Progress: lock-free: a retry means that another push or a
   * take went through. Cost: two plain accesses and one `compareExchange`, 4 ns in WebAssembly and 10 in
   * JavaScript while no other thread is at it. A thread that ends in here has pushed or has not.
   * @param place - the head, a list without a mark
   * @param block - not 0, in no list
   */
  push(place: number, block: number): void;

  /**
   * The same on a list that may be marked: the mark says that no thread looks at this list, and that the
   * first one that comes shall bring the news elsewhere. It finds the mark, takes it away and does not push;
   * those that come after it push again.
   *
   * This is how mimalloc's foreign free meets a full page: the mark is its flag for delayed freeing, and
   * "elsewhere" the heap's own list. {@link Crossings.mark} puts the mark there, and then the list has to be
   * looked through once more.
   *
   * Release as {@link Crossings.push}. Taking the mark away is acquire: pairs with the `setBits` that put it
   * there. Progress: lock-free. Cost: that of a push; with a mark one atomic `and` instead. A thread that
   * ends between taking the mark and bringing the block loses that block, and the news with it: the thread
   * that relies on it must be able to look for himself.
   * @param place - the head
   * @param block - an even word, not 0, in no list
   * @returns true when the block was pushed; false when it was not, and it was this call that took the mark
   *   away
   */
  pushUnlessMarked(place: number, block: number): boolean;

  /**
   * Marks a list: see {@link Crossings.pushUnlessMarked}. What was pushed before the mark, no thread brings
   * news of, so the thread that marks a list looks through it afterwards. `setBits(place, 1)` under a name of
   * its own.
   *
   * Acquire and release: pairs with the push that takes the mark away, and with those whose blocks the look
   * finds. Progress and cost: as {@link Crossings.setBits}.
   * @param place - the head
   */
  mark(place: number): void;

  /**
   * Takes the mark away: from here on blocks are pushed, and another thread looks. `clearBits(place, 1)`
   * under a name of its own.
   * @param place - the head
   */
  unmark(place: number): void;

  /**
   * Takes every block out of a list.
   *
   * Acquire: pairs with every push since the last take, and receives their links and what they wrote before.
   * Progress: wait-free. Cost: one plain load when the list looks empty, which leaves the cache line with the
   * pushers and may miss a push of this moment; otherwise one atomic `exchange` more. A thread that ends
   * before it has passed them on takes the blocks with it.
   * @param place - the head, a list without a mark
   * @returns the block pushed last, 0 when there is none; the links lead on, and only the taker may follow
   *   them. A block can lie in memory that another thread has added: beyond this thread's views until it
   *   renews them
   */
  takeAll(place: number): number;

  /**
   * Takes every block out of a list and leaves the mark as it is. As {@link Crossings.takeAll}, with one
   * atomic `and`.
   * @returns the block pushed last, without the mark; 0 when there is none
   */
  takeAllMarked(place: number): number;

  // ── Bitmaps ──

  /**
   * Claims so many neighbouring bits of a bitmap, the first that are set: all of them, or none.
   *
   * Acquire: pairs with each {@link Crossings.releaseRun} of these bits. Progress: lock-free: a thread that
   * has to look again has lost a bit to another one. Cost: a plain load for every word that is looked at, one
   * `compareExchange` for every word of the run.
   *
   * A run across words is claimed from the first word to the last; when a bit is lost, what was claimed is
   * given back and the search goes on. For that moment the others do not see those bits, so they may miss a
   * run that is whole before and after: −1 means that each run was broken at the moment when it was looked
   * at. Going upwards keeps two threads from taking turns at that: a thread that loses a word loses it to
   * another one that has all of its lower ones.
   *
   * A thread that ends in the middle leaves the bits that it had claimed so far cleared: they are no
   * thread's, no thread waits for them, and the bitmap does not tell whose they were. Where they must come
   * back, keep an owner's name beside each unit and claim that ({@link Crossings.claim}), the bitmap being
   * the short cut that says where to try; or build the bitmap again from what is known to be in use.
   * @param place - the first word of the bitmap
   * @param words - how many words it has
   * @param count - how many bits, at least 1
   * @returns the first bit of the run; −1 when there is none
   */
  claimRun(place: number, words: number, count: number): number;

  /**
   * Claims these bits of a bitmap: all of them, or none. As {@link Crossings.claimRun} without the search;
   * false may mean that another thread had some of them for a moment only.
   * @param place - the first word of the bitmap
   * @param first - the first bit
   * @param count - how many bits
   * @returns whether they are claimed
   */
  claimRunAt(place: number, first: number, count: number): boolean;

  /**
   * Gives bits back, or makes them for the first time.
   *
   * Release: pairs with the claim that gets them next. Progress: as {@link Crossings.setBits}. Cost: one
   * atomic `or` for every word. A thread that ends in the middle leaves the rest claimed.
   * @param place - the first word of the bitmap
   * @param first - the first bit
   * @param count - how many bits
   */
  releaseRun(place: number, first: number, count: number): void;
}
