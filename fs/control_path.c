// SPDX-License-Identifier: Apache-2.0
// What commands name; see control_path.h.
#include "fs/control_path.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "fs/dir.h"
#include "fs/file.h"
#include "fs/meta.h"
#include "fs/options.h"
#include "fs/staged.h"
#include "net/base/clock.h"

/* From the flush to the release of a close(); the kernel sends the second by itself, soon. */
enum { RELEASE_MS = 1000 };

/* The rest of an absolute path behind the mount point, NULL if it is not inside. */
static const char *inside(const struct fs *fs, const char *text)
{
    const char *mount = fs->opt->mountpoint;
    size_t n = mount ? strlen(mount) : 0;
    while (n > 0 && mount[n - 1] == '/')
        n--;
    if (!mount || mount[0] != '/' || strncmp(mount, "/dev/fd/", 8) == 0 ||
        strncmp(text, mount, n) != 0 || (text[n] != '/' && text[n] != '\0'))
        return NULL;
    return text + n;
}

int control_path_clean(const struct fs *fs, const char *text, char *out, struct err *err)
{
    const char *p = text[0] == '/' ? inside(fs, text) : text;
    size_t used = 0;
    out[0] = '\0';
    if (!p)
        return err_set(err, -EINVAL, "'%.128s' is not inside the mount", text);
    for (;;) {
        p += strspn(p, "/");
        size_t n = strcspn(p, "/");
        if (n == 0)
            return 0;
        if (n == 2 && memcmp(p, "..", 2) == 0)
            return err_set(err, -EINVAL, "'%.128s' contains '..'", text);
        if (!(n == 1 && *p == '.')) {
            if (used + n + 2 > OBS_KEY_MAX || n > NAME_MAX)
                return err_set(err, -ENAMETOOLONG, "'%.128s' is too long", text);
            if (used)
                out[used++] = '/';
            memcpy(out + used, p, n);
            used += n;
            out[used] = '\0';
        }
        p += n;
    }
}

int control_path_walk_locked(struct fs *fs, const char *path, struct intr *intr, struct inode **ret,
                             struct err *err)
{
    char name[NAME_MAX + 1];
    struct inode *at = fs->root;
    int rc = 0;
    inode_pin_locked(at);
    for (const char *p = path; *p && rc == 0;) {
        size_t n = strcspn(p, "/");
        struct inode *next = NULL;
        memcpy(name, p, n);
        name[n] = '\0';
        p += n + (p[n] == '/');
        rc = at->is_dir || at == fs->root ? dir_lookup_locked(fs, at, name, intr, &next) : -ENOTDIR;
        if (rc == 0)
            inode_pin_locked(next);
        inode_unpin_locked(fs, at);
        at = next;
    }
    if (rc == 0)
        *ret = at;
    else
        (void)err_set(err, rc, "'%.160s': %s", path, err_text(rc));
    return rc;
}

static int not_stored(struct err *err, const char *path, const struct err *why, int rc)
{
    if (rc == -EINTR)
        return err_set(err, rc, "interrupted while waiting for '%.128s'", path);
    return err_set(err, -EIO, "'%.128s' cannot be stored: %.100s", path,
                   why->eno && why->msg[0] ? why->msg : err_text(rc));
}

/* When the last writer that has flushed did so; -1: one of them has written since, or never flushed. */
static int64_t flushed_ms(const struct fs *fs, const struct inode *inode)
{
    int64_t last = 0;
    const struct handle *h;
    DL_FOREACH (fs->handles, h) {
        if (h->inode != inode || !h->writable)
            continue;
        if (h->wrote || !h->flushed_ms)
            return -1;
        if (h->flushed_ms > last)
            last = h->flushed_ms;
    }
    return last;
}

bool control_is_open_locked(const struct fs *fs, const struct inode *inode)
{
    if (!inode->nwriters)
        return false;
    int64_t flushed = flushed_ms(fs, inode);
    bool dirty = inode->staged && staged_dirty(inode->staged);
    return flushed < 0 || (!dirty && clock_ms() > flushed + RELEASE_MS);
}

/* A flush that may have been the last close: the release follows, or somebody has it open still. */
static int wait_for_release(struct fs *fs, struct inode *inode, int64_t stored_ms,
                            struct intr *intr)
{
    while (inode->nwriters) {
        int64_t flushed = flushed_ms(fs, inode);
        int64_t end_ms = (flushed > stored_ms ? flushed : stored_ms) + RELEASE_MS;
        int64_t left_ms = end_ms - clock_ms();
        if (flushed < 0 || left_ms <= 0)
            return -EBUSY;
        if (fs_wait_locked(fs, &fs->closed, intr, left_ms) == -EINTR)
            return -EINTR;
    }
    return 0;
}

int control_barrier_locked(struct fs *fs, struct inode *inode, struct intr *intr, struct err *err)
{
    char path[256];
    int64_t stored_ms = 0;
    inode_path_locked(inode, path, sizeof(path));
    if (control_is_open_locked(fs, inode))
        return err_set(err, -EBUSY, "'%.200s' is open for writing", path);

    while (inode->staged && staged_dirty(inode->staged)) {
        struct staged *st = inode->staged;
        struct err why = {0};
        st->expired = true; /* no longer held for a rename */
        st->users++;        /* its failure is read afterwards */
        int rc = file_publish_wait_locked(fs, inode, intr, -1);
        if (st->gave_up)
            why = st->failure;
        st->users--;
        staged_reap_locked(fs, st);
        if (rc < 0)
            return not_stored(err, path, &why, rc);
        stored_ms = clock_ms();
        if (flushed_ms(fs, inode) < 0)
            return err_set(err, -EBUSY, "'%.200s' is open for writing", path);
    }
    int rc = wait_for_release(fs, inode, stored_ms, intr);
    if (rc == -EBUSY)
        return err_set(err, rc, "'%.200s' is open for writing", path);
    if (rc == -EINTR)
        return err_set(err, rc, "interrupted while waiting for '%.128s'", path);
    rc = meta_flush_wait_locked(fs, inode, intr);
    if (rc < 0)
        return err_set(err, rc == -EINTR ? rc : -EIO, "'%.200s': its attributes: %s", path,
                       err_text(rc));
    if (!inode->parent && !inode->is_root)
        return err_set(err, -ENOENT, "'%.200s' is gone", path);
    return 0;
}
