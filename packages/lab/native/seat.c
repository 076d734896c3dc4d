/*
 * seat.c: the workloads of src/bench/workloads on an allocator that is called from C, see allocator.h.
 *
 *   seat WORKLOAD NUMBERS
 *
 *   to its input     from its output
 *   ------------     ---------------
 *                    ready 2.0.9       the heap is filled; the version of the allocator
 *   4096             took 51234.5      so many pairs took so many nanoseconds
 *   the end          the end
 *                    failed WHY        and the end
 *
 * NUMBERS is a file with what the workload draws in JavaScript: 16 bits each, in the machine's order. So the same sizes are asked for in the
 * same order, and the same blocks are freed. As there, nothing is written into a block. The tables are those of the workload in
 * JavaScript but for one thing: an address has 8 bytes here and 4 there.
 *
 * Nothing here allocates besides what is measured: no stdio streams.
 */
#define _GNU_SOURCE
#include "allocator.h"
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* As in workloads/pairs.ts and workloads/churn.ts. */
enum { BATCH = 64, PAIRS_DRAWN = 1 << 16, SLOTS = 16384, CHURN_DRAWN = 1 << 20 };

static uint16_t numbers[2 * CHURN_DRAWN];
static const uint16_t *const sizes = numbers;
static const uint16_t *const slots = numbers + CHURN_DRAWN;
static void *blocks[SLOTS];
static unsigned next;

/* ---- What is said --------------------------------------------------------------------------------------------------------------- */

static void say(const char *word, const char *rest) {
  char line[256];
  int length = snprintf(line, sizeof line, "%s %s\n", word, rest);
  if (write(STDOUT_FILENO, line, (size_t)length) != length) _exit(1);
}

static void fail(const char *why) {
  say("failed", why);
  _exit(1);
}

/* A line of the input as a number; 0 when there is no more, since a round has a pair at least. */
static uint64_t hear(void) {
  uint64_t value = 0;
  char digit;
  while (read(STDIN_FILENO, &digit, 1) == 1 && digit != '\n') value = 10 * value + (uint64_t)(digit - '0');
  return value;
}

/* ---- The workloads -------------------------------------------------------------------------------------------------------------- */

static inline void *allocate(unsigned size) {
  void *block = MALLOC(size);
  if (block == NULL) {
    char why[64];
    snprintf(why, sizeof why, "no memory for %u bytes", size);
    fail(why);
  }
  return block;
}

static inline void allocate_batch(void) {
  for (int i = 0; i < BATCH; i++) blocks[i] = allocate(sizes[next + i]);
  next = (next + BATCH) & (PAIRS_DRAWN - 1);
}

static void pairs_lifo(uint64_t count) {
  for (uint64_t done = 0; done < count; done += BATCH) {
    allocate_batch();
    for (int i = BATCH - 1; i >= 0; i--) FREE(blocks[i]);
  }
}

static void pairs_fifo(uint64_t count) {
  for (uint64_t done = 0; done < count; done += BATCH) {
    allocate_batch();
    for (int i = 0; i < BATCH; i++) FREE(blocks[i]);
  }
}

static inline void fill(unsigned slot) {
  blocks[slot] = allocate(sizes[next]);
  next = (next + 1) & (CHURN_DRAWN - 1);
}

static void churn(uint64_t count) {
  for (uint64_t done = 0; done < count; done++) {
    unsigned slot = slots[next];
    FREE(blocks[slot]);
    fill(slot);
  }
}

/* ---- The seat ------------------------------------------------------------------------------------------------------------------- */

static void read_numbers(const char *file, size_t count) {
  size_t bytes = count * sizeof *numbers;
  int descriptor = open(file, O_RDONLY | O_CLOEXEC);
  size_t done = 0;
  for (ssize_t got = 1; descriptor >= 0 && done < bytes && got > 0; done += got > 0 ? (size_t)got : 0) {
    got = read(descriptor, (char *)numbers + done, bytes - done);
  }
  if (done < bytes) fail("there are fewer numbers than the workload draws");
  close(descriptor);
}

static double nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return 1e9 * (double)now.tv_sec + (double)now.tv_nsec;
}

int main(int count, char **words) {
  if (count != 3) fail("usage: seat WORKLOAD NUMBERS");
  void (*run)(uint64_t) = NULL;
  if (strcmp(words[1], "pairs") == 0) run = pairs_lifo;
  if (strcmp(words[1], "pairs-fifo") == 0) run = pairs_fifo;
  if (strcmp(words[1], "churn") == 0) run = churn;
  if (run == NULL) fail("there is no such workload");

  read_numbers(words[2], run == churn ? 2 * CHURN_DRAWN : PAIRS_DRAWN);
  if (run == churn) {
    for (unsigned slot = 0; slot < SLOTS; slot++) fill(slot);
  }
  char text[64];
  allocator_version(text, sizeof text);
  say("ready", text);
  for (uint64_t pairs; (pairs = hear()) > 0;) {
    double start = nanoseconds();
    run(pairs);
    double taken = nanoseconds() - start;
    snprintf(text, sizeof text, "%.1f", taken);
    say("took", text);
  }
  return 0;
}
