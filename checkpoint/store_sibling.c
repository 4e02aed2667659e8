// SPDX-License-Identifier: Apache-2.0
// Other state directories of the same bucket, and taking one over; see store.h.
#include "checkpoint/store_impl.h"

#include "checkpoint/record.h"
#include "net/base/cleanup.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_id(const char *name)
{
    size_t n = strspn(name, "0123456789abcdef");
    return n == STORE_MOUNT_ID_LEN && name[n] == 0;
}

static int open_sibling(const struct store *st, const char *id)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "../%s", id);
    if (n < 0 || n >= (int)sizeof(path))
        return -ENAMETOOLONG;
    CLEANUP_CLOSE int fd =
        openat(st->dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct stat sb;
    if (fstat(fd, &sb) < 0)
        return -errno;
    if (sb.st_uid != geteuid())
        return -EPERM;
    return steal_fd(&fd);
}

// The value of a line "name=value" of the file `mount`; false if it is missing or too long.
static bool value_of(const char *text, const char *name, char *out, size_t size)
{
    size_t n = strlen(name);
    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n");
        if (len > n && strncmp(line, name, n) == 0 && line[n] == '=') {
            size_t value = len - n - 1;
            if (value >= size)
                return false;
            memcpy(out, line + n + 1, value);
            out[value] = 0;
            return true;
        }
        line += len + (line[len] == '\n');
    }
    return false;
}

static bool read_mount_file(int dir_fd, struct store_sibling *s)
{
    char text[STORE_TEXT_MAX];
    if (store_read_text(dir_fd, "mount", text, sizeof(text)) <= 0)
        return false;
    return value_of(text, "endpoint", s->endpoint, sizeof(s->endpoint)) &&
           value_of(text, "bucket", s->bucket, sizeof(s->bucket)) &&
           value_of(text, "prefix", s->prefix, sizeof(s->prefix));
}

static void count_work(int dir_fd, struct store_sibling *s)
{
    CLEANUP_FREE struct store_entry *v = NULL;
    size_t n = 0;
    if (store_list_fd(dir_fd, &v, &n) < 0)
        return;
    for (size_t i = 0; i < n; i++) {
        s->n_unfinished += v[i].has_journal;
        s->data_bytes += v[i].data_bytes;
    }
}

// More than a header: whether a record of it still matters, its owner finds out.
static bool has_ledger(int dir_fd, const char *name)
{
    struct stat sb;
    return fstatat(dir_fd, name, &sb, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(sb.st_mode) &&
           sb.st_size > RECORD_HEADER_SIZE;
}

// False: not a state directory of this bucket, or nothing is left in it.
static bool look_at(const struct store *st, const char *id, struct store_sibling *s)
{
    *s = (struct store_sibling){0};
    CLEANUP_CLOSE int dir_fd = open_sibling(st, id);
    if (dir_fd < 0 || !read_mount_file(dir_fd, s) || strcmp(s->bucket, st->bucket) != 0)
        return false;
    memcpy(s->id, id, STORE_MOUNT_ID_LEN + 1);
    count_work(dir_fd, s);
    s->ledgers = has_ledger(dir_fd, "changes") || has_ledger(dir_fd, "moves");
    if (s->n_unfinished == 0 && !s->ledgers)
        return false;
    s->locked_by = store_is_locked(dir_fd) ? store_locked_by(dir_fd) : 0;
    return true;
}

int store_siblings(const struct store *st, struct store_sibling **ret, size_t *ret_n)
{
    CLEANUP_FREE struct store_sibling *v = NULL;
    size_t n = 0;
    int fd = openat(st->dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        int rc = -errno;
        if (fd >= 0)
            close(fd);
        return rc;
    }
    struct dirent *de;
    int rc = 0;
    while (rc == 0 && (de = readdir(d))) {
        struct store_sibling one;
        if (!is_id(de->d_name) || strcmp(de->d_name, st->id) == 0 || !look_at(st, de->d_name, &one))
            continue;
        struct store_sibling *more = realloc(v, (n + 1) * sizeof(*v));
        if (!more)
            rc = -ENOMEM;
        else
            (v = more)[n++] = one;
    }
    closedir(d);
    if (rc < 0)
        return rc;
    *ret = steal_ptr(&v);
    *ret_n = n;
    return 0;
}

// A file of ours with that inode: an adoption was cut short after linking it.
static bool have_inode(const struct store *st, const struct stat *want)
{
    CLEANUP_FREE struct store_entry *v = NULL;
    size_t n = 0;
    if (store_list_fd(st->dir_fd, &v, &n) < 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        char name[64];
        struct stat sb;
        (void)snprintf(name, sizeof(name), "%llu.journal", (unsigned long long)v[i].id);
        if (fstatat(st->dir_fd, name, &sb, AT_SYMLINK_NOFOLLOW) == 0 && sb.st_ino == want->st_ino &&
            sb.st_dev == want->st_dev)
            return true;
    }
    return false;
}

static int link_over(int from_fd, uint64_t from, int to_fd, uint64_t to, const char *suffix)
{
    char a[64];
    char b[64];
    (void)snprintf(a, sizeof(a), "%llu%s", (unsigned long long)from, suffix);
    (void)snprintf(b, sizeof(b), "%llu%s", (unsigned long long)to, suffix);
    return linkat(from_fd, a, to_fd, b, 0) < 0 ? -errno : 0;
}

static void forget(int dir_fd, uint64_t id)
{
    // The journal last: while it is left, an adoption that is repeated finds it by its inode.
    char name[64];
    (void)snprintf(name, sizeof(name), "%llu.data", (unsigned long long)id);
    (void)unlinkat(dir_fd, name, 0);
    (void)snprintf(name, sizeof(name), "%llu.journal", (unsigned long long)id);
    (void)unlinkat(dir_fd, name, 0);
}

/* Both files get a second name here, data first; only when these names are durable the old ones go,
 * journal last. Cut short in between, the repetition sees by the inode what was done. */
static int adopt_one(struct store *st, int from_fd, const struct store_entry *one)
{
    char name[64];
    struct stat sb;
    (void)snprintf(name, sizeof(name), "%llu.journal", (unsigned long long)one->id);
    if (fstatat(from_fd, name, &sb, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (!have_inode(st, &sb)) {
        uint64_t id;
        int rc = store_new_id(st, &id);
        if (rc == 0 && one->has_data)
            rc = link_over(from_fd, one->id, st->dir_fd, id, ".data");
        if (rc == 0)
            rc = link_over(from_fd, one->id, st->dir_fd, id, ".journal");
        if (rc == 0 && fsync(st->dir_fd) < 0)
            rc = -errno;
        if (rc < 0)
            return rc;
    }
    forget(from_fd, one->id);
    return 0;
}

/* The ledger gets another name and place in one step. */
static int adopt_ledger(struct store *st, int from_fd, const char *name, uint32_t *n)
{
    char to[64];
    uint64_t id;
    if (!has_ledger(from_fd, name))
        return 0;
    do { /* after a power cut a number may be given out again */
        int rc = store_new_id(st, &id);
        if (rc < 0)
            return rc;
        (void)snprintf(to, sizeof(to), "%s.%llu", name, (unsigned long long)id);
    } while (faccessat(st->dir_fd, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
    if (renameat(from_fd, name, st->dir_fd, to) < 0 || fsync(st->dir_fd) < 0 || fsync(from_fd) < 0)
        return -errno;
    ++*n;
    return 0;
}

static int adopt_ledgers(struct store *st, int from_fd, struct store_adopted *ret)
{
    if (strncmp(ret->prefix, st->prefix, strlen(st->prefix)) != 0) {
        ret->ledgers_stay = has_ledger(from_fd, "changes") || has_ledger(from_fd, "moves");
        return 0;
    }
    int rc = adopt_ledger(st, from_fd, "changes", &ret->n_ledgers);
    return rc < 0 ? rc : adopt_ledger(st, from_fd, "moves", &ret->n_ledgers);
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The N of "NAME.N". */
static bool parse_taken(const char *file, const char *name, uint64_t *ret)
{
    size_t n = strlen(name);
    if (strncmp(file, name, n) != 0 || file[n] != '.' || !isdigit((unsigned char)file[n + 1]))
        return false;
    char *end;
    errno = 0;
    *ret = strtoull(file + n + 1, &end, 10);
    return *end == 0 && errno == 0;
}

int store_taken(const struct store *st, const char *name, uint64_t **ret, size_t *ret_n)
{
    CLEANUP_FREE uint64_t *v = NULL;
    size_t n = 0;
    int rc = 0, fd = openat(st->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        rc = -errno;
        if (fd >= 0)
            close(fd);
        return rc;
    }
    struct dirent *de;
    while (rc == 0 && (de = readdir(d))) {
        uint64_t id;
        if (!parse_taken(de->d_name, name, &id))
            continue;
        uint64_t *more = realloc(v, (n + 1) * sizeof(*v));
        if (!more)
            rc = -ENOMEM;
        else
            (v = more)[n++] = id;
    }
    closedir(d);
    if (rc < 0)
        return rc;
    if (n)
        qsort(v, n, sizeof(*v), by_number);
    *ret = steal_ptr(&v);
    *ret_n = n;
    return 0;
}

int store_adopt(struct store *st, const char *id, struct store_adopted *ret, struct err *e)
{
    struct store_sibling s = {0};
    if (!is_id(id) || strcmp(id, st->id) == 0)
        return err_set(e, -EINVAL, "'%.64s' is not the id of another state directory", id);
    CLEANUP_CLOSE int from_fd = open_sibling(st, id);
    if (from_fd < 0)
        return err_set(e, from_fd, "cannot open the state directory '%s': %s", id,
                       err_text(from_fd));
    if (!read_mount_file(from_fd, &s) || strcmp(s.bucket, st->bucket) != 0)
        return err_set(e, -EINVAL, "the state directory '%s' is of another bucket", id);
    CLEANUP_CLOSE int lock_fd = -1;
    int rc = store_try_lock(from_fd, &lock_fd);
    if (rc < 0)
        return err_set(e, rc, "the state directory '%s' is in use by process %d", id,
                       store_locked_by(from_fd));

    CLEANUP_FREE struct store_entry *v = NULL;
    size_t n = 0;
    rc = store_list_fd(from_fd, &v, &n);
    *ret = (struct store_adopted){0};
    memcpy(ret->prefix, s.prefix, sizeof(ret->prefix));
    if (rc == 0)
        rc = adopt_ledgers(st, from_fd, ret);
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (!v[i].has_journal)
            continue;
        rc = adopt_one(st, from_fd, &v[i]);
        ret->n_uploads += rc == 0;
    }
    if (rc < 0)
        return err_set(e, rc, "cannot take over the state directory '%s': %s", id, err_text(rc));
    return 0;
}
