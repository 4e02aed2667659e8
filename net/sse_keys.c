// SPDX-License-Identifier: Apache-2.0
// Keys of a customer; see sse.h.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/base/cleanup.h"
#include "net/cred.h"
#include "net/digest.h"
#include "net/sse.h"

struct sse_key {
    char name[SSE_NAME_MAX + 1];
    char md5[SSE_MD5_TEXT];
    unsigned char secret[SSE_KEY_SIZE];
};

/* On pages of its own, as a whole. */
struct sse_keys {
    size_t mapped;
    int n;
    struct sse_key v[SSE_KEYS_MAX];
};

static struct sse_keys *keys_alloc(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = (sizeof(struct sse_keys) + page - 1) / page * page;
    struct sse_keys *keys =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (keys == MAP_FAILED)
        return NULL;
    /* A kernel may refuse either: the keys then are as safe as the rest of the memory. */
    (void)madvise(keys, size, MADV_DONTDUMP);
    (void)mlock(keys, size);
    keys->mapped = size;
    return keys;
}

void sse_keys_free(struct sse_keys *keys)
{
    if (!keys)
        return;
    size_t size = keys->mapped;
    explicit_bzero(keys, sizeof(*keys));
    (void)munmap(keys, size);
}

/* Who can write the directory chooses the keys. */
static int check_dir(const char *dir, const struct stat *st, struct err *err)
{
    if (!S_ISDIR(st->st_mode))
        return err_set(err, -ENOTDIR, "'%.160s' is not a directory", dir);
    if (st->st_uid != geteuid() && st->st_uid != 0)
        return err_set(err, -EACCES, "'%.160s' belongs to user %u, not to this user or root", dir,
                       (unsigned)st->st_uid);
    if (st->st_mode & (S_IWGRP | S_IWOTH))
        return err_set(err, -EACCES, "'%.160s' may be written by others (mode %04o): chmod 700 it",
                       dir, (unsigned)(st->st_mode & 07777));
    return 0;
}

static int read_key(const char *dir, const char *name, struct sse_key *key, struct err *err)
{
    char path[PATH_MAX];
    char text[SSE_FILE_MAX + 1];
    struct sse_spec spec;
    char word[NAME_MAX + 3];
    unsigned char md5[DIGEST_SIZE_MAX];

    (void)snprintf(word, sizeof(word), "c:%s", name);
    if (sse_spec_parse(word, &spec, err) < 0)
        return err_prefix(err, "'%.100s'", dir);
    if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
        return err_set(err, -ENAMETOOLONG, "the path of key '%s' is too long", spec.id);
    ssize_t n = cred_read_file(path, text, sizeof(text), err);
    if (n < 0)
        return (int)n;
    int rc = sse_key_parse(text, (size_t)n, key->secret);
    explicit_bzero(text, sizeof(text));
    if (rc < 0)
        return err_set(err, rc, "'%.160s' holds neither a key of %d bytes nor one in base64", path,
                       SSE_KEY_SIZE);
    rc = digest_once(DIGEST_MD5, key->secret, SSE_KEY_SIZE, md5);
    if (rc == 0)
        rc = base64_encode(md5, DIGEST_MD5_SIZE, key->md5, sizeof(key->md5));
    if (rc < 0)
        return err_set(err, rc, "the MD5 of key '%s' cannot be computed", spec.id);
    (void)snprintf(key->name, sizeof(key->name), "%.*s", SSE_NAME_MAX, spec.id);
    return 0;
}

/* In place: qsort() might leave copies of keys in the heap. */
static void swap_keys(struct sse_key *a, struct sse_key *b)
{
    unsigned char *p = (unsigned char *)a;
    unsigned char *q = (unsigned char *)b;
    for (size_t i = 0; i < sizeof(*a); i++) {
        p[i] ^= q[i];
        q[i] ^= p[i];
        p[i] ^= q[i];
    }
}

static void sort_keys(struct sse_keys *keys)
{
    for (int i = 1; i < keys->n; i++) {
        for (int k = i; k > 0 && strcmp(keys->v[k - 1].name, keys->v[k].name) > 0; k--)
            swap_keys(&keys->v[k - 1], &keys->v[k]);
    }
}

static void close_dir(DIR **d)
{
    if (*d)
        (void)closedir(*d);
}

static int read_all(const char *dir, struct sse_keys *keys, struct err *err)
{
    struct stat st;
    __attribute__((cleanup(close_dir))) DIR *d = opendir(dir);
    if (!d || fstat(dirfd(d), &st) < 0) {
        int eno = -errno;
        return err_set(err, eno, "cannot open '%.160s': %s", dir, err_text(eno));
    }
    int rc = check_dir(dir, &st, err);
    const struct dirent *e;
    while (rc == 0 && (errno = 0, e = readdir(d))) {
        if (e->d_name[0] == '.')
            continue;
        if (keys->n == SSE_KEYS_MAX)
            return err_set(err, -E2BIG, "'%.160s' holds more than %d keys", dir, SSE_KEYS_MAX);
        rc = read_key(dir, e->d_name, &keys->v[keys->n], err);
        keys->n += rc == 0;
    }
    if (rc == 0 && errno)
        rc = err_set(err, -errno, "cannot read '%.160s': %s", dir, err_text(errno));
    if (rc == 0 && keys->n == 0)
        rc = err_set(err, -ENOENT, "'%.160s' holds no key", dir);
    return rc;
}

int sse_keys_load(const char *dir, struct sse_keys **ret, struct err *err)
{
    struct sse_keys *keys = keys_alloc();
    if (!keys)
        return err_set(err, -ENOMEM, "out of memory");
    int rc = read_all(dir, keys, err);
    if (rc < 0) {
        sse_keys_free(keys);
        return rc;
    }
    sort_keys(keys);
    *ret = keys;
    return 0;
}

int sse_keys_count(const struct sse_keys *keys)
{
    return keys ? keys->n : 0;
}

int sse_keys_by_name(const struct sse_keys *keys, const char *name)
{
    for (int i = 0; i < sse_keys_count(keys); i++) {
        if (strcmp(keys->v[i].name, name) == 0)
            return i;
    }
    return -1;
}

int sse_keys_by_md5(const struct sse_keys *keys, const char *md5)
{
    for (int i = 0; i < sse_keys_count(keys); i++) {
        if (strcmp(keys->v[i].md5, md5) == 0)
            return i;
    }
    return -1;
}

const char *sse_keys_name(const struct sse_keys *keys, int i)
{
    return keys->v[i].name;
}

const char *sse_keys_md5(const struct sse_keys *keys, int i)
{
    return keys->v[i].md5;
}

void sse_keys_secret(const struct sse_keys *keys, int i, char out[SSE_KEY_TEXT])
{
    out[0] = 0;
    (void)base64_encode(keys->v[i].secret, SSE_KEY_SIZE, out, SSE_KEY_TEXT);
}
