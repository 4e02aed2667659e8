// SPDX-License-Identifier: Apache-2.0
// Properties of inodes; see properties.h.
#include "fs/properties.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/xattr.h>

#include "fs/access.h"
#include "fs/dir.h"
#include "fs/encrypt.h"
#include "fs/errors.h"
#include "fs/meta.h"
#include "fs/mime.h"
#include "fs/namespace.h"
#include "fs/note.h"
#include "fs/options.h"
#include "fs/publish.h"
#include "fs/staged.h"
#include "net/base/cleanup.h"
#include "net/base/clock.h"
#include "net/base/log.h"
#include "net/sse.h"

/* The header or metadata that a property of that name makes; false: none. */
static bool header_of(const char *name, struct obs_prop *ret)
{
    const struct property *p = property_find(name);
    if (!p || !p->header)
        return false;
    const char *rest = name + strlen(p->name);
    ret->kind = p->kind;
    ret->name = (char *)(*p->header ? p->header : rest);
    return true;
}

static bool is_told(const char *name)
{
    const struct property *p = property_find(name);
    return p && (property_flags(p, name) & PROPERTY_TOLD);
}

int properties_put_locked(struct inode *inode, const char *name, const char *value)
{
    return !inode->is_dir && is_told(name)
               ? property_to_header(name, value, &inode->other)
               : obs_props_set(&inode->settings, OBS_PROP_RAW, name, value);
}

int properties_drop_locked(struct inode *inode, const char *name)
{
    struct obs_prop p;
    bool found = !inode->is_dir && is_told(name)
                     ? header_of(name, &p) && property_drop(&inode->other, p.kind, p.name)
                     : property_drop(&inode->settings, OBS_PROP_RAW, name);
    return found ? 0 : -ENODATA;
}

/* What was set, of a file or a directory; NULL: nothing. */
static const char *value_of(const struct inode *inode, const char *name)
{
    struct obs_prop p;
    if (inode->is_dir || !is_told(name))
        return obs_props_get(&inode->settings, OBS_PROP_RAW, name);
    return header_of(name, &p) ? obs_props_get(&inode->other, p.kind, p.name) : NULL;
}

const char *properties_value_locked(const struct fs *fs, const struct inode *inode,
                                    const char *name)
{
    const char *value = value_of(inode, name);
    if (value || inode->is_dir || strcmp(name, "content_type") != 0)
        return value;
    return inode->name && S_ISREG(inode->attr.mode) ? mime_type(fs->mime, inode->name) : NULL;
}

/* Would a new inode of that type have it? */
static bool applies(const struct inode *inode, const char *name)
{
    const struct property *p = property_find(name);
    if (!p || inode->is_dir || (p->flags & PROPERTY_DIR_ONLY))
        return false;
    return S_ISREG(inode->attr.mode) || (p->flags & PROPERTY_EVERY);
}

static int take_defaults(struct inode *inode, const struct obs_props *set)
{
    int rc = 0;
    for (size_t i = 0; i < set->n && rc == 0; i++) {
        if (applies(inode, set->v[i].name))
            rc = properties_put_locked(inode, set->v[i].name, set->v[i].value);
    }
    return rc;
}

/* The directories from the root to `dir`, the root first. */
static int take_from_dirs(struct inode *dir, struct inode *inode)
{
    int rc = dir->parent ? take_from_dirs(dir->parent, inode) : 0;
    return rc < 0 ? rc : take_defaults(inode, &dir->settings);
}

int properties_inherit_locked(struct fs *fs, struct inode *dir, struct inode *inode,
                              struct intr *intr)
{
    int rc = 0;
    inode_pin_locked(inode);
    for (struct inode *d = dir; d && rc == 0; d = d->parent) {
        inode_pin_locked(d);
        if (!d->attr_known)
            rc = dir_attr_locked(fs, d, INT64_MAX / 2, intr);
        inode_unpin_locked(fs, d);
        if (rc == -ESTALE)
            rc = 0; /* it is being removed or replaced: no defaults of it */
    }
    if (rc == 0)
        rc = take_defaults(inode, &fs->defaults);
    if (rc == 0)
        rc = take_from_dirs(dir, inode);
    inode_unpin_locked(fs, inode);
    return rc;
}

int properties_renew_locked(struct fs *fs, struct inode *inode)
{
    int rc = 0;
    if (inode->state != INODE_STORED)
        return 0; /* it has them since it was made */
    for (size_t i = 0; i < fs->defaults.n && rc == 0; i++) {
        const struct obs_prop *p = &fs->defaults.v[i];
        if (applies(inode, p->name) && !value_of(inode, p->name))
            rc = properties_put_locked(inode, p->name, p->value);
    }
    return rc;
}

const char *properties_of_dirs_locked(const struct inode *dir, const char *name)
{
    const char *value = NULL;
    for (; dir && !value; dir = dir->parent)
        value = obs_props_get(&dir->settings, OBS_PROP_RAW, name);
    return value;
}

int properties_take_locked(struct inode *inode, const char *text)
{
    int rc = property_decode(&inode->settings, text);
    inode->settings_stored = *text != 0;
    for (size_t i = 0; rc == 0 && !inode->is_dir && i < inode->settings.n;) {
        if (is_told(inode->settings.v[i].name)) /* not written by us: the headers are what holds */
            (void)property_drop(&inode->settings, OBS_PROP_RAW, inode->settings.v[i].name);
        else
            i++;
    }
    return rc;
}

int properties_to_headers_locked(const struct inode *inode, bool headers, bool emptied,
                                 struct obs_props *out)
{
    const struct obs_props *set = &inode->settings;
    int rc = 0;
    for (size_t i = 0; headers && !inode->is_dir && i < set->n && rc == 0; i++)
        rc = property_to_header(set->v[i].name, set->v[i].value, out);
    if (rc < 0 || (!set->n && !(emptied && inode->settings_stored)))
        return rc;
    CLEANUP_BUF struct buf text = BUF_INIT(64 << 10);
    rc = property_encode(set, &text);
    return rc < 0 ? rc : obs_props_set(out, OBS_PROP_META, PROPERTY_META, buf_str(&text));
}

/* Changes by itself and can be sent after Complete, or is no concern of an upload in parts. */
static bool is_attribute(const struct obs_prop *p)
{
    if (sse_is_prop(p)) /* compared by whoever knows the keys */
        return true;
    if (p->kind == OBS_PROP_RAW && strcasecmp(p->name, "success-action-redirect") == 0)
        return true;
    return p->kind == OBS_PROP_META && strcasecmp(p->name, PROPERTY_META) != 0 &&
           attr_owns_meta(p->name);
}

static bool has_all(const struct obs_props *a, const struct obs_props *b)
{
    for (size_t i = 0; i < b->n; i++) {
        const struct obs_prop *p = &b->v[i];
        const char *value = obs_props_get(a, p->kind, p->name);
        if (!is_attribute(p) && (!value || strcmp(value, p->value) != 0))
            return false;
    }
    return true;
}

bool properties_same(const struct obs_props *a, const struct obs_props *b)
{
    return has_all(a, b) && has_all(b, a);
}

void properties_keep_metadata(struct obs_props *props)
{
    size_t kept = 0;
    for (size_t i = 0; i < props->n; i++) {
        struct obs_prop *p = &props->v[i];
        if (p->kind == OBS_PROP_META) {
            props->v[kept++] = *p;
            continue;
        }
        free(p->name);
        free(p->value);
    }
    props->n = kept;
}

/* A header without a property of its own. */
static bool is_plain_header(const struct obs_prop *p)
{
    static const char *const own[] = {"x-obs-expires", "success-action-redirect"};
    if (p->kind != OBS_PROP_RAW || strncasecmp(p->name, "content-", 8) == 0)
        return false;
    return strcasecmp(p->name, own[0]) != 0 && strcasecmp(p->name, own[1]) != 0;
}

int properties_for_end(const struct obs_props *begun, struct obs_props *out)
{
    int rc = 0;
    for (size_t i = 0; i < begun->n && rc == 0; i++) {
        const struct obs_prop *p = &begun->v[i];
        if (is_plain_header(p) && !sse_is_prop(p))
            rc = obs_props_set(out, p->kind, p->name, p->value);
    }
    return rc;
}

static bool is_lost_by_copy(const struct obs_prop *p)
{
    return sse_is_prop(p) ||
           (p->kind == OBS_PROP_HEADER && (strcasecmp(p->name, "storage-class") == 0 ||
                                           strcasecmp(p->name, "website-redirect-location") == 0));
}

int properties_for_copy(const struct obs_props *source, struct obs_props *out)
{
    const char *text = obs_props_get(source, OBS_PROP_META, PROPERTY_META);
    struct obs_props set = {0};
    int rc = text ? property_decode(&set, text) : 0;
    for (size_t i = 0; i < set.n && rc == 0; i++) {
        if (!is_told(set.v[i].name) && strcmp(set.v[i].name, "success_action_redirect") != 0)
            rc = property_to_header(set.v[i].name, set.v[i].value, out);
    }
    for (size_t i = 0; i < source->n && rc == 0; i++) {
        const struct obs_prop *p = &source->v[i];
        if (is_lost_by_copy(p))
            rc = obs_props_set(out, p->kind, p->name, p->value);
    }
    obs_props_clear(&set);
    return rc;
}

/* All that is to be sent must fit into what an object may carry. */
static int check_room(struct fs *fs, struct inode *inode, struct err *err)
{
    struct obs_props props = {0};
    int rc = inode_props_locked(fs, inode, "", true, &props);
    obs_props_clear(&props);
    return rc == -ENOSPC ? err_set(err, rc, "all metadata together are larger than 8 KB") : rc;
}

static int apply(struct inode *inode, const char *name, const char *value)
{
    return value ? properties_put_locked(inode, name, value) : properties_drop_locked(inode, name);
}

/* In memory, with both sets put back if it fails. */
static int apply_checked(struct fs *fs, struct inode *inode, const char *name, const char *value,
                         struct err *err)
{
    struct obs_props settings = {0}, other = {0};
    int rc = obs_props_copy(&settings, &inode->settings);
    if (rc == 0)
        rc = obs_props_copy(&other, &inode->other);
    if (rc == 0) {
        rc = apply(inode, name, value);
        if (rc == 0)
            rc = check_room(fs, inode, err);
        if (rc == 0) {
            obs_props_clear(&settings);
            obs_props_clear(&other);
            return 0;
        }
        obs_props_clear(&inode->settings);
        obs_props_clear(&inode->other);
        inode->settings = settings;
        inode->other = other;
        return rc;
    }
    obs_props_clear(&settings);
    return rc;
}

static int change_dir(struct fs *fs, struct inode *inode, const char *name, const char *value,
                      struct err *err)
{
    int rc = apply_checked(fs, inode, name, value, err);
    if (rc < 0)
        return rc;
    inode->settings_stored = true;
    inode->attr.ctime = clock_real();
    return 0;
}

/* The file's content will be stored: the property goes along. */
static int change_carried(struct fs *fs, struct inode *inode, const char *name, const char *value,
                          struct err *err)
{
    struct staged *st = inode->staged;
    bool local = property_find(name)->place == PROPERTY_LOCAL;
    bool begun = st && st->upload.state != UPLOAD_NONE && !local;
    if (begun && st->n_punched)
        return err_set(err, -EBUSY,
                       "its upload has begun, and local data had been released to stay within "
                       "staging_max: set it when the file is stored");
    int rc = apply_checked(fs, inode, name, value, err);
    if (rc < 0)
        return rc;
    inode->attr.ctime = clock_real();
    inode->meta_gen++;
    if (st)
        note_attrs_locked(fs, st);
    if (st && st->upload.state == UPLOAD_NONE && !st->n_parts)
        staged_plan_anew_locked(fs, st);
    if (begun) {
        st->upload.outdated = true;
        publish_rekey_locked(fs, st);
    }
    return 0;
}

static int change(struct fs *fs, struct inode *inode, const char *name, const char *value,
                  struct intr *intr, struct err *err)
{
    const struct property *p = property_find(name);
    if (inode->is_dir)
        return change_dir(fs, inode, name, value, err);
    if (p->flags & PROPERTY_DIR_ONLY)
        return err_set(err, -EINVAL, "'%s' is for directories", name);
    int rc = ns_settle_locked(fs, inode, intr);
    if (rc < 0)
        return rc;
    if (!inode->parent)
        return -ESTALE;
    bool stored = inode->state == INODE_STORED && !meta_carried_locked(inode);
    if (stored && p->place == PROPERTY_ENCRYPTION)
        return encrypt_change_stored_locked(fs, inode, value, intr, err);
    return stored ? property_change_stored_locked(fs, inode, name, value, intr, err)
                  : change_carried(fs, inode, name, value, err);
}

/* The canonical name and value, allocated. */
static int parse(const char *name, const char *value, size_t n, struct obs_props *one,
                 struct err *err)
{
    if (value)
        return property_set(one, name, value, n, err);
    const struct property *p = property_find(name);
    if (!p || !p->check)
        return err_set(err, p ? -EPERM : -ENODATA, p ? "'%s' is read only" : "no property '%s'",
                       name);
    int rc = obs_props_set(one, OBS_PROP_RAW, name, "");
    for (char *c = rc == 0 && p->kind == OBS_PROP_META ? one->v[0].name : NULL; c && *c; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
    return rc;
}

int properties_change_locked(struct fs *fs, struct inode *inode, const char *name,
                             const char *value, size_t n, int flags, struct intr *intr)
{
    struct obs_props one = {0};
    struct err err = {0};
    char path[256];
    inode_path_locked(inode, path, sizeof(path));
    int rc = parse(name, value, n, &one, &err);
    bool access = rc == 0 && property_find(one.v[0].name)->place == PROPERTY_ACL;
    if (access) { /* the rest of the list is to stay as it is */
        rc = access_refresh_locked(fs, inode, intr);
        rc = access_untold(rc) ? 0 : rc;
    }
    bool encryption = rc == 0 && strcmp(one.v[0].name, ENCRYPT_PROPERTY) == 0;
    bool there = rc == 0 && (value_of(inode, one.v[0].name) ||
                             (encryption && !inode->is_dir && sse_encrypted(&inode->other)));
    if (encryption && value)
        rc = encrypt_check_value(fs, one.v[0].value, &err);
    if (rc == 0 && ((flags & XATTR_CREATE) && there))
        rc = -EEXIST;
    else if (rc == 0 && !there && (!value || (flags & XATTR_REPLACE)))
        rc = -ENODATA;
    else if (rc == 0)
        rc = change(fs, inode, one.v[0].name, value ? one.v[0].value : NULL, intr, &err);
    if (rc == 0 && access)
        obs_props_clear(&inode->access);
    if (rc < 0 && rc != -EEXIST && rc != -ENODATA && rc != -EINTR) {
        if (!err.eno)
            err_set(&err, rc, "%s", err_text(rc));
        log_err(fs->log, LOG_LEVEL_NOTICE, "property", &err, "'%s' keeps its '%.100s'", path, name);
        errors_add(fs->errors, "property", path, &err);
    }
    obs_props_clear(&one);
    return rc;
}
