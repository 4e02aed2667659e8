// SPDX-License-Identifier: Apache-2.0
/* Access control lists, see ops.h. Source: OBS API, configuring and obtaining an object ACL. */
#include "tests/obs-local/ops.h"

#include <libxml/tree.h>
#include <stdlib.h>
#include <string.h>

#include "tests/obs-local/xmlin.h"

enum { GRANTS_MAX = 100 };

static const char *const grant_headers[][2] = {
    {"x-grant-read", "READ"},
    {"x-grant-read-acp", "READ_ACP"},
    {"x-grant-write-acp", "WRITE_ACP"},
    {"x-grant-full-control", "FULL_CONTROL"},
};

static void xml_grant(struct request *r, const char *id, const char *permission)
{
    bool aws = r->dialect == DIALECT_AWS;
    buf_adds(&r->out, "<Grant>");
    if (aws)
        buf_addf(&r->out,
                 "<Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
                 "xsi:type=\"%s\">",
                 id ? "CanonicalUser" : "Group");
    else
        buf_adds(&r->out, "<Grantee>");
    if (id)
        xml_text(&r->out, "ID", id);
    else if (aws)
        xml_text(&r->out, "URI", "http://acs.amazonaws.com/groups/global/AllUsers");
    else
        xml_text(&r->out, "Canned", "Everyone");
    buf_adds(&r->out, "</Grantee>");
    xml_text(&r->out, "Permission", permission);
    buf_adds(&r->out, "</Grant>");
}

/* "id=A,id=B" */
static void xml_grant_list(struct request *r, const char *list, const char *permission)
{
    while (*list) {
        list += strspn(list, ", ");
        size_t n = strcspn(list, ",");
        if (n > 3 && strncmp(list, "id=", 3) == 0) {
            const char *from = list + 3;
            size_t id_n = n - 3;
            if (id_n > 1 && from[0] == '"') {
                from++;
                id_n -= 2;
            }
            xml_grant(r, arena_dupn(&r->mem, from, id_n), permission);
        } else if (n > 4 && strncmp(list, "uri=", 4) == 0) {
            xml_grant(r, NULL, permission); /* of the groups only this one has a name here */
        }
        list += n;
    }
}

static void acl_answer(struct request *r, const struct pairs *props)
{
    const char *xml = pairs_get(props, "acl-xml"), *acl = pairs_get(props, "x-acl");
    if (xml) {
        ans_header(r, "Content-Type", "application/xml");
        ans_status(r, 200);
        buf_adds(&r->out, xml);
        return;
    }
    ans_xml(r, "AccessControlPolicy");
    xml_owner(r, "Owner", "obs-local");
    if (r->dialect == DIALECT_OBS)
        xml_text(&r->out, "Delivered", acl && strstr(acl, "delivered") ? "true" : "false");
    buf_adds(&r->out, "<AccessControlList>");
    if (!pairs_get(props, "x-grants-alone"))
        xml_grant(r, "obs-local", "FULL_CONTROL");
    if (acl && text_starts(acl, "public-read"))
        xml_grant(r, NULL, "READ");
    if (acl && text_starts(acl, "public-read-write"))
        xml_grant(r, NULL, "WRITE");
    for (size_t i = 0; i < sizeof(grant_headers) / sizeof(grant_headers[0]); i++) {
        const char *list = pairs_get(props, grant_headers[i][0]);
        if (list)
            xml_grant_list(r, list, grant_headers[i][1]);
    }
    buf_adds(&r->out, "</AccessControlList></AccessControlPolicy>");
}

static void get_object_acl(struct request *r)
{
    struct object *o = NULL;
    int rc = store_get(r->srv->store, r->bucket, r->key, &o);
    if (rc != 0)
        ans_errno(r, rc);
    else
        acl_answer(r, &o->props);
    object_unref(o);
}

static void get_bucket_acl(struct request *r)
{
    struct pairs props = {0};
    int rc = store_bucket_props(r->srv->store, r->bucket, &props);
    if (rc != 0)
        ans_errno(r, rc);
    else
        acl_answer(r, &props);
    pairs_done(&props);
}

/* Whether a grant of READ to everyone is in it. */
static bool xml_public(struct arena *a, xmlNode *list)
{
    for (xmlNode *g = list->children; (g = xmlin_find(g, "Grant")) != NULL; g = g->next) {
        xmlNode *grantee = xmlin_find(g->children, "Grantee");
        const char *permission = xmlin_text(a, g, "Permission");
        const char *canned = grantee ? xmlin_text(a, grantee, "Canned") : NULL;
        const char *uri = grantee ? xmlin_text(a, grantee, "URI") : NULL;
        bool all = (canned && strcmp(canned, "Everyone") == 0) ||
                   (uri && strstr(uri, "/groups/global/AllUsers"));
        if (all && permission && strcmp(permission, "READ") == 0)
            return true;
    }
    return false;
}

/* The ACL of the request into *props, in place of the one that is there; false: refused. */
static bool read_acl(struct request *r, struct pairs *props)
{
    struct pairs given = {0};
    bool ok = props_from_request(r, &given);
    const char *acl = pairs_get(&given, "x-acl");
    pairs_remove(props, "x-acl");
    pairs_remove(props, "acl-xml");
    pairs_remove(props, "x-grants-alone");
    for (size_t i = 0; i < sizeof(grant_headers) / sizeof(grant_headers[0]); i++) {
        const char *list = pairs_get(&given, grant_headers[i][0]);
        pairs_remove(props, grant_headers[i][0]);
        if (list)
            pairs_set(props, grant_headers[i][0], list);
    }
    if (ok && acl)
        pairs_set(props, "x-acl", acl);
    if (ok && pairs_get(&given, "x-grants-alone"))
        pairs_set(props, "x-grants-alone", "true");
    bool body = ok && r->body.n > 0;
    xmlDoc *doc = body ? xmlin_parse(&r->body, "AccessControlPolicy") : NULL;
    xmlNode *list =
        doc ? xmlin_find(xmlDocGetRootElement(doc)->children, "AccessControlList") : NULL;
    unsigned n = 0;
    for (xmlNode *g = list ? list->children : NULL; (g = xmlin_find(g, "Grant")) != NULL;
         g = g->next)
        n++;
    if (body && (!list || n > GRANTS_MAX)) {
        ans_error(r, "MalformedXML", NULL);
        ok = false;
    } else if (body) {
        pairs_set(props, "acl-xml", buf_str(&r->body));
        if (xml_public(&r->mem, list))
            pairs_set(props, "x-acl", "public-read");
    }
    xmlFreeDoc(doc);
    pairs_done(&given);
    return ok;
}

static void set_object_acl(struct request *r)
{
    struct store *s = r->srv->store;
    int rc = -EAGAIN;
    while (rc == -EAGAIN) {
        struct object *old = NULL;
        rc = store_get(s, r->bucket, r->key, &old);
        if (rc != 0)
            break;
        struct object *o = object_new();
        o->size = old->size;
        o->since_us = old->since_us;
        o->mtime_ms = old->mtime_ms;
        memcpy(o->etag, old->etag, sizeof(o->etag));
        memcpy(o->upload_id, old->upload_id, sizeof(o->upload_id));
        pairs_copy(&o->props, &old->props);
        if (!read_acl(r, &o->props)) {
            object_unref(o);
            object_unref(old);
            return;
        }
        segs_add(&o->segs, &old->segs, 0, old->size);
        rc = store_replace(s, r->bucket, r->key, old, o);
        object_unref(old);
    }
    if (rc != 0)
        ans_errno(r, rc);
    else
        ans_status(r, 200);
}

static void set_bucket_acl(struct request *r)
{
    const char *acl = req_header(r, "acl");
    struct pairs props = {0};
    int rc = store_bucket_props(r->srv->store, r->bucket, &props);
    if (rc == 0 && !acl && !read_acl(r, &props)) {
        pairs_done(&props);
        return;
    }
    const char *xml = pairs_get(&props, "acl-xml");
    if (rc == 0)
        rc = store_bucket_set(r->srv->store, r->bucket, acl ? "x-acl" : "acl-xml",
                              acl   ? acl
                              : xml ? xml
                                    : "");
    if (rc != 0)
        ans_errno(r, rc);
    else
        ans_status(r, 200);
    pairs_done(&props);
}

const struct op op_get_object_acl = {"GetObjectAcl", BODY_NONE, false, false, get_object_acl, NULL};
const struct op op_set_object_acl = {"SetObjectAcl", BODY_MEMORY,    true,
                                     false,          set_object_acl, NULL};
const struct op op_get_bucket_acl = {"GetBucketAcl", BODY_NONE, false, false, get_bucket_acl, NULL};
const struct op op_set_bucket_acl = {"SetBucketAcl", BODY_MEMORY,    true,
                                     false,          set_bucket_acl, NULL};
