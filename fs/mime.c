// SPDX-License-Identifier: Apache-2.0
// The content type of an object by the suffix of its key; see mime.h.
#include "fs/mime.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "fs/attr.h"
#include "net/base/buf.h"
#include "net/base/cleanup.h"
#include "net/base/file.h"

enum {
    FILE_MAX = 4 << 20,
    ENTRIES_MAX = 65536,
    TYPE_LEN_MAX = 127,
    SUFFIX_LEN_MAX = 63,
};

struct entry {
    const char *suffix; /* lower case; both point into mime->text */
    const char *type;
    size_t order; /* of its place in the file */
};

struct mime {
    char *text; /* a copy of the file, cut into strings */
    struct entry *v;
    size_t n, cap;
};

/* Characters of a type or a suffix: visible ASCII. */
static bool is_word(const char *s)
{
    for (; *s; s++) {
        if (*s <= ' ' || *s >= 0x7f)
            return false;
    }
    return true;
}

static bool is_type(const char *s)
{
    const char *slash = strchr(s, '/');
    return slash && slash > s && slash[1] && !strchr(slash + 1, '/') && strlen(s) <= TYPE_LEN_MAX &&
           is_word(s);
}

static bool is_suffix(const char *s)
{
    return *s && !strchr(s, '/') && strlen(s) <= SUFFIX_LEN_MAX && is_word(s);
}

static int add_entry(struct mime *mime, char *suffix, const char *type)
{
    if (mime->n == ENTRIES_MAX)
        return 0;
    if (mime->n == mime->cap) {
        size_t cap = mime->cap ? mime->cap * 2 : 256;
        struct entry *v = reallocarray(mime->v, cap, sizeof(*v));
        if (!v)
            return -ENOMEM;
        mime->v = v;
        mime->cap = cap;
    }
    for (char *p = suffix; *p; p++) {
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    }
    mime->v[mime->n] = (struct entry){suffix, type, mime->n};
    mime->n++;
    return 0;
}

/* Takes one line, which it cuts into strings. */
static int parse_line(struct mime *mime, char *line)
{
    static const char blanks[] = " \t\r\f\v";
    char *rest = NULL;

    line[strcspn(line, "#")] = 0;
    const char *type = strtok_r(line, blanks, &rest);
    if (!type || !is_type(type))
        return 0;
    for (char *s; (s = strtok_r(NULL, blanks, &rest));) {
        if (*s == '.')
            s++;
        int rc = is_suffix(s) ? add_entry(mime, s, type) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int by_suffix(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    int rc = strcmp(x->suffix, y->suffix);
    return rc ? rc : (x->order > y->order) - (x->order < y->order);
}

/* Sorted, and of each suffix only its first line. */
static void sort_entries(struct mime *mime)
{
    size_t n = 0;
    if (mime->n == 0)
        return;
    qsort(mime->v, mime->n, sizeof(*mime->v), by_suffix);
    for (size_t i = 0; i < mime->n; i++) {
        if (n == 0 || strcmp(mime->v[n - 1].suffix, mime->v[i].suffix) != 0)
            mime->v[n++] = mime->v[i];
    }
    mime->n = n;
}

int mime_parse(const char *text, size_t n, struct mime **ret)
{
    int rc = 0;

    *ret = NULL;
    if (n > FILE_MAX)
        n = FILE_MAX;
    struct mime *mime = calloc(1, sizeof(*mime));
    char *copy = malloc(n + 1);
    if (!mime || !copy) {
        free(mime);
        free(copy);
        return -ENOMEM;
    }
    if (n)
        memcpy(copy, text, n);
    copy[n] = 0;
    mime->text = copy;

    for (char *line = copy; line < copy + n && rc == 0;) {
        char *eol = memchr(line, '\n', (size_t)(copy + n - line));
        if (!eol)
            eol = copy + n;
        *eol = 0;
        rc = parse_line(mime, line);
        line = eol + 1;
    }
    if (rc < 0) {
        mime_free(mime);
        return rc;
    }
    sort_entries(mime);
    *ret = mime;
    return 0;
}

/* Reads at most FILE_MAX bytes of a regular file; 0 with an empty buffer if there is none. */
static int read_table(const char *path, struct buf *out, struct err *err)
{
    struct stat st;
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(err, -errno, "cannot read '%s': %s", path, err_text(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(err, -EINVAL, "'%s' is not a regular file", path);

    int rc = file_read_buf(fd, out);
    return rc < 0 ? err_set(err, rc, "cannot read '%s': %s", path, err_text(rc)) : 0;
}

int mime_load(const char *path, struct mime **ret, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT(FILE_MAX);

    *ret = NULL;
    int rc = path && *path ? read_table(path, &text, err) : 0;
    if (rc < 0)
        return rc;
    rc = mime_parse(buf_str(&text), text.n, ret);
    return rc < 0 ? err_set(err, rc, "out of memory") : 0;
}

void mime_free(struct mime *mime)
{
    if (!mime)
        return;
    free(mime->text);
    free(mime->v);
    free(mime);
}

size_t mime_count(const struct mime *mime)
{
    return mime ? mime->n : 0;
}

static int compare_suffix(const void *key, const void *member)
{
    return strcasecmp(key, ((const struct entry *)member)->suffix);
}

const char *mime_type(const struct mime *mime, const char *key)
{
    size_t n = strlen(key);
    if (n > 0 && key[n - 1] == '/')
        return ATTR_DIR_TYPE;
    if (mime_count(mime) == 0)
        return ATTR_PLAIN_TYPE;

    const char *slash = strrchr(key, '/');
    const char *name = slash ? slash + 1 : key;
    /* A dot in front makes a hidden file, not a suffix. */
    for (const char *dot = *name ? strchr(name + 1, '.') : NULL; dot; dot = strchr(dot + 1, '.')) {
        const struct entry *e =
            bsearch(dot + 1, mime->v, mime->n, sizeof(*mime->v), compare_suffix);
        if (e)
            return e->type;
    }
    return ATTR_PLAIN_TYPE;
}
