// SPDX-License-Identifier: Apache-2.0
// What is in a state directory; see store.h.
#include "checkpoint/store_impl.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct listing {
    struct store_entry *v;
    size_t n;
    size_t cap;
};

// "17.journal" -> 17 and ".journal"; false for any other form of name.
static bool parse_name(const char *name, uint64_t *ret_id, const char **ret_suffix)
{
    uint64_t id = 0;
    const char *p = name;
    for (; isdigit((unsigned char)*p) && p - name < 19; p++)
        id = 10 * id + (uint64_t)(*p - '0');
    if (p == name || *name == '0' || *p != '.')
        return false;
    *ret_id = id;
    *ret_suffix = p;
    return true;
}

static struct store_entry *entry(struct listing *l, uint64_t id)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 32;
        struct store_entry *v = realloc(l->v, cap * sizeof(*v));
        if (!v)
            return NULL;
        l->v = v;
        l->cap = cap;
    }
    l->v[l->n] = (struct store_entry){.id = id};
    return &l->v[l->n++];
}

static int take_name(struct listing *l, int dir_fd, const char *name)
{
    uint64_t id;
    const char *suffix;
    struct stat sb;
    if (!parse_name(name, &id, &suffix))
        return 0;
    bool journal = strcmp(suffix, ".journal") == 0;
    bool data = strcmp(suffix, ".data") == 0;
    if (!journal && !data)
        return 0;
    if (fstatat(dir_fd, name, &sb, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(sb.st_mode))
        return 0;

    struct store_entry *one = entry(l, id);
    if (!one)
        return -ENOMEM;
    if (journal) {
        one->has_journal = true;
        one->journal_bytes = (uint64_t)sb.st_size;
    } else {
        one->has_data = true;
        one->data_size = (uint64_t)sb.st_size;
        one->data_bytes = (uint64_t)sb.st_blocks * 512;
    }
    return 0;
}

static int by_id(const void *a, const void *b)
{
    const struct store_entry *x = a;
    const struct store_entry *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

// Journal and data of one id become one entry.
static void merge(struct listing *l)
{
    size_t to = 0;
    if (l->n > 0)
        qsort(l->v, l->n, sizeof(*l->v), by_id);
    for (size_t i = 0; i < l->n; i++) {
        if (to > 0 && l->v[to - 1].id == l->v[i].id) {
            struct store_entry *kept = &l->v[to - 1];
            kept->has_journal |= l->v[i].has_journal;
            kept->has_data |= l->v[i].has_data;
            kept->journal_bytes += l->v[i].journal_bytes;
            kept->data_size += l->v[i].data_size;
            kept->data_bytes += l->v[i].data_bytes;
        } else {
            l->v[to++] = l->v[i];
        }
    }
    l->n = to;
}

static DIR *open_again(int dir_fd)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d && fd >= 0)
        close(fd);
    return d;
}

int store_list_fd(int dir_fd, struct store_entry **ret, size_t *ret_n)
{
    struct listing l = {0};
    DIR *d = open_again(dir_fd);
    if (!d)
        return -errno;
    int rc = 0;
    struct dirent *de;
    while (rc == 0 && (errno = 0, de = readdir(d)))
        rc = take_name(&l, dir_fd, de->d_name);
    if (rc == 0 && errno)
        rc = -errno;
    closedir(d);
    if (rc < 0) {
        free(l.v);
        return rc;
    }
    merge(&l);
    *ret = l.v;
    *ret_n = l.n;
    return 0;
}

int store_list(const struct store *st, struct store_entry **ret, size_t *ret_n, struct err *e)
{
    int rc = store_list_fd(st->dir_fd, ret, ret_n);
    if (rc < 0)
        return err_set(e, rc, "cannot list '%s': %s", st->path, err_text(rc));
    return 0;
}

void store_sweep(int dir_fd)
{
    DIR *d = open_again(dir_fd);
    if (!d)
        return;
    struct dirent *de;
    while ((de = readdir(d))) {
        size_t n = strlen(de->d_name);
        if (n > 4 && strcmp(de->d_name + n - 4, ".new") == 0)
            (void)unlinkat(dir_fd, de->d_name, 0);
    }
    closedir(d);
}
