// SPDX-License-Identifier: Apache-2.0
// The rights on stored objects; see access.h.
#include "fs/access.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs/errors.h"
#include "fs/meta.h"
#include "fs/property.h"
#include "net/base/buf.h"
#include "net/base/cleanup.h"
#include "net/base/log.h"

const char *const access_grants[ACCESS_GRANTS][2] = {{"grant.read", "READ"},
                                                     {"grant.read_acp", "READ_ACP"},
                                                     {"grant.write_acp", "WRITE_ACP"},
                                                     {"grant.full_control", "FULL_CONTROL"}};

static bool is_right(const struct obs_right *r, const char *permission)
{
    return strcmp(r->permission, permission) == 0;
}

/* Has one of the rights before number `i` said the same? */
static bool said_before(const struct obs_acl *acl, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (acl->v[k].id && strcmp(acl->v[k].id, acl->v[i].id) == 0 &&
            is_right(&acl->v[k], acl->v[i].permission))
            return true;
    }
    return false;
}

/* All accounts with one permission, as the value of its property. The owner may do everything anyway. */
static int add_grants(const struct obs_acl *acl, size_t kind, struct obs_props *set, bool *ret_lost)
{
    CLEANUP_BUF struct buf text = BUF_INIT(PROPERTY_VALUE_MAX);
    int rc = 0;
    for (size_t i = 0; i < acl->n && rc == 0; i++) {
        const struct obs_right *r = &acl->v[i];
        bool owner = r->id && strcmp(r->id, acl->owner) == 0 && is_right(r, "FULL_CONTROL");
        if (r->id && !owner && is_right(r, access_grants[kind][1]) && !said_before(acl, i))
            rc = buf_addf(&text, "%sid=%s", text.n ? "," : "", r->id);
    }
    if (rc == 0 && text.n)
        rc = property_set(set, access_grants[kind][0], buf_str(&text), text.n, NULL);
    if (rc == 0 || rc == -ENOMEM)
        return rc;
    *ret_lost = true; /* an id, or a number of them, that no header can have */
    return 0;
}

int access_from_acl(const struct obs_acl *acl, struct obs_props *set, bool *ret_lost)
{
    bool read = false, write = false;
    *ret_lost = false;
    for (size_t i = 0; i < acl->n; i++) {
        const struct obs_right *r = &acl->v[i];
        if (r->everyone) {
            read |= is_right(r, "READ");
            write |= is_right(r, "WRITE");
        }
        *ret_lost |= r->everyone ? !is_right(r, "READ") && !is_right(r, "WRITE")
                                 : !r->id || is_right(r, "WRITE");
    }
    *ret_lost |= write && !read;
    const char *canned = !read ? "private" : write ? "public-read-write" : "public-read";
    int rc = property_set(set, "acl", canned, strlen(canned), NULL);
    for (size_t k = 0; k < ACCESS_GRANTS && rc == 0; k++)
        rc = add_grants(acl, k, set, ret_lost);
    return rc;
}

/* What stands for "no rights for everyone", and need not be named. */
static bool is_private(const char *acl)
{
    return strcmp(acl, "private") == 0 || strcmp(acl, "bucket-owner-full-control") == 0;
}

int access_to_headers(const struct obs_acl *acl, struct obs_props *headers, bool *ret_lost)
{
    struct obs_props set = {0};
    int rc = access_from_acl(acl, &set, ret_lost);
    const char *old = obs_props_get(headers, OBS_PROP_HEADER, "acl");
    if (rc == 0 && (!old || !is_private(old)))
        (void)property_drop(headers, OBS_PROP_HEADER, "acl");
    for (size_t k = 0; k < ACCESS_GRANTS && rc == 0; k++)
        (void)property_drop(headers, OBS_PROP_HEADER, property_find(access_grants[k][0])->header);
    for (size_t i = 0; i < set.n && rc == 0; i++) {
        if (strcmp(set.v[i].name, "acl") != 0 || !is_private(set.v[i].value))
            rc = property_to_header(set.v[i].name, set.v[i].value, headers);
    }
    obs_props_clear(&set);
    return rc;
}

bool access_untold(int rc)
{
    return rc == -EACCES || rc == -EPERM || rc == -EOPNOTSUPP;
}

static int overlay(struct obs_props *settings, const struct obs_props *told)
{
    const char *acl = obs_props_get(told, OBS_PROP_RAW, "acl");
    const char *old = obs_props_get(settings, OBS_PROP_RAW, "acl");
    int rc = 0;
    if (!acl)
        return 0; /* never asked */
    if (!is_private(acl) || (old && !is_private(old)))
        rc = obs_props_set(settings, OBS_PROP_RAW, "acl", acl);
    for (size_t k = 0; k < ACCESS_GRANTS && rc == 0; k++) {
        const char *ids = obs_props_get(told, OBS_PROP_RAW, access_grants[k][0]);
        if (ids)
            rc = obs_props_set(settings, OBS_PROP_RAW, access_grants[k][0], ids);
        else
            (void)property_drop(settings, OBS_PROP_RAW, access_grants[k][0]);
    }
    return rc;
}

int access_overlay_locked(struct inode *inode)
{
    return overlay(&inode->settings, &inode->access);
}

static int take(struct inode *inode, const struct obs_acl *acl)
{
    struct obs_props told = {0};
    bool lost;
    int rc = access_from_acl(acl, &told, &lost);
    if (rc < 0) {
        obs_props_clear(&told);
        return rc;
    }
    obs_props_clear(&inode->access);
    inode->access = told;
    return access_overlay_locked(inode);
}

static int ask(struct fs *fs, const char *key, struct obs_call *call, struct intr *intr)
{
    *call = (struct obs_call){
        .op = OBS_GET_ACL, .key = key, .urgent = true, .give_up_ms = FS_META_GIVE_UP_MS};
    fs_unlock(fs);
    int rc = obs_run(fs->obs, call, intr);
    fs_lock(fs);
    return rc;
}

int access_refresh_locked(struct fs *fs, struct inode *inode, struct intr *intr)
{
    char key[OBS_KEY_MAX + 1], etag[OBS_ETAG_MAX];
    if (inode->is_dir || inode->state != INODE_STORED || meta_carried_locked(inode))
        return 0;
    int rc = inode_key_locked(fs, inode, key);
    if (rc < 0)
        return rc;
    (void)snprintf(etag, sizeof(etag), "%s", inode->etag);
    struct obs_call call;
    inode_pin_locked(inode);
    rc = ask(fs, key, &call, intr);
    bool same = inode->state == INODE_STORED && strcmp(inode->etag, etag) == 0;
    if (rc == 0 && same && !meta_carried_locked(inode))
        rc = take(inode, &call.acl);
    inode_unpin_locked(fs, inode);
    if (rc < 0 && rc != -EINTR && rc != -ENOENT) {
        log_err(fs->log, LOG_LEVEL_NOTICE, "property", &call.err, "the rights on '%s'", key);
        errors_add(fs->errors, "property", key, &call.err);
    }
    obs_call_clear(&call);
    return rc;
}

int access_for_copy_locked(struct fs *fs, struct inode *inode, const char *key, struct intr *intr,
                           struct obs_props *headers)
{
    struct obs_call call;
    bool lost = false;
    int rc = ask(fs, key, &call, intr);
    if (rc == 0)
        rc = access_to_headers(&call.acl, headers, &lost);
    if (rc == 0)
        rc = take(inode, &call.acl);
    if (lost)
        log_notice(fs->log, "rename", "'%s': its copy does not get all rights", key);
    if (access_untold(rc)) {
        log_err(fs->log, LOG_LEVEL_INFO, "rename", &call.err, "the rights on '%s'", key);
        rc = 0;
    }
    obs_call_clear(&call);
    return rc;
}
