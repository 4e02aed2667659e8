// SPDX-License-Identifier: Apache-2.0
/* Operations on buckets, see ops.h */
#include "tests/obs-local/ops.h"

#include <libxml/tree.h>
#include <stdio.h>
#include <string.h>

#include "net/base/cleanup.h"
#include "tests/obs-local/xmlin.h"

enum { PAGE_MAX = 1000 };

const char *iso_text(struct request *r, int64_t ms)
{
    char text[32];
    text_iso(ms, text);
    return arena_dup(&r->mem, text);
}

void xml_owner(struct request *r, const char *tag, const char *id)
{
    buf_addf(&r->out, "<%s>", tag);
    xml_text(&r->out, "ID", id);
    if (r->dialect == DIALECT_AWS)
        xml_text(&r->out, "DisplayName", id);
    buf_addf(&r->out, "</%s>", tag);
}

bool query_number(struct request *r, const char *name, unsigned otherwise, unsigned max,
                  unsigned *ret)
{
    const char *text = req_query(r, name);
    uint64_t v = otherwise;
    if (text && text[0] && !text_u64(text, INT32_MAX, &v)) {
        ans_error(r, "InvalidArgument", arena_printf(&r->mem, "Invalid value of %s", name));
        return false;
    }
    *ret = v > max ? max : (unsigned)v;
    return true;
}

static const char *query_or_empty(const struct request *r, const char *name)
{
    const char *v = req_query(r, name);
    return v ? v : "";
}

static void refuse_missing_bucket(struct request *r)
{
    if (!store_bucket_exists(r->srv->store, r->bucket))
        ans_error(r, "NoSuchBucket", NULL);
}

static void list_buckets(struct request *r)
{
    struct store *s = r->srv->store;
    ans_xml(r, "ListAllMyBucketsResult");
    xml_owner(r, "Owner", "obs-local");
    buf_adds(&r->out, "<Buckets>");
    lock_take(&s->lock);
    for (struct index_node *n = index_seek(s->buckets, "", 0, false); n; n = index_next(n)) {
        const struct bucket *b = index_value(n);
        buf_adds(&r->out, "<Bucket>");
        xml_text(&r->out, "Name", b->name);
        xml_text(&r->out, "CreationDate", iso_text(r, b->created_ms));
        xml_text(&r->out, "Location", "local");
        xml_text(&r->out, "BucketType", "OBJECT");
        buf_adds(&r->out, "</Bucket>");
    }
    lock_drop(&s->lock);
    buf_adds(&r->out, "</Buckets></ListAllMyBucketsResult>");
}

static void head_bucket(struct request *r)
{
    struct pairs props = {0};
    if (store_bucket_props(r->srv->store, r->bucket, &props) != 0) {
        ans_error(r, "NoSuchBucket", NULL);
        return;
    }
    bool aws = r->dialect == DIALECT_AWS;
    ans_header(r, aws ? "x-amz-bucket-region" : "x-obs-bucket-location", "local");
    ans_header(r, aws ? "x-default-storage-class" : "x-obs-storage-class",
               props_storage_class(r, &props));
    ans_header(r, "x-obs-version", "3.0");
    ans_header(r, "x-obs-api", "3.0");
    pairs_done(&props);
    ans_status(r, 200);
}

static void create_bucket(struct request *r)
{
    if (!store_bucket_valid(r->bucket)) {
        ans_error(r, "InvalidBucketName", NULL);
        return;
    }
    const char *interface = req_plain_header(r, "x-obs-fs-file-interface");
    if (interface && strcmp(interface, "Enabled") == 0) {
        ans_error(r, "NotImplemented", "There are no parallel file systems here");
        return;
    }
    struct pairs props = {0};
    const char *acl = req_header(r, "acl");
    if (acl)
        pairs_set(&props, "x-acl", acl);
    int rc = store_bucket_create(r->srv->store, r->bucket, &props);
    pairs_done(&props);
    if (rc != 0 && rc != -EEXIST) {
        ans_errno(r, rc);
        return;
    }
    /* one's own bucket again is a success, and changes nothing */
    ans_header(r, "Location", arena_printf(&r->mem, "/%s", r->bucket));
    ans_status(r, 200);
}

static void delete_bucket(struct request *r)
{
    int rc = store_bucket_delete(r->srv->store, r->bucket);
    if (rc == -ENOTEMPTY)
        ans_error(r, "BucketNotEmpty", NULL);
    else if (rc != 0)
        ans_error(r, "NoSuchBucket", NULL);
    else
        ans_status(r, 204);
}

static void get_location(struct request *r)
{
    if (!store_bucket_exists(r->srv->store, r->bucket)) {
        ans_error(r, "NoSuchBucket", NULL);
    } else if (r->dialect == DIALECT_AWS) {
        ans_xml(r, "LocationConstraint");
        buf_adds(&r->out, "</LocationConstraint>");
    } else {
        ans_xml(r, "Location");
        buf_adds(&r->out, "local</Location>");
    }
}

static void get_storage_info(struct request *r)
{
    uint64_t bytes = 0, n = 0;
    if (store_bucket_usage(r->srv->store, r->bucket, &bytes, &n) != 0) {
        ans_error(r, "NoSuchBucket", NULL);
        return;
    }
    ans_xml(r, "GetBucketStorageInfoResult");
    xml_number(&r->out, "Size", bytes);
    xml_number(&r->out, "ObjectNumber", n);
    buf_adds(&r->out, "</GetBucketStorageInfoResult>");
}

static void get_quota(struct request *r)
{
    struct pairs props = {0};
    if (store_bucket_props(r->srv->store, r->bucket, &props) != 0) {
        ans_error(r, "NoSuchBucket", NULL);
        return;
    }
    const char *quota = pairs_get(&props, "quota");
    ans_xml(r, "Quota");
    xml_text(&r->out, "StorageQuota", quota ? quota : "0");
    buf_adds(&r->out, "</Quota>");
    pairs_done(&props);
}

static void set_quota(struct request *r)
{
    xmlDoc *doc = xmlin_parse(&r->body, "Quota");
    const char *text = doc ? xmlin_text(&r->mem, xmlDocGetRootElement(doc), "StorageQuota") : NULL;
    uint64_t v;
    if (!text || !text_u64(text, INT64_MAX, &v))
        ans_error(r, "MalformedXML", NULL);
    else if (store_bucket_set(r->srv->store, r->bucket, "quota", text) != 0)
        ans_error(r, "NoSuchBucket", NULL);
    else
        ans_status(r, 200);
    xmlFreeDoc(doc);
}

static void get_versioning(struct request *r)
{
    ans_xml(r, "VersioningConfiguration");
    buf_adds(&r->out, "</VersioningConfiguration>");
}

struct listing {
    struct request *r;
    struct buf prefixes; /* they come after the objects */
    bool v2;
    bool owner;
    unsigned n;
};

static void emit_entry(void *arg, const char *key, size_t n, void *value)
{
    struct listing *l = arg;
    struct request *r = l->r;
    l->n++;
    if (!value) {
        char *prefix = strndup(key, n);
        struct buf swap = r->out;
        r->out = l->prefixes;
        buf_adds(&r->out, "<CommonPrefixes>");
        xml_key(r, "Prefix", prefix ? prefix : "");
        buf_adds(&r->out, "</CommonPrefixes>");
        l->prefixes = r->out;
        r->out = swap;
        free(prefix);
        return;
    }
    const struct object *o = value;
    char time[32];
    text_iso(o->mtime_ms, time);
    buf_adds(&r->out, "<Contents>");
    xml_key(r, "Key", key);
    buf_addf(&r->out, "<LastModified>%s</LastModified><ETag>&quot;%s&quot;</ETag><Size>%llu</Size>",
             time, o->etag, (unsigned long long)o->size);
    if (l->owner)
        xml_owner(r, "Owner", "obs-local");
    buf_addf(&r->out, "<StorageClass>%s</StorageClass></Contents>",
             props_storage_class(r, &o->props));
}

/* A continuation token is the marker in hex, so that any byte may be in it. */
static char *token_of(struct request *r, const char *marker, size_t n)
{
    char *token = arena_alloc(&r->mem, 2 * n + 1);
    text_hex((const unsigned char *)marker, n, token);
    return token;
}

static bool listing_marker(struct request *r, bool v2, const char **ret)
{
    if (!v2) {
        *ret = query_or_empty(r, "marker");
        return true;
    }
    const char *token = req_query(r, "continuation-token");
    *ret = query_or_empty(r, "start-after");
    if (!token)
        return true;
    size_t n = strlen(token) / 2;
    char *marker = arena_alloc(&r->mem, n + 1);
    *ret = marker;
    if (strlen(token) % 2 == 0 && text_unhex(token, n, (unsigned char *)marker))
        return true;
    ans_error(r, "InvalidArgument", "Invalid continuation-token");
    return false;
}

static void finish_listing(struct listing *l, const struct list_args *a, bool more,
                           const char *last, size_t last_n)
{
    struct request *r = l->r;
    const char *type = req_query(r, "encoding-type");
    buf_add(&r->out, l->prefixes.p, l->prefixes.n);
    xml_text(&r->out, "Name", r->bucket);
    xml_key(r, "Prefix", a->prefix);
    if (a->delimiter[0])
        xml_key(r, "Delimiter", a->delimiter);
    if (type && strcmp(type, "url") == 0)
        xml_text(&r->out, "EncodingType", "url");
    xml_number(&r->out, "MaxKeys", a->max);
    xml_text(&r->out, "IsTruncated", more ? "true" : "false");
    if (l->v2) {
        const char *token = req_query(r, "continuation-token");
        xml_number(&r->out, "KeyCount", l->n);
        if (token)
            xml_text(&r->out, "ContinuationToken", token);
        if (req_query(r, "start-after"))
            xml_key(r, "StartAfter", query_or_empty(r, "start-after"));
        if (more)
            xml_text(&r->out, "NextContinuationToken", token_of(r, last, last_n));
    } else {
        xml_key(r, "Marker", a->marker);
        if (more)
            xml_key(r, "NextMarker", last);
    }
    buf_adds(&r->out, "</ListBucketResult>");
}

static void list_objects(struct request *r)
{
    struct store *s = r->srv->store;
    const char *v2 = req_query(r, "list-type");
    struct listing l = {.r = r, .prefixes = BUF_INIT(16 << 20)};
    l.v2 = v2 && strcmp(v2, "2") == 0;
    l.owner = !l.v2 || strcmp(query_or_empty(r, "fetch-owner"), "true") == 0;
    struct list_args args = {.prefix = query_or_empty(r, "prefix"),
                             .delimiter = query_or_empty(r, "delimiter")};
    if (!query_number(r, "max-keys", PAGE_MAX, PAGE_MAX, &args.max) ||
        !listing_marker(r, l.v2, &args.marker))
        return;
    args.marker_n = strlen(args.marker);
    char *last = NULL;
    size_t last_n = 0;
    ans_xml(r, "ListBucketResult");
    lock_take(&s->lock);
    const struct bucket *b = store_bucket_locked(s, r->bucket);
    bool more = b && list_page(b->objects, &args, emit_entry, &l, &r->mem, &last, &last_n);
    lock_drop(&s->lock);
    if (!b)
        ans_error(r, "NoSuchBucket", NULL);
    else
        finish_listing(&l, &args, more, last, last_n);
    buf_done(&l.prefixes);
}

static void delete_one(struct request *r, xmlNode *object, bool quiet, bool encoded)
{
    const char *key = xmlin_text(&r->mem, object, "Key");
    if (key && encoded)
        key = text_decode(&r->mem, key, strlen(key), true);
    if (!key || !key[0] || strlen(key) > 1024) {
        buf_adds(&r->out, "<Error>");
        xml_key(r, "Key", key ? key : "");
        xml_text(&r->out, "Code", "KeyTooLongError");
        xml_text(&r->out, "Message", error_message("KeyTooLongError"));
        buf_adds(&r->out, "</Error>");
        return;
    }
    store_delete(r->srv->store, r->bucket, key);
    if (quiet)
        return;
    buf_adds(&r->out, "<Deleted>");
    xml_key(r, "Key", key);
    buf_adds(&r->out, "</Deleted>");
}

static void delete_objects(struct request *r)
{
    xmlDoc *doc = xmlin_parse(&r->body, "Delete");
    if (!doc) {
        ans_error(r, "MalformedXML", NULL);
        return;
    }
    xmlNode *root = xmlDocGetRootElement(doc);
    const char *quiet = xmlin_text(&r->mem, root, "Quiet");
    const char *type = xmlin_text(&r->mem, root, "EncodingType");
    unsigned n = 0;
    for (xmlNode *o = root->children; (o = xmlin_find(o, "Object")) != NULL; o = o->next)
        n++;
    bool checksum = req_plain_header(r, "content-md5") || r->dialect == DIALECT_AWS;
    if (n == 0 || n > 1000 || !checksum) {
        ans_error(r, checksum ? "MalformedXML" : "InvalidRequest",
                  checksum ? NULL : "Content-MD5 is required");
    } else {
        bool encoded = type && strcmp(type, "url") == 0;
        if (encoded)
            arena_pairs_add(&r->mem, &r->query, "encoding-type", "url");
        ans_xml(r, "DeleteResult");
        if (encoded)
            xml_text(&r->out, "EncodingType", "url");
        for (xmlNode *o = root->children; (o = xmlin_find(o, "Object")) != NULL; o = o->next)
            delete_one(r, o, quiet && strcmp(quiet, "true") == 0, encoded);
        buf_adds(&r->out, "</DeleteResult>");
    }
    xmlFreeDoc(doc);
}

const struct op op_list_buckets = {"ListBuckets", BODY_NONE, false, false, list_buckets, NULL};
const struct op op_head_bucket = {"HeadBucket", BODY_NONE, false, false, head_bucket, NULL};
const struct op op_create_bucket = {"CreateBucket", BODY_MEMORY, true, false, create_bucket, NULL};
const struct op op_delete_bucket = {"DeleteBucket", BODY_NONE, true, false, delete_bucket, NULL};
const struct op op_list_objects = {"ListObjects", BODY_NONE, false, false, list_objects, NULL};
const struct op op_get_location = {"GetBucketLocation", BODY_NONE, false, false,
                                   get_location,        NULL};
const struct op op_get_storage_info = {"GetBucketStorageInfo", BODY_NONE, false, false,
                                       get_storage_info,       NULL};
const struct op op_get_quota = {"GetBucketQuota", BODY_NONE, false, false, get_quota, NULL};
const struct op op_set_bucket_quota = {"SetBucketQuota", BODY_MEMORY, true, false, set_quota, NULL};
const struct op op_get_versioning = {"GetBucketVersioning", BODY_NONE, false, false, get_versioning,
                                     refuse_missing_bucket};
const struct op op_delete_objects = {"DeleteObjects", BODY_MEMORY,    true,
                                     false,           delete_objects, refuse_missing_bucket};
