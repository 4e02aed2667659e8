// SPDX-License-Identifier: Apache-2.0
// What user.obs.NAME answers; see properties.h.
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "fs/access.h"
#include "fs/control_uploads.h"
#include "fs/encrypt.h"
#include "fs/options.h"
#include "fs/properties.h"
#include "fs/request.h"
#include "fs/control_result.h"
#include "fs/staged.h"
#include "net/base/cleanup.h"

static int add_url(struct fs *fs, const struct inode *inode, bool uri, struct buf *out)
{
    char key[OBS_KEY_MAX + 1];
    int rc = inode_key_locked(fs, inode, key);
    if (rc < 0)
        return rc;
    if (uri)
        return buf_addf(out, "obs://%s/%s", fs->opt->bucket, key);
    CLEANUP_FREE char *url = obs_url(fs->obs, key);
    return url ? buf_adds(out, url) : -ENOMEM;
}

/* What only the service knows. */
static int ask(struct fs *fs, struct inode *inode, bool version, struct intr *intr, struct buf *out)
{
    char key[OBS_KEY_MAX + 1];
    int rc = inode_key_locked(fs, inode, key);
    if (rc < 0)
        return rc;
    struct obs_call head = {.op = OBS_HEAD, .key = key, .give_up_ms = FS_META_GIVE_UP_MS};
    inode_pin_locked(inode);
    rc = request_run_locked(fs, &head, intr, "property");
    const char *text = version ? head.object.version_id : head.object.upload_id;
    if (rc == 0)
        rc = *text ? buf_adds(out, text) : -ENODATA;
    inode_unpin_locked(fs, inode);
    obs_call_clear(&head);
    return rc == -ENOENT ? -ENODATA : rc;
}

static int get_result(struct fs *fs, const struct inode *inode, struct buf *out)
{
    char key[OBS_KEY_MAX + 1];
    int rc = inode_key_locked(fs, inode, key);
    return rc < 0 ? rc : result_get_locked(fs, key, out);
}

static int add_etag(const struct inode *inode, struct buf *out)
{
    bool stored = inode->state == INODE_STORED && inode->etag && inode->etag[0];
    return stored ? buf_adds(out, inode->etag) : -ENODATA;
}

static int get_state(struct fs *fs, struct inode *inode, const char *name, struct intr *intr,
                     struct buf *out)
{
    const struct staged *st = inode->staged;
    if (strcmp(name, "url") == 0 || strcmp(name, "uri") == 0)
        return add_url(fs, inode, name[2] == 'i', out);
    if (strcmp(name, "etag") == 0)
        return add_etag(inode, out);
    if (strcmp(name, "upload") == 0)
        return st ? uploads_one_locked(fs, st, out) : -ENODATA;
    if (strcmp(name, "result") == 0)
        return get_result(fs, inode, out);
    if (strcmp(name, "upload_id") == 0 && st && st->upload.id[0])
        return buf_adds(out, st->upload.id);
    if (strcmp(name, "upload_id") == 0 || strcmp(name, "version_id") == 0)
        return inode->state == INODE_STORED && !inode->is_dir
                   ? ask(fs, inode, name[0] == 'v', intr, out)
                   : -ENODATA;
    return -ENODATA;
}

/* A file's type and class that nobody has set. */
static const char *natural(const struct inode *inode, const char *name)
{
    if (inode->is_dir || inode->state != INODE_STORED)
        return NULL;
    return strcmp(name, "storage_class") == 0 ? "STANDARD"
           : strcmp(name, "acl") == 0         ? "private"
                                              : NULL;
}

int properties_get_locked(struct fs *fs, struct inode *inode, const char *name, struct intr *intr,
                          struct buf *out)
{
    const struct property *p = property_find(name);
    if (!p)
        return -ENODATA;
    if (p->place == PROPERTY_STATE)
        return get_state(fs, inode, name, intr, out);
    if (p->place == PROPERTY_ENCRYPTION)
        return encrypt_get_locked(fs, inode, out);
    int rc = p->place == PROPERTY_ACL ? access_refresh_locked(fs, inode, intr) : 0;
    const char *value = properties_value_locked(fs, inode, name);
    if (rc < 0 && !(access_untold(rc) && value))
        return rc;
    if (!value)
        value = natural(inode, name);
    return value ? buf_adds(out, value) : -ENODATA;
}
