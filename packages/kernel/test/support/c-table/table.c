/*
 * What C gives: prints table.jsonl, one call a line.
 *
 *     cc -std=c11 -w -D_POSIX_C_SOURCE=200809L -o table table.c && ./table > table.jsonl
 *
 *   ["printf", template, [arguments], size, result, text]      through snprintf into `size` bytes; the text is what lies there then
 *   ["arena", content, bytes]                                  what 64 bytes hold before a call, as hexadecimal
 *   ["function", [arguments], result, content, bytes]          over an arena with that content; null: it holds the same afterwards
 *
 * An integer is written as a string of digits, so that 64 bits survive JSON; a string is {"s": text}, an address within the arena
 * {"at": offset}. Results: pointers as offsets (null: NULL), comparisons as -1, 0, 1.
 *
 * Exit code 3 says that this C library's table would differ where C leaves it open (%p), so it cannot be compared.
 */
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void json(const char *text, size_t length) {
  putchar('"');
  for (size_t i = 0; i < length; i++) {
    unsigned char c = text[i];
    if (c == '"' || c == '\\') printf("\\%c", c);
    else if (c < 32) printf("\\u%04x", c);
    else putchar(c);
  }
  putchar('"');
}

/* ---------------------------------------------------------------- printf */

static char out[512];

static void result(const char *template, const char *arguments, size_t size, int length) {
  printf("[\"printf\",");
  json(template, strlen(template));
  printf(",[%s],%zu,%d,", arguments, size, length);
  if (length < 0 || size == 0) printf("null");
  else json(out, (size_t)length < size ? (size_t)length : size - 1);
  printf("]\n");
}

/* The arguments twice: as C's own, and as the table shows them. */
#define PRINT_SIZE(size, template, shown, ...)                                  \
  do {                                                                          \
    memset(out, '~', sizeof out);                                               \
    result(template, shown, size, snprintf(out, size, template, __VA_ARGS__));  \
  } while (0)
#define PRINT(template, shown, ...) PRINT_SIZE(sizeof out, template, shown, __VA_ARGS__)

static char shown[512];

/* Every flag with every width, precision and conversion of int, with values at the edges. */
static void integers(void) {
  static const char *flags[] = {"", "-", "+", " ", "0", "-0", "+0", " 0", "+ ", "-+", "#", "#0", "-#"};
  static const char *sizes[] = {"", "1", "8", ".0", ".5", "8.0", "8.3", "3.5"};
  static const int values[] = {0, 42, -7, INT_MIN};
  char template[32];
  for (size_t f = 0; f < sizeof flags / sizeof *flags; f++)
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
      for (const char *c = "duxo"; *c; c++) {
        int alternate = strchr(flags[f], '#') != NULL;
        /* C says nothing about # with d and u; and signs with the unsigned ones are there once. */
        if (alternate && strchr("du", *c)) continue;
        if (*c != 'd' && strpbrk(flags[f], "+ ")) continue;
        snprintf(template, sizeof template, "[%%%s%s%c]", flags[f], sizes[s], *c);
        for (size_t v = (f + s) % 2; v < sizeof values / sizeof *values; v += 2) {
          snprintf(shown, sizeof shown, "\"%d\"", values[v]);
          PRINT(template, shown, values[v]);
        }
      }
}

static void lengths(void) {
  static const long long values[] = {0, 1, -1, 127, 128, 255, 256, 32767, 65535, 65536, INT_MAX, INT_MIN,
                                     4294967295LL, 4294967296LL, 1LL << 53, LLONG_MAX, LLONG_MIN};
  for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
    long long n = values[v];
    snprintf(shown, sizeof shown, "\"%lld\"", n);
    PRINT("%lld", shown, n);
    PRINT("%lli", shown, n);
    PRINT("%llu", shown, n);
    PRINT("%llx", shown, n);
    PRINT("%#llX", shown, n);
    PRINT("%llo", shown, n);
    PRINT("%ld", shown, (long)n);
    PRINT("%lu", shown, (unsigned long)n);
    PRINT("%lx", shown, (unsigned long)n);
    PRINT("%+25ld|", shown, (long)n);
    PRINT("%-25lu|", shown, (unsigned long)n);
    PRINT("%025lx|", shown, (unsigned long)n);
    PRINT("%.22ld", shown, (long)n);
    PRINT("%zu", shown, (size_t)n);
    PRINT("%zd", shown, (size_t)n);
    PRINT("%jd", shown, (intmax_t)n);
    PRINT("%td", shown, (ptrdiff_t)n);
    if (n < INT_MIN || n > INT_MAX) continue;
    PRINT("%hd", shown, (int)n);
    PRINT("%hu", shown, (int)n);
    PRINT("%hhd", shown, (int)n);
    PRINT("%hhx", shown, (int)n);
    PRINT("%d %%", shown, (int)n);
    PRINT("%X", shown, (unsigned)n);
  }
}

static void stars(void) {
  static const int widths[] = {0, 1, 6, -6};
  static const int precisions[] = {0, 2, 9, -1, -9};
  for (size_t w = 0; w < 4; w++)
    for (size_t p = 0; p < 5; p++) {
      snprintf(shown, sizeof shown, "\"%d\",\"%d\",\"7\"", widths[w], precisions[p]);
      PRINT("[%*.*d]", shown, widths[w], precisions[p], 7);
      PRINT("[%0*.*d]", shown, widths[w], precisions[p], 7);
      snprintf(shown, sizeof shown, "\"%d\",\"%d\",{\"s\":\"cheese\"}", widths[w], precisions[p]);
      PRINT("[%*.*s]", shown, widths[w], precisions[p], "cheese");
    }
  PRINT("[%*d]", "\"8\",\"-42\"", 8, -42);
  PRINT("[%-*d]", "\"8\",\"-42\"", 8, -42);
  PRINT("[%-*d]", "\"-8\",\"-42\"", -8, -42);
  PRINT("[%.*s]", "\"3\",{\"s\":\"abcdef\"}", 3, "abcdef");
  PRINT("[%.*x]", "\"6\",\"255\"", 6, 255);
}

static void strings(void) {
  static const char *templates[] = {"%s", "[%8s]", "[%-8s]", "[%.3s]", "[%8.3s]", "[%-8.3s]", "[%.0s]", "[%.s]", "[%1s]", "[%.9s]"};
  static const char *texts[] = {"", "a", "abc", "abcdefgh", "tab\there", "quote\"back\\slash", "100%d"};
  for (size_t f = 0; f < sizeof templates / sizeof *templates; f++)
    for (size_t s = 0; s < sizeof texts / sizeof *texts; s++) {
      char *end = shown + sprintf(shown, "{\"s\":\"");
      for (const char *c = texts[s]; *c; c++)
        end += *c == '\t' ? sprintf(end, "\\t") : sprintf(end, strchr("\"\\", *c) ? "\\%c" : "%c", *c);
      sprintf(end, "\"}");
      PRINT(templates[f], shown, texts[s]);
    }
}

static void others(void) {
  PRINT("%c%c%c", "\"65\",\"32\",\"126\"", 65, 32, 126);
  PRINT("[%3c]", "\"120\"", 'x');
  PRINT("[%-3c]", "\"120\"", 'x');
  PRINT("[%c]", "\"0\"", 0);
  PRINT("%p", "\"0\"", (void *)0);
  PRINT("[%8p]", "\"0\"", (void *)0);
  PRINT("[%-8p]", "\"0\"", (void *)0);
  PRINT("%p", "\"4096\"", (void *)4096);
  PRINT("%p", "\"4294967295\"", (void *)4294967295UL);
  PRINT("[%12p]", "\"48879\"", (void *)48879);
  PRINT("[%-12p]", "\"48879\"", (void *)48879);
  PRINT("100%%", "", 0);
  PRINT("%%d", "", 0);
  PRINT("plain", "", 0);
  PRINT("", "", 0);
  PRINT("%d%d%d", "\"1\",\"2\",\"3\"", 1, 2, 3);
  PRINT("%s=%d (%#x)\n", "{\"s\":\"answer\"},\"42\",\"42\"", "answer", 42, 42);
  PRINT("%+5d", "\"42\"", 42);
  PRINT("%-08x|", "\"48879\"", 48879);
  PRINT("%.0d|%.0x|%.0o|%#.0o", "\"0\",\"0\",\"0\",\"0\"", 0, 0, 0, 0);
  PRINT("%#x %#o %#X", "\"0\",\"0\",\"0\"", 0, 0, 0);
  PRINT("%#.4x %#.4o %#.1o", "\"10\",\"10\",\"10\"", 10, 10, 10);
  PRINT("%i %i", "\"-2147483648\",\"2147483647\"", INT_MIN, INT_MAX);
  PRINT("%300d", "\"1\"", 1);
  PRINT("%.300d", "\"-1\"", -1);
}

/* What snprintf cuts, and what it returns then. */
static void truncation(void) {
  for (size_t size = 0; size <= 12; size++) {
    PRINT_SIZE(size, "%s", "{\"s\":\"0123456789\"}", "0123456789");
    PRINT_SIZE(size, "<%5d>", "\"-42\"", -42);
    PRINT_SIZE(size, "%s%%%c", "{\"s\":\"abc\"},\"33\"", "abc", '!');
  }
}

/* ------------------------------------------------- memory and strings */

enum { ARENA = 64 };
static char arena[ARENA];
static char before[ARENA];
static int contents;

static void hex(const char *bytes) {
  printf("\"");
  for (int i = 0; i < ARENA; i++) printf("%02x", (unsigned char)bytes[i]);
  printf("\"");
}

/* 0: counting bytes; 1: words with NULs between; 2: bytes above 127 among them; 3: all the same. */
static void prepare(int content) {
  contents = content;
  static const char words[ARENA] = "hello\0hello world\0world\0abc\0abd\0ab\0\0aXbXcXd\0ell\0lo wo\0oe";
  for (int i = 0; i < ARENA; i++) arena[i] = content == 0 ? i : content == 2 ? i * 37 + 200 : 'x';
  if (content == 1) memcpy(arena, words, ARENA);
  arena[ARENA - 1] = 0;
  memcpy(before, arena, ARENA);
}

static int sign(int n) { return (n > 0) - (n < 0); }

static void show(const char *name, const char *arguments, int pointer, const char *address, long number) {
  printf("[\"%s\",[%s],", name, arguments);
  if (!pointer) printf("%ld", number);
  else if (address) printf("%ld", (long)(address - arena));
  else printf("null");
  printf(",%d,", contents);
  if (memcmp(before, arena, ARENA) == 0) printf("null");
  else hex(arena);
  printf("]\n");
}

#define POINTER(content, name, shown, call) \
  do { prepare(content); const char *r = (call); show(name, shown, 1, r, 0); } while (0)
#define NUMBER(content, name, shown, call) \
  do { prepare(content); long r = (call); show(name, shown, 0, NULL, r); } while (0)

#define A "{\"at\":%d}"
static const char *args1(int a) { snprintf(shown, sizeof shown, A, a); return shown; }
static const char *args2(int a, int b) { snprintf(shown, sizeof shown, A "," A, a, b); return shown; }
static const char *argsN(int a, long n) { snprintf(shown, sizeof shown, A ",\"%ld\"", a, n); return shown; }
static const char *args2N(int a, int b, long n) { snprintf(shown, sizeof shown, A "," A ",\"%ld\"", a, b, n); return shown; }
static const char *argsCN(int a, int c, long n) { snprintf(shown, sizeof shown, A ",\"%d\",\"%ld\"", a, c, n); return shown; }

static void memory(void) {
  static const int bytes[] = {0, 65, 255, -1, 256 + 66, -190};
  for (int i = 0; i < 6; i++) POINTER(0, "memset", argsCN(3 + i, bytes[i], 1 + 9 * i), memset(arena + 3 + i, bytes[i], 1 + 9 * i));
  POINTER(0, "memset", argsCN(5, 1, 0), memset(arena + 5, 1, 0));
  POINTER(0, "memset", argsCN(0, 7, 64), memset(arena, 7, 64));
  /* Apart, and overlapping both ways, at every distance and alignment. */
  POINTER(0, "memcpy", args2N(32, 0, 32), memcpy(arena + 32, arena, 32));
  POINTER(0, "memcpy", args2N(1, 34, 29), memcpy(arena + 1, arena + 34, 29));
  POINTER(0, "memcpy", args2N(9, 40, 0), memcpy(arena + 9, arena + 40, 0));
  for (int distance = -9; distance <= 9; distance++)
    for (int length = 0; length <= 33; length += 11)
      POINTER(0, "memmove", args2N(16 + distance, 16, length), memmove(arena + 16 + distance, arena + 16, length));
  for (int b = 0; b < 40; b += 7)
    for (int n = 0; n <= 16; n += 4) {
      NUMBER(1, "memcmp", args2N(6, b, n), sign(memcmp(arena + 6, arena + b, n)));
      NUMBER(2, "memcmp", args2N(6, b, n), sign(memcmp(arena + 6, arena + b, n)));
    }
  NUMBER(3, "memcmp", args2N(1, 30, 30), sign(memcmp(arena + 1, arena + 30, 30)));
  for (int i = 0; i < 6; i++)
    for (int n = 0; n <= 60; n += 20) POINTER(2, "memchr", argsCN(2, bytes[i], n), memchr(arena + 2, bytes[i], n));
  POINTER(1, "memchr", argsCN(0, 'o', 4), memchr(arena, 'o', 4));
  POINTER(1, "memchr", argsCN(0, 'o', 5), memchr(arena, 'o', 5));
}

static void text(void) {
  static const int starts[] = {0, 1, 5, 6, 12, 18, 24, 28, 32, 35, 36, 44, 48};
  enum { STARTS = sizeof starts / sizeof *starts };
  for (int i = 0; i < STARTS; i++) {
    int a = starts[i];
    NUMBER(1, "strlen", args1(a), strlen(arena + a));
    for (int n = 0; n <= 12; n += 3) NUMBER(1, "strnlen", argsN(a, n), strnlen(arena + a, n));
    static const int sought[] = {'l', 'o', 0, 'X', 256 + 'e', -1};
    for (int c = 0; c < 6; c++) {
      POINTER(1, "strchr", argsN(a, sought[c]), strchr(arena + a, sought[c]));
      POINTER(1, "strrchr", argsN(a, sought[c]), strrchr(arena + a, sought[c]));
    }
    for (int j = (3 - i % 3) % 3; j < STARTS; j += 3) {
      int b = starts[j];
      NUMBER(1, "strcmp", args2(a, b), sign(strcmp(arena + a, arena + b)));
      POINTER(1, "strstr", args2(a, b), strstr(arena + a, arena + b));
      for (int n = 0; n <= 6; n += 2) NUMBER(1, "strncmp", args2N(a, b, n), sign(strncmp(arena + a, arena + b, n)));
      NUMBER(1, "strspn", args2(a, b), strspn(arena + a, arena + b));
      NUMBER(1, "strcspn", args2(a, b), strcspn(arena + a, arena + b));
      POINTER(1, "strpbrk", args2(a, b), strpbrk(arena + a, arena + b));
    }
    NUMBER(2, "strcmp", args2(a, 3), sign(strcmp(arena + a, arena + 3)));
    POINTER(3, "strcpy", args2(0, 63 - i), strcpy(arena, arena + 63 - i));
    if (a >= 18) {
      POINTER(1, "strcpy", args2(0, a), strcpy(arena, arena + a));
      POINTER(1, "strcat", args2(0, a), strcat(arena, arena + a));
    }
    for (int n = 0; n <= 12 && a >= 18; n += 4) {
      POINTER(1, "strncpy", args2N(2, a, n), strncpy(arena + 2, arena + a, n));
      POINTER(1, "strncat", args2N(0, a, n), strncat(arena, arena + a, n));
    }
  }
}

int main(void) {
#ifdef __GLIBC__
  if (sizeof(long) != 8 || sizeof(void *) != 8) return 3;
#else
  return 3;
#endif
  integers();
  lengths();
  stars();
  strings();
  others();
  truncation();
  for (int content = 0; content < 4; content++) {
    prepare(content);
    printf("[\"arena\",%d,", content);
    hex(arena);
    printf("]\n");
  }
  memory();
  text();
  return 0;
}
