// SPDX-License-Identifier: Apache-2.0
// Opening, locking and naming in a state directory; see store.h. Listing is in store_list.c,
// siblings in store_sibling.c.
#include "checkpoint/store.h"

#include "checkpoint/store_impl.h"
#include "net/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { ID_BLOCK = 256 }; // ids that are reserved at once

static int print_path(char out[PATH_MAX], const char *a, const char *b)
{
    int n = snprintf(out, PATH_MAX, "%s/%s", a, b);
    return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int store_child(const char *dir, const char *name, char out[PATH_MAX])
{
    return print_path(out, dir, name);
}

static int home_root(char out[PATH_MAX])
{
    const char *state = getenv("XDG_STATE_HOME");
    if (state && *state == '/') // a relative one is to be ignored
        return print_path(out, state, "obsmount");
    const char *home = getenv("HOME");
    if (home && *home == '/')
        return print_path(out, home, ".local/state/obsmount");

    char text[4096];
    struct passwd pw;
    struct passwd *found = NULL;
    if (getpwuid_r(geteuid(), &pw, text, sizeof(text), &found) != 0 || !found ||
        *found->pw_dir != '/')
        return -ENOENT;
    return print_path(out, found->pw_dir, ".local/state/obsmount");
}

int store_root(const char *state_dir, char out[PATH_MAX], struct err *e)
{
    int rc;
    if (state_dir && *state_dir)
        rc = snprintf(out, PATH_MAX, "%s", state_dir) >= PATH_MAX ? -ENAMETOOLONG : 0;
    else if (geteuid() == 0)
        rc = snprintf(out, PATH_MAX, "/var/lib/obsmount") < 0 ? -EIO : 0;
    else
        rc = home_root(out);
    if (rc < 0)
        return err_set(e, rc, "no place for the state directory is known: give state_dir");
    if (*out != '/')
        return err_set(e, -EINVAL, "state_dir '%s' is not an absolute path", out);
    return 0;
}

// FNV-1a, 64 bits, over the text and its final 0.
static uint64_t digest(uint64_t h, const char *text)
{
    for (const char *p = text;; p++) {
        h = (h ^ (uint8_t)*p) * 0x100000001b3u;
        if (!*p)
            return h;
    }
}

void store_mount_id(const char *endpoint, const char *bucket, const char *prefix,
                    char out[STORE_MOUNT_ID_LEN + 1])
{
    uint64_t a = 0xcbf29ce484222325u;
    uint64_t b = 0x6c62272e07bb0142u; // another start: the two are independent enough for a name
    const char *const texts[] = {endpoint, bucket, prefix};
    for (size_t i = 0; i < 3; i++) {
        a = digest(a, texts[i]);
        b = digest(b, texts[i]);
    }
    (void)snprintf(out, STORE_MOUNT_ID_LEN + 1, "%016llx%016llx", (unsigned long long)a,
                   (unsigned long long)b);
}

// Makes `path` and what leads to it, as far as it is not there.
static int make_dirs(const char *path)
{
    char part[PATH_MAX];
    if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part))
        return -ENAMETOOLONG;
    for (char *p = part + 1;; p++) {
        if (*p != '/' && *p != 0)
            continue;
        char cut = *p;
        *p = 0;
        if (mkdir(part, 0700) < 0 && errno != EEXIST)
            return -errno;
        *p = cut;
        if (!cut)
            return 0;
    }
}

// The directory is ours and nobody else's.
static int check_dir(int fd, const char *path, struct err *e)
{
    struct stat sb;
    if (fstat(fd, &sb) < 0)
        return err_set(e, -errno, "cannot stat '%s': %s", path, err_text(errno));
    if (sb.st_uid != geteuid())
        return err_set(e, -EPERM, "state directory '%s' belongs to uid %u", path,
                       (unsigned)sb.st_uid);
    if ((sb.st_mode & 0777) != 0700 && fchmod(fd, 0700) < 0)
        return err_set(e, -errno, "cannot make '%s' private: %s", path, err_text(errno));
    return 0;
}

static int open_dir(struct store *st, struct err *e)
{
    int rc = make_dirs(st->path);
    if (rc < 0)
        return err_set(e, rc, "cannot create '%s': %s", st->path, err_text(rc));
    st->dir_fd = open(st->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (st->dir_fd < 0)
        return err_set(e, -errno, "cannot open '%s': %s", st->path, err_text(errno));
    return check_dir(st->dir_fd, st->path, e);
}

int store_read_text(int dir_fd, const char *name, char *out, size_t size)
{
    CLEANUP_CLOSE int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, out, size - 1);
    if (n < 0)
        return -errno;
    out[n] = 0;
    return (int)n;
}

int store_locked_by(int dir_fd)
{
    char text[32];
    if (store_read_text(dir_fd, "lock", text, sizeof(text)) <= 0)
        return -1;
    char *end;
    long pid = strtol(text, &end, 10);
    return end != text && pid > 0 && pid <= INT32_MAX ? (int)pid : -1;
}

int store_try_lock(int dir_fd, int *ret_fd)
{
    CLEANUP_CLOSE int fd = openat(dir_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    struct flock lk = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &lk) < 0)
        return errno == EACCES || errno == EAGAIN ? -EBUSY : -errno;
    *ret_fd = steal_fd(&fd);
    return 0;
}

bool store_is_locked(int dir_fd)
{
    CLEANUP_CLOSE int fd = openat(dir_fd, "lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    struct flock lk = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fd >= 0 && fcntl(fd, F_OFD_GETLK, &lk) == 0 && lk.l_type != F_UNLCK;
}

int store_lock_pid(struct store *st)
{
    if (st->lock_fd < 0)
        return 0;
    char text[32];
    int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(st->lock_fd, 0) < 0)
        return -errno;
    return pwrite(st->lock_fd, text, (size_t)n, 0) == n ? 0 : -EIO;
}

static int take_lock(struct store *st, struct err *e)
{
    int rc = store_try_lock(st->dir_fd, &st->lock_fd);
    if (rc == -EBUSY) {
        int pid = store_locked_by(st->dir_fd);
        if (pid > 0)
            return err_set(e, rc, "this bucket is mounted already by process %d (state in '%s')",
                           pid, st->path);
        return err_set(e, rc, "this bucket is mounted already (state in '%s')", st->path);
    }
    if (rc == 0)
        rc = store_lock_pid(st);
    if (rc < 0)
        return err_set(e, rc, "cannot lock '%s': %s", st->path, err_text(rc));
    return 0;
}

/* The file `mount` says in clear what the id is a digest of. It also finds out the one case that a
 * digest cannot: two mounts with the same one. */
static int check_mount_file(struct store *st, const struct store_params *p, struct err *e)
{
    char want[STORE_TEXT_MAX];
    char have[STORE_TEXT_MAX];
    int n = snprintf(want, sizeof(want), "endpoint=%s\nbucket=%s\nprefix=%s\n", p->endpoint,
                     p->bucket, p->prefix);
    if (n < 0 || n >= (int)sizeof(want))
        return err_set(e, -ENAMETOOLONG, "endpoint, bucket and prefix are too long");
    int rc = store_read_text(st->dir_fd, "mount", have, sizeof(have));
    if (rc > 0 && strcmp(want, have) != 0)
        return err_set(e, -EEXIST, "'%s' belongs to another mount", st->path);
    if (rc > 0 || p->read_only)
        return 0;

    char path[PATH_MAX];
    rc = store_child(st->path, "mount", path);
    if (rc == 0)
        rc = io_replace(&io_real, path, st->path, want, (size_t)n);
    if (rc < 0)
        return err_set(e, rc, "cannot write '%s': %s", path, err_text(rc));
    return 0;
}

static uint64_t read_next_id(const struct store *st)
{
    char text[32];
    if (store_read_text(st->dir_fd, "next_id", text, sizeof(text)) <= 0)
        return 1;
    unsigned long long v = strtoull(text, NULL, 10);
    return v > 0 && v < UINT64_MAX / 2 ? v : 1;
}

static int init_ids(struct store *st, struct err *e)
{
    CLEANUP_FREE struct store_entry *v = NULL;
    size_t n;
    int rc = store_list(st, &v, &n, e);
    if (rc < 0)
        return rc;
    st->next_id = read_next_id(st);
    if (n > 0 && v[n - 1].id >= st->next_id)
        st->next_id = v[n - 1].id + 1;
    st->reserved_id = st->next_id;
    return 0;
}

int store_new_id(struct store *st, uint64_t *ret_id)
{
    int rc = 0;
    lock_take(&st->lock);
    if (st->next_id >= st->reserved_id) {
        char path[PATH_MAX];
        char text[32];
        uint64_t upto = st->next_id + ID_BLOCK;
        int n = snprintf(text, sizeof(text), "%llu\n", (unsigned long long)upto);
        rc = store_child(st->path, "next_id", path);
        // A power cut may take this file back: then the files that are there tell.
        if (rc == 0)
            rc = io_replace(&io_real, path, NULL, text, (size_t)n);
        if (rc == 0)
            st->reserved_id = upto;
    }
    if (rc == 0)
        *ret_id = st->next_id++;
    lock_drop(&st->lock);
    return rc;
}

static int open_all(struct store *st, const struct store_params *p, struct err *e)
{
    char root[PATH_MAX];
    int rc = store_root(p->state_dir, root, e);
    if (rc < 0)
        return rc;
    store_mount_id(p->endpoint, p->bucket, p->prefix, st->id);
    rc = store_child(root, st->id, st->path);
    if (rc < 0)
        return err_set(e, rc, "the path '%s' is too long", root);
    if (snprintf(st->bucket, sizeof(st->bucket), "%s", p->bucket) >= (int)sizeof(st->bucket))
        return err_set(e, -ENAMETOOLONG, "the bucket's name is too long");
    if (snprintf(st->prefix, sizeof(st->prefix), "%s", p->prefix) >= (int)sizeof(st->prefix))
        return err_set(e, -ENAMETOOLONG, "the prefix is too long");

    rc = open_dir(st, e);
    if (rc == 0 && !p->read_only)
        rc = take_lock(st, e);
    if (rc == 0)
        rc = check_mount_file(st, p, e);
    if (rc == 0 && !p->read_only)
        store_sweep(st->dir_fd);
    return rc == 0 ? init_ids(st, e) : rc;
}

int store_open(const struct store_params *params, struct store **ret, struct err *e)
{
    struct store *st = calloc(1, sizeof(*st));
    if (!st)
        return err_set(e, -ENOMEM, "store: out of memory");
    lock_init(&st->lock);
    st->dir_fd = -1;
    st->lock_fd = -1;
    int rc = open_all(st, params, e);
    if (rc < 0) {
        store_close(st);
        return rc;
    }
    *ret = st;
    return 0;
}

void store_close(struct store *st)
{
    if (!st)
        return;
    if (st->lock_fd >= 0) {
        (void)!ftruncate(st->lock_fd, 0);
        close(st->lock_fd);
    }
    if (st->dir_fd >= 0)
        close(st->dir_fd);
    lock_done(&st->lock);
    free(st);
}

const char *store_path(const struct store *st)
{
    return st->path;
}

const char *store_id(const struct store *st)
{
    return st->id;
}

void store_journal_path(const struct store *st, uint64_t id, char out[PATH_MAX])
{
    (void)snprintf(out, PATH_MAX, "%.*s/%llu.journal", PATH_MAX - 64, st->path,
                   (unsigned long long)id);
}

void store_data_path(const struct store *st, uint64_t id, char out[PATH_MAX])
{
    (void)snprintf(out, PATH_MAX, "%.*s/%llu.data", PATH_MAX - 64, st->path,
                   (unsigned long long)id);
}

int store_data_open(const struct store *st, uint64_t id, bool create)
{
    char path[PATH_MAX];
    store_data_path(st, id, path);
    int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | (create ? O_CREAT | O_EXCL : 0);
    int fd = open(path, flags, 0600);
    return fd < 0 ? -errno : fd;
}

int store_remove(const struct store *st, uint64_t id)
{
    char path[PATH_MAX];
    store_data_path(st, id, path);
    if (unlink(path) < 0 && errno != ENOENT)
        return -errno;
    store_journal_path(st, id, path);
    if (unlink(path) < 0 && errno != ENOENT)
        return -errno;
    return 0;
}

bool store_on_tmpfs(const struct store *st)
{
    struct statfs fs;
    if (fstatfs(st->dir_fd, &fs) < 0)
        return false;
    return fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC;
}

int store_space(const struct store *st, uint64_t *ret_free, uint64_t *ret_total)
{
    struct statfs fs;
    if (fstatfs(st->dir_fd, &fs) < 0)
        return -errno;
    uint64_t unit = (uint64_t)(fs.f_frsize ? fs.f_frsize : fs.f_bsize);
    *ret_free = fs.f_bavail * unit;
    *ret_total = fs.f_blocks * unit;
    return 0;
}

uint64_t store_staging_room(uint64_t free_bytes, uint64_t total_bytes, uint64_t used,
                            uint64_t staging_max)
{
    uint64_t reserve = total_bytes / 10;
    uint64_t room = free_bytes > reserve ? free_bytes - reserve : 0;
    if (staging_max == 0)
        return room;
    uint64_t left = staging_max > used ? staging_max - used : 0;
    return left < room ? left : room;
}

int store_clock_load(const struct store *st, int64_t *ret_server_s, int64_t *ret_real_s)
{
    char text[64];
    int rc = store_read_text(st->dir_fd, "clock", text, sizeof(text));
    if (rc < 0)
        return rc;
    long long server;
    long long real;
    if (sscanf(text, "%lld %lld", &server, &real) != 2)
        return -ENOENT;
    *ret_server_s = server;
    *ret_real_s = real;
    return 0;
}

int store_clock_save(const struct store *st, int64_t server_s, int64_t real_s)
{
    char path[PATH_MAX];
    char text[64];
    int n = snprintf(text, sizeof(text), "%lld %lld\n", (long long)server_s, (long long)real_s);
    int rc = store_child(st->path, "clock", path);
    return rc < 0 ? rc : io_replace(&io_real, path, NULL, text, (size_t)n);
}

void store_boot_id(char out[64])
{
    CLEANUP_CLOSE int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, 63);
    out[n > 0 ? n : 0] = 0;
    out[strcspn(out, "\n")] = 0;
}
