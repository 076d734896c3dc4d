/*
 * replay.c: replays a trace on an allocator that is called from C, see allocator.h: on one thread, in the order of the trace. Says how much
 * memory the heap took. Linux only.
 *
 *   replay TRACE
 *
 *   TRACE, written by src/bench/footprint/flat-trace.ts: words of 32 bits, in the machine's order
 *
 *   0            4        8        12  16                        20   24     28       32
 *   +------------+--------+--------+---+-------------------------+----+------+--------+---------------------
 *   | operations | blocks | stride | 0 | op | log2(align) << 8   | id | size | old id | the next operation …
 *   +------------+--------+--------+---+-------------------------+----+------+--------+---------------------
 *                           bytes
 *
 * What is counted: the private pages without a file behind them that the process has more than before the first operation, as
 * /proc/self/smaps_rollup sums them up. It walks the page tables and is exact, where VmRSS and statm are not: see proc(5). Code and the
 * trace have a file behind them; the tables below are there before it begins. So everything that the allocator sets up for itself from the first
 * operation on counts, as an allocator's header counts in a region of ours.
 *
 * When is it looked at? After any operation, when `stride` bytes were allocated since the last look: in between, the heap cannot have grown by
 * more than those and its overhead on them.
 *
 * Every byte of every block is written when the block is handed out, so that what is live is there. Huge pages are off, because they would count
 * 2 MiB where 4 KiB were touched.
 */
#define _GNU_SOURCE
#include "allocator.h"
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* As in packages/trace/src/normal-form.ts. */
enum op { OP_MALLOC, OP_CALLOC, OP_REALLOC, OP_ALIGNED, OP_FREE, OP_EXIT };

struct operation {
  uint8_t op;
  uint8_t align_log2;
  uint16_t reserved;
  uint32_t id;
  uint32_t size;
  uint32_t old_id;
};

struct trace {
  uint32_t operations;
  uint32_t blocks;
  uint32_t stride;
  uint32_t reserved;
  struct operation list[];
};

static void say(const char *format, ...) {
  char line[256];
  va_list values;
  va_start(values, format);
  int length = vsnprintf(line, sizeof line, format, values);
  va_end(values);
  if (write(STDOUT_FILENO, line, (size_t)length) != length) _exit(1);
}

static void fail(const char *why) {
  say("failed %s\n", why);
  _exit(1);
}

/* ---- The memory ----------------------------------------------------------------------------------------------------------------- */

static int rollup;
static uint64_t peak_bytes;
static uint64_t looks;

/* Bytes in private pages without a file. */
static uint64_t anonymous_bytes(void) {
  static char text[4096];
  ssize_t length = pread(rollup, text, sizeof text - 1, 0);
  text[length > 0 ? length : 0] = 0;
  const char *line = strstr(text, "Anonymous:");
  if (line == NULL) fail("/proc/self/smaps_rollup cannot be read");
  return 1024 * (uint64_t)strtoull(line + strlen("Anonymous:"), NULL, 10);
}

static void look(void) {
  uint64_t bytes = anonymous_bytes();
  if (bytes > peak_bytes) peak_bytes = bytes;
  looks++;
}

/* The stack grows now, not while it counts. */
static __attribute__((noinline)) void grow_stack(void) {
  char room[1 << 16];
  memset(room, 1, sizeof room);
  __asm__ volatile("" : : "r"(room) : "memory");
}

/* Memory of our own, zeroed and already there. */
static void *table(size_t bytes) {
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) fail("there is no memory for the tables");
  return memory;
}

static const struct trace *map_trace(const char *file) {
  struct stat status;
  int descriptor = open(file, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0 || fstat(descriptor, &status) != 0) fail("the trace cannot be read");
  size_t bytes = (size_t)status.st_size;
  const struct trace *trace = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_POPULATE, descriptor, 0);
  if (trace == MAP_FAILED) fail("the trace cannot be read");
  if (bytes < sizeof *trace || bytes != sizeof *trace + trace->operations * sizeof *trace->list) fail("the trace is not whole");
  return trace;
}

/* ---- The replay ----------------------------------------------------------------------------------------------------------------- */

static void **address_of;
static uint32_t *size_of;
static uint64_t live_bytes;
static uint64_t peak_live_bytes;

static void put(uint32_t id, uint32_t size, void *block) {
  if (block == NULL) fail("there is no memory for a block");
  memset(block, 0xa5, size);
  address_of[id] = block;
  size_of[id] = size;
  live_bytes += size;
  if (live_bytes > peak_live_bytes) peak_live_bytes = live_bytes;
}

static void replay(const struct operation *each) {
  uint32_t id = each->id, size = each->size;
  switch ((enum op)each->op) {
  case OP_MALLOC:
    put(id, size, MALLOC(size));
    break;
  case OP_CALLOC:
    put(id, size, CALLOC(1, size));
    break;
  case OP_ALIGNED:
    put(id, size, ALIGNED_ALLOC((size_t)1 << each->align_log2, size));
    break;
  case OP_REALLOC:
    live_bytes -= size_of[each->old_id]; /* block 0 is NULL: address 0, size 0 */
    put(id, size, REALLOC(address_of[each->old_id], size > 0 ? size : 1)); /* 0 would free it, in glibc */
    break;
  case OP_FREE:
    live_bytes -= size_of[id];
    FREE(address_of[id]);
    break;
  case OP_EXIT:
    break;
  }
}

int main(int count, char **words) {
  if (count != 2) fail("usage: replay TRACE");
  prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
  rollup = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
  const struct trace *trace = map_trace(words[1]);
  address_of = table(((size_t)trace->blocks + 1) * sizeof *address_of);
  size_of = table(((size_t)trace->blocks + 1) * sizeof *size_of);
  char version[64];
  allocator_version(version, sizeof version);
  grow_stack();
  look(); /* the first look may set something up itself */
  uint64_t before = anonymous_bytes();
  peak_bytes = before;

  uint64_t unseen = 0;
  for (uint32_t index = 0; index < trace->operations; index++) {
    const struct operation *each = &trace->list[index];
    replay(each);
    unseen += each->size; /* 0 for a free */
    if (unseen >= trace->stride) {
      look();
      unseen = 0;
    }
  }
  look();
  say("found { \"version\": \"%s\", \"peakLiveBytes\": %llu, \"footprintBytes\": %llu, \"committedBytes\": %llu, \"looks\": %llu }\n", version,
      (unsigned long long)peak_live_bytes, (unsigned long long)(peak_bytes - before), (unsigned long long)allocator_peak_commit(),
      (unsigned long long)looks);
  return 0;
}
