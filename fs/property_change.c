// SPDX-License-Identifier: Apache-2.0
// Changing a property of a file that is stored; see properties.h.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fs/access.h"
#include "fs/attrcache.h"
#include "fs/meta.h"
#include "fs/mime.h"
#include "fs/namespace.h"
#include "fs/properties.h"
#include "fs/request.h"
#include "fs/staged.h"
#include "net/base/cleanup.h"
#include "net/base/clock.h"

enum { GRANTS_MAX = 100 }; /* of each kind, see fs/property.c */

/* One change under way: what the file has of both kinds once it has succeeded. */
struct change {
    struct fs *fs;
    struct inode *inode;
    struct intr *intr;
    struct err *err;
    const char *name, *value;
    char key[OBS_KEY_MAX + 1];
    struct obs_props settings, other;
};

/* Nothing of the inode is published or sent by anybody else meanwhile. */
static int send_alone(struct change *c, struct obs_call *call)
{
    struct inode *inode = c->inode;
    ns_hold_locked(inode);
    int rc = request_run_locked(c->fs, call, c->intr, "property");
    if (rc < 0)
        *c->err = call->err;
    if (rc == -EINTR) /* whether it was carried out nobody knows */
        inode->attr_known = false;
    ns_release_locked(c->fs, inode);
    if (rc == 0 && (!inode->parent || inode->state != INODE_STORED))
        rc = -ESTALE;
    return rc;
}

/* The metadata that keeps the settings. */
static int add_record(const struct change *c, struct obs_props *out)
{
    CLEANUP_BUF struct buf text = BUF_INIT(64 << 10);
    int rc = property_encode(&c->settings, &text);
    return rc < 0 ? rc : obs_props_set(out, OBS_PROP_META, PROPERTY_META, buf_str(&text));
}

static int set_meta(struct change *c, const struct obs_props *props, bool replace)
{
    struct obs_call call = {.op = OBS_SET_META,
                            .key = c->key,
                            .props = props,
                            .replace = replace,
                            .give_up_ms = FS_META_GIVE_UP_MS};
    int rc = send_alone(c, &call);
    obs_call_clear(&call);
    return rc;
}

/* What is not sent is kept: one header, or the settings' record. */
static int add_metadata(struct change *c, bool told)
{
    struct obs_props props = {0};
    int rc = property_to_header(c->name, c->value, &props);
    if (rc == 0 && !told)
        rc = add_record(c, &props);
    if (rc == 0)
        rc = set_meta(c, &props, false);
    obs_props_clear(&props);
    return rc;
}

/* What is not sent is lost: the whole set as it is now, without the one. */
static int drop_metadata(struct change *c)
{
    const struct property *p = property_find(c->name);
    const char *header = *p->header ? p->header : c->name + strlen(p->name);
    struct obs_props props = {0};
    struct obs_call head = {.op = OBS_HEAD, .key = c->key, .give_up_ms = FS_META_GIVE_UP_MS};
    int rc = send_alone(c, &head);
    for (size_t i = 0; rc == 0 && i < head.object.props.n; i++) {
        const struct obs_prop *old = &head.object.props.v[i];
        bool keep =
            old->kind != OBS_PROP_HEADER || strcasecmp(old->name, "website-redirect-location") == 0;
        if (keep && !(old->kind == p->kind && strcasecmp(old->name, header) == 0))
            rc = obs_props_set(&props, old->kind, old->name, old->value);
    }
    if (rc == 0 && !obs_props_get(&props, OBS_PROP_RAW, "Content-Type"))
        rc = obs_props_set(&props, OBS_PROP_RAW, "Content-Type", mime_type(c->fs->mime, c->key));
    if (rc == 0)
        rc = set_meta(c, &props, true);
    obs_call_clear(&head);
    obs_props_clear(&props);
    return rc;
}

/* Rights as one list: what the canned one means, and one entry for each account of a grant. */
struct grants {
    struct obs_grant v[4 * GRANTS_MAX + 2];
    size_t n;
    char *texts[ACCESS_GRANTS]; /* copies, cut into ids */
    char *bucket_owner;         /* who is to have everything too, or NULL */
};

static int cut_ids(struct grants *g, char *text, const char *permission)
{
    char *save = NULL;
    for (char *id = strtok_r(text, ",", &save); id; id = strtok_r(NULL, ",", &save)) {
        if (g->n == sizeof(g->v) / sizeof(*g->v))
            return -E2BIG;
        g->v[g->n++] = (struct obs_grant){.id = id + strlen("id="), .permission = permission};
    }
    return 0;
}

/* A list of rights cannot name the bucket's owner but by the id. */
static int find_bucket_owner(struct change *c, char **ret)
{
    struct obs_call ask = {.op = OBS_GET_BUCKET_ACL, .give_up_ms = FS_META_GIVE_UP_MS};
    int rc = send_alone(c, &ask);
    if (rc == 0 && !(*ret = strdup(ask.acl.owner)))
        rc = -ENOMEM;
    obs_call_clear(&ask);
    return rc;
}

/* 0 with g->n 0: there are no grants, the canned list says all. */
static int list_grants(struct change *c, struct grants *g)
{
    const char *acl = obs_props_get(&c->settings, OBS_PROP_RAW, "acl");
    int rc = 0;
    for (size_t i = 0; i < ACCESS_GRANTS && rc == 0; i++) {
        const char *ids = obs_props_get(&c->settings, OBS_PROP_RAW, access_grants[i][0]);
        if (!ids)
            continue;
        g->texts[i] = strdup(ids);
        rc = g->texts[i] ? cut_ids(g, g->texts[i], access_grants[i][1]) : -ENOMEM;
    }
    if (rc < 0 || !g->n || !acl || strcmp(acl, "private") == 0)
        return rc;
    if (strcmp(acl, "bucket-owner-full-control") == 0)
        return find_bucket_owner(c, &g->bucket_owner);
    /* public-read-write is no more than that on an object */
    g->v[g->n++] = (struct obs_grant){.permission = "READ"};
    return 0;
}

/* A list of rights names its owner. */
static int set_grants(struct change *c, struct grants *g)
{
    struct obs_call ask = {.op = OBS_GET_ACL, .key = c->key, .give_up_ms = FS_META_GIVE_UP_MS};
    int rc = send_alone(c, &ask);
    if (rc == 0 && g->bucket_owner && strcmp(g->bucket_owner, ask.acl.owner) != 0)
        g->v[g->n++] = (struct obs_grant){.id = g->bucket_owner, .permission = "FULL_CONTROL"};
    struct obs_call call = {.op = OBS_SET_ACL,
                            .key = c->key,
                            .owner = ask.acl.owner,
                            .grants = g->v,
                            .n_grants = g->n,
                            .give_up_ms = FS_META_GIVE_UP_MS};
    if (rc == 0)
        rc = send_alone(c, &call);
    obs_call_clear(&call);
    obs_call_clear(&ask);
    return rc;
}

/* One of the service's own lists. */
static int set_canned(struct change *c, const char *acl)
{
    struct obs_props props = {0};
    int rc = obs_props_set(&props, OBS_PROP_HEADER, "acl", acl ? acl : "private");
    struct obs_call call = {
        .op = OBS_SET_ACL, .key = c->key, .props = &props, .give_up_ms = FS_META_GIVE_UP_MS};
    if (rc == 0)
        rc = send_alone(c, &call);
    obs_call_clear(&call);
    obs_props_clear(&props);
    return rc;
}

static int set_acl(struct change *c)
{
    struct obs_props props = {0};
    struct grants *g = calloc(1, sizeof(*g));
    int rc = g ? list_grants(c, g) : -ENOMEM;
    if (rc == 0)
        rc = g->n ? set_grants(c, g)
                  : set_canned(c, obs_props_get(&c->settings, OBS_PROP_RAW, "acl"));
    if (rc == 0)
        rc = add_record(c, &props);
    if (rc == 0)
        rc = set_meta(c, &props, false);
    for (size_t i = 0; g && i < ACCESS_GRANTS; i++)
        free(g->texts[i]);
    if (g)
        free(g->bucket_owner);
    free(g);
    obs_props_clear(&props);
    return rc;
}

static int send_obs(struct change *c)
{
    const struct property *p = property_find(c->name);
    bool told = property_flags(p, c->name) & PROPERTY_TOLD;
    switch (property_place_of(p, c->name)) {
    case PROPERTY_METADATA:
        if (c->value)
            return add_metadata(c, told);
        if (told && strcmp(c->name, "storage_class") != 0)
            return drop_metadata(c);
        return err_set(c->err, -EOPNOTSUPP, "a stored object keeps its '%s'", c->name);
    case PROPERTY_ACL:
        return set_acl(c);
    case PROPERTY_LOCAL: {
        struct obs_props props = {0};
        int rc = add_record(c, &props);
        if (rc == 0)
            rc = set_meta(c, &props, false);
        obs_props_clear(&props);
        return rc;
    }
    case PROPERTY_NEW:
    case PROPERTY_ENCRYPTION:
    case PROPERTY_STATE:
        break;
    }
    return err_set(c->err, -EOPNOTSUPP,
                   "'%s' goes along with an upload, a stored object's cannot "
                   "be changed",
                   c->name);
}

/* A copy onto itself carries everything: it is done by the same way as attributes. */
static int send_s3(struct change *c)
{
    struct inode *inode = c->inode;
    if (property_place_of(property_find(c->name), c->name) == PROPERTY_NEW)
        return err_set(c->err, -EOPNOTSUPP,
                       "'%s' goes along with an upload, a stored object's cannot be changed",
                       c->name);
    inode->attr.ctime = clock_real();
    inode->settings_stored = true;
    (void)meta_changed_locked(c->fs, inode); /* it is awaited now */
    int rc = meta_flush_wait_locked(c->fs, inode, c->intr);
    if (rc < 0 && rc != -EINTR)
        inode->meta_error = 0; /* told now */
    return rc;
}

static int prepare(struct change *c)
{
    int rc = inode_key_locked(c->fs, c->inode, c->key);
    if (rc == 0)
        rc = obs_props_copy(&c->settings, &c->inode->settings);
    if (rc == 0)
        rc = obs_props_copy(&c->other, &c->inode->other);
    return rc;
}

static void swap_sets(struct change *c)
{
    struct obs_props settings = c->inode->settings, other = c->inode->other;
    c->inode->settings = c->settings;
    c->inode->other = c->other;
    c->settings = settings;
    c->other = other;
}

/* The file as it will be; `c` keeps what it was. */
static int try_out(struct change *c)
{
    struct obs_props props = {0};
    int rc = c->value ? properties_put_locked(c->inode, c->name, c->value)
                      : properties_drop_locked(c->inode, c->name);
    if (rc == 0)
        rc = inode_props_locked(c->fs, c->inode, c->key, true, &props);
    obs_props_clear(&props);
    if (rc == -ENOSPC)
        err_set(c->err, rc, "all metadata together are larger than 8 KB");
    return rc;
}

int property_change_stored_locked(struct fs *fs, struct inode *inode, const char *name,
                                  const char *value, struct intr *intr, struct err *err)
{
    struct change c = {
        .fs = fs, .inode = inode, .intr = intr, .err = err, .name = name, .value = value};
    bool s3 = obs_dialect_of(fs->obs) == OBS_DIALECT_S3;
    inode_pin_locked(inode);
    int rc = meta_flush_wait_locked(fs, inode, intr); /* attributes that were changed before */
    if (rc == 0)
        rc = prepare(&c);
    if (rc == 0) {
        rc = try_out(&c);
        if (rc < 0 || !s3)
            swap_sets(&c); /* back to what it was; `c` has what it will be */
    }
    if (rc == 0)
        rc = s3 ? send_s3(&c) : send_obs(&c);
    attrcache_forget_locked(fs, inode);
    if (rc == 0 && !s3) {
        swap_sets(&c);
        inode->settings_stored |= inode->settings.n > 0;
        inode->changed_ms = clock_ms();
        inode->remote_ms = inode->stored_s = 0; /* nobody says whether it changes Last-Modified */
    } else if (rc < 0 && s3) {
        swap_sets(&c);
    }
    obs_props_clear(&c.settings);
    obs_props_clear(&c.other);
    inode_unpin_locked(fs, inode);
    return rc;
}
