/*
 * allocator.h: whose malloc a program calls. A definition on the compiler's command line chooses; every call is a direct one, as in a program
 * that was written for that allocator.
 *
 *   -DMIMALLOC    mi_malloc, mi_free, …    of libmimalloc, -lmimalloc
 *   -DJEMALLOC    malloc, free, …          of libjemalloc, -ljemalloc: its functions take the place of the C library's
 *   neither       malloc, free, …          of glibc
 *
 * Compile with -fno-builtin: a compiler that knows what malloc does may leave out a block that is only freed again.
 */
#ifndef ALLOCATOR_H
#define ALLOCATOR_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#if defined MIMALLOC

#include <mimalloc.h>
#define MALLOC mi_malloc
#define CALLOC mi_calloc
#define REALLOC mi_realloc
#define ALIGNED_ALLOC(align, size) mi_malloc_aligned(size, align)
#define FREE mi_free

static inline void allocator_version(char *text, size_t room) {
  int version = mi_version();
  if (version < 1000) snprintf(text, room, "%d.%d.%d", version / 100, version / 10 % 10, version % 10);
  else snprintf(text, room, "%d.%d.%d", version / 10000, version / 100 % 100, version % 100); /* since 2.1.10 */
}

/* The most that it had committed at once, by its own account. */
static inline uint64_t allocator_peak_commit(void) {
  size_t elapsed, user, system, rss, peak_rss, commit, peak_commit = 0, faults;
  mi_process_info(&elapsed, &user, &system, &rss, &peak_rss, &commit, &peak_commit, &faults);
  return peak_commit;
}

#else

#include <stdlib.h>
#define MALLOC malloc
#define CALLOC calloc
#define REALLOC realloc
#define ALIGNED_ALLOC(align, size) aligned_alloc(align, size)
#define FREE free

static inline uint64_t allocator_peak_commit(void) { return 0; } /* it keeps no account */

#if defined JEMALLOC

#include <jemalloc/jemalloc.h>

static inline void allocator_version(char *text, size_t room) {
  const char *version = "?-";
  size_t bytes = sizeof version;
  mallctl("version", &version, &bytes, NULL, 0); /* 5.3.0-0-g54eaed1d8b56… */
  size_t length = 0;
  while (version[length] != 0 && version[length] != '-') length++;
  snprintf(text, room, "%.*s", (int)length, version);
}

#elif defined __GLIBC__

#include <gnu/libc-version.h>

static inline void allocator_version(char *text, size_t room) { snprintf(text, room, "%s", gnu_get_libc_version()); }

#else
#error "this C library is not glibc"
#endif
#endif
#endif
