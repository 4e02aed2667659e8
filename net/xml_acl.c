// SPDX-License-Identifier: Apache-2.0
// Access control lists; see xml.h. Source: OBS API, configuring and obtaining an object ACL.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "net/xml_impl.h"

struct acl_reader {
    char *owner;
    size_t size;
};

static int field(void *arg, const char *record, const char *name, const char *text, size_t n)
{
    struct acl_reader *r = arg;
    if (!record || !xml_is(record, "Owner") || !xml_is(name, "ID"))
        return 0;
    if (n >= r->size)
        return -EBADMSG;
    (void)snprintf(r->owner, r->size, "%s", text);
    return 0;
}

int xml_parse_acl(const void *p, size_t n, char *owner, size_t size, struct xml_fault *fault,
                  struct err *err)
{
    static const char *const roots[] = {"AccessControlPolicy", NULL};
    const struct xml_handler handler = {.roots = roots, .field = field};
    struct acl_reader r = {.owner = owner, .size = size};
    owner[0] = 0;
    int rc = xml_read(p, n, &handler, &r, fault, err);
    if (rc == 0 && !owner[0])
        rc = err_set(err, -EBADMSG, "the access list does not name an owner");
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
