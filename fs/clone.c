// SPDX-License-Identifier: Apache-2.0
// Ranges that the server copies; see clone.h.
#include "fs/clone.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "fs/fetch.h"
#include "fs/file.h"
#include "fs/options.h"
#include "fs/publish.h"
#include "fs/staged.h"

int clone_source_locked(struct fs *fs, struct inode *inode, uint64_t from, uint64_t off,
                        uint64_t *n, struct fetch_file **ret_file)
{
    const struct staged *st = inode->staged;
    if (inode->state != INODE_STORED || !inode->parent || !inode->etag || !inode->etag[0] ||
        inode->encrypted || inode->read_key[0] || inode_moving_locked(inode) ||
        (st && (staged_dirty(st) || st->state != STAGED_OPEN || st->writing)))
        return -EOPNOTSUPP;
    if (from >= inode->stored_size)
        *n = 0;
    else if (*n > inode->stored_size - from)
        *n = inode->stored_size - from;
    if (off + *n < off)
        return -EFBIG;
    /* Less could not be a part: sending it costs no more than fetching it later. */
    bool whole = from == 0 && off == 0 && *n == inode->stored_size;
    if (*n == 0 || (!whole && *n < fs->plan.min_part))
        return -EOPNOTSUPP;
    return file_fetch_locked(fs, inode, ret_file);
}

/* Fetches what st has of that version. True: a request is under way. */
static bool fetch_clones(struct fs *fs, struct staged *st, const struct fetch_file *file)
{
    struct clone *c;
    while ((c = clonemap_of(&st->clones, file)) && !c->lost) {
        uint64_t from = c->from, to = c->to;
        if (fs->opt->staging_max && to - from > fs->opt->staging_max / 4)
            c->lost = -ESTALE; /* it would not fit */
        if (st->final_request)
            return true;
        int rc = c->lost ? c->lost : staged_fill_locked(fs, st, from, to - from);
        if (rc == -EINPROGRESS)
            return true;
        if (rc < 0)
            c->lost = rc;
        else if (clonemap_remove(&st->clones, from, to) < 0)
            break;
    }
    return false;
}

static struct staged *find_claimed(struct fs *fs, const struct inode *inode)
{
    struct staged *st;
    if (!inode->fetch)
        return NULL;
    DL_FOREACH (fs->staged, st) {
        if (st != inode->staged && st->state != STAGED_DEAD && fetch_clones(fs, st, inode->fetch))
            return st;
    }
    return NULL;
}

bool clone_claim_locked(struct fs *fs, struct inode *inode)
{
    if (!find_claimed(fs, inode))
        return false;
    fs->claimed = true;
    return true;
}

void clone_resume_locked(struct fs *fs)
{
    if (!fs->claimed)
        return;
    fs->claimed = false; /* who still waits says so again */
    publish_resume_locked(fs);
}

int clone_settle_locked(struct fs *fs, struct inode *inode, struct intr *intr)
{
    struct staged *st;
    int rc = 0;
    inode_pin_locked(inode);
    while (rc != -EINTR && (st = find_claimed(fs, inode)))
        rc = fs_wait_locked(
            fs, st->filling || st->inode->meta_sending ? &st->filled : &st->writable, intr, -1);
    inode_unpin_locked(fs, inode);
    return rc == -EINTR ? rc : 0;
}

static struct clone *clone_of_transfer(const struct staged *st, const struct transfer *t)
{
    uint64_t at = t->kind == TRANSFER_FILL        ? t->target
                  : t->kind == TRANSFER_COPY_PART ? st->parts[t->part].offset
                                                  : 0;
    return clonemap_next(&st->clones, at, at + 1);
}

bool clone_moved_locked(const struct staged *st, const struct transfer *t)
{
    const struct clone *c = clone_of_transfer(st, t);
    const char *was = t->kind == TRANSFER_FILL ? t->key : t->source_key;
    char *key, *etag;
    if (!c || fetch_file_name(c->file, &key, &etag) < 0)
        return false;
    bool moved = strcmp(key, was) != 0 || strcmp(etag, t->etag) != 0;
    free(key);
    free(etag);
    return moved;
}

int clone_failed_locked(struct staged *st, const struct transfer *t, int rc)
{
    if (clone_moved_locked(st, t))
        return 0;
    struct clone *c = clone_of_transfer(st, t);
    if (c && rc != -ECANCELED)
        c->lost = rc;
    return rc;
}

void clone_explain(struct err *err)
{
    if (err->cls != ERR_CONFLICT && err->cls != ERR_GONE)
        return;
    err->eno = -ESTALE;
    (void)err_prefix(err, "the file that it was copied from has changed");
}
