// SPDX-License-Identifier: Apache-2.0
// Remembered attributes; see attrcache.h.
#include "fs/attrcache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/index.h"
#include "checkpoint/record.h"
#include "fs/encrypt.h"
#include "fs/note.h"
#include "fs/notify.h"
#include "fs/staged.h"
#include "net/base/buf.h"
#include "net/base/clock.h"

static struct index_version version_of(const struct inode *inode)
{
    int64_t mtime_ms = inode->remote_ms ? inode->remote_ms / 1000 * 1000 : -inode->stored_s * 1000;
    return (struct index_version){
        .etag = inode->etag, .mtime_ms = mtime_ms, .size = inode->stored_size};
}

static bool wants(const struct inode *inode)
{
    return inode->state == INODE_STORED && !inode->is_dir && !inode->attr_known &&
           !inode->attr_fetching && inode->etag && inode->remote_ms;
}

static void take(struct fs *fs, struct inode *inode, const void *attrs, size_t n)
{
    struct obs_object object = {.size = inode->stored_size, .mtime_ms = inode->remote_ms};
    if (note_decode_props(attrs, n, &object.props) == 0 &&
        inode_set_object_locked(fs, inode, &object) == 0) {
        inode->attr_known = true;
        inode->encrypted = sse_encrypted(&object.props);
        encrypt_stored_locked(fs, inode, &object.props);
        inode->attr_ms = clock_ms();
    }
    obs_props_clear(&object.props);
}

void attrcache_load_locked(struct fs *fs, struct inode *inode)
{
    char key[OBS_KEY_MAX + 1];
    void *attrs;
    size_t n;
    if (!fs->index || !wants(inode) || inode_key_locked(fs, inode, key) < 0)
        return;
    struct index_version version = version_of(inode);
    if (index_get(fs->index, key, &version, clock_real().tv_sec, &attrs, &n) != 1)
        return;
    take(fs, inode, attrs, n);
    free(attrs);
}

struct load {
    struct fs *fs;
    struct inode *dir;
};

static int load_child(void *arg, const char *name, const struct index_version *version,
                      const void *attrs, size_t n)
{
    const struct load *load = arg;
    struct inode *inode = inode_child_locked(load->dir, name);
    if (!inode || !wants(inode))
        return 0;
    struct index_version now = version_of(inode);
    if (index_same_version(&now, version))
        take(load->fs, inode, attrs, n);
    return 0;
}

void attrcache_load_children_locked(struct fs *fs, struct inode *dir)
{
    char key[OBS_KEY_MAX + 1];
    struct load load = {.fs = fs, .dir = dir};
    if (fs->index && inode_key_locked(fs, dir, key) == 0)
        (void)index_each(fs->index, key, clock_real().tv_sec, load_child, &load);
}

void attrcache_store_locked(struct fs *fs, struct inode *inode)
{
    char key[OBS_KEY_MAX + 1];
    struct obs_props props = {0};
    CLEANUP_BUF struct buf out = BUF_INIT(RECORD_ATTRS_MAX);
    if (!fs->index || inode->is_dir || !inode->attr_known || !inode->etag ||
        !(inode->remote_ms || inode->stored_s) || inode->meta_dirty || inode->meta_sending ||
        (inode->staged && staged_dirty(inode->staged)) || inode_key_locked(fs, inode, key) < 0)
        return;
    struct index_version version = version_of(inode);
    if (inode_props_locked(fs, inode, key, true, &props) == 0 &&
        note_encode_props(&props, &out) == 0)
        index_put(fs->index, key, &version, out.p, out.n, clock_real().tv_sec);
    obs_props_clear(&props);
}

void attrcache_forget_locked(struct fs *fs, struct inode *inode)
{
    char key[OBS_KEY_MAX + 1];
    if (fs->index && !inode->is_dir && inode_key_locked(fs, inode, key) == 0)
        index_forget(fs->index, key);
}

void attrcache_forget_key_locked(struct fs *fs, const char *key)
{
    char path[OBS_KEY_MAX + 1];
    char *rest = path, *name;
    struct inode *at = fs->root;
    size_t skip = strlen(fs->prefix);
    index_forget(fs->index, key);
    if (strncmp(key, fs->prefix, skip) != 0)
        return;
    (void)snprintf(path, sizeof(path), "%s", key + skip);
    while (at && (name = strsep(&rest, "/")))
        at = inode_child_locked(at, name);
    if (!at || at->meta_dirty || at->meta_sending || at->staged || at->state != INODE_STORED)
        return; /* what is changed here is newer */
    at->attr_known = false;
    at->seen_ms = 0;
    notify_attr_locked(fs, at);
}
