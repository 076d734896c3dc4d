/* A translation unit of ordinary character: a balanced tree, a hash table, string handling, and the headers they need. */
#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

struct node { struct node *left, *right; int level; char *key; long value; };

static struct node *skew(struct node *n) {
  if (n == NULL || n->left == NULL || n->left->level != n->level) return n;
  struct node *left = n->left;
  n->left = left->right;
  left->right = n;
  return left;
}

static struct node *split(struct node *n) {
  if (n == NULL || n->right == NULL || n->right->right == NULL || n->level != n->right->right->level) return n;
  struct node *right = n->right;
  n->right = right->left;
  right->left = n;
  right->level++;
  return right;
}

static struct node *insert(struct node *n, const char *key, long value) {
  if (n == NULL) {
    n = calloc(1, sizeof *n);
    if (n == NULL) abort();
    n->level = 1;
    n->key = strdup(key);
    n->value = value;
    return n;
  }
  int order = strcmp(key, n->key);
  if (order < 0) n->left = insert(n->left, key, value);
  else if (order > 0) n->right = insert(n->right, key, value);
  else n->value += value;
  return split(skew(n));
}

static unsigned hash(const char *text) {
  unsigned h = 2166136261u;
  for (; *text != 0; text++) h = (h ^ (unsigned char)tolower(*text)) * 16777619u;
  return h;
}

static struct entry { char name[32]; unsigned count; } table[1024];

static int count(const char *name) {
  for (unsigned i = hash(name), n = 0; n < 1024; i++, n++) {
    struct entry *entry = &table[i % 1024];
    if (entry->count == 0) snprintf(entry->name, sizeof entry->name, "%s", name);
    if (strncmp(entry->name, name, sizeof entry->name - 1) == 0) return (int)++entry->count;
  }
  return -ENOSPC;
}

static void visit(const struct node *n, void (*each)(const struct node *, void *), void *data) {
  if (n == NULL) return;
  visit(n->left, each, data);
  each(n, data);
  visit(n->right, each, data);
}

static void print(const struct node *n, void *data) { fprintf(data, "%s %ld\n", n->key, n->value); }

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int main(int argc, char **argv) {
  struct node *root = NULL;
  char line[256];
  for (int i = 1; i < argc; i++) {
    struct stat status;
    FILE *file = fopen(argv[i], "r");
    if (file == NULL || fstat(fileno(file), &status) != 0) {
      fprintf(stderr, "%s: %s\n", argv[i], strerror(errno));
      continue;
    }
    while (fgets(line, sizeof line, file) != NULL) {
      for (char *word = strtok(line, " \t\r\n"); word != NULL; word = strtok(NULL, " \t\r\n")) {
        pthread_mutex_lock(&lock);
        root = insert(root, word, (long)strlen(word));
        if (count(word) < 0) qsort(table, 1024, sizeof table[0], (int (*)(const void *, const void *))strcmp);
        pthread_mutex_unlock(&lock);
      }
    }
    fclose(file);
  }
  visit(root, print, stdout);
  return 0;
}
