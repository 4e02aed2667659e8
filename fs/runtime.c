// SPDX-License-Identifier: Apache-2.0
// The kernel's mounts and the files that name their processes; see runtime.h.
#include "fs/runtime.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "net/base/cleanup.h"
#include "net/base/file.h"

/* A host with ten thousands of containers has long lists. */
enum { MOUNTINFO_MAX = 64 << 20, WORD_KEPT_S = 24 * 3600, LOCK_TRIES = 500 };

static int read_file(const char *path, struct buf *out)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    int rc = file_read_buf(fd, out);
    return rc > 0 ? -EMSGSIZE : rc;
}

void mount_entry_done(struct mount_entry *entry)
{
    free(entry->mountpoint);
    free(entry->type);
    free(entry->source);
    *entry = (struct mount_entry){0};
}

bool mount_entry_is_ours(const struct mount_entry *entry)
{
    return strcmp(entry->type, "fuse.obsmount") == 0;
}

/* The kernel writes blanks, newlines and backslashes as three octal digits. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *p = text; *p; p++) {
        if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' &&
            p[3] >= '0' && p[3] <= '7') {
            *to++ = (char)((p[1] - '0') * 64 + (p[2] - '0') * 8 + (p[3] - '0'));
            p += 3;
        } else {
            *to++ = *p;
        }
    }
    *to = '\0';
}

/* "ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS [TAG..] - TYPE SOURCE SUPER" (proc(5)); the
 * entry's strings point into `line`, which is changed. */
static int parse_line(char *line, struct mount_entry *ret)
{
    char *fields[6];
    char *rest = line;
    for (size_t i = 0; i < 6; i++) {
        fields[i] = strsep(&rest, " ");
        if (!fields[i])
            return -EINVAL;
    }
    char *word = NULL;
    do {
        word = strsep(&rest, " ");
    } while (word && strcmp(word, "-") != 0);
    char *type = strsep(&rest, " ");
    char *source = strsep(&rest, " ");
    if (!type || !source || sscanf(fields[2], "%u:%u", &ret->major, &ret->minor) != 2)
        return -EINVAL;

    const char *user = rest ? strstr(rest, "user_id=") : NULL;
    ret->user_id = user ? (uint32_t)strtoul(user + 8, NULL, 10) : 0;
    ret->mountpoint = fields[4];
    ret->type = type;
    ret->source = source;
    unescape(ret->mountpoint);
    unescape(ret->source);
    return 0;
}

static int copy_entry(const struct mount_entry *from, struct mount_entry *to)
{
    mount_entry_done(to);
    *to = *from;
    to->mountpoint = strdup(from->mountpoint);
    to->type = strdup(from->type);
    to->source = strdup(from->source);
    if (to->mountpoint && to->type && to->source)
        return 0;
    mount_entry_done(to);
    return -ENOMEM;
}

int mounts_find_in(const char *text, const char *where, bool by_source, struct mount_entry *ret)
{
    struct mount_entry found = {0};
    bool by_path = false;
    while (*text) {
        size_t n = strcspn(text, "\n");
        CLEANUP_FREE char *line = strndup(text, n);
        struct mount_entry entry = {0};
        if (!line) {
            mount_entry_done(&found);
            return -ENOMEM;
        }
        text += n + (text[n] == '\n');
        if (parse_line(line, &entry) < 0)
            continue;
        bool here = strcmp(entry.mountpoint, where) == 0;
        if (!here && (by_path || !by_source || strcmp(entry.source, where) != 0))
            continue;
        by_path = here;
        int rc = copy_entry(&entry, &found);
        if (rc < 0)
            return rc;
    }
    if (!found.type)
        return -ENOENT;
    *ret = found;
    return 0;
}

int mounts_find(const char *where, bool by_source, struct mount_entry *ret)
{
    CLEANUP_BUF struct buf text = BUF_INIT(MOUNTINFO_MAX);
    int rc = read_file("/proc/self/mountinfo", &text);
    return rc < 0 ? rc : mounts_find_in(buf_str(&text), where, by_source, ret);
}

/* "BUCKET" or "BUCKET:PREFIX" */
static bool is_of_bucket(const struct mount_entry *entry, const char *bucket)
{
    size_t n = strlen(bucket);
    return mount_entry_is_ours(entry) && strncmp(entry->source, bucket, n) == 0 &&
           (entry->source[n] == '\0' || entry->source[n] == ':');
}

/* A mount that is shown at several places, or under another one, is one mount. */
static bool is_reachable(const char *text, const struct mount_entry *entry)
{
    struct mount_entry top = {0};
    bool same = mounts_find_in(text, entry->mountpoint, false, &top) == 0 &&
                top.major == entry->major && top.minor == entry->minor;
    mount_entry_done(&top);
    return same;
}

int mounts_of_bucket_in(const char *text, const char *bucket, struct mount_entry *ret,
                        struct buf *names)
{
    int found = 0, rc = 0;
    for (const char *p = text; *p && rc >= 0;) {
        size_t n = strcspn(p, "\n");
        CLEANUP_FREE char *line = strndup(p, n);
        struct mount_entry entry = {0};
        p += n + (p[n] == '\n');
        if (!line)
            return -ENOMEM;
        if (parse_line(line, &entry) < 0 || !is_of_bucket(&entry, bucket) ||
            !is_reachable(text, &entry) ||
            (found && entry.major == ret->major && entry.minor == ret->minor))
            continue;
        rc = buf_addf(names, "%s'%s'", found ? ", " : "", entry.mountpoint);
        if (rc == 0 && found++ == 0)
            rc = copy_entry(&entry, ret);
    }
    if (rc < 0)
        mount_entry_done(ret);
    return rc < 0 ? rc : found;
}

int mounts_of_bucket(const char *bucket, struct mount_entry *ret, struct buf *names)
{
    CLEANUP_BUF struct buf text = BUF_INIT(MOUNTINFO_MAX);
    int rc = read_file("/proc/self/mountinfo", &text);
    return rc < 0 ? rc : mounts_of_bucket_in(buf_str(&text), bucket, ret, names);
}

/* What stands at `path` in the list of mounts, if it is ours; asks the list only, since a mount
 * whose driver hangs would hang us as well. */
static int refuse_mounted(const char *path, struct err *err)
{
    struct mount_entry entry = {0};
    if (mounts_find(path, false, &entry) < 0)
        return 0;

    int rc = 0;
    pid_t pid;
    if (mount_entry_is_ours(&entry) && runtime_driver(&entry, &pid) == -ESRCH)
        rc = err_set(err, -ENOTCONN,
                     "'%s' still carries the mount of a driver that has died: run 'umount -l %s' "
                     "first",
                     path, path);
    else if (mount_entry_is_ours(&entry))
        rc = err_set(err, -EBUSY, "'%s' is mounted at '%s' already", entry.source, path);
    mount_entry_done(&entry);
    return rc;
}

int mountpoint_check(char **path, struct err *err)
{
    if (strncmp(*path, "/dev/fd/", 8) == 0)
        return 0;

    int rc = refuse_mounted(*path, err);
    if (rc < 0)
        return rc;
    CLEANUP_FREE char *real = realpath(*path, NULL);
    if (!real && errno == ENOENT)
        return err_set(err, -ENOENT, "mount point '%s' does not exist", *path);
    if (!real && errno == ENOTCONN)
        return err_set(err, -ENOTCONN,
                       "'%s' still carries the mount of a driver that has died: run 'umount -l %s' "
                       "first",
                       *path, *path);
    if (!real)
        return err_set(err, -errno, "mount point '%s': %s", *path, err_text(errno));

    rc = strcmp(real, *path) == 0 ? 0 : refuse_mounted(real, err);
    if (rc < 0)
        return rc;
    struct stat st;
    if (stat(real, &st) < 0)
        return err_set(err, -errno, "mount point '%s': %s", real, err_text(errno));
    if (!S_ISDIR(st.st_mode))
        return err_set(err, -ENOTDIR, "mount point '%s' is not a directory", real);
    free(*path);
    *path = steal_ptr(&real);
    return 0;
}

uint64_t process_start(pid_t pid)
{
    char path[40];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    CLEANUP_BUF struct buf text = BUF_INIT(8192);
    if (read_file(path, &text) < 0)
        return 0;
    /* the name in field 2 may hold blanks and brackets: count from its end */
    const char *p = strrchr(buf_str(&text), ')');
    if (p && (p[1] == '\0' || p[2] == 'Z' || p[2] == 'X'))
        return 0; /* it has ended; nobody has collected it yet */
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    return p ? strtoull(p + 1, NULL, 10) : 0;
}

static int runtime_dir(uint32_t uid, char *out, size_t n)
{
    const char *xdg = getenv("XDG_RUNTIME_DIR");
    int len;
    if (uid == 0)
        len = snprintf(out, n, "/run/obsmount");
    else if (uid == geteuid() && xdg && xdg[0] == '/')
        len = snprintf(out, n, "%s/obsmount", xdg);
    else
        len = snprintf(out, n, "/run/user/%u/obsmount", uid);
    return len > 0 && (size_t)len < n ? 0 : -ENAMETOOLONG;
}

static int entry_path(const struct mount_entry *entry, uint32_t uid, char *out, size_t n)
{
    int rc = runtime_dir(uid, out, n);
    if (rc < 0)
        return rc;
    size_t used = strlen(out);
    int len = snprintf(out + used, n - used, "/%u:%u", entry->major, entry->minor);
    return len > 0 && (size_t)len < n - used ? 0 : -ENAMETOOLONG;
}

/* Replaces the file as a whole. */
static int write_text(const char *path, const char *text)
{
    char tmp[PATH_MAX];
    if (snprintf(tmp, sizeof(tmp), "%s.new", path) >= (int)sizeof(tmp))
        return -ENAMETOOLONG;
    (void)unlink(tmp);
    CLEANUP_CLOSE int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    if (dprintf(fd, "%s", text) < 0 || rename(tmp, path) < 0) {
        int saved = errno;
        (void)unlink(tmp);
        return -saved;
    }
    return 0;
}

static int write_entry(const char *path, const char *mountpoint, const char *control_dir)
{
    CLEANUP_BUF struct buf text = BUF_INIT(2 * PATH_MAX);
    int rc = buf_addf(&text, "%d %" PRIu64 "\n%s\n%s\n", (int)getpid(), process_start(getpid()),
                      mountpoint, control_dir);
    return rc < 0 ? rc : write_text(path, buf_str(&text));
}

/* Held while a file is written, or looked at and removed: its number may be another driver's by then. The
 * descriptor to close, or -errno; best effort, at most about half a second. */
static int lock_files(const char *path)
{
    char lock[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int len = snprintf(lock, sizeof(lock), "%.*s/lock", (int)(slash - path), path);
    if (len < 0 || (size_t)len >= sizeof(lock))
        return -ENAMETOOLONG;
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    const struct timespec pause = {.tv_nsec = 1000000};
    for (int i = 0; i < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB) < 0; i++)
        (void)nanosleep(&pause, NULL); /* who is stopped meanwhile must not hold others up */
    return fd;
}

/* Last words of drivers that nobody has read for a day. */
static void remove_old_words(const char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        int pid, end = 0;
        struct stat st;
        if (sscanf(e->d_name, "%d.left%n", &pid, &end) == 1 && end > 0 && !e->d_name[end] &&
            process_start(pid) == 0 &&
            fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            st.st_mtim.tv_sec < time(NULL) - WORD_KEPT_S)
            (void)unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d)
        (void)closedir(d);
}

int runtime_write(const char *mountpoint, const char *control_dir, char **ret_path)
{
    struct mount_entry entry = {0};
    char path[PATH_MAX];
    int rc = mounts_find(mountpoint, false, &entry);
    if (rc < 0)
        return rc;

    rc = runtime_dir(geteuid(), path, sizeof(path));
    if (rc == 0 && mkdir(path, 0755) < 0 && errno != EEXIST)
        rc = -errno;
    if (rc == 0)
        remove_old_words(path);
    if (rc == 0)
        rc = entry_path(&entry, geteuid(), path, sizeof(path));
    CLEANUP_CLOSE int lock = rc == 0 ? lock_files(path) : -1;
    if (rc == 0)
        rc = write_entry(path, mountpoint, control_dir);
    mount_entry_done(&entry);
    if (rc < 0)
        return rc;
    *ret_path = strdup(path);
    return *ret_path ? 0 : -ENOMEM;
}

void runtime_remove(const char *path)
{
    CLEANUP_BUF struct buf text = BUF_INIT(PATH_MAX + 64);
    CLEANUP_CLOSE int lock = path ? lock_files(path) : -1;
    int pid;
    if (path && read_file(path, &text) == 0 && sscanf(buf_str(&text), "%d", &pid) == 1 &&
        pid == (int)getpid())
        (void)unlink(path);
}

/* Reads a file of the user who mounted. */
static int read_trusted(const char *path, uint32_t uid, struct buf *text)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return -errno;
    if (st.st_uid != uid || !S_ISREG(st.st_mode))
        return -EPERM;
    return read_file(path, text);
}

static int read_entry(const struct mount_entry *entry, struct buf *text)
{
    char path[PATH_MAX];
    int rc = entry_path(entry, entry->user_id, path, sizeof(path));
    return rc < 0 ? rc : read_trusted(path, entry->user_id, text);
}

int runtime_driver(const struct mount_entry *entry, pid_t *ret_pid)
{
    CLEANUP_BUF struct buf text = BUF_INIT(2 * PATH_MAX);
    int rc = read_entry(entry, &text);
    if (rc < 0)
        return rc;

    int pid;
    uint64_t start;
    if (sscanf(buf_str(&text), "%d %" SCNu64, &pid, &start) != 2 || pid <= 1)
        return -EINVAL;
    if (start == 0 || process_start(pid) != start)
        return -ESRCH;
    *ret_pid = pid;
    return 0;
}

int runtime_control_dir(const struct mount_entry *entry, struct buf *out)
{
    CLEANUP_BUF struct buf text = BUF_INIT(2 * PATH_MAX);
    int rc = read_entry(entry, &text);
    if (rc < 0)
        return rc;
    const char *line = buf_str(&text);
    for (int i = 0; i < 2 && line; i++) {
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    size_t n = line ? strcspn(line, "\n") : 0;
    if (n == 0 || n > NAME_MAX || memchr(line, '/', n))
        return -EINVAL;
    return buf_add(out, line, n);
}

static int left_path(const char *dir, size_t n, pid_t pid, char *out, size_t size)
{
    int len = snprintf(out, size, "%.*s/%d.left", (int)n, dir, (int)pid);
    return len > 0 && (size_t)len < size ? 0 : -ENAMETOOLONG;
}

void runtime_left_write(const char *path, const char *text)
{
    char left[PATH_MAX];
    const char *slash = path ? strrchr(path, '/') : NULL;
    if (!slash || left_path(path, (size_t)(slash - path), getpid(), left, sizeof(left)) < 0)
        return;
    if (text)
        (void)write_text(left, text);
    else
        (void)unlink(left);
}

static int entry_left_path(const struct mount_entry *entry, pid_t pid, char *out, size_t size)
{
    char dir[PATH_MAX];
    int rc = runtime_dir(entry->user_id, dir, sizeof(dir));
    return rc < 0 ? rc : left_path(dir, strlen(dir), pid, out, size);
}

void runtime_left_read(const struct mount_entry *entry, pid_t pid, struct buf *out)
{
    char left[PATH_MAX];
    if (entry_left_path(entry, pid, left, sizeof(left)) == 0)
        (void)read_trusted(left, entry->user_id, out);
}

void runtime_left_remove(const struct mount_entry *entry, pid_t pid)
{
    char left[PATH_MAX];
    if (entry_left_path(entry, pid, left, sizeof(left)) == 0)
        (void)unlink(left);
}
