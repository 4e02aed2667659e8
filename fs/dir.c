// SPDX-License-Identifier: Apache-2.0
// Look-ups and attributes; see dir.h. Listings are in listing.c.
#include "fs/dir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/attrcache.h"
#include "fs/changes.h"
#include "fs/encrypt.h"
#include "fs/listing.h"
#include "fs/options.h"
#include "fs/rootattr.h"
#include "fs/staged.h"
#include "net/base/clock.h"

enum { SMALL_NAMES = 500 };

/* State of ours that no answer of the service overrides. */
static bool is_ours(const struct inode *inode)
{
    return inode->state == INODE_LOCAL || inode->staged || inode->moving;
}

static bool is_fresh(const struct fs *fs, const struct inode *inode, int64_t now)
{
    return inode->is_root || is_ours(inode) || inode->seen_ms + fs->opt->meta_ttl > now;
}

bool dir_listed_locked(const struct fs *fs, const struct inode *dir)
{
    return dir->list_start_ms && dir->list_end_ms + fs->opt->meta_ttl > clock_ms();
}

void dir_set_empty_locked(struct inode *dir)
{
    dir->list_start_ms = dir->list_end_ms = clock_ms();
    dir->list_pages = 1;
}

int64_t dir_valid_ms_locked(const struct fs *fs, const struct inode *dir, const struct inode *inode)
{
    int64_t now = clock_ms();
    int64_t until = dir->list_start_ms ? dir->list_end_ms + fs->opt->meta_ttl : 0;
    if (inode && is_ours(inode))
        until = now + fs->opt->meta_ttl;
    else if (inode && inode->seen_ms + fs->opt->meta_ttl > until)
        until = inode->seen_ms + fs->opt->meta_ttl;
    return until > now ? until - now : 0;
}

struct attr_call {
    struct obs_call call;
    struct fs *fs;
    struct inode *inode;    /* pinned */
    struct inode *ahead_in; /* pinned; the directory that it was fetched ahead in, or NULL */
    int64_t start_ms;
    char read_key[SSE_MD5_TEXT];
    char key[OBS_KEY_MAX + 1];
};

int dir_take_object_locked(struct fs *fs, struct inode *inode, const struct obs_object *object)
{
    bool same = inode->is_dir || (inode->etag && strcmp(inode->etag, object->etag) == 0 &&
                                  inode->stored_size == object->size);
    if (!same) {
        /* Nobody may find two versions in one inode, neither a reader nor the kernel in its pages. */
        if (inode->nopen || inode->kernel_has_pages || (inode->nlookup && inode->attr_known))
            return -ESTALE;
        int rc = inode_set_version_locked(inode, object->etag, object->size, object->mtime_ms);
        if (rc < 0)
            return rc;
    }
    if (!inode->meta_dirty && !inode->meta_sending) {
        int rc = inode_set_object_locked(fs, inode, object);
        if (rc == 0)
            rc = changes_apply_locked(fs, inode, object);
        if (rc < 0)
            return rc;
    }
    inode->encrypted = object->encrypted;
    encrypt_stored_locked(fs, inode, &object->props);
    inode->remote_ms = object->mtime_ms;
    inode->implicit = false;
    inode->attr_known = true;
    inode->seen_ms = inode->attr_ms = clock_ms();
    attrcache_store_locked(fs, inode);
    return 0;
}

/* The object of a known name is gone, or became another one. */
static void lose_name(struct fs *fs, struct inode *inode, bool gone)
{
    struct inode *dir = inode->parent;
    if (!dir)
        return;
    if (gone) {
        inode_tombstone_locked(fs, dir, inode->name);
    } else {
        inode_detach_locked(fs, inode);
        dir->list_start_ms = 0;
    }
}

static int take_no_marker(struct fs *fs, struct inode *inode)
{
    int rc = inode_set_implicit_locked(fs, inode);
    return rc < 0 ? rc : changes_apply_locked(fs, inode, NULL);
}

static int take_attr_answer(struct fs *fs, struct inode *inode, struct obs_call *call,
                            int64_t start_ms)
{
    int rc = call->err.eno;
    if (inode_rekeyed_locked(inode, start_ms))
        return -EAGAIN;
    if (inode->attr_known && (is_ours(inode) || inode->changed_ms >= start_ms))
        return 0; /* what was changed here meanwhile is newer */
    if (rc == 0)
        rc = dir_take_object_locked(fs, inode, &call->object);
    else if (call->object.key_missing && !inode->is_dir && inode->etag) {
        encrypt_set_unreadable_locked(fs, inode);
        rc = 0;
    } else if (rc == -ENOENT && inode->is_dir)
        rc = take_no_marker(fs, inode);
    else if (rc == -ENOENT && !is_ours(inode))
        rc = -ESTALE;
    if (rc == -ESTALE && (inode->nopen || is_ours(inode)))
        inode->attr_known = true; /* what was known of it still holds for who has it open */
    if (rc == -ESTALE && is_ours(inode))
        return 0; /* what is being written here is not lost to what stands there */
    if (rc == -ESTALE)
        lose_name(fs, inode, call->err.eno == -ENOENT);
    return rc;
}

static void attr_done(struct obs_call *call)
{
    struct attr_call *a = call->arg;
    struct fs *fs = a->fs;
    struct inode *inode = a->inode;

    fs_lock(fs);
    inode->attr_fetching = false;
    int rc = take_attr_answer(fs, inode, call, a->start_ms);
    waitlist_finish_locked(fs, &inode->attr_waiters, rc);
    if (a->ahead_in) {
        a->ahead_in->prefetching--;
        listing_prefetch_locked(fs, a->ahead_in);
        inode_unpin_locked(fs, a->ahead_in);
    }
    inode_unpin_locked(fs, inode);
    fs_unlock(fs);
    obs_call_clear(call);
    free(a);
}

int dir_fetch_attr_locked(struct fs *fs, struct inode *inode, bool ahead)
{
    if (inode->attr_fetching)
        return 0;
    struct attr_call *a = calloc(1, sizeof(*a));
    if (!a)
        return -ENOMEM;
    int rc = inode_key_locked(fs, inode, a->key);
    if (rc < 0) {
        free(a);
        return rc;
    }
    a->fs = fs;
    a->inode = inode;
    a->start_ms = clock_ms();
    memcpy(a->read_key, inode->read_key, sizeof(a->read_key));
    a->call = (struct obs_call){.op = OBS_HEAD,
                                .key = a->key,
                                .read_key = a->read_key[0] ? a->read_key : NULL,
                                .urgent = !ahead,
                                .give_up_ms = FS_META_GIVE_UP_MS,
                                .done = attr_done,
                                .arg = a};
    inode_pin_locked(inode);
    inode->attr_fetching = true;
    if (ahead) {
        a->ahead_in = inode->parent;
        inode_pin_locked(a->ahead_in);
        a->ahead_in->prefetching++;
    }
    obs_submit(fs->obs, &a->call);
    return 0;
}

int dir_attr_locked(struct fs *fs, struct inode *inode, int64_t max_age_ms, struct intr *intr)
{
    if (inode->attr_known && (inode->is_root || is_ours(inode) ||
                              inode->seen_ms + max_age_ms > clock_ms() || (inode->parent == NULL)))
        return 0;
    if (!inode->parent && !inode->is_root)
        return -ESTALE;

    inode_pin_locked(inode);
    int rc;
    do {
        rc = inode_await_key_locked(fs, inode, intr);
        if (rc == 0)
            rc = dir_fetch_attr_locked(fs, inode, false);
        if (rc == 0)
            rc = fs_wait_locked(fs, &inode->attr_waiters, intr, -1);
    } while (rc == -EAGAIN); /* it has another key now */
    inode_unpin_locked(fs, inode);
    return rc;
}

/* Is a look-up of one more name in `dir` the sign that somebody goes through it? One page is known to
 * answer for all of a small directory: that costs no more than to ask for the name. */
static bool should_list(const struct fs *fs, struct inode *dir, int64_t now)
{
    if (dir->list_pages == 1 && HASH_COUNT(dir->children) < SMALL_NAMES)
        return true;
    if (now - dir->lookups_ms > fs->opt->meta_ttl) {
        dir->lookups_ms = now;
        dir->lookups = 0;
    }
    return ++dir->lookups >= 2 && dir->list_pages <= DIR_PAGES_MAX;
}

/* Brings what is known of (dir, name) up to date; the caller looks again. */
static int ask_for_name(struct fs *fs, struct inode *dir, const char *name, struct intr *intr)
{
    if (dir->listing || should_list(fs, dir, clock_ms()))
        return listing_wait_locked(fs, dir, intr);
    return listing_one_name_locked(fs, dir, name, intr);
}

void dir_attr_wanted_locked(struct fs *fs, const struct inode *inode)
{
    struct inode *dir = inode->parent;
    if (!dir || !dir_listed_locked(fs, dir))
        return;
    if (dir->prefetch_at) {
        dir->stats++;
        listing_prefetch_locked(fs, dir);
    } else if (!inode->attr_known && ++dir->stats == 2) {
        listing_prefetch_start_locked(fs, dir);
    }
}

int dir_attr_ahead_locked(struct fs *fs, struct inode *inode, struct intr *intr)
{
    dir_attr_wanted_locked(fs, inode);
    return dir_attr_locked(fs, inode, INT64_MAX / 2, intr);
}

/* Is what is known of it as much as is wanted? */
static bool suffices(const struct inode *inode, enum dir_want want)
{
    return inode->attr_known || want == DIR_NAME ||
           (want == DIR_TYPE && inode->state == INODE_STORED && !inode->is_dir &&
            inode->stored_size > DIR_SPECIAL_MAX);
}

int dir_lookup_locked(struct fs *fs, struct inode *dir, const char *name, struct intr *intr,
                      struct inode **ret)
{
    return dir_find_locked(fs, dir, name, DIR_ATTR, intr, ret);
}

int dir_find_locked(struct fs *fs, struct inode *dir, const char *name, enum dir_want want,
                    struct intr *intr, struct inode **ret)
{
    bool asked = false;
    for (unsigned tries = 0; tries < 8; tries++) {
        struct inode *inode = inode_child_locked(dir, name);
        bool known =
            asked || dir_listed_locked(fs, dir) || (inode && is_fresh(fs, inode, clock_ms()));
        int rc;
        if (tries == 0 && inode && !is_ours(inode) &&
            inode->attr_ms + fs->opt->index_ttl < clock_ms())
            inode->attr_known = false; /* changed attributes need not show in a listing */
        if (!known) {
            rc = ask_for_name(fs, dir, name, intr);
            asked = true;
        } else if (!inode || inode->state == INODE_GONE) {
            return -ENOENT;
        } else if (!suffices(inode, want)) {
            if (!dir_listed_locked(fs, dir))
                attrcache_load_locked(fs, inode); /* it came along with a page for another name */
            rc = inode->attr_known ? 0 : dir_attr_ahead_locked(fs, inode, intr);
        } else {
            if (!asked && inode->attr_known)
                dir_attr_wanted_locked(fs, inode);
            *ret = inode;
            return 0;
        }
        if (rc < 0 && rc != -ESTALE)
            return rc;
        if (rc == -ESTALE && inode_is_lost_locked(dir))
            return rc;
        if (rc == -ESTALE)
            asked = false; /* another object stands there now */
    }
    return -EAGAIN;
}

int dir_has_entries_locked(struct fs *fs, struct inode *dir, struct intr *intr)
{
    bool listed = dir_listed_locked(fs, dir);
    for (struct inode *c = dir->children; c; c = c->hh.next) {
        if (c->state != INODE_GONE && (listed || is_ours(c)))
            return 1;
    }
    return dir->state == INODE_LOCAL ? 0 : listing_has_entries_locked(fs, dir, intr);
}

void dir_refresh_locked(struct fs *fs, struct inode *dir)
{
    dir->list_start_ms = 0;
    dir->seen_ms = 0;
    for (struct inode *c = dir->children; c; c = c->hh.next) {
        c->seen_ms = 0;
        if (c->is_dir)
            dir_refresh_locked(fs, c);
    }
}
