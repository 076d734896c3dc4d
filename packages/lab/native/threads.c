/*
 * threads.c: the workloads of src/bench/threads on an allocator that is called from C, see allocator.h. Linux only.
 *
 *   threads WORKLOAD NUMBERS LIFE CHECKED
 *
 *   to its input     from its output
 *   ------------     ---------------
 *                    ready 2.0.9              the threads are there and have set up their parts; the version of the allocator
 *   2 200            took 9961472 200051234 399000000 198000000 190000000
 *                                            two threads played for 200 ms: so many operations, so many nanoseconds, those of
 *                                            processor time, and those in which each had something to do
 *   the end          the end
 *                    failed WHY               and the end
 *
 * NUMBERS is a file with what the workload draws in JavaScript: 16 bits each, in the machine's order, one array after the other. LIFE is how
 * many operations a thread lives where threads end; CHECKED is 1 when every block is stamped, and the stamp looked at before it is freed.
 *
 * The same protocols as in JavaScript: a ring of batches between producer and consumer (ring.ts), whoever waits spins for about 100 us and then
 * sleeps; a thread of larson that has lived its life makes its successor, hands its blocks on, and ends.
 */
#define _GNU_SOURCE
#include "allocator.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* As in ring.ts and larson.ts. */
enum { WORKERS = 2, BATCH = 4096, BATCHES = 100, DRAWN = 1 << 16, BLOCKS = 5000, CHUNK = 1000, LOOKS_BEFORE_SLEEP = 4096 };

static uint16_t numbers[4 * DRAWN];
static uint64_t life;
static bool checked;

/* ---- What is said --------------------------------------------------------------------------------------------------------------- */

static void say(const char *format, ...) {
  char line[256];
  va_list values;
  va_start(values, format);
  int length = vsnprintf(line, sizeof line, format, values);
  va_end(values);
  if (write(STDOUT_FILENO, line, (size_t)length) != length) _exit(1);
}

static _Noreturn void fail(const char *why) {
  say("failed %s\n", why);
  _exit(1);
}

/* A line of the input; false when there is no more. */
static bool hear(char *line, size_t room) {
  size_t length = 0;
  for (char letter; read(STDIN_FILENO, &letter, 1) == 1;) {
    if (letter == '\n') return true;
    if (length + 1 < room) line[length++] = letter;
    line[length] = 0;
  }
  return false;
}

static uint64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return 1000000000u * (uint64_t)now.tv_sec + (uint64_t)now.tv_nsec;
}

/* ---- The crew ------------------------------------------------------------------------------------------------------------------- */

struct worker {
  int number;
  sem_t go;
  uint64_t operations, start, end, waited;
  /* larson */
  const uint16_t *sizes, *places;
  unsigned next;
  uint64_t age;
  bool playing;
  void *blocks[BLOCKS];
};

static struct worker crew[WORKERS];
static sem_t done;
static int playing;     /* how many play this round */
static uint64_t length; /* of the round, in nanoseconds */
static _Alignas(64) atomic_int arrived;

static inline void relax(void) {
#if defined __x86_64__ || defined __i386__
  __builtin_ia32_pause();
#elif defined __aarch64__
  __asm__ volatile("yield");
#endif
}

static inline void *allocate(unsigned size) {
  void *block = MALLOC(size);
  if (block == NULL) fail("there is no memory for a block");
  return block;
}

/* Waits until the main thread asks for a round, and then for the others. */
static void begin(struct worker *worker) {
  while (sem_wait(&worker->go) != 0) continue;
  atomic_fetch_add(&arrived, 1);
  while (atomic_load(&arrived) < playing) relax();
  worker->operations = 0;
  worker->waited = 0;
  worker->start = nanoseconds();
}

static void finish(struct worker *worker) {
  worker->end = nanoseconds();
  sem_post(&done);
}

/* ---- xmalloc -------------------------------------------------------------------------------------------------------------------- */

static _Alignas(64) atomic_int taken;
static _Alignas(64) atomic_int given;
static _Alignas(64) atomic_int closed;
static _Alignas(64) atomic_int asleep;
static _Alignas(64) void *ring[BATCHES][BATCH];

/* Waits until the word is another one, or for a while. */
static void await_change(atomic_int *word, int value) {
  for (int looks = 0; looks < LOOKS_BEFORE_SLEEP; looks++) {
    if (atomic_load(word) != value) return;
    relax();
  }
  struct timespec limit = {0, 100000000};
  atomic_fetch_add(&asleep, 1);
  if (atomic_load(&closed) == 0) syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &limit, NULL, 0);
  atomic_fetch_sub(&asleep, 1);
}

static void await(struct worker *worker, atomic_int *word, int value) {
  uint64_t start = nanoseconds();
  await_change(word, value);
  worker->waited += nanoseconds() - start;
}

static void wake(atomic_int *word) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0); }

static void advance(atomic_int *word) {
  atomic_store(word, atomic_load_explicit(word, memory_order_relaxed) + 1);
  if (atomic_load(&asleep) != 0) wake(word);
}

static void *produce(void *argument) {
  struct worker *worker = argument;
  uint32_t serial = 0;
  for (;;) {
    begin(worker);
    uint64_t end = worker->start + length;
    do {
      int batch = atomic_load_explicit(&given, memory_order_relaxed);
      while (batch - atomic_load(&taken) >= BATCHES) await(worker, &taken, batch - BATCHES);
      void **place = ring[batch % BATCHES];
      const uint16_t *sizes = numbers + worker->next;
      for (int i = 0; i < BATCH; i++) place[i] = allocate(sizes[i]);
      worker->next = (worker->next + BATCH) & (DRAWN - 1);
      if (checked) {
        for (int i = 0; i < BATCH; i++) *(uint32_t *)place[i] = serial++;
      }
      advance(&given);
    } while (nanoseconds() < end);
    atomic_store(&closed, 1);
    wake(&given);
    finish(worker); /* the consumer counts */
  }
  return NULL;
}

static void *consume(void *argument) {
  struct worker *worker = argument;
  uint32_t serial = 0;
  for (;;) {
    begin(worker);
    for (;;) {
      int batch = atomic_load_explicit(&taken, memory_order_relaxed);
      bool last = false;
      while (atomic_load(&given) == batch && !last) {
        if (atomic_load(&closed) != 0) last = atomic_load(&given) == batch;
        else await(worker, &given, batch);
      }
      if (last) break;
      void **place = ring[batch % BATCHES];
      if (checked) {
        for (int i = 0; i < BATCH; i++) {
          if (*(uint32_t *)place[i] != serial++) fail("a block has lost its stamp");
        }
      }
      for (int i = 0; i < BATCH; i++) FREE(place[i]);
      advance(&taken);
      worker->operations += BATCH;
    }
    finish(worker);
  }
  return NULL;
}

/* ---- larson --------------------------------------------------------------------------------------------------------------------- */

static inline void put(struct worker *worker, unsigned place) {
  worker->blocks[place] = allocate(worker->sizes[worker->next]);
  worker->next = (worker->next + 1) & (DRAWN - 1);
}

static uint32_t stamp_of(const struct worker *worker, unsigned place) { return (uint32_t)(worker->number + 1) * BLOCKS + place; }

static void stamp(struct worker *worker, unsigned place) { *(uint32_t *)worker->blocks[place] = stamp_of(worker, place); }

static void replace(struct worker *worker) {
  for (int i = 0; i < CHUNK; i++) {
    unsigned place = worker->places[worker->next];
    FREE(worker->blocks[place]);
    put(worker, place);
  }
}

static void replace_checked(struct worker *worker) {
  for (int i = 0; i < CHUNK; i++) {
    unsigned place = worker->places[worker->next];
    if (*(uint32_t *)worker->blocks[place] != stamp_of(worker, place)) fail("a block has lost its stamp");
    FREE(worker->blocks[place]);
    put(worker, place);
    stamp(worker, place);
  }
}

static void hire(struct worker *worker, void *(*live)(void *)) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, live, worker) != 0) fail("a thread cannot be made");
  pthread_detach(thread);
}

/* A thread's life; its successor goes on in the middle of a round. */
static void *serve(void *argument) {
  struct worker *worker = argument;
  for (;;) {
    if (!worker->playing) begin(worker);
    worker->playing = true;
    do {
      if (worker->age >= life) {
        worker->age = 0;
        hire(worker, serve);
        return NULL;
      }
      if (checked) replace_checked(worker);
      else replace(worker);
      worker->operations += CHUNK;
      worker->age += CHUNK;
    } while (nanoseconds() < worker->start + length);
    worker->playing = false;
    finish(worker);
  }
  return NULL;
}

/* The first of them fills the places. */
static void *serve_first(void *argument) {
  struct worker *worker = argument;
  for (unsigned place = 0; place < BLOCKS; place++) {
    put(worker, place);
    stamp(worker, place);
  }
  sem_post(&done);
  return serve(worker);
}

/* ---- The main thread ------------------------------------------------------------------------------------------------------------ */

static void read_numbers(const char *file, size_t count) {
  size_t bytes = count * sizeof *numbers;
  int descriptor = open(file, O_RDONLY | O_CLOEXEC);
  size_t all = 0;
  for (ssize_t got = 1; descriptor >= 0 && all < bytes && got > 0; all += got > 0 ? (size_t)got : 0) {
    got = read(descriptor, (char *)numbers + all, bytes - all);
  }
  if (all < bytes) fail("there are fewer numbers than the workload draws");
  close(descriptor);
}

static void wait_for(int workers) {
  while (workers > 0) {
    if (sem_wait(&done) == 0) workers--;
  }
}

static uint64_t processor_nanoseconds(void) {
  struct timespec used;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return 1000000000u * (uint64_t)used.tv_sec + (uint64_t)used.tv_nsec;
}

static void play(int workers, uint64_t milliseconds) {
  playing = workers;
  length = 1000000 * milliseconds;
  atomic_store(&arrived, 0);
  atomic_store(&taken, 0);
  atomic_store(&given, 0);
  atomic_store(&closed, 0);
  uint64_t processor = processor_nanoseconds();
  for (int i = 0; i < workers; i++) sem_post(&crew[i].go);
  wait_for(workers);
  processor = processor_nanoseconds() - processor;
  uint64_t operations = 0, start = UINT64_MAX, end = 0;
  for (int i = 0; i < workers; i++) {
    operations += crew[i].operations;
    if (crew[i].start < start) start = crew[i].start;
    if (crew[i].end > end) end = crew[i].end;
  }
  char busy[WORKERS * 24] = "";
  for (int i = 0, length = 0; i < workers; i++) {
    unsigned long long each = crew[i].end - crew[i].start - crew[i].waited;
    length += snprintf(busy + length, sizeof busy - (size_t)length, " %llu", each);
  }
  say("took %llu %llu %llu%s\n", (unsigned long long)operations, (unsigned long long)(end - start), (unsigned long long)processor, busy);
}

int main(int count, char **words) {
  if (count != 5) fail("usage: threads WORKLOAD NUMBERS LIFE CHECKED");
  bool pass = strcmp(words[1], "xmalloc") == 0 || strcmp(words[1], "xmalloc-sizes") == 0;
  if (!pass && strcmp(words[1], "larson") != 0) fail("there is no such workload");
  life = strtoull(words[3], NULL, 10);
  checked = strcmp(words[4], "1") == 0;
  read_numbers(words[2], pass ? DRAWN : 2 * WORKERS * DRAWN);

  sem_init(&done, 0, 0);
  for (int i = 0; i < WORKERS; i++) {
    struct worker *worker = &crew[i];
    worker->number = i;
    worker->sizes = numbers + 2 * i * DRAWN;
    worker->places = worker->sizes + DRAWN;
    sem_init(&worker->go, 0, 0);
    hire(worker, !pass ? serve_first : i == 0 ? produce : consume);
  }
  if (!pass) wait_for(WORKERS);
  char version[64];
  allocator_version(version, sizeof version);
  say("ready %s\n", version);
  char line[64] = "";
  while (hear(line, sizeof line)) {
    char *rest;
    int workers = (int)strtol(line, &rest, 10);
    if (workers < 1 || workers > WORKERS || (pass && workers != WORKERS)) fail("there is no such crew");
    play(workers, strtoull(rest, NULL, 10));
  }
  return 0;
}
