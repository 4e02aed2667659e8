// SPDX-License-Identifier: Apache-2.0
// Attributes of inodes and the properties of their objects; see inode.h.
#include "fs/inode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fs/access.h"
#include "fs/dir.h"
#include "fs/mime.h"
#include "fs/options.h"
#include "fs/properties.h"
#include "fs/staged.h"
#include "net/base/cleanup.h"
#include "net/base/clock.h"
#include "net/props.h"

static struct attr_defaults defaults(const struct fs *fs)
{
    return (struct attr_defaults){
        .umask = fs->opt->umask, .uid = fs->opt->uid, .gid = fs->opt->gid};
}

/* What must be sent again when the object is written anew; the rest the service adds by itself, or
 * inode->settings has it. */
static bool is_kept(const struct obs_prop *p)
{
    if (p->kind == OBS_PROP_META)
        return !attr_owns_meta(p->name);
    if (p->kind == OBS_PROP_RAW)
        return props_is_entity(p->name);
    return sse_is_prop(p) || strcasecmp(p->name, "storage-class") == 0 ||
           strcasecmp(p->name, "website-redirect-location") == 0;
}

int inode_set_object_locked(struct fs *fs, struct inode *inode, const struct obs_object *object)
{
    const struct attr_defaults dflt = defaults(fs);
    const char *key = inode->is_dir ? "/" : "";

    attr_from_props(&object->props, key, object->size, object->mtime_ms, &dflt, &inode->attr);
    /* A marker of old s3fs without its slash; what is larger than special files are: look-ups count
     * on that. */
    if (!inode->is_dir && (S_ISDIR(inode->attr.mode) || object->size > DIR_SPECIAL_MAX))
        inode->attr.mode = (inode->attr.mode & 07777) | S_IFREG;

    const char *xattrs = obs_props_get(&object->props, OBS_PROP_META, XATTR_META);
    xattr_set_clear(&inode->xattrs);
    inode->xattrs_stored = xattrs != NULL;
    if (xattrs && xattr_set_decode(&inode->xattrs, xattrs) == -ENOMEM)
        return -ENOMEM;

    const char *settings = obs_props_get(&object->props, OBS_PROP_META, PROPERTY_META);
    if (properties_take_locked(inode, settings ? settings : "") < 0)
        return -ENOMEM;
    if (!inode->is_dir && access_overlay_locked(inode) < 0)
        return -ENOMEM;

    obs_props_clear(&inode->other);
    for (size_t i = 0; i < object->props.n; i++) {
        const struct obs_prop *p = &object->props.v[i];
        if (is_kept(p) && obs_props_set(&inode->other, p->kind, p->name, p->value) < 0)
            return -ENOMEM;
    }
    free(inode->link_target);
    inode->link_target = NULL;
    const char *target = S_ISLNK(inode->attr.mode) ? attr_link_target(&object->props) : NULL;
    if (target && !(inode->link_target = strdup(target)))
        return -ENOMEM;
    return 0;
}

int inode_set_implicit_locked(struct fs *fs, struct inode *inode)
{
    const struct attr_defaults dflt = defaults(fs);
    attr_default(true, fs->start_s * 1000, &dflt, &inode->attr);
    inode->implicit = true;
    inode->attr_known = true;
    inode->seen_ms = inode->attr_ms = clock_ms();
    return 0;
}

void inode_set_new_locked(struct inode *inode, mode_t mode, uid_t uid, gid_t gid, dev_t rdev)
{
    struct timespec now = clock_real();
    inode->attr = (struct posix_attr){.mode = mode,
                                      .uid = uid,
                                      .gid = gid,
                                      .rdev = S_ISCHR(mode) || S_ISBLK(mode) ? rdev : 0,
                                      .mtime = now,
                                      .atime = now,
                                      .ctime = now,
                                      .present = ~0u};
    inode->attr_known = true;
    inode->is_dir = S_ISDIR(mode);
    inode->seen_ms = inode->changed_ms = inode->attr_ms = clock_ms();
}

void inode_stat_locked(const struct fs *fs, const struct inode *inode, struct stat *st)
{
    const struct posix_attr *a = &inode->attr;
    *st = (struct stat){
        .st_ino = inode->st_ino,
        .st_mode = a->mode,
        .st_nlink = inode->removed  ? 0
                    : inode->is_dir ? 2
                    : inode->parent ? 1
                                    : 0,
        .st_uid = a->uid,
        .st_gid = a->gid,
        .st_rdev = a->rdev,
        .st_mtim = a->mtime,
        .st_atim = a->atime,
        .st_ctim = a->ctime,
        .st_blksize = 1 << 20,
    };
    if (inode->is_root)
        st->st_nlink = 2;
    if (S_ISREG(a->mode) || S_ISLNK(a->mode))
        st->st_size = (off_t)inode_size_locked(inode);
    if (S_ISLNK(a->mode) && inode->link_target)
        st->st_size = (off_t)strlen(inode->link_target);
    if (inode->is_dir)
        st->st_size = 4096;
    st->st_blocks = S_ISREG(a->mode) ? (st->st_size + 511) / 512 : 0;
}

static const char *content_type(const struct fs *fs, const struct inode *inode, const char *key)
{
    if (inode->is_dir)
        return ATTR_DIR_TYPE;
    return S_ISREG(inode->attr.mode) ? mime_type(fs->mime, key) : ATTR_PLAIN_TYPE;
}

int inode_props_locked(struct fs *fs, const struct inode *inode, const char *key, bool all,
                       struct obs_props *out)
{
    int rc = 0;
    obs_props_clear(out);
    if (all) {
        rc = obs_props_copy(out, &inode->other);
        if (rc == 0 && !obs_props_get(out, OBS_PROP_RAW, "Content-Type"))
            rc = obs_props_set(out, OBS_PROP_RAW, "Content-Type", content_type(fs, inode, key));
    }
    if (rc == 0)
        rc = properties_to_headers_locked(inode, all, !all, out);
    if (rc == 0)
        rc = attr_to_props(&inode->attr, out);
    if (rc == 0 && (inode->xattrs.n || (inode->xattrs_stored && !all))) {
        CLEANUP_FREE char *text = NULL;
        rc = xattr_set_encode(&inode->xattrs, &text);
        if (rc == 0)
            rc = obs_props_set(out, OBS_PROP_META, XATTR_META, text);
    }
    if (rc == 0 && props_check(out, NULL) < 0)
        rc = -ENOSPC;
    if (rc < 0)
        obs_props_clear(out);
    return rc;
}
