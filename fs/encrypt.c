// SPDX-License-Identifier: Apache-2.0
// Server-side encryption of a mount's files; see encrypt.h.
#include "fs/encrypt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/errors.h"
#include "fs/options.h"
#include "fs/property.h"
#include "net/base/clock.h"
#include "net/base/log.h"

int encrypt_check(const struct options *opt, bool tls, struct err *err)
{
    struct sse_spec spec = {.kind = SSE_NONE};
    struct err why = {0};
    if (opt->sse && sse_spec_parse(opt->sse, &spec, &why) < 0)
        return err_set(err, -EINVAL, "option 'sse=%.80s': %s", opt->sse, why.msg);
    if (spec.kind == SSE_CUSTOMER && !opt->sse_c_keys)
        return err_set(err, -EINVAL, "option 'sse=c:%s' needs sse_c_keys=DIRECTORY", spec.id);
    if (opt->sse_c_keys && !tls)
        return err_set(err, -EINVAL,
                       "option 'sse_c_keys' needs an https endpoint: a customer's key is never "
                       "sent over http");
    return 0;
}

int encrypt_init(struct fs *fs, struct err *err)
{
    const struct options *opt = fs->opt;
    struct sse_spec spec = {.kind = SSE_NONE};
    int rc = opt->sse_c_keys ? sse_keys_load(opt->sse_c_keys, &fs->sse_keys, err) : 0;
    if (rc < 0)
        return err_prefix(err, "sse_c_keys");
    if (opt->sse)
        rc = sse_spec_parse(opt->sse, &spec, err);
    if (rc == 0)
        rc = sse_to_props(&spec, fs->sse_keys, &fs->sse, err);
    return rc;
}

void encrypt_done(struct fs *fs)
{
    obs_props_clear(&fs->sse);
    sse_keys_free(fs->sse_keys);
    fs->sse_keys = NULL;
}

int encrypt_first_key(const struct fs *fs)
{
    const char *md5 = sse_customer_md5(&fs->sse);
    return md5 ? sse_keys_by_md5(fs->sse_keys, md5) : -1;
}

/* What the property says goes into the properties that are sent. */
static int take_setting(const struct fs *fs, struct inode *inode)
{
    const char *value = obs_props_get(&inode->settings, OBS_PROP_RAW, ENCRYPT_PROPERTY);
    struct sse_spec spec;
    struct err err;
    char path[256];
    int rc = sse_spec_parse(value, &spec, &err);
    if (rc == 0)
        rc = sse_to_props(&spec, fs->sse_keys, &inode->other, &err);
    if (rc < 0) {
        inode_path_locked(inode, path, sizeof(path));
        log_err(fs->log, LOG_LEVEL_WARNING, "encryption", &err, "'%s' has sse '%.80s'", path,
                value);
        return rc == -ENOENT ? -EACCES : rc;
    }
    if (spec.kind != SSE_NONE)
        (void)property_drop(&inode->settings, OBS_PROP_RAW, ENCRYPT_PROPERTY);
    return 0;
}

int encrypt_choose_locked(const struct fs *fs, struct inode *inode)
{
    if (!inode->is_dir && obs_props_get(&inode->settings, OBS_PROP_RAW, ENCRYPT_PROPERTY))
        return take_setting(fs, inode);
    if (sse_encrypted(&inode->other) || !sse_encrypted(&fs->sse))
        return 0;
    if (inode->is_dir && sse_customer_md5(&fs->sse))
        return 0;
    return sse_copy(&inode->other, &fs->sse);
}

const char *encrypt_read_key_locked(const struct inode *inode)
{
    return inode->read_key[0] || inode->attr_known ? inode->read_key : NULL;
}

void encrypt_stored_locked(const struct fs *fs, struct inode *inode, const struct obs_props *props)
{
    const char *md5 = sse_customer_md5(props);
    (void)snprintf(inode->read_key, sizeof(inode->read_key), "%s", md5 ? md5 : "");
    inode->key_missing = md5 && sse_keys_by_md5(fs->sse_keys, md5) < 0;
}

void encrypt_set_unreadable_locked(const struct fs *fs, struct inode *inode)
{
    const struct attr_defaults dflt = {
        .umask = fs->opt->umask, .uid = fs->opt->uid, .gid = fs->opt->gid};
    attr_default(false, inode->remote_ms, &dflt, &inode->attr);
    inode->key_missing = true;
    inode->encrypted = true;
    inode->attr_known = true;
    inode->attr_ms = inode->seen_ms = clock_ms();
}

int encrypt_check_key_locked(struct fs *fs, const struct inode *inode, const char *what)
{
    struct err err;
    char path[256];
    if (!inode->key_missing)
        return 0;
    inode_path_locked(inode, path, sizeof(path));
    err_set(&err, -EACCES, "%s",
            fs->sse_keys ? "the object is encrypted with a customer's key that is not in sse_c_keys"
                         : "the object is encrypted with a customer's key (SSE-C): mount with "
                           "sse_c_keys");
    log_err(fs->log, LOG_LEVEL_WARNING, what, &err, "'%s'", path);
    errors_add(fs->errors, what, path, &err);
    return err.eno;
}
