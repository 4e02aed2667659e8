// SPDX-License-Identifier: Apache-2.0
// Showing and awaiting the uploads of a mount; see watch.h.
#include "fs/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "fs/control.h"
#include "fs/control_rows.h"
#include "fs/runtime.h"
#include "net/base/cleanup.h"
#include "net/base/clock.h"
#include "net/base/file.h"

enum {
    REDRAW_MS = 500,
    FIRST_WORD_MS = 500,
    NEXT_WORD_MS = 15000,
    LINES_MAX = 1000,
    PLAIN_MAX = 1 << 20,
};

/* A mount that is looked at. */
struct target {
    struct mount_entry entry;
    char dir[PATH_MAX]; /* of its control files */
};

static int find_bucket(const char *name, struct mount_entry *ret, struct err *err)
{
    CLEANUP_BUF struct buf names = BUF_INIT(400);
    int n = mounts_of_bucket(name, ret, &names);
    if (n == 1)
        return 0;
    mount_entry_done(ret);
    if (n == 0)
        return err_set(err, -ENOENT, "'%s' is neither a mount point nor a mounted bucket", name);
    if (n < 0 && n != -EMSGSIZE)
        return err_set(err, n, "the list of mounts cannot be read: %s", err_text(n));
    return err_set(err, -EEXIST, "bucket '%s' is mounted more than once, name one: %s%s", name,
                   buf_str(&names), n < 0 ? ", ..." : "");
}

/* DIR in any spelling, or the name of a bucket. */
static int find_mount(const char *name, struct mount_entry *ret, struct err *err)
{
    int rc = mounts_find(name, false, ret);
    CLEANUP_FREE char *real = rc == -ENOENT ? realpath(name, NULL) : NULL;
    if (real)
        rc = mounts_find(real, false, ret);
    if (rc == 0 && !mount_entry_is_ours(ret)) {
        rc = err_set(err, -EINVAL, "'%s' is a mount of type %s, not one of obsmount",
                     ret->mountpoint, ret->type);
        mount_entry_done(ret);
        return rc;
    }
    if (rc == -ENOENT)
        return find_bucket(name, ret, err);
    return rc < 0 ? err_set(err, rc, "the list of mounts cannot be read: %s", err_text(rc)) : 0;
}

static int find_target(const char *name, struct target *ret, struct err *err)
{
    pid_t pid;
    CLEANUP_BUF struct buf control = BUF_INIT(NAME_MAX + 1);
    int rc = find_mount(name, &ret->entry, err);
    if (rc < 0)
        return rc;
    const char *at = ret->entry.mountpoint;
    if (runtime_driver(&ret->entry, &pid) == -ESRCH)
        return err_set(err, -ENOTCONN, "the driver of '%s' has died: run 'umount -l %s'", at, at);
    /* a driver that could not write its file has the usual name */
    if (runtime_control_dir(&ret->entry, &control) < 0)
        (void)buf_adds(&control, ".obsmount");
    if (strcmp(buf_str(&control), "none") == 0)
        return err_set(err, -ENOENT, "'%s' is mounted with control_dir=none", at);
    if (snprintf(ret->dir, sizeof(ret->dir), "%s/%s", strcmp(at, "/") == 0 ? "" : at,
                 buf_str(&control)) >= (int)sizeof(ret->dir))
        return err_set(err, -ENAMETOOLONG, "'%s': the path is too long", at);
    return 0;
}

static int open_file(const struct target *target, const char *name, int flags, struct err *err)
{
    char path[PATH_MAX + 32];
    (void)snprintf(path, sizeof(path), "%s/%s", target->dir, name);
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, -errno, "'%s': %s", path, err_text(errno));
    return fd;
}

static int read_rows(const struct target *target, struct rows *ret, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT(CONTROL_SNAPSHOT_MAX);
    CLEANUP_CLOSE int fd = open_file(target, "uploads.json", O_RDONLY, err);
    if (fd < 0)
        return fd;
    int rc = file_read_buf(fd, &text);
    if (rc == 0)
        rc = rows_parse(text.p ? text.p : "", text.n, ret);
    return rc == 0 ? 0
                   : err_set(err, rc > 0 ? -EMSGSIZE : rc, "'%s/uploads.json' cannot be read",
                             target->dir);
}

struct counts {
    size_t moving; /* on its way */
    size_t stuck;  /* needs a command */
    int64_t left, rate;
};

static struct counts count(const struct rows *rows)
{
    struct counts c = {0};
    for (size_t i = 0; i < rows->n; i++) {
        const struct row *row = &rows->v[i];
        if (!row_moves(row)) {
            c.stuck++;
            continue;
        }
        c.moving++;
        if (row->rate > 0)
            c.rate += row->rate;
        if (row->total > row->here)
            c.left += row->total - row->here;
    }
    return c;
}

/* --- --uploads --- */

static void add_headline(const struct target *target, const struct rows *rows, struct buf *out)
{
    struct counts c = count(rows);
    (void)buf_addf(out, "%s: %zu upload%s", target->entry.mountpoint, rows->n,
                   rows->n == 1 ? "" : "s");
    if (c.moving) {
        (void)buf_adds(out, ", ");
        (void)rows_size(out, (uint64_t)c.left);
        (void)buf_adds(out, " to go, ");
        (void)rows_size(out, (uint64_t)c.rate);
        (void)buf_adds(out, "/s");
    }
}

/* One picture over the last one, of *lines lines. */
static int draw(const struct target *target, const struct rows *rows, unsigned *lines)
{
    struct winsize size = {0};
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
    size_t width = known && size.ws_col > 20 ? size.ws_col - 1u : 79;
    size_t room = known && size.ws_row > 3 ? size.ws_row - 3u : 20;
    CLEANUP_BUF struct buf out = BUF_INIT(PLAIN_MAX);

    if (*lines)
        (void)buf_addf(&out, "\033[%uA", *lines);
    *lines = 1;
    add_headline(target, rows, &out);
    (void)buf_adds(&out, "\033[K\n");
    for (size_t i = 0; i < rows->n && i < room && *lines < LINES_MAX; i++, ++*lines) {
        (void)row_bar(&rows->v[i], width, &out);
        (void)buf_adds(&out, "\033[K\n");
    }
    if (rows->n + 1 > *lines) {
        (void)buf_addf(&out, "... and %zu more\033[K\n", rows->n + 1 - *lines);
        ++*lines;
    }
    (void)buf_adds(&out, "\033[J");
    return fputs(buf_str(&out), stdout) < 0 || fflush(stdout) != 0 ? -EIO : 0;
}

static const struct row *find_row(const struct rows *rows, int64_t id)
{
    for (size_t i = 0; i < rows->n; i++) {
        if (rows->v[i].id == id)
            return &rows->v[i];
    }
    return NULL;
}

/* A line for each upload that is not as it was in `before`. */
static int print(const struct rows *rows, const struct rows *before)
{
    for (size_t i = 0; i < rows->n; i++) {
        const struct row *row = &rows->v[i], *old = find_row(before, row->id);
        CLEANUP_BUF struct buf line = BUF_INIT(PLAIN_MAX);
        if (old && old->here == row->here && strcmp(old->state, row->state) == 0)
            continue;
        (void)row_plain(row, &line);
        if (puts(buf_str(&line)) < 0)
            return -EIO;
    }
    return fflush(stdout) != 0 ? -EIO : 0;
}

static void pause_ms(int64_t ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&t, NULL);
}

static int show(const struct command *cmd, const struct target *target, struct counts *ret,
                struct err *err)
{
    bool terminal = isatty(STDOUT_FILENO);
    unsigned lines = 0;
    struct rows before = {0}, rows;
    int rc;
    for (;;) {
        rc = read_rows(target, &rows, err);
        if (rc < 0)
            break;
        rc = terminal ? draw(target, &rows, &lines) : print(&rows, &before);
        *ret = count(&rows);
        rows_done(&before);
        before = rows;
        if (rc < 0)
            (void)err_set(err, rc, "standard output: %s", err_text(rc));
        if (rc < 0 || !cmd->watch || ret->moving == 0)
            break;
        pause_ms(REDRAW_MS);
    }
    rows_done(&before);
    return rc;
}

int watch_uploads(const struct command *cmd, struct err *err)
{
    struct target target = {0};
    struct counts c = {0};
    int rc = find_target(cmd->target, &target, err);
    if (rc == 0)
        rc = show(cmd, &target, &c, err);
    if (rc == 0 && cmd->watch && c.stuck)
        rc = err_set(err, -EIO,
                     "%zu upload%s failed, interrupted or paused: commands for %s are in "
                     "obsmount-control(5)",
                     c.stuck, c.stuck == 1 ? " is" : "s are", c.stuck == 1 ? "it" : "them");
    mount_entry_done(&target.entry);
    return rc < 0 ? COMMAND_FAILED : COMMAND_OK;
}

/* --- --drain --- */

/* The write of the command, in a thread of its own. */
struct drain {
    int fd;
    int done[2]; /* its end is written there */
    int result;
};

static void *write_drain(void *arg)
{
    static const char command[] = "drain\n";
    struct drain *d = arg;
    ssize_t n = write(d->fd, command, sizeof(command) - 1);
    d->result = n < 0 ? -errno : 0;
    close(d->done[1]);
    return NULL;
}

/* What is open is not waited for. */
static bool is_awaited(const struct row *row)
{
    return row_moves(row) && strcmp(row->state, "writing") != 0;
}

static void say_waiting(const struct command *cmd, const struct rows *rows)
{
    enum { NAMES = 3 };
    size_t n = 0;
    uint64_t left = 0;
    CLEANUP_BUF struct buf names = BUF_INIT(PLAIN_MAX);
    CLEANUP_BUF struct buf size = BUF_INIT(64);
    for (size_t i = 0; i < rows->n; i++) {
        const struct row *row = &rows->v[i];
        if (!is_awaited(row))
            continue;
        if (row->total > row->here)
            left += (uint64_t)(row->total - row->here);
        if (n++ < NAMES)
            (void)buf_addf(&names, "%s '%s' (%s)", n > 1 ? "," : "", row->path, row->state);
    }
    if (n == 0)
        return;
    (void)rows_size(&size, left);
    (void)fprintf(stderr, "%s: waiting for %zu file%s (%s to go):%s%s\n", cmd->program, n,
                  n == 1 ? "" : "s", buf_str(&size), buf_str(&names), n > NAMES ? ", ..." : "");
}

/* What is left at the end: somebody has to know. */
static void say_rest(const struct command *cmd, const struct rows *rows)
{
    for (size_t i = 0; i < rows->n; i++) {
        const struct row *row = &rows->v[i];
        if (row_moves(row) && strcmp(row->state, "writing") != 0)
            continue;
        (void)fprintf(stderr, "%s: not stored: '%s' (%s%s%s)\n", cmd->program, row->path,
                      row->state, row->error[0] ? ": " : "", row->error);
    }
}

static void wait_for(const struct command *cmd, const struct target *target, struct drain *d)
{
    struct pollfd p = {.fd = d->done[0], .events = POLLIN};
    int limit = FIRST_WORD_MS;
    for (int n; (n = poll(&p, 1, limit)) <= 0;) {
        struct rows rows;
        struct err err;
        if (n < 0 && errno != EINTR)
            return;
        if (n == 0 && read_rows(target, &rows, &err) == 0) {
            say_waiting(cmd, &rows);
            rows_done(&rows);
        }
        limit = NEXT_WORD_MS;
    }
}

static int drain(const struct command *cmd, const struct target *target, struct err *err)
{
    struct drain d = {.fd = open_file(target, "ctl", O_WRONLY, err), .done = {-1, -1}};
    pthread_t thread;
    if (d.fd < 0)
        return d.fd;
    int rc = pipe2(d.done, O_CLOEXEC) < 0 ? -errno : 0;
    if (rc == 0 && (rc = -pthread_create(&thread, NULL, write_drain, &d)) < 0)
        close(d.done[1]);
    if (rc == 0) {
        wait_for(cmd, target, &d);
        pthread_join(thread, NULL);
        rc = d.result;
    }
    if (d.done[0] >= 0)
        close(d.done[0]);
    close(d.fd);
    return rc < 0 ? err_set(err, rc, "'%s' has not stored everything: %s", target->entry.mountpoint,
                            err_text(rc))
                  : 0;
}

int watch_drain(const struct command *cmd, struct err *err)
{
    struct target target = {0};
    struct rows rows;
    struct err why;
    int rc = find_target(cmd->target, &target, err);
    bool asked = rc == 0;
    if (rc == 0)
        rc = drain(cmd, &target, err);
    if (asked && read_rows(&target, &rows, &why) == 0) {
        say_rest(cmd, &rows);
        if (rc == 0 && count(&rows).stuck)
            rc = err_set(err, -EIO, "'%s' has not stored everything", target.entry.mountpoint);
        rows_done(&rows);
    }
    mount_entry_done(&target.entry);
    return rc < 0 ? COMMAND_FAILED : COMMAND_OK;
}
