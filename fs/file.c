// SPDX-License-Identifier: Apache-2.0
// Open files; see file.h.
#include "fs/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "fs/clone.h"
#include "fs/dir.h"
#include "fs/encrypt.h"
#include "fs/fetch.h"
#include "fs/hold.h"
#include "fs/meta.h"
#include "fs/note.h"
#include "fs/options.h"
#include "fs/proc.h"
#include "fs/publish.h"
#include "fs/request.h"
#include "fs/seal.h"
#include "fs/space.h"
#include "fs/staged.h"
#include "net/base/clock.h"
#include "net/base/log.h"

/* A file up to this size is fetched whole by the request that asks for its version. */
enum { SMALL_OPEN = 1 << 20 };

static void touch(struct fs *fs, struct inode *inode)
{
    inode->attr.mtime = inode->attr.ctime = clock_real();
    inode->times_set = false;
    if (obs_dialect_of(fs->obs) == OBS_DIALECT_OBS)
        inode->meta_gen++;
}

int file_fetch_locked(struct fs *fs, struct inode *inode, struct fetch_file **ret)
{
    char key[OBS_KEY_MAX + 1];
    if (inode->fetch) {
        *ret = inode->fetch;
        return 0;
    }
    int rc = inode_key_locked(fs, inode, key);
    if (rc == 0)
        rc = fetch_file_new(fs->fetch, key, inode->etag ? inode->etag : "", inode->stored_size,
                            encrypt_read_key_locked(inode), &inode->fetch);
    if (rc == 0)
        *ret = inode->fetch;
    return rc;
}

struct whole {
    char *p;
    size_t size, n;
};

static int take_whole(void *arg, uint64_t off, const void *p, size_t n)
{
    struct whole *w = arg;
    if (off + n > w->size)
        return -ESTALE; /* larger than listed: another version */
    memcpy(w->p + off, p, n);
    w->n = (size_t)off + n;
    return 0;
}

/* One GET that is version, attributes and content at once. */
static int get_small(struct fs *fs, struct inode *inode, int64_t start_ms, struct intr *intr)
{
    char key[OBS_KEY_MAX + 1];
    struct whole whole = {.size = (size_t)inode->stored_size};
    struct fetch_file *file;
    int rc = inode_key_locked(fs, inode, key);
    if (rc < 0)
        return rc;
    whole.p = malloc(whole.size + 1);
    if (!whole.p)
        return -ENOMEM;

    char read_key[SSE_MD5_TEXT];
    memcpy(read_key, inode->read_key, sizeof(read_key));
    struct obs_call call = {.op = OBS_GET,
                            .key = key,
                            .read_key = read_key[0] ? read_key : NULL,
                            .sink = take_whole,
                            .sink_arg = &whole};
    rc = request_run_locked(fs, &call, intr, "open");
    bool changed = inode->staged || inode->changed_ms >= start_ms; /* by us, meanwhile */
    if (rc == 0 && !changed && inode->parent)
        rc = dir_take_object_locked(fs, inode, &call.object);
    if (rc == 0 && !changed && whole.n == inode->stored_size &&
        file_fetch_locked(fs, inode, &file) == 0)
        (void)fetch_file_put(file, whole.p, whole.n);
    if (rc == -ENOENT)
        rc = -ESTALE;
    obs_call_clear(&call);
    free(whole.p);
    return rc;
}

/* While a directory above is renamed, the object may have another key by the time of the answer. */
static int fetch_small(struct fs *fs, struct inode *inode, struct intr *intr)
{
    int64_t start_ms;
    int rc;
    do {
        rc = inode_await_key_locked(fs, inode, intr);
        start_ms = clock_ms();
        if (rc == 0)
            rc = get_small(fs, inode, start_ms, intr);
    } while (rc == -ESTALE && inode->parent && inode_rekeyed_locked(inode, start_ms));
    return rc;
}

/* The version must have been confirmed within open_ttl. */
static int confirm(struct fs *fs, struct inode *inode, int flags, struct intr *intr)
{
    if (!inode->parent && !inode->is_root && !inode->nopen)
        return -ESTALE; /* it has lost its name: the kernel looks it up again */
    bool sure = inode->state != INODE_STORED || inode->staged || inode->moving || !inode->parent ||
                inode->seen_ms + fs->opt->open_ttl > clock_ms();
    bool reads = (flags & O_ACCMODE) != O_WRONLY && !(flags & O_TRUNC);
    if (sure && inode->attr_known)
        return 0;
    int rc = reads && inode->stored_size > 0 && inode->stored_size <= SMALL_OPEN &&
                     !inode->kernel_has_pages
                 ? fetch_small(fs, inode, intr)
                 : dir_attr_locked(fs, inode, fs->opt->open_ttl, intr);
    if (rc == -ESTALE && inode->parent) {
        inode->parent->list_start_ms = 0;
        inode->seen_ms = 0;
    }
    return rc;
}

static int new_handle(struct fs *fs, struct inode *inode, int flags, pid_t tid, struct handle **ret)
{
    struct handle *h = calloc(1, sizeof(*h));
    if (!h)
        return -ENOMEM;
    int access = flags & O_ACCMODE;
    h->inode = inode;
    h->readable = access != O_WRONLY;
    h->writable = access != O_RDONLY;
    h->sync = flags & (O_SYNC | O_DSYNC);
    h->error_seen = inode->error.seq;
    h->opener_fd = -1;
    inode->nopen++;
    if (h->writable) {
        inode->nwriters++;
        h->opener = proc_tgid(tid);
        h->opener_fd = proc_watch(h->opener);
    }
    DL_APPEND(fs->handles, h);
    *ret = h;
    return 0;
}

bool file_is_flushed_locked(const struct fs *fs, const struct inode *inode)
{
    const struct handle *h;
    DL_FOREACH (fs->handles, h) {
        if (h->inode == inode && h->writable && (h->wrote || !h->flushed_ms))
            return false;
    }
    return true;
}

int file_opened_new_locked(struct fs *fs, struct inode *inode, int flags, pid_t tid,
                           struct handle **ret)
{
    int rc = new_handle(fs, inode, flags, tid, ret);
    if (rc == 0)
        (*ret)->changed = true;
    return rc;
}

int file_open_locked(struct fs *fs, struct inode *inode, int flags, pid_t tid, struct intr *intr,
                     struct handle **ret)
{
    if (inode->meta_error) {
        int eno = inode->meta_error;
        inode->meta_error = 0;
        return eno;
    }
    inode_pin_locked(inode);
    int rc = inode->key_missing ? 0 : confirm(fs, inode, flags, intr);
    if (rc == 0)
        rc = encrypt_check_key_locked(fs, inode, "open");
    if (rc == 0)
        rc = new_handle(fs, inode, flags, tid, ret);
    if (rc == 0 && (flags & O_TRUNC) && (*ret)->writable) {
        rc = file_truncate_locked(fs, inode, *ret, 0, intr);
        if (rc < 0) {
            file_release_locked(fs, *ret);
            *ret = NULL;
        }
    }
    inode_unpin_locked(fs, inode);
    return rc;
}

/* Takes the error that this handle has not been told yet. */
static int untold_error(struct handle *h)
{
    if (h->error_seen == h->inode->error.seq)
        return 0;
    h->error_seen = h->inode->error.seq;
    return h->inode->error.eno;
}

void file_error_told_locked(struct handle *h)
{
    h->error_seen = h->inode->error.seq;
}

/* Waits until the staged file takes changes again. */
static int wait_writable(struct fs *fs, struct staged *st, struct intr *intr)
{
    return fs_wait_locked(fs, st->filling ? &st->filled : &st->writable, intr, -1);
}

int file_write_begin_locked(struct fs *fs, struct handle *h, uint64_t off, uint64_t n,
                            struct space_wait *sw, int *ret_fd)
{
    struct inode *inode = h->inode;
    struct staged *st;
    int rc = untold_error(h);
    if (rc < 0)
        return rc;
    if (off + n < off || staged_part_count(fs, inode->staged, off + n) > PLAN_PARTS_MAX)
        return -EFBIG;
    rc = staged_get_locked(fs, inode, false, &st);
    if (rc == 0)
        rc = staged_write_begin_locked(fs, st, off, n);
    if (rc == 0)
        *ret_fd = st->fd;
    if (rc != -EAGAIN && rc != -EBUSY)
        return rc;
    if (sw && rc == -EBUSY)
        space_wait_locked(fs, sw, st, off, n);
    else if (sw)
        space_wait_in_locked(fs, sw, st->filling ? &st->filled : &st->writable);
    return -EAGAIN;
}

void file_write_end_locked(struct fs *fs, struct handle *h, uint64_t off, uint64_t n, bool failed)
{
    if (!failed) {
        h->wrote = h->changed = true;
        touch(fs, h->inode);
    }
    staged_write_end_locked(fs, h->inode->staged, off, n, failed);
}

/* durability=stage: the local disk is what close and fsync wait for. */
static bool stages(const struct fs *fs, const struct inode *inode)
{
    return fs->opt->durability == OPTION_DURABILITY_STAGE && inode->staged && inode->parent &&
           staged_dirty(inode->staged) && inode->staged->state == STAGED_OPEN &&
           !inode->staged->cloned;
}

int file_flush_locked(struct fs *fs, struct handle *h, pid_t tid, int exit_signal, struct waiter *w)
{
    struct inode *inode = h->inode;
    if (!h->writable)
        return 0;
    bool keep = exit_signal && fs->opt->killed_writer == OPTION_KILLED_KEEP;
    if (keep && inode->staged && staged_dirty(inode->staged)) {
        inode->staged->interrupted = (unsigned)exit_signal;
        return 0;
    }
    pid_t caller = proc_tgid(tid);
    if (caller && caller != h->opener && h->opener_fd >= 0 && !proc_ended(h->opener_fd))
        return untold_error(h);
    h->flushed_ms = clock_ms();
    if (!h->wrote)
        return untold_error(h);

    h->wrote = false;
    file_error_told_locked(h); /* what this publication says is the news */
    bool held = hold_wanted_locked(fs, inode);
    if (stages(fs, inode))
        return seal_start_locked(fs, inode->staged, held ? SEAL_HELD : SEAL_NOW, w);
    return held ? publish_hold_locked(fs, inode, w) : publish_locked(fs, inode, w);
}

int file_fsync_locked(struct fs *fs, struct inode *inode, struct handle *h, struct waiter *w)
{
    if (h) {
        int rc = untold_error(h);
        if (rc < 0)
            return rc;
        if (h->sync && inode->staged && staged_dirty(inode->staged))
            return seal_start_locked(fs, inode->staged, SEAL_NOT, w);
        h->wrote = false;
    }
    if (stages(fs, inode))
        return seal_start_locked(fs, inode->staged,
                                 hold_wanted_locked(fs, inode) ? SEAL_HELD : SEAL_NOW, w);
    int rc = publish_locked(fs, inode, w);
    if (rc == 0 && meta_flush_now_locked(fs, inode)) {
        waitlist_add_locked(&inode->meta_waiters, w);
        rc = -EINPROGRESS;
    }
    return rc;
}

/* The writer was killed: what it wrote is kept for another try, the name shows the stored version.
 */
static void keep_interrupted(struct fs *fs, struct inode *inode)
{
    char path[256];
    inode_path_locked(inode, path, sizeof(path));
    log_notice(fs->log, "publish", "'%s': its writer was killed, what it wrote is not stored",
               path);
    note_interrupted_locked(fs, inode->staged, INTERRUPT_SIGNAL, inode->staged->interrupted);
    staged_keep_locked(fs, inode, -EINTR);
    inode_lose_content_locked(fs, inode);
}

static void free_handle(struct handle *h)
{
    fetch_stream_free(h->stream);
    fetch_file_unref(h->stream_of);
    if (h->opener_fd >= 0)
        close(h->opener_fd);
    free(h);
}

void file_forget_all_locked(struct fs *fs)
{
    struct handle *h, *tmp;
    DL_FOREACH_SAFE (fs->handles, h, tmp)
        free_handle(h);
    fs->handles = NULL;
}

/* Only created, or cut: close() has said yes, and so it is in the journal before it is stored, a moment
 * later. Not at FLUSH: a shell closes what it has opened for a command before that writes, and a
 * crash in between must not store an empty file. */
static void publish_released(struct fs *fs, struct inode *inode)
{
    struct staged *st = inode->staged;
    (void)note_change_locked(fs, st); /* the log says so, and it is stored all the same */
    if (fs->opt->durability == OPTION_DURABILITY_STAGE && st->journal && !st->cloned)
        st->acknowledged = true;
    (void)publish_locked(fs, inode, NULL);
}

void file_release_locked(struct fs *fs, struct handle *h)
{
    struct inode *inode = h->inode;
    struct staged *st = inode->staged;

    inode_pin_locked(inode);
    inode->nopen--;
    if (h->writable) {
        inode->nwriters--;
        waitlist_finish_locked(fs, &fs->closed, 0);
    }
    if (st && !inode->nwriters)
        space_trim_locked(fs, st);
    if (st && !inode->parent) {
        if (!inode->nopen)
            staged_drop_locked(fs, inode, 0);
    } else if (st && st->interrupted) {
        if (!inode->nwriters)
            keep_interrupted(fs, inode);
    } else if (st && st->gave_up && staged_dirty(st)) {
        if (!inode->nwriters)
            publish_give_up_locked(fs, inode);
    } else if (st && h->changed && staged_dirty(st) && st->state == STAGED_OPEN) {
        if (!hold_wanted_locked(fs, inode))
            publish_released(fs, inode);
        else if (!inode->nwriters)
            hold_start_locked(fs, st);
    } else if (st) {
        staged_drop_if_clean_locked(fs, inode);
    }
    inode_unpin_locked(fs, inode);
    DL_DELETE(fs->handles, h);
    free_handle(h);
}

int file_publish_wait_locked(struct fs *fs, struct inode *inode, struct intr *intr,
                             int64_t limit_ms)
{
    struct staged *st = inode->staged;
    int rc = publish_locked(fs, inode, NULL);
    if (rc != -EINPROGRESS)
        return rc;
    if (inode->staged != st || !staged_dirty(st))
        return 0;
    if (st->state != STAGED_PUBLISHING) /* it has failed at once */
        return inode->error.eno;
    inode_pin_locked(inode);
    rc = fs_wait_locked(fs, &st->published, intr, limit_ms);
    inode_unpin_locked(fs, inode);
    return rc;
}

/* A change that came by the file's name, while others write it: their close publishes it. */
static void leave_to_writers(struct fs *fs, const struct inode *inode)
{
    struct handle *h;
    DL_FOREACH (fs->handles, h) {
        if (h->inode == inode && h->writable)
            h->wrote = h->changed = true;
    }
}

int file_truncate_locked(struct fs *fs, struct inode *inode, struct handle *h, uint64_t size,
                         struct intr *intr)
{
    struct staged *st;
    int rc;
    if (h && (rc = untold_error(h)) < 0)
        return rc;
    do {
        bool whole = size == 0 && !inode->staged;
        rc = staged_get_locked(fs, inode, whole, &st);
        if (rc == 0)
            rc = staged_truncate_locked(fs, st, size);
        if (rc == -EAGAIN && wait_writable(fs, st, intr) == -EINTR)
            return -EINTR;
    } while (rc == -EAGAIN);
    if (rc < 0) {
        staged_drop_if_clean_locked(fs, inode);
        return rc;
    }
    touch(fs, inode);
    if (!staged_dirty(st)) { /* it had that length: only its times have changed */
        (void)meta_changed_locked(fs, inode);
        staged_drop_if_clean_locked(fs, inode);
    }
    if (h) {
        h->changed = true;
        return 0;
    }
    if (inode->nwriters) {
        leave_to_writers(fs, inode);
        return 0;
    }
    return file_publish_wait_locked(fs, inode, intr, -1);
}

/* Makes [off, off+n) zero without changing the length. */
static int zero_range(struct fs *fs, struct handle *h, uint64_t off, uint64_t n, struct intr *intr)
{
    struct staged *st;
    int rc;
    do {
        rc = staged_get_locked(fs, h->inode, false, &st);
        if (rc < 0)
            return rc;
        if (off >= st->size)
            return 0;
        uint64_t end = off + n < st->size ? off + n : st->size;
        rc = staged_zero_locked(fs, st, off, end - off);
        if (rc == -EAGAIN && wait_writable(fs, st, intr) == -EINTR)
            return -EINTR;
    } while (rc == -EAGAIN);
    if (rc == 0) {
        h->wrote = h->changed = true;
        touch(fs, h->inode);
    }
    return rc;
}

int file_fallocate_locked(struct fs *fs, struct handle *h, int mode, uint64_t off, uint64_t n,
                          struct intr *intr)
{
    const int known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
    bool zeros = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
    int rc = untold_error(h);
    if (rc < 0)
        return rc;
    if (mode & ~known)
        return -EOPNOTSUPP;
    if (off + n < off || staged_part_count(fs, NULL, off + n) > PLAN_PARTS_MAX)
        return -EFBIG;
    if (zeros)
        rc = zero_range(fs, h, off, n, intr);
    if (rc == 0 && !(mode & FALLOC_FL_KEEP_SIZE) && off + n > inode_size_locked(h->inode)) {
        rc = file_truncate_locked(fs, h->inode, h, off + n, intr);
        h->wrote = true;
    }
    return rc;
}

int file_copy_locked(struct fs *fs, struct handle *in, uint64_t from, struct handle *h,
                     uint64_t off, uint64_t n, struct intr *intr, uint64_t *ret_n)
{
    struct fetch_file *file;
    struct staged *st;
    int rc = untold_error(h);
    if (rc == 0)
        rc = clone_source_locked(fs, in->inode, from, off, &n, &file);
    if (rc == 0 && staged_part_count(fs, h->inode->staged, off + n) > PLAN_PARTS_MAX)
        rc = -EFBIG;
    if (rc < 0)
        return rc;
    fetch_file_ref(file);
    do {
        rc = staged_get_locked(fs, h->inode, false, &st);
        if (rc == 0)
            rc = staged_clone_locked(fs, st, off, n, file, from);
        if (rc == -EAGAIN && wait_writable(fs, st, intr) == -EINTR) {
            rc = -EINTR;
        }
    } while (rc == -EAGAIN);
    fetch_file_unref(file);
    if (rc < 0)
        return rc;
    h->wrote = h->changed = true;
    touch(fs, h->inode);
    *ret_n = n;
    return 0;
}

/* Somebody may have a shared map, and in it changes that the kernel has not written yet. */
static bool may_be_mapped(const struct fs *fs, const struct inode *inode)
{
    const struct handle *h;
    DL_FOREACH (fs->handles, h) {
        if (h->inode == inode && h->readable && h->writable)
            return true;
    }
    return false;
}

int file_seek_locked(struct fs *fs, const struct handle *h, uint64_t off, bool hole,
                     uint64_t *ret_off)
{
    const struct staged *st = h->inode->staged;
    uint64_t size = inode_size_locked(h->inode);
    if (off >= size)
        return -ENXIO;
    if (st)
        *ret_off = staged_seek_locked(st, off, hole, may_be_mapped(fs, h->inode));
    else
        *ret_off = hole ? size : off;
    return *ret_off >= size && !hole ? -ENXIO : 0;
}
