/**
 * Lists of blocks that other threads have freed, and how the owner of a page gathers them: **link before
 * cut**. In an order that loses none wherever the thread ends: they are linked to the owner's list first, and
 * cut off theirs afterwards, so in between they are on both, which the thread that inherits the page sees and
 * undoes (`cutRemoteFrees`).
 *
 * ```
 *   1   OWN ▶ b ▶ a                   REMOTE ▶ z ▶ y ▶ x
 *   2   OWN ▶ z ▶ y ▶ x ▶ b ▶ a       REMOTE ▶ z ▶ y ▶ x ▶ b ▶ a      x linked, then OWN
 *   3   OWN ▶ z ▶ y ▶ x ▶ b ▶ a       REMOTE                          one exchange
 * ```
 *
 * When the exchange finds that others have pushed, `w` say, then `w` leads to `z`, which is where OWN leads:
 * `w` becomes its first, and the exchange is tried again. Pushers never follow a link, so they do not mind
 * where `x` leads.
 *
 * Bit 0 of REMOTE is a mark (see `Crossings`); gathering and cutting leave it as it is.
 */

import type { Word } from '@shmalloc/allocator-api';
import type { Crossings } from '@shmalloc/atomic-cell';

const MARK = 1;

/**
 * What a thread needs to gather.
 * @public
 */
export interface RemoteView {
  readonly i32: Int32Array<SharedArrayBuffer>;
  readonly crossings: Crossings;
}

/**
 * The block behind a free one of a page; 0 at the end.
 * @public
 */
export type LinkReader<V> = (view: V, page: Word, block: Word) => Word;

/**
 * Links a free block of a page to the next.
 * @public
 */
export type LinkWriter<V> = (view: V, page: Word, block: Word, next: Word) => void;

/**
 * Moves the blocks of a list that other threads push onto to the owner's list. Lock-free; O(blocks).
 * @param page - handed on to `next` and `link`
 * @param remote - the word that others push onto
 * @param own - the word of the owner's list
 * @param most - blocks that there can be
 * @returns how many were moved; −1 when there are more than can be: a block was freed twice, and the list
 *   goes in a circle. Then nothing that others have pushed is cut off.
 * @public
 */
export function gatherRemoteFrees<V extends RemoteView>(
  view: V,
  page: Word,
  remote: Word,
  own: Word,
  most: number,
  next: LinkReader<V>,
  link: LinkWriter<V>,
): number {
  const { i32, crossings } = view;
  let count = 0;
  // The first block that is the owner's already.
  let have = 0;
  for (;;) {
    // Acquire: pairs with the exchange of every push, and receives the links.
    const word = crossings.load(remote);
    const first = word & ~MARK;
    if (first !== have) {
      let tail = first;
      count++;
      for (let block = next(view, page, tail); block !== have && block !== 0; ) {
        tail = block;
        if (++count > most) return -1;
        block = next(view, page, tail);
      }
      link(view, page, tail, i32[own]);
      i32[own] = first;
      have = first;
    }
    // The mark stays as it is.
    if (crossings.claim(remote, word, word & MARK)) return count;
  }
}

/**
 * Cuts the list that others push onto where it reaches a block that its owner has gathered before it ended.
 * Others may push meanwhile; no thread takes. Lock-free; O(blocks).
 * @param meet - whether a word is a block of the page that was not met on a list yet; it counts as met from
 *   now on
 * @public
 */
export function cutRemoteFrees<V extends RemoteView>(
  view: V,
  page: Word,
  remote: Word,
  meet: (block: Word) => boolean,
  next: LinkReader<V>,
  link: LinkWriter<V>,
): void {
  const { crossings } = view;
  for (;;) {
    // Acquire: pairs with the exchange of every push.
    const word = crossings.load(remote);
    let last = 0;
    let block = word & ~MARK;
    for (; block !== 0 && meet(block); block = next(view, page, block)) last = block;
    if (block === 0) return;
    if (last !== 0) {
      link(view, page, last, 0);
      return;
    }
    // The first is the owner's already: the whole list, unless another thread has pushed since.
    if (crossings.claim(remote, word, word & MARK)) return;
  }
}
