/**
 * An ordered map from strings to numbers whose nodes and keys live in the region: a skip list (Pugh, 1990).
 *
 * ```
 *  node   │ height │ key's address │ key's length │ value │ next[0] │ … │ next[height − 1] │     4 bytes each
 *  key    │ its characters, one byte each │                                                    a block of its own
 * ```
 *
 * Invariant: along every level the keys rise; level 0 holds all nodes.
 */

import type { Address, Heap } from '@shmalloc/allocator-api';
import { expectBlock } from './bench.ts';
import type { ArceosRandom } from './random.ts';

const MAX_HEIGHT = 16;

const HEIGHT = 0;
const KEY = 1;
const KEY_LENGTH = 2;
const VALUE = 3;
const NEXT = 4;

/** A map in the order of its keys' characters. */
export class RegionMap {
  readonly #heap: Heap;
  readonly #random: ArceosRandom;
  readonly #head: Address;
  /** The last node before a key on each level, from the latest search. */
  readonly #path: Address[] = new Array<Address>(MAX_HEIGHT).fill(0);
  #size = 0;

  constructor(heap: Heap, random: ArceosRandom) {
    this.#heap = heap;
    this.#random = random;
    this.#head = this.#newNode('', 0, MAX_HEIGHT);
  }

  get size(): number {
    return this.#size;
  }

  /** Sets a key's value. */
  set(key: string, value: number): void {
    const found = this.#find(key);
    if (found !== 0 && this.#compare(found, key) === 0) {
      this.#write(found, VALUE, value);
      return;
    }
    let height = 1;
    while (height < MAX_HEIGHT && this.#random.below(4) === 0) height++;
    const node = this.#newNode(key, value, height);
    for (let level = 0; level < height; level++) {
      this.#write(node, NEXT + level, this.#read(this.#path[level], NEXT + level));
      this.#write(this.#path[level], NEXT + level, node);
    }
    this.#size++;
  }

  /** Takes out the entry with the smallest key. */
  popFirst(): [key: string, value: number] | undefined {
    const node = this.#read(this.#head, NEXT);
    if (node === 0) return undefined;
    const entry: [string, number] = [this.#keyOf(node), this.#read(node, VALUE)];
    const height = this.#read(node, HEIGHT);
    for (let level = 0; level < height; level++) {
      this.#write(this.#head, NEXT + level, this.#read(node, NEXT + level));
    }
    this.#freeNode(node);
    this.#size--;
    return entry;
  }

  /** Every entry in order. */
  *entries(): Generator<[key: string, value: number]> {
    for (let node = this.#read(this.#head, NEXT); node !== 0; node = this.#read(node, NEXT)) {
      yield [this.#keyOf(node), this.#read(node, VALUE)];
    }
  }

  /** Gives all memory back; the map is not used again. */
  free(): void {
    for (let node = this.#head; node !== 0; ) {
      const next = this.#read(node, NEXT);
      this.#freeNode(node);
      node = next;
    }
  }

  /** The first node whose key is not below `key`, or 0; leaves the way there in the path. */
  #find(key: string): Address {
    let node = this.#head;
    for (let level = MAX_HEIGHT - 1; level >= 0; level--) {
      for (;;) {
        const next = this.#read(node, NEXT + level);
        if (next === 0 || this.#compare(next, key) >= 0) break;
        node = next;
      }
      this.#path[level] = node;
    }
    return this.#read(node, NEXT);
  }

  /** Negative when the node's key comes before `key`, 0 when it is the same. */
  #compare(node: Address, key: string): number {
    const { u8 } = this.#heap.memory;
    const address = this.#read(node, KEY);
    const length = this.#read(node, KEY_LENGTH);
    for (let index = 0; index < length && index < key.length; index++) {
      const difference = u8[address + index] - key.charCodeAt(index);
      if (difference !== 0) return difference;
    }
    return length - key.length;
  }

  #keyOf(node: Address): string {
    const address = this.#read(node, KEY);
    return String.fromCharCode(
      ...this.#heap.memory.u8.slice(address, address + this.#read(node, KEY_LENGTH)),
    );
  }

  #newNode(key: string, value: number, height: number): Address {
    const node = expectBlock(this.#heap.malloc((NEXT + height) * 4), 'malloc of a node');
    const text = expectBlock(this.#heap.malloc(key.length), 'malloc of a key');
    for (let index = 0; index < key.length; index++)
      this.#heap.memory.u8[text + index] = key.charCodeAt(index);
    this.#write(node, HEIGHT, height);
    this.#write(node, KEY, text);
    this.#write(node, KEY_LENGTH, key.length);
    this.#write(node, VALUE, value);
    for (let level = 0; level < height; level++) this.#write(node, NEXT + level, 0);
    return node;
  }

  #freeNode(node: Address): void {
    this.#heap.free(this.#read(node, KEY));
    this.#heap.free(node);
  }

  #read(node: Address, field: number): number {
    return this.#heap.memory.u32[(node >>> 2) + field];
  }

  #write(node: Address, field: number, value: number): void {
    this.#heap.memory.u32[(node >>> 2) + field] = value;
  }
}
