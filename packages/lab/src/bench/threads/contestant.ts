/** One that is measured with several threads: the shape of a contestant, and the list of them. */

import type { Handle, Heap } from '@shmalloc/allocator-api';
import { packageOf } from '../build.ts';
import type { Reference, Subject } from '../contestant.ts';
import { basicFirst } from '../contestants/basic.ts';
import { glibc } from '../contestants/glibc.ts';
import { jemalloc } from '../contestants/jemalloc.ts';
import { mimalloc } from '../contestants/mimalloc.ts';
import { mimallocC } from '../contestants/mimalloc-c.ts';
import { slab } from '../contestants/slab.ts';
import { tlsf } from '../contestants/tlsf.ts';
import type { CAllocator } from '../native/allocator.ts';
import type { LockKind } from './locked-heap.ts';

/**
 * One thread's access to a heap that several threads share.
 * @public
 */
export interface SharedHeap
  extends Subject,
    Pick<Heap, 'memory' | 'footprintBytes' | 'detach'>,
    Partial<Pick<Heap, 'stats'>> {
  /** What another thread attaches with; can be posted. */
  share(): unknown;
}

/**
 * How threads come by a heap.
 * @public
 */
export interface HeapMaker {
  create(bytes: number): SharedHeap;
  attach(handle: unknown): SharedHeap;
}

interface Named {
  /** On the command line and in the JSON; one that is measured on one thread, too, has one name. */
  readonly name: string;
  /** In the table. */
  readonly title: string;
  /** Ours; ours behind one lock; called from C. */
  readonly kind: 'ours' | 'locked' | 'native';
}

/**
 * Called from JavaScript, by workers that the bench makes.
 * @public
 */
export interface HeapContestant extends Named {
  /** @param build - folder of the checkout that our package is taken from; this one when undefined */
  load(build?: string): Promise<HeapMaker>;
}

/**
 * Called from C, in a program that the bench compiles.
 * @public
 */
export interface NativeContestant extends Named {
  readonly allocator: CAllocator;
}

/** @public */
export type ThreadContestant = HeapContestant | NativeContestant;

function miMalloc(backing: 'wasm' | 'sab'): (build?: string) => Promise<HeapMaker> {
  return async (build) => {
    const { MiMalloc } = await packageOf<typeof import('@shmalloc/mimalloc')>('mimalloc', build);
    return {
      create: (bytes) => MiMalloc.create({ bytes, backing }),
      attach: (handle) => MiMalloc.attach(handle as Handle),
    };
  };
}

function locked(kind: LockKind): () => Promise<HeapMaker> {
  return async () => {
    const { LockedHeap } = await import('./locked-heap.ts');
    return {
      create: (bytes) => LockedHeap.create(bytes, kind),
      attach: (handle) => LockedHeap.attach(handle),
    };
  };
}

async function loadTlsf(build?: string): Promise<HeapMaker> {
  const { Tlsf } = await packageOf<typeof import('@shmalloc/tlsf')>('tlsf', build);
  return {
    create: (bytes) => Tlsf.create({ bytes, lock: 'spin' }),
    attach: (handle) => Tlsf.attach(handle as Handle),
  };
}

async function loadSlab(build?: string): Promise<HeapMaker> {
  const { Slab } = await packageOf<typeof import('@shmalloc/slab')>('slab', build);
  return {
    create: (bytes) => Slab.create({ bytes }),
    attach: (handle) => Slab.attach(handle as Handle),
  };
}

async function loadBasic(build?: string): Promise<HeapMaker> {
  const { Basic } = await packageOf<typeof import('@shmalloc/basic')>('basic', build);
  return {
    create: (bytes) => Basic.create({ bytes, lock: 'spin' }),
    attach: (handle) => Basic.attach(handle as Handle),
  };
}

function native({ name, title, allocator }: typeof glibc): NativeContestant {
  return { name, title, kind: 'native', allocator };
}

/** The same heap with one big lock: what most of it is about. */
const behindMutex: HeapContestant = {
  name: 'mimalloc-mutex',
  title: 'one MiAllocatorInner, Mutex',
  kind: 'locked',
  load: locked('mutex'),
};

/** Every contestant, in the order of the table. @public */
export const THREAD_CONTESTANTS: readonly ThreadContestant[] = [
  { name: mimalloc.name, title: mimalloc.title, kind: 'ours', load: miMalloc('wasm') },
  { name: 'mimalloc-js', title: 'MiMalloc without WASM', kind: 'ours', load: miMalloc('sab') },
  behindMutex,
  {
    name: 'mimalloc-spin',
    title: 'one MiAllocatorInner, spin lock',
    kind: 'locked',
    load: locked('spin'),
  },
  { name: slab.name, title: slab.title, kind: 'ours', load: loadSlab },
  { name: tlsf.name, title: 'Tlsf, spin lock', kind: 'locked', load: loadTlsf },
  { name: basicFirst.name, title: 'Basic, first fit, spin lock', kind: 'locked', load: loadBasic },
  native(mimallocC),
  native(glibc),
  native(jemalloc),
];

/** Whose time ours is divided by. @public */
export const TIME_REFERENCE: Reference = { contestant: mimallocC.name, head: '÷ C mimalloc' };
/** Whose throughput ours is a multiple of. @public */
export const LOCK_REFERENCE: Reference = { contestant: behindMutex.name, head: '× one Mutex' };

/** Whose memory is watched over time. @public */
export function withMemory(contestants: readonly ThreadContestant[]): HeapContestant[] {
  return contestants.flatMap((each) => (each.name === mimalloc.name && 'load' in each ? [each] : []));
}
