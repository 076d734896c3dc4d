/**
 * The allocators that a machine can boot with, by name. A thread loads the module of the one it uses and no other, so that its
 * calls of `malloc` and `free` only ever see one class.
 *
 * To add one: its name in {@link AllocatorName}, a line in {@link ALLOCATORS}, and the dependency in the package's manifest.
 */

import {
  AllocError,
  checkChoice,
  checkOptions,
  type GlobalAllocator,
  type Handle,
  type RegionOptions,
  type SharedMemory,
} from '@shmalloc/allocator-api';

/**
 * What the kernel needs of an allocator: what every algorithm package of shmalloc offers.
 * @public
 */
export interface KernelAllocator extends GlobalAllocator {
  /** The region it manages. */
  readonly memory: SharedMemory;
  /** What another thread attaches with. */
  share(): Handle;
  /** This thread is done with it. */
  detach(): void;
  /** Walks everything; throws with the first broken invariant. With `quiet` no other thread is at work. */
  validate(options?: { readonly quiet?: boolean | undefined }): void;
  /** Says where wrong frees go, and damage that a call finds, in this thread. */
  registerError?(hook: (error: AllocError) => void): void;
  /** Gives back what an algorithm has put off giving back; `force` all of it. Absent where nothing is put off. */
  collect?(force?: boolean): void;
  /** Figures about it; which ones is the algorithm's affair. */
  stats(): object;
  /** Bytes of the region that were ever touched, the allocator's own state included. Creates no garbage: it may be asked at every operation. */
  footprintBytes(): number;
}

/**
 * What can stand around an allocator, by name.
 * @public
 */
export const LOCK_KINDS = ['none', 'spin', 'mutex', 'outside'] as const;

/**
 * How an allocator that more than one thread uses is guarded. `'none'` is for one thread, or for an algorithm that needs no lock; `'outside'` has
 * no lock either, and something else sees to it that one thread at a time is inside: a machine of one CPU.
 * @public
 */
export type LockKind = (typeof LOCK_KINDS)[number];

/**
 * What the kernel asks an allocator's class to make.
 * @public
 */
export interface AllocatorOptions extends RegionOptions {
  /** How threads keep out of each other's way; a lock-free algorithm ignores it. */
  lock?: LockKind | undefined;
  /** Detect every wrong free exactly. */
  debug?: boolean | undefined;
}

/**
 * What the kernel says when it attaches.
 * @public
 */
export interface AttachOptions {
  /** `'outside'` for an allocator that was made with it. */
  lock?: 'outside' | undefined;
}

/**
 * The static side of an algorithm's main class.
 * @public
 */
export interface AllocatorClass {
  create(options: AllocatorOptions): KernelAllocator;
  /** With {@link AttachOptions}; declared with `never`, so that an algorithm may have others. */
  attach(handle: Handle, options?: never): KernelAllocator;
}

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
   * What makes it safe for several threads, the usual one first: `['spin', 'mutex']` where a lock has to stand around it, `['none']` for
   * a lock-free algorithm.
   */
  readonly locks: readonly LockKind[];
  /** What `create` is given besides the region and the lock. */
  readonly options: Readonly<Record<string, unknown>>;
  /** What `create` calls the number of threads to be ready for, where it wants to know. */
  readonly threadsOption?: string | undefined;
}

/**
 * An allocator of your own: the same, with the module's URL in place of its loader, since every CPU has to find it.
 * @public
 */
export interface AllocatorModule {
  /** Absolute URL of an ES module. */
  readonly module: string | URL;
  /** What the module calls the class; it has the static methods of {@link AllocatorClass}. */
  readonly exportName: string;
  /** What makes it safe for several threads, the usual one first. Default `['spin', 'mutex']`; `['none']` for a lock-free algorithm. */
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

const basic = (policy: string): AllocatorEntry => ({
  load: () => import('@shmalloc/basic'),
  exportName: 'Basic',
  locks: LOCKED,
  options: { policy },
});

/**
 * The registry: every allocator of shmalloc by name.
 * @public
 */
export const ALLOCATORS: Readonly<Record<AllocatorName, AllocatorEntry>> = {
  mimalloc: {
    load: () => import('@shmalloc/mimalloc'),
    exportName: 'MiMalloc',
    locks: ['none'],
    options: {},
    threadsOption: 'maxThreads',
  },
  slab: {
    load: () => import('@shmalloc/slab'),
    exportName: 'Slab',
    locks: LOCKED,
    options: {},
    threadsOption: 'maxCpus',
  },
  'basic-first': basic('first'),
  'basic-best': basic('best'),
  'basic-worst': basic('worst'),
  tlsf: { load: () => import('@shmalloc/tlsf'), exportName: 'Tlsf', locks: LOCKED, options: {} },
  buddy: { load: () => import('@shmalloc/buddy'), exportName: 'Buddy', locks: LOCKED, options: {} },
};

/**
 * Makes an allocator over a region, as {@link boot} does for a machine.
 * @param allocator - a name of {@link ALLOCATORS}, or a module of your own
 * @param options - the region, the lock; they win over those of the entry
 * @throws AllocError `InvalidParam` when the name is not known or the module has no such class, and what its `create` throws
 * @public
 */
export async function createAllocator(
  allocator: AllocatorName | AllocatorModule,
  options: AllocatorOptions = {},
): Promise<KernelAllocator> {
  const entry = entryOf(allocator);
  return (await loadClass(entry)).create({ ...entry.options, ...options });
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
): Promise<KernelAllocator> {
  return (await loadClass(entryOf(allocator))).attach(handle, options as never);
}

/** The part of the choice that a CPU needs, in a form that can be posted. */
export function cloneableChoice(allocator: AllocatorName | AllocatorModule): AllocatorName | AllocatorModule {
  if (typeof allocator === 'string') return allocator;
  return { module: String(allocator.module), exportName: allocator.exportName };
}

/**
 * The lock of a machine: what was asked for, or the allocator's usual one. Where one CPU is alone none is needed, but the heap is shared with the main thread,
 * which has no business in it during a run: that is `'outside'`.
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

/** The class that an entry names. */
export async function loadClass({ load, exportName }: AllocatorEntry): Promise<AllocatorClass> {
  const found = ((await load()) as Record<string, Partial<AllocatorClass> | undefined>)[exportName];
  if (typeof found?.create !== 'function' || typeof found.attach !== 'function')
    throw new AllocError(
      'InvalidParam',
      `the allocator's module exports no class ${exportName} with create and attach`,
    );
  return found as AllocatorClass;
}
