// SPDX-License-Identifier: Apache-2.0
// Access control lists; see xml.h. Source: OBS API, configuring and obtaining an object ACL.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/xml_impl.h"

/* The end of the address of this group (S3 API: access control list overview). */
#define ALL_USERS "/groups/global/AllUsers"

struct acl_reader {
    struct obs_acl acl;
    struct obs_right one; /* the Grant that is being read */
    bool everyone, named;
};

void obs_acl_clear(struct obs_acl *acl)
{
    for (size_t i = 0; i < acl->n; i++)
        free(acl->v[i].id);
    free(acl->v);
    *acl = (struct obs_acl){0};
}

static int field(void *arg, const char *record, const char *name, const char *text, size_t n)
{
    struct acl_reader *r = arg;
    if (record && xml_is(record, "Owner") && xml_is(name, "ID")) {
        if (n >= sizeof(r->acl.owner))
            return -EBADMSG;
        (void)snprintf(r->acl.owner, sizeof(r->acl.owner), "%s", text);
        return 0;
    }
    if (!record || !xml_is(record, "AccessControlList"))
        return 0;
    if (xml_is(name, "Grant/Grantee/ID")) {
        r->named = n > 0;
        return n < OBS_OWNER_MAX ? xml_keep(&r->one.id, text) : -EBADMSG;
    }
    if (xml_is(name, "Grant/Grantee/Canned"))
        r->everyone = xml_is(text, "Everyone");
    if (xml_is(name, "Grant/Grantee/URI"))
        r->everyone = n >= strlen(ALL_USERS) && xml_is(text + n - strlen(ALL_USERS), ALL_USERS);
    if (xml_is(name, "Grant/Permission"))
        (void)snprintf(r->one.permission, sizeof(r->one.permission), "%s", text);
    return 0;
}

static int close_grant(void *arg, const char *record, const char *name)
{
    struct acl_reader *r = arg;
    struct obs_acl *acl = &r->acl;
    if (!xml_is(record, "AccessControlList") || !xml_is(name, "Grant"))
        return 0;
    if (acl->n == XML_RIGHTS_MAX)
        return -EBADMSG;
    struct obs_right *v = realloc(acl->v, (acl->n + 1) * sizeof(*v));
    if (!v)
        return -ENOMEM;
    acl->v = v;
    if (r->everyone || !r->named) {
        free(r->one.id);
        r->one.id = NULL;
    }
    r->one.everyone = r->everyone;
    v[acl->n++] = r->one;
    r->one = (struct obs_right){0};
    r->everyone = r->named = false;
    return 0;
}

int xml_parse_acl(const void *p, size_t n, struct obs_acl *ret, struct xml_fault *fault,
                  struct err *err)
{
    static const char *const roots[] = {"AccessControlPolicy", NULL};
    const struct xml_handler handler = {.roots = roots, .field = field, .close = close_grant};
    struct acl_reader r = {0};
    int rc = xml_read(p, n, &handler, &r, fault, err);
    if (rc == 0 && !r.acl.owner[0])
        rc = err_set(err, -EBADMSG, "the access list does not name an owner");
    if (rc < 0)
        obs_acl_clear(&r.acl);
    free(r.one.id);
    *ret = r.acl;
    return rc;
}

static int add_grant(struct buf *out, const char *id, const char *permission)
{
    int rc = buf_adds(out, id ? "<Grant><Grantee><ID>" : "<Grant><Grantee>");
    if (rc == 0)
        rc = id ? xml_add_text(out, id) : buf_adds(out, "<Canned>Everyone</Canned>");
    if (rc == 0)
        rc = buf_adds(out, id ? "</ID></Grantee><Permission>" : "</Grantee><Permission>");
    if (rc == 0)
        rc = xml_add_text(out, permission);
    return rc < 0 ? rc : buf_adds(out, "</Permission></Grant>");
}

int xml_build_acl(struct buf *out, const char *owner, const struct obs_grant *grants, size_t n)
{
    int rc = buf_adds(out, "<AccessControlPolicy><Owner><ID>");
    if (rc == 0)
        rc = xml_add_text(out, owner);
    if (rc == 0)
        rc = buf_adds(out, "</ID></Owner><AccessControlList>");
    if (rc == 0)
        rc = add_grant(out, owner, "FULL_CONTROL");
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = add_grant(out, grants[i].id, grants[i].permission);
    return rc < 0 ? rc : buf_adds(out, "</AccessControlList></AccessControlPolicy>");
}
