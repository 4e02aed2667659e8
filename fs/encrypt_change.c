// SPDX-License-Identifier: Apache-2.0
// The property `sse` of files and directories; see encrypt.h.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/attrcache.h"
#include "fs/copy.h"
#include "fs/encrypt.h"
#include "fs/fetch.h"
#include "fs/meta.h"
#include "fs/namespace.h"
#include "fs/properties.h"
#include "fs/request.h"
#include "net/base/clock.h"

/* The properties that `value` asks for, or the mount's default. */
static int wanted(const struct fs *fs, const char *value, struct obs_props *ret, struct err *err)
{
    struct sse_spec spec;
    if (!value)
        return sse_copy(ret, &fs->sse);
    int rc = sse_spec_parse(value, &spec, err);
    if (rc == 0)
        rc = sse_to_props(&spec, fs->sse_keys, ret, err);
    return rc == -ENOENT ? err->eno = -EACCES : rc;
}

int encrypt_check_value(const struct fs *fs, const char *value, struct err *err)
{
    struct obs_props props = {0};
    int rc = wanted(fs, value, &props, err);
    obs_props_clear(&props);
    return rc;
}

int encrypt_get_locked(const struct fs *fs, const struct inode *inode, struct buf *out)
{
    char text[SSE_TEXT_MAX];
    const char *set = obs_props_get(&inode->settings, OBS_PROP_RAW, ENCRYPT_PROPERTY);
    if (set)
        return buf_adds(out, set);
    if (inode->key_missing && !sse_encrypted(&inode->other))
        return buf_adds(out, "c:?");
    if (inode->is_dir || !sse_encrypted(&inode->other))
        return -ENODATA;
    sse_to_text(&inode->other, fs->sse_keys, text);
    return buf_adds(out, text);
}

/* One copy of the object onto itself, whose answer has another ETag for the same content. */
struct reencrypt {
    struct fs *fs;
    struct inode *inode;
    char key[OBS_KEY_MAX + 1];
    char etag[OBS_ETAG_MAX];
    char read_key[SSE_MD5_TEXT];
    struct obs_props settings, other; /* as they will be */
    struct obs_props props;           /* what is sent */
};

static void swap_sets(struct reencrypt *r)
{
    struct obs_props settings = r->inode->settings, other = r->inode->other;
    r->inode->settings = r->settings;
    r->inode->other = r->other;
    r->settings = settings;
    r->other = other;
}

static int prepare(struct reencrypt *r, const char *value, struct err *err)
{
    struct inode *inode = r->inode;
    int rc = inode_key_locked(r->fs, inode, r->key);
    if (rc == 0)
        rc = obs_props_copy(&r->settings, &inode->settings);
    if (rc == 0)
        rc = obs_props_copy(&r->other, &inode->other);
    if (rc == 0)
        rc = wanted(r->fs, value, &r->other, err);
    if (rc == 0 && value && strcmp(value, "none") == 0)
        rc = obs_props_set(&r->settings, OBS_PROP_RAW, ENCRYPT_PROPERTY, value);
    else
        (void)property_drop(&r->settings, OBS_PROP_RAW, ENCRYPT_PROPERTY);
    if (rc < 0)
        return rc;
    (void)snprintf(r->etag, sizeof(r->etag), "%s", inode->etag);
    memcpy(r->read_key, inode->read_key, sizeof(r->read_key));
    swap_sets(r);
    rc = inode_props_locked(r->fs, inode, r->key, true, &r->props);
    swap_sets(r);
    return rc;
}

static int send_copy(struct reencrypt *r, struct intr *intr, struct err *err)
{
    struct inode *inode = r->inode;
    struct obs_call call = {.op = OBS_COPY,
                            .key = r->key,
                            .source_key = r->key,
                            .if_match = r->etag,
                            .read_key = r->read_key,
                            .props = &r->props,
                            .replace = true};
    ns_hold_locked(inode);
    int rc = request_run_locked(r->fs, &call, intr, "property");
    attrcache_forget_locked(r->fs, inode);
    if (rc < 0)
        *err = call.err;
    if (rc == -EINTR) /* whether it was carried out nobody knows */
        inode->attr_known = false;
    if (rc == 0 && (!inode->parent || inode->state != INODE_STORED))
        rc = -ESTALE;
    if (rc == 0) {
        struct fetch_file *fetch = inode->fetch;
        swap_sets(r);
        encrypt_stored_locked(r->fs, inode, &inode->other);
        inode->encrypted = call.object.encrypted || sse_encrypted(&inode->other);
        inode->settings_stored |= inode->settings.n > 0;
        if (fetch)
            (void)fetch_file_rekey(fetch, r->key, call.object.etag, inode->read_key);
        inode->fetch = NULL; /* the same content: what is cached of it stays */
        rc = inode_set_version_locked(inode, call.object.etag, inode->stored_size, 0);
        inode->fetch = fetch;
        inode->changed_ms = inode->seen_ms = clock_ms();
    }
    ns_release_locked(r->fs, inode);
    obs_call_clear(&call);
    return rc;
}

int encrypt_change_stored_locked(struct fs *fs, struct inode *inode, const char *value,
                                 struct intr *intr, struct err *err)
{
    struct reencrypt r = {.fs = fs, .inode = inode};
    if (inode->stored_size > COPY_MAX)
        return err_set(err, -EOPNOTSUPP,
                       "a stored object above 5 GiB keeps its encryption: write it anew");
    inode_pin_locked(inode);
    int rc = meta_flush_wait_locked(fs, inode, intr); /* attributes that were changed before */
    if (rc == 0)
        rc = prepare(&r, value, err);
    if (rc == 0)
        rc = send_copy(&r, intr, err);
    obs_props_clear(&r.settings);
    obs_props_clear(&r.other);
    obs_props_clear(&r.props);
    inode_unpin_locked(fs, inode);
    return rc;
}
