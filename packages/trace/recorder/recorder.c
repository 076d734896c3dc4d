/*
 * recorder.c: writes down every allocation of a program. Loaded with LD_PRELOAD; compiled on first use by src/record/compile.ts.
 *
 * One file per process image, mapped shared and sparse, so that there is no buffer to flush, no lock to deadlock on, and nothing to lose
 * when a thread ends or the program crashes:
 *
 *   0        8      12      16         24      28      32      40    64      72      76    128     144    4096
 *   +--------+-------+-------+----------+-------+-------+-------+-----+-------+-------+-----+-------+------+----------+----------+----
 *   | magic  |version| bytes | capacity |  pid  |   0   |started|     | used  |threads|     | name  |      | record 0 | record 1 | ...
 *   |        |       |/record| records  |       |       |  ns   |     |records|       |     |       |      |          |          |
 *   +--------+-------+-------+----------+-------+-------+-------+-----+-------+-------+-----+-------+------+----------+----------+----
 *
 *   a record, 24 bytes, little-endian:
 *   0      1           2       4        8                16                24
 *   +------+-----------+-------+--------+----------------+-----------------+
 *   | kind | log2 align|   0   | thread | address        | size            |
 *   +------+-----------+-------+--------+----------------+-----------------+
 *
 * A slot is claimed with one atomic addition to `used`, and the slot's number IS the order of the operations over all threads. What makes
 * that order right: a free is written down before the allocator sees it and an allocation after the allocator has returned, so when another
 * thread gets the same address, its record comes later. A realloc does both and therefore writes two records.
 * The word with the kind is stored last: a slot that was claimed and never finished has kind 0.
 *
 * Nobody truncates the file while the program runs (another thread could still be writing): the reader stops at `used`.
 */
#define _GNU_SOURCE
#include <features.h>
#ifndef __GLIBC__
#error "the recorder needs glibc"
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* ---- The file ---------------------------------------------------------------------------------------------------------------- */

enum { HEADER_BYTES = 4096, VERSION = 1, NAME_BYTES = 16, LEAST_RECORDS = 1 << 16 };

enum kind { MALLOC = 1, CALLOC, ALIGNED, FREE, REALLOC_BEGIN, REALLOC_END, THREAD_EXIT };

struct record {
  uint64_t head; /* kind | log2(align) << 8 | thread << 32 */
  uint64_t address;
  uint64_t size;
};

struct log {
  char magic[8];
  uint32_t version;
  uint32_t record_bytes;
  uint64_t capacity;
  uint32_t pid;
  uint32_t reserved;
  uint64_t started;
  _Alignas(64) uint64_t used; /* may run past the capacity: the difference is what did not fit */
  uint32_t threads;
  _Alignas(128) char name[NAME_BYTES];
  _Alignas(HEADER_BYTES) struct record records[];
};

/*
 * Whether this process records, and where. The page is wiped by the kernel in the child of every fork, even one that no library sees, so a
 * child never writes into its parent's file. A vfork child shares the page, and rightly so: what it allocates is in its parent's heap.
 */
static struct gate {
  struct log *log;
} no_gate, *gate = &no_gate;

/* Thread-local state; initial-exec, because a lazily allocated TLS block would itself call malloc. */
static __thread int inside __attribute__((tls_model("initial-exec")));
static __thread uint32_t thread_number __attribute__((tls_model("initial-exec"))); /* 1 ...; 0: none yet */

static pthread_key_t exit_key;
static int exit_key_made;

/* ---- The real functions ------------------------------------------------------------------------------------------------------ */

static void *(*real_malloc)(size_t);
static void *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t);
static void (*real_free)(void *);
static int (*real_posix_memalign)(void **, size_t, size_t);
static void *(*real_aligned_alloc)(size_t, size_t);
static void *(*real_memalign)(size_t, size_t);

enum { UNRESOLVED, RESOLVING, RESOLVED };
static int resolution;

/* dlsym may allocate before we know what to allocate with: those few blocks come from here and are never given back. */
static _Alignas(16) char arena[1 << 18];
static size_t arena_used;

static int in_arena(const void *block) {
  return (const char *)block >= arena && (const char *)block < arena + sizeof arena;
}

static void *arena_alloc(size_t align, size_t size) {
  if (size > sizeof arena || align > 4096) return NULL;
  if (align < 16) align = 16;
  /* Each block has its size in the 16 bytes before it, for realloc. */
  size_t bytes = 16 + align + ((size + 15) & ~(size_t)15);
  size_t start = __atomic_fetch_add(&arena_used, bytes, __ATOMIC_RELAXED);
  if (start + bytes > sizeof arena) return NULL;
  uintptr_t block = ((uintptr_t)arena + start + 16 + align - 1) & ~(align - 1);
  ((size_t *)block)[-2] = size;
  return (void *)block;
}

static void start(void);

/* Whether the real functions can be called. While one thread looks them up, it and all others are served by the arena: nobody waits. */
static inline int ready(void) {
  if (__builtin_expect(__atomic_load_n(&gate, __ATOMIC_ACQUIRE) != &no_gate, 1)) return 1;
  start();
  return __atomic_load_n(&resolution, __ATOMIC_ACQUIRE) == RESOLVED;
}

static void resolve(void) {
  real_malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
  real_calloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
  real_realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
  real_free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
  real_posix_memalign = (int (*)(void **, size_t, size_t))dlsym(RTLD_NEXT, "posix_memalign");
  real_aligned_alloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "aligned_alloc");
  real_memalign = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "memalign");
}

/* ---- Writing down ------------------------------------------------------------------------------------------------------------ */

static void put(struct log *log, enum kind kind, unsigned align_log2, const void *address, size_t size) {
  uint64_t slot = __atomic_fetch_add(&log->used, 1, __ATOMIC_SEQ_CST);
  if (slot >= log->capacity) return;
  struct record *record = &log->records[slot];
  record->address = (uint64_t)(uintptr_t)address;
  record->size = size;
  uint64_t head = (uint64_t)kind | (uint64_t)align_log2 << 8 | (uint64_t)(thread_number - 1) << 32;
  __atomic_store_n(&record->head, head, __ATOMIC_RELEASE);
}

/* The log, if this call is one to write down: the process records, and the call does not come from inside another one. */
static inline struct log *enter(void) {
  struct log *log = inside ? NULL : gate->log;
  if (log == NULL) return NULL;
  inside = 1;
  if (thread_number == 0) {
    thread_number = __atomic_add_fetch(&log->threads, 1, __ATOMIC_RELAXED);
    if (exit_key_made) pthread_setspecific(exit_key, log);
  }
  return log;
}

static inline void leave(void) { inside = 0; }

/* Runs when a thread ends. The C library may free a little more afterwards; the reader puts the end behind that. */
static void thread_ends(void *value) {
  (void)value;
  struct log *log = enter();
  if (log == NULL) return;
  put(log, THREAD_EXIT, 0, NULL, 0);
  leave();
}

static void forked_child(void) { gate->log = NULL; }

/* ---- Start ------------------------------------------------------------------------------------------------------------------- */

/* How many records fit: what was asked for, within the file size and a quarter of the address space that the process is limited to. */
static uint64_t room(uint64_t records) {
  static const struct { int resource, share; } limits[] = {{RLIMIT_FSIZE, 1}, {RLIMIT_AS, 4}};
  for (unsigned i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    struct rlimit limit;
    if (getrlimit(limits[i].resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) continue;
    uint64_t bytes = limit.rlim_cur / limits[i].share;
    uint64_t most = bytes < HEADER_BYTES ? 0 : (bytes - HEADER_BYTES) / sizeof(struct record);
    if (records > most) records = most;
  }
  return records;
}

static struct log *open_log(const char *directory) {
  char path[4096];
  int file = -1;
  /* A process that calls exec twice has two images with one pid. */
  for (int image = 0; file < 0 && image < 10000; image++) {
    if (snprintf(path, sizeof path, "%s/%d.%d.raw", directory, (int)getpid(), image) >= (int)sizeof path) return NULL;
    file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0 && errno != EEXIST) return NULL;
  }
  if (file < 0) return NULL;

  const char *wanted = getenv("RECORDER_ROOM");
  uint64_t records = room(wanted != NULL ? strtoull(wanted, NULL, 10) : 1 << 27);
  struct log *log = MAP_FAILED;
  for (; records > 0; records = records > LEAST_RECORDS ? records / 2 : 0) {
    uint64_t bytes = HEADER_BYTES + records * sizeof(struct record);
    if (ftruncate(file, (off_t)bytes) != 0) continue;
    log = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
    if (log != MAP_FAILED) break;
  }
  close(file);
  if (log == MAP_FAILED) {
    unlink(path);
    return NULL;
  }

  madvise(log, HEADER_BYTES + records * sizeof(struct record), MADV_DONTDUMP); /* not in a core file */

  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  log->version = VERSION;
  log->record_bytes = sizeof(struct record);
  log->capacity = records;
  log->pid = (uint32_t)getpid();
  log->started = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
  prctl(PR_GET_NAME, log->name); /* by what name the program was called: one file may be several programs */
  memcpy(log->magic, "shmalrec", 8);
  return log;
}

/* Looks up the real functions and opens the file; on the first allocation, which comes before any constructor of ours. */
static void start(void) {
  if (inside) return;
  int saved = errno, expected = UNRESOLVED;
  inside = 1;
  if (__atomic_compare_exchange_n(&resolution, &expected, RESOLVING, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    resolve();
    __atomic_store_n(&resolution, RESOLVED, __ATOMIC_RELEASE);
    /* The dynamic linker allocates before the C library has its environment; then this is tried again by the constructor below. */
    const char *directory = environ == NULL ? NULL : getenv("RECORDER_DIRECTORY");
    struct gate *page = mmap(NULL, HEADER_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page != MAP_FAILED) {
      madvise(page, HEADER_BYTES, MADV_WIPEONFORK);
      pthread_atfork(NULL, NULL, forked_child); /* for a kernel before 4.14 */
      exit_key_made = pthread_key_create(&exit_key, thread_ends) == 0;
      if (directory != NULL) page->log = open_log(directory);
      __atomic_store_n(&gate, page, __ATOMIC_RELEASE);
    }
  }
  inside = 0;
  errno = saved;
}

__attribute__((constructor)) static void start_late(void) {
  if (!ready() || gate == &no_gate || gate->log != NULL) return;
  const char *directory = getenv("RECORDER_DIRECTORY");
  inside = 1;
  if (directory != NULL) gate->log = open_log(directory);
  inside = 0;
}

/* ---- The hooks --------------------------------------------------------------------------------------------------------------- */

/* memalign rounds an alignment that is no power of two up to one. */
static inline unsigned log2_of(size_t align) { return align < 2 ? 0 : 64u - (unsigned)__builtin_clzll(align - 1); }

void *malloc(size_t size) {
  if (!ready()) return arena_alloc(16, size);
  struct log *log = enter();
  void *block = real_malloc(size);
  if (log != NULL) {
    put(log, MALLOC, 0, block, size);
    leave();
  }
  return block;
}

void *calloc(size_t count, size_t size) {
  size_t bytes;
  if (!ready()) return __builtin_mul_overflow(count, size, &bytes) ? NULL : arena_alloc(16, bytes); /* a static array is zero */
  struct log *log = enter();
  void *block = real_calloc(count, size);
  if (log != NULL) {
    put(log, CALLOC, 0, block, __builtin_mul_overflow(count, size, &bytes) ? SIZE_MAX : bytes);
    leave();
  }
  return block;
}

void free(void *block) {
  if (in_arena(block) || !ready()) return;
  struct log *log = enter();
  if (log != NULL) put(log, FREE, 0, block, 0);
  real_free(block);
  if (log != NULL) leave();
}

void *realloc(void *old, size_t size) {
  if (in_arena(old)) {
    size_t old_size = ((size_t *)old)[-2];
    void *block = malloc(size);
    if (block != NULL) memcpy(block, old, old_size < size ? old_size : size);
    return block;
  }
  if (!ready()) return old == NULL ? arena_alloc(16, size) : NULL;
  struct log *log = enter();
  if (log != NULL) put(log, REALLOC_BEGIN, 0, old, size);
  void *block = real_realloc(old, size);
  if (log != NULL) {
    put(log, REALLOC_END, 0, block, size);
    leave();
  }
  return block;
}

void *reallocarray(void *old, size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) {
    errno = ENOMEM;
    return NULL;
  }
  return realloc(old, bytes);
}

int posix_memalign(void **out, size_t align, size_t size) {
  if (!ready()) return (*out = arena_alloc(align, size)) == NULL ? ENOMEM : 0;
  struct log *log = enter();
  int error = real_posix_memalign(out, align, size);
  if (log != NULL) {
    put(log, ALIGNED, log2_of(align), error == 0 ? *out : NULL, size);
    leave();
  }
  return error;
}

void *aligned_alloc(size_t align, size_t size) {
  if (!ready()) return arena_alloc(align, size);
  struct log *log = enter();
  void *block = real_aligned_alloc(align, size);
  if (log != NULL) {
    put(log, ALIGNED, log2_of(align), block, size);
    leave();
  }
  return block;
}

void *memalign(size_t align, size_t size) {
  if (!ready()) return arena_alloc(align, size);
  struct log *log = enter();
  void *block = real_memalign(align, size);
  if (log != NULL) {
    put(log, ALIGNED, log2_of(align), block, size);
    leave();
  }
  return block;
}

void *valloc(size_t size) { return memalign((size_t)sysconf(_SC_PAGESIZE), size); }

void *pvalloc(size_t size) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  size_t bytes;
  if (__builtin_add_overflow(size, page - 1, &bytes)) {
    errno = ENOMEM;
    return NULL;
  }
  return memalign(page, bytes == page - 1 ? page : bytes & ~(page - 1));
}
