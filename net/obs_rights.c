// SPDX-License-Identifier: Apache-2.0
// Rights on an object as headers of dialect s3; see obs_impl.h. Source: S3 API, PutObject and access control
// list overview: x-amz-acl and x-amz-grant-* exclude each other, and grants are the whole list.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "net/base/cleanup.h"
#include "net/base/log.h"
#include "net/obs_impl.h"

/* As a grantee; its end is what net/xml_acl.c looks for. */
#define EVERYONE "uri=http://acs.amazonaws.com/groups/global/AllUsers"

enum { OWNER_GIVE_UP_MS = 30 * 1000 };
enum { UNKNOWN, ASKED, KNOWN, UNTOLD }; /* obs->owner_state */

static bool is_grant(const struct obs_prop *prop)
{
    return prop->kind == OBS_PROP_HEADER && strncasecmp(prop->name, "grant-", 6) == 0;
}

bool obs_has_grants(const struct obs_state *st)
{
    const struct obs_props *props = st->call->props;
    for (size_t i = 0; props && st->obs->dialect == OBS_DIALECT_S3 && i < props->n; i++) {
        if (is_grant(&props->v[i]))
            return true;
    }
    return false;
}

/* An id that can stand in a list of grantees. */
static bool is_plain_id(const char *id)
{
    for (const char *p = id; *p; p++) {
        if (*p <= ' ' || *p > '~' || strchr(",\"'=", *p))
            return false;
    }
    return *id != 0;
}

/* A service that does not say it, for want of a right or since it knows no lists, is not asked again. */
static void owner_done(struct obs_call *call)
{
    struct obs *obs = call->arg;
    int rc = call->err.eno;
    int state = UNKNOWN;
    if (rc == 0 && is_plain_id(call->acl.owner)) {
        memcpy(obs->owner, call->acl.owner, sizeof(obs->owner));
        state = KNOWN;
    } else if (rc == 0 || rc == -EACCES || rc == -EPERM || rc == -EOPNOTSUPP) {
        state = UNTOLD;
        log_err(obs->log, LOG_LEVEL_WARNING, "net", &call->err,
                "the bucket's owner is not known: objects get grants without one of the owner's");
    }
    obs_call_clear(call);
    atomic_store(&obs->owner_state, state);
}

bool obs_rights_ready(struct obs_state *st)
{
    struct obs *obs = st->obs;
    int state = UNKNOWN;
    if (!obs_has_grants(st))
        return true;
    if (atomic_compare_exchange_strong(&obs->owner_state, &state, ASKED)) {
        obs->owner_call = (struct obs_call){.op = OBS_GET_BUCKET_ACL,
                                            .urgent = true,
                                            .give_up_ms = OWNER_GIVE_UP_MS,
                                            .done = owner_done,
                                            .arg = obs};
        obs_submit(obs, &obs->owner_call);
        return false;
    }
    return state == KNOWN || state == UNTOLD;
}

static int add_grantee(struct buf *list, const char *grantee)
{
    return buf_addf(list, "%s%s", list->n ? "," : "", grantee);
}

static bool has_grantee(const char *list, const char *grantee)
{
    size_t n = strlen(grantee);
    for (const char *p = list; p && (p = strstr(p, grantee)) != NULL; p += n) {
        if ((p == list || p[-1] == ',') && (p[n] == ',' || !p[n]))
            return true;
    }
    return false;
}

/* One of the headers: what is granted, and `more` (NULL: nothing). */
static int add_list(struct obs_state *st, struct http_request *req, const char *name,
                    const char *more)
{
    const char *ids = obs_props_get(st->call->props, OBS_PROP_HEADER, name);
    CLEANUP_BUF struct buf list = BUF_INIT(HTTP_FIELDS_MAX);
    int rc = ids ? add_grantee(&list, ids) : 0;
    if (rc == 0 && more && !has_grantee(ids, more))
        rc = add_grantee(&list, more);
    return rc < 0 || !list.n ? rc : obs_add_prefixed(st, req, name, buf_str(&list));
}

int obs_rights_add(struct obs_state *st, struct http_request *req)
{
    const char *acl = obs_props_get(st->call->props, OBS_PROP_HEADER, "acl");
    bool public = acl && strncmp(acl, "public-read", 11) == 0; /* on an object no more than that */
    char owner[OBS_OWNER_MAX + 4];
    bool known = atomic_load(&st->obs->owner_state) == KNOWN;
    if (known)
        (void)snprintf(owner, sizeof(owner), "id=%s", st->obs->owner);
    int rc = add_list(st, req, "grant-read", public ? EVERYONE : NULL);
    if (rc == 0)
        rc = add_list(st, req, "grant-read-acp", NULL);
    if (rc == 0)
        rc = add_list(st, req, "grant-write-acp", NULL);
    return rc < 0 ? rc : add_list(st, req, "grant-full-control", known ? owner : NULL);
}

bool obs_rights_own(const struct obs_prop *prop)
{
    return is_grant(prop) || (prop->kind == OBS_PROP_HEADER && strcasecmp(prop->name, "acl") == 0);
}
