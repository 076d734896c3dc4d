/**
 * The allocators that a machine can boot with, by name. A thread loads the module of the one it uses and no
 * other, so that its calls of `malloc` and `free` only ever see one class.
 *
 * To add one: its name in {@link AllocatorName}, a line in {@link ALLOCATORS}, and the dependency in the
 * package's manifest.
 */

import {
  AllocError,
  type AttachOptions,
  checkChoice,
  checkOptions,
  type GlobalAllocator,
  type Handle,
  type Heap,
  type HeapAlgorithm,
  type HeapOptions,
  type LockKind,
} from '@shmalloc/allocator-api';

/**
 * What a machine's allocator offers programs and the main thread: a heap of any algorithm, or a
 * {@link KernelHeap}.
 * @public
 */
export type KernelAllocator = GlobalAllocator &
  Pick<
    Heap,
    'memory' | 'share' | 'detach' | 'validate' | 'registerError' | 'collect' | 'footprintBytes' | 'tryFree'
  > & {
    /** Figures about it. */
    stats(): object;
  };

/**
 * One allocator of the registry.
 * @public
 */
export interface AllocatorEntry {
  /** Loads the module that has it. */
  load(): Promise<object>;
  /** What the module calls the class. */
  readonly exportName: string;
  /**
   * What makes it safe for several threads, the usual one first: `['spin', 'mutex']` where a lock has to
   * stand around it, `['none']` for a lock-free algorithm.
   */
  readonly locks: readonly LockKind[];
  /** What `create` is given besides the region and the lock. */
  readonly options: Readonly<Record<string, unknown>>;
}

/**
 * An allocator of your own: the same, with the module's URL in place of its loader, since every CPU has to
 * find it.
 * @public
 */
export interface AllocatorModule {
  /** Absolute URL of an ES module. */
  readonly module: string | URL;
  /** What the module calls the class; it is a `HeapAlgorithm`. */
  readonly exportName: string;
  /**
   * What makes it safe for several threads, the usual one first. Default `['spin', 'mutex']`; `['none']` for
   * a lock-free algorithm.
   */
  readonly locks?: readonly LockKind[] | undefined;
  /** What `create` is given besides the region and the lock. */
  readonly options?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * Names that {@link boot} takes.
 * @public
 */
export type AllocatorName =
  | 'mimalloc'
  | 'slab'
  | 'basic-first'
  | 'basic-best'
  | 'basic-worst'
  | 'tlsf'
  | 'buddy';

/** What can stand around a single-threaded algorithm when several threads share it. */
const LOCKED: readonly LockKind[] = ['spin', 'mutex'];

function entry(load: () => Promise<object>, exportName: string, locks = LOCKED): AllocatorEntry {
  return { load, exportName, locks, options: {} };
}

/**
 * The registry: every allocator of shmalloc by name.
 * @public
 */
export const ALLOCATORS: Readonly<Record<AllocatorName, AllocatorEntry>> = {
  mimalloc: entry(() => import('@shmalloc/mimalloc'), 'MiMalloc', ['none']),
  slab: entry(() => import('@shmalloc/slab'), 'Slab'),
  'basic-first': entry(() => import('@shmalloc/basic'), 'BasicFirst'),
  'basic-best': entry(() => import('@shmalloc/basic'), 'BasicBest'),
  'basic-worst': entry(() => import('@shmalloc/basic'), 'BasicWorst'),
  tlsf: entry(() => import('@shmalloc/tlsf'), 'Tlsf'),
  buddy: entry(() => import('@shmalloc/buddy'), 'Buddy'),
};

/**
 * Makes an allocator over a region, as {@link boot} does for a machine.
 * @param allocator - a name of {@link ALLOCATORS}, or a module of your own
 * @param options - the region, the lock; they win over those of the entry
 * @throws AllocError `InvalidParam` when the name is not known or the module has no such class, and what its
 *   `create` throws
 * @public
 */
export async function createAllocator(
  allocator: AllocatorName | AllocatorModule,
  options: HeapOptions = {},
): Promise<Heap> {
  const entry = entryOf(allocator);
  return (await loadAlgorithm(entry)).create({ ...entry.options, ...options });
}

/**
 * Attaches to an allocator that another thread has made.
 * @param allocator - what that thread gave to {@link createAllocator}
 * @param handle - what its `share()` returned
 * @param options - `{ lock: 'outside' }` for one that was made with it
 * @public
 */
export async function attachAllocator(
  allocator: AllocatorName | AllocatorModule,
  handle: Handle,
  options: AttachOptions = {},
): Promise<Heap> {
  return (await loadAlgorithm(entryOf(allocator))).attach(handle, options);
}

/** The part of the choice that a CPU needs, in a form that can be posted. */
export function cloneableChoice(allocator: AllocatorName | AllocatorModule): AllocatorName | AllocatorModule {
  if (typeof allocator === 'string') return allocator;
  return { module: String(allocator.module), exportName: allocator.exportName };
}

/**
 * The lock of a machine: what was asked for, or the allocator's usual one. Where one CPU is alone none is
 * needed, but the heap is shared with the main thread, which has no business in it during a run: that is
 * `'outside'`.
 * @param cpus - how many CPUs share it
 * @param asked - what the user has asked for
 */
export function lockFor(
  allocator: AllocatorName | AllocatorModule,
  cpus: number,
  asked: LockKind | undefined,
): LockKind {
  const usual = entryOf(allocator).locks[0] ?? 'none';
  if (usual === 'none') return asked ?? usual;
  if (cpus === 1 && (asked === undefined || asked === 'none')) return 'outside';
  return asked ?? usual;
}

/** What a thread says that attaches to an allocator with this lock. */
export function attachOptionsFor(lock: LockKind | undefined): AttachOptions {
  return lock === 'outside' ? { lock } : {};
}

/** What the registry, or an allocator of one's own, says of itself. */
export function entryOf(allocator: AllocatorName | AllocatorModule): AllocatorEntry {
  if (typeof allocator === 'object' && allocator !== null) {
    checkOptions(allocator, ['module', 'exportName', 'locks', 'options'], []);
    const { module, exportName, locks = LOCKED, options = {} } = allocator;
    if ((typeof module !== 'string' && !(module instanceof URL)) || typeof exportName !== 'string')
      throw new TypeError(
        'allocator must be a name or { module: URL, exportName: string, locks?, options? }',
      );
    return { load: () => import(String(module)), exportName, locks, options };
  }
  const names = Object.keys(ALLOCATORS) as AllocatorName[];
  return ALLOCATORS[checkChoice('allocator', allocator, names)];
}

/** The algorithm that an entry names. */
export async function loadAlgorithm({ load, exportName }: AllocatorEntry): Promise<HeapAlgorithm> {
  const found = ((await load()) as Record<string, Partial<HeapAlgorithm> | undefined>)[exportName];
  if (typeof found?.create !== 'function' || typeof found.attach !== 'function')
    throw new AllocError(
      'InvalidParam',
      `the allocator's module exports no algorithm ${exportName} with create and attach`,
    );
  return found as HeapAlgorithm;
}
