// SPDX-License-Identifier: Apache-2.0
// Pages of names; see listing.h.
#include "fs/listing.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/attrcache.h"
#include "fs/dir.h"
#include "fs/errors.h"
#include "fs/names.h"
#include "fs/options.h"
#include "net/base/clock.h"
#include "net/base/log.h"

struct listing {
    struct obs_call call;
    struct fs *fs;
    struct inode *dir; /* pinned */
    int64_t start_ms;
    unsigned pages;
    unsigned hidden;
    char prefix[OBS_KEY_MAX + 1];
    char *marker;
};

/* The name of an entry below `prefix`, without the slash of a directory; NULL if no path can name
 * it. */
static const char *entry_name(const struct obs_entry *e, size_t n_prefix, char name[NAME_MAX + 1])
{
    if (strlen(e->key) <= n_prefix)
        return NULL;
    const char *rest = e->key + n_prefix;
    size_t n = strlen(rest);
    if (e->is_prefix)
        n--;
    if (!names_component_ok(rest, n))
        return NULL;
    memcpy(name, rest, n);
    name[n] = 0;
    return name;
}

/* Another version of the object: those who have the old one open keep it. */
static struct inode *new_version(struct fs *fs, struct inode *dir, struct inode *old,
                                 const char *name)
{
    if (old->state != INODE_GONE && (old->nlookup || old->nopen || old->pins || old->is_dir)) {
        inode_detach_locked(fs, old);
        return inode_add_locked(fs, dir, name, INODE_STORED);
    }
    old->state = INODE_STORED;
    old->attr_known = false;
    old->is_dir = false;
    old->implicit = false;
    return old;
}

static bool same_version(const struct inode *inode, const struct obs_entry *e)
{
    return inode->state == INODE_STORED && inode->etag && strcmp(inode->etag, e->etag) == 0 &&
           inode->stored_size == e->size;
}

static int merge_file(struct fs *fs, struct inode *dir, const char *name, const struct obs_entry *e,
                      int64_t start_ms)
{
    struct inode *inode = inode_child_locked(dir, name);
    if (inode && (inode->state == INODE_LOCAL || inode->staged || inode->moving ||
                  inode->changed_ms >= start_ms)) {
        inode->seen_ms = clock_ms();
        return 0;
    }
    if (inode && inode->is_dir && inode->state == INODE_STORED)
        return 0; /* `d` and `d/`: the directory is shown as long as it exists */

    if (inode && same_version(inode, e)) {
        if (inode->remote_ms && inode->remote_ms != e->mtime_ms && !inode->meta_dirty &&
            inode->remote_ms / 1000 != e->mtime_ms / 1000)
            inode->attr_known =
                false; /* rewritten with the same content, or its attributes changed */
        bool news = inode->remote_ms == 0; /* we stored it; now its time is known */
        inode->remote_ms = e->mtime_ms;
        inode->seen_ms = clock_ms();
        if (news)
            attrcache_store_locked(fs, inode);
        return 0;
    }
    inode =
        inode ? new_version(fs, dir, inode, name) : inode_add_locked(fs, dir, name, INODE_STORED);
    if (!inode)
        return -ENOMEM;
    inode->seen_ms = clock_ms();
    return inode_set_version_locked(inode, e->etag, e->size, e->mtime_ms);
}

static int merge_dir(struct fs *fs, struct inode *dir, const char *name, int64_t start_ms)
{
    struct inode *inode = inode_child_locked(dir, name);
    if (inode && inode->changed_ms >= start_ms)
        return 0;
    if (inode && inode->is_dir && inode->state != INODE_GONE) {
        inode->seen_ms = clock_ms();
        inode->state = INODE_STORED;
        return 0;
    }
    if (inode && (inode->state == INODE_LOCAL || inode->staged || inode->moving))
        return 0;
    if (inode)
        inode_detach_locked(fs, inode);
    inode = inode_add_locked(fs, dir, name, INODE_STORED);
    if (!inode)
        return -ENOMEM;
    inode->is_dir = true;
    inode->seen_ms = clock_ms();
    return 0;
}

/* Merges a page; `hidden` counts keys that no path can name. */
static int merge_page(struct fs *fs, struct inode *dir, const struct obs_list *list,
                      size_t n_prefix, int64_t start_ms, unsigned *hidden)
{
    char name[NAME_MAX + 1];
    for (size_t i = 0; i < list->n; i++) {
        const struct obs_entry *e = &list->v[i];
        if (!e->is_prefix && strlen(e->key) == n_prefix) {
            dir->implicit = false; /* the directory's own marker */
            continue;
        }
        if (!entry_name(e, n_prefix, name)) {
            (*hidden)++;
            continue;
        }
        int rc = e->is_prefix ? merge_dir(fs, dir, name, start_ms)
                              : merge_file(fs, dir, name, e, start_ms);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* The service does not have the directory (any more), but what is being written below it: that keeps it. */
static bool stays(struct inode *inode)
{
    if (inode->state != INODE_STORED || !inode_has_unstored_locked(inode))
        return false;
    inode->implicit = true;
    inode->seen_ms = clock_ms();
    return true;
}

/* Names that the complete listing did not show are gone. */
static void sweep(struct fs *fs, struct inode *dir, int64_t start_ms)
{
    struct inode *inode, *tmp;
    HASH_ITER (hh, dir->children, inode, tmp) {
        if (inode->state == INODE_LOCAL || inode->staged || inode->moving ||
            inode->changed_ms >= start_ms ||
            (inode->state == INODE_STORED && inode->seen_ms >= start_ms) || stays(inode))
            continue;
        inode_detach_locked(fs, inode);
    }
}

static void listing_end(struct fs *fs, struct listing *l, int rc)
{
    struct inode *dir = l->dir;

    if (rc == 0) {
        sweep(fs, dir, l->start_ms);
        attrcache_load_children_locked(fs, dir);
        dir->list_start_ms = l->start_ms;
        dir->list_end_ms = clock_ms();
        dir->list_pages = l->pages;
        dir->stats = dir->fetched_ahead = 0;
        dir->prefetch_at = NULL;
        if (l->hidden)
            log_notice(fs->log, "list", "'%s': %u keys that no path can name are hidden", l->prefix,
                       l->hidden);
    }
    dir->listing = NULL;
    if (!dir->parent && !dir->is_root)
        inode_shrink_locked(fs, dir); /* it was removed meanwhile: nobody else would free these */
    waitlist_finish_locked(fs, &dir->list_waiters, rc);
    inode_unpin_locked(fs, dir);
}

static void page_done(struct obs_call *call)
{
    struct listing *l = call->arg;
    struct fs *fs = l->fs;

    fs_lock(fs);
    int rc = inode_rekeyed_locked(l->dir, l->start_ms) ? -EAGAIN : call->err.eno;
    if (rc == 0) {
        l->pages++;
        rc = merge_page(fs, l->dir, &call->list, strlen(l->prefix), l->start_ms, &l->hidden);
    }
    if (rc == 0 && call->list.truncated) {
        free(l->marker);
        l->marker = call->list.next_marker ? strdup(call->list.next_marker) : NULL;
        if (l->marker) {
            obs_call_clear(call);
            call->marker = l->marker;
            obs_submit(fs->obs, call);
            fs_unlock(fs);
            return;
        }
        rc = -EIO;
    }
    if (call->err.eno) {
        log_err(fs->log, LOG_LEVEL_WARNING, "list", &call->err, "'%s'", l->prefix);
        errors_add(fs->errors, "list", l->prefix, &call->err);
    }
    listing_end(fs, l, rc);
    fs_unlock(fs);
    obs_call_clear(call);
    free(l->marker);
    free(l);
}

static int listing_start(struct fs *fs, struct inode *dir)
{
    struct listing *l = calloc(1, sizeof(*l));
    if (!l)
        return -ENOMEM;
    int rc = inode_key_locked(fs, dir, l->prefix);
    if (rc < 0) {
        free(l);
        return rc;
    }
    l->fs = fs;
    l->dir = dir;
    l->start_ms = clock_ms();
    l->call = (struct obs_call){.op = OBS_LIST,
                                .prefix = l->prefix,
                                .delimiter = "/",
                                .urgent = true,
                                .give_up_ms = FS_META_GIVE_UP_MS,
                                .done = page_done,
                                .arg = l};
    dir->listing = l;
    inode_pin_locked(dir);
    obs_submit(fs->obs, &l->call);
    return 0;
}

int listing_wait_locked(struct fs *fs, struct inode *dir, struct intr *intr)
{
    int rc;
    dir->listers++; /* the caller looks at the names before anybody else gets the lock */
    do {
        rc = inode_await_key_locked(fs, dir, intr);
        if (rc == 0 && !dir->listing)
            rc = listing_start(fs, dir);
        if (rc == 0)
            rc = fs_wait_locked(fs, &dir->list_waiters, intr, -1);
    } while (rc == -EAGAIN); /* it has another key now */
    dir->listers--;
    return rc;
}

int dir_list_locked(struct fs *fs, struct inode *dir, struct intr *intr)
{
    return dir_listed_locked(fs, dir) ? 0 : listing_wait_locked(fs, dir, intr);
}

/* Runs a list request with the lock dropped. */
static int run_list(struct fs *fs, struct obs_call *call, struct intr *intr)
{
    call->op = OBS_LIST;
    call->urgent = true;
    call->give_up_ms = FS_META_GIVE_UP_MS;
    fs_unlock(fs);
    int rc = obs_run(fs->obs, call, intr);
    if (rc < 0 && rc != -EINTR)
        log_err(fs->log, LOG_LEVEL_WARNING, "list", &call->err, "'%s'", call->prefix);
    fs_lock(fs);
    if (rc < 0 && rc != -EINTR)
        errors_add(fs->errors, "list", call->prefix, &call->err);
    return rc;
}

/* Other names that begin with `name` may fill the page before "name/" comes: then one more request
 * tells. */
static int ask_for_dir(struct fs *fs, struct inode *dir, const char *name, const char *key,
                       int64_t start_ms, struct intr *intr)
{
    char as_dir[OBS_KEY_MAX + 2];
    (void)snprintf(as_dir, sizeof(as_dir), "%s/", key);
    struct obs_call call = {.prefix = as_dir, .max_keys = 1};
    int rc = run_list(fs, &call, intr);
    if (rc == 0 && inode_rekeyed_locked(dir, start_ms))
        rc = -EAGAIN;
    if (rc == 0 && call.list.n > 0)
        rc = merge_dir(fs, dir, name, start_ms);
    obs_call_clear(&call);
    return rc;
}

int listing_has_entries_locked(struct fs *fs, struct inode *dir, struct intr *intr)
{
    char prefix[OBS_KEY_MAX + 1];
    int rc = inode_key_locked(fs, dir, prefix);
    if (rc < 0)
        return rc;
    struct obs_call call = {.prefix = prefix, .max_keys = 2};
    inode_pin_locked(dir);
    rc = run_list(fs, &call, intr);
    inode_unpin_locked(fs, dir);
    for (size_t i = 0; rc == 0 && i < call.list.n; i++) {
        if (strcmp(call.list.v[i].key, prefix) != 0)
            rc = 1;
    }
    if (rc == 1)
        dir->list_start_ms = 0; /* there is more than we knew of */
    obs_call_clear(&call);
    return rc;
}

/* -EAGAIN: the directory has got another key meanwhile. */
static int ask_for_one(struct fs *fs, struct inode *dir, const char *name, struct intr *intr)
{
    char key[OBS_KEY_MAX + 1];
    char prefix[OBS_KEY_MAX + 1];
    int rc = inode_child_key_locked(fs, dir, name, false, key);
    if (rc == 0)
        rc = inode_key_locked(fs, dir, prefix);
    if (rc < 0)
        return rc;

    struct obs_call call = {.prefix = key, .delimiter = "/"};
    int64_t start_ms = clock_ms();
    unsigned hidden = 0;
    rc = run_list(fs, &call, intr);
    if (rc == 0 && inode_rekeyed_locked(dir, start_ms))
        rc = -EAGAIN;
    if (rc == 0)
        rc = merge_page(fs, dir, &call.list, strlen(prefix), start_ms, &hidden);
    if (rc == 0 && call.list.truncated && call.list.n > 0) {
        char as_dir[OBS_KEY_MAX + 2];
        (void)snprintf(as_dir, sizeof(as_dir), "%s/", key);
        if (strcmp(call.list.v[call.list.n - 1].key, as_dir) < 0)
            rc = ask_for_dir(fs, dir, name, key, start_ms, intr);
    }
    obs_call_clear(&call);
    if (rc < 0)
        return rc;

    struct inode *inode = inode_child_locked(dir, name);
    if (!inode || (inode->state != INODE_GONE && inode->state != INODE_LOCAL && !inode->staged &&
                   !inode->moving && inode->seen_ms < start_ms && inode->changed_ms < start_ms &&
                   !stays(inode)))
        inode_tombstone_locked(fs, dir, name);
    inode = inode_child_locked(dir, name);
    if (inode && inode->state == INODE_GONE)
        inode->seen_ms = clock_ms();
    else if (inode)
        attrcache_load_locked(fs, inode);
    return 0;
}

int listing_one_name_locked(struct fs *fs, struct inode *dir, const char *name, struct intr *intr)
{
    int rc;
    dir->listers++; /* what comes or goes meanwhile is newer than the answer, and must be remembered */
    do {
        rc = inode_await_key_locked(fs, dir, intr);
        if (rc == 0)
            rc = ask_for_one(fs, dir, name, intr);
    } while (rc == -EAGAIN);
    dir->listers--;
    return rc;
}

void listing_prefetch_start_locked(struct fs *fs, struct inode *dir)
{
    dir->prefetch_at = dir->children;
    listing_prefetch_locked(fs, dir);
}

void listing_prefetch_locked(struct fs *fs, struct inode *dir)
{
    while (dir->prefetch_at && dir->prefetching < PREFETCH_MAX &&
           dir->fetched_ahead < PREFETCH_MAX + PREFETCH_EACH * dir->stats) {
        struct inode *inode = dir->prefetch_at;
        dir->prefetch_at = inode->hh.next;
        if (inode->state != INODE_STORED || inode->attr_known || inode->attr_fetching)
            continue;
        if (dir_fetch_attr_locked(fs, inode, true) < 0)
            break;
        dir->fetched_ahead++;
    }
}
