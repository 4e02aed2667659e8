// SPDX-License-Identifier: Apache-2.0
/* Operations on objects, see ops.h */
#include "tests/obs-local/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/base/cleanup.h"
#include "net/base/clock.h"
#include "tests/obs-local/range.h"

static int64_t now_s(const struct request *r)
{
    return store_now_us(r->srv->store) / 1000000;
}

static void refuse_missing_bucket(struct request *r)
{
    if (!store_bucket_exists(r->srv->store, r->bucket))
        ans_error(r, "NoSuchBucket", NULL);
}

static void begin_put(struct request *r)
{
    struct pairs props = {0};
    refuse_missing_bucket(r);
    if (!r->failed && r->has_length && r->length > OBJECT_MAX)
        ans_error(r, "EntityTooLarge", NULL);
    if (!r->failed)
        props_from_request(r, &props); /* refused before the body comes */
    pairs_done(&props);
}

static bool url_valid(const char *url)
{
    const char *host = text_starts(url, "http://")    ? url + 7
                       : text_starts(url, "https://") ? url + 8
                                                      : NULL;
    return host && host[0] && host[0] != '/' && strlen(url) < 2048 && !strpbrk(url, " \"<>");
}

static const char *object_url(struct request *r)
{
    struct buf b = BUF_INIT(16 << 10);
    buf_addf(&b, "%s://%s/", r->tls ? "https" : "http", r->host);
    if (!r->vhost)
        buf_addf(&b, "%s/", r->bucket);
    text_encode(&b, r->key, true);
    const char *url = arena_dup(&r->mem, buf_str(&b));
    buf_done(&b);
    return url;
}

/* OBS API: uploading an object with PUT, success-action-redirect. */
static void redirect(struct request *r, const char *etag)
{
    const char *url = req_plain_header(r, "success-action-redirect");
    if (!url)
        return;
    if (!url_valid(url)) {
        ans_header(r, "Location", object_url(r));
        return;
    }
    struct buf b = BUF_INIT(16 << 10);
    buf_addf(&b, "%s%cbucket=", url, strchr(url, '?') ? '&' : '?');
    text_encode(&b, r->bucket, false);
    buf_adds(&b, "&key=");
    text_encode(&b, r->key, false);
    buf_addf(&b, "&etag=%%22%s%%22", etag);
    ans_header(r, "Location", buf_str(&b));
    buf_done(&b);
    ans_status(r, 303);
}

static void put_object(struct request *r)
{
    struct object *o = object_new();
    if (!props_from_request(r, &o->props)) {
        object_unref(o);
        return;
    }
    o->size = r->received;
    o->segs = r->segs;
    r->segs = (struct segs){0};
    props_etag(&o->props, r->digest, o->etag, sizeof(o->etag));
    char etag[STORE_ETAG_MAX];
    memcpy(etag, o->etag, sizeof(etag));
    ans_status(r, 200);
    ans_etag(r, etag);
    if (r->has_crc64)
        props_set_crc64(r, &o->props, r->crc64);
    props_sse_to_answer(r, &o->props);
    const char *class = props_storage_class(r, &o->props);
    if (strcmp(class, "STANDARD") != 0)
        ans_service_header(r, "storage-class", class);
    int rc = store_put(r->srv->store, r->bucket, r->key, o, NULL);
    if (rc != 0)
        ans_errno(r, rc);
    else
        redirect(r, etag);
}

/* The object, if this caller may read it; NULL: refused. */
static struct object *readable(struct request *r)
{
    struct object *o = NULL;
    int rc = store_get(r->srv->store, r->bucket, r->key, &o);
    if (!r->ak && (rc != 0 || !props_public_read(&o->props))) {
        ans_error(r, "AccessDenied", NULL);
    } else if (rc != 0) {
        ans_errno(r, rc);
    } else if (r->ak && !props_owner_may_read(&o->props)) {
        ans_error(r, "AccessDenied", NULL);
    } else if (props_check_customer_key(r, &o->props, "")) {
        return o;
    }
    object_unref(o);
    return NULL;
}

static void show_object(struct request *r, const struct object *o)
{
    char date[30];
    clock_http_date((time_t)(o->mtime_ms / 1000), date);
    ans_etag(r, o->etag);
    ans_header(r, "Last-Modified", date);
    ans_header(r, "Accept-Ranges", "bytes");
    props_to_answer(r, &o->props);
    if (o->upload_id[0])
        ans_service_header(r, "uploadId", o->upload_id);
}

static void override_headers(struct request *r)
{
    static const struct {
        const char *query, *header;
    } names[] = {
        {"response-content-type", "Content-Type"},
        {"response-content-language", "Content-Language"},
        {"response-expires", "Expires"},
        {"response-cache-control", "Cache-Control"},
        {"response-content-disposition", "Content-Disposition"},
        {"response-content-encoding", "Content-Encoding"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *v = req_query(r, names[i].query);
        if (!v)
            continue;
        if (!r->ak) {
            ans_error(r, "ForbidAnonReqOverwriteRespHead", NULL);
            return;
        }
        for (size_t k = 0; k < r->out_headers.n; k++) {
            if (strcmp(r->out_headers.v[k].name, names[i].header) == 0)
                r->out_headers.v[k].name = NULL;
        }
        size_t kept = 0;
        for (size_t k = 0; k < r->out_headers.n; k++) {
            if (r->out_headers.v[k].name)
                r->out_headers.v[kept++] = r->out_headers.v[k];
        }
        r->out_headers.n = kept;
        ans_header(r, names[i].header, v);
    }
}

static bool conditions_hold(struct request *r, const struct object *o)
{
    int status = range_condition(&r->headers, "", o->etag, o->mtime_ms / 1000, now_s(r));
    if (status == 412) {
        ans_error(r, "PreconditionFailed", NULL);
    } else if (status == 304) {
        ans_error_status(r, 304, "NotModified", "");
        ans_etag(r, o->etag);
    }
    return status == 0;
}

/* What a GET of a COLD object that was not restored gives. */
static bool archived(const struct object *o)
{
    const char *class = pairs_get(&o->props, "x-storage-class");
    return class && (strcmp(class, "COLD") == 0 || strcmp(class, "DEEP_ARCHIVE") == 0);
}

static void read_object(struct request *r)
{
    struct object *o = readable(r);
    if (!o)
        return;
    uint64_t off = 0, len = o->size;
    const char *range_text = req_plain_header(r, "range");
    if (!conditions_hold(r, o)) {
        object_unref(o);
        return;
    }
    enum range_kind range = range_parse(range_text, o->size, &off, &len);
    if (!r->head && archived(o)) {
        ans_error(r, "InvalidObjectState", NULL);
    } else if (range == RANGE_INVALID) {
        ans_error(r, "InvalidRange", NULL);
        ans_header(r, "Content-Range",
                   arena_printf(&r->mem, "bytes */%llu", (unsigned long long)o->size));
    } else {
        ans_status(r, range == RANGE_PART ? 206 : 200);
        show_object(r, o);
        override_headers(r);
        if (range == RANGE_PART)
            ans_header(r, "Content-Range",
                       arena_printf(&r->mem, "bytes %llu-%llu/%llu", (unsigned long long)off,
                                    (unsigned long long)(off + len - 1),
                                    (unsigned long long)o->size));
        if (!r->failed)
            r->payload = (struct payload){object_ref(o), off, len};
    }
    object_unref(o);
}

static void delete_object(struct request *r)
{
    int rc = store_delete(r->srv->store, r->bucket, r->key);
    if (rc != 0)
        ans_errno(r, rc);
    else
        ans_status(r, 204);
}

int segs_md5(const struct segs *segs, uint64_t off, uint64_t len, unsigned char md5[16])
{
    enum { BLOCK = 1 << 20 };
    CLEANUP_FREE char *p = mem_alloc(BLOCK);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    struct segs_reader reader;
    int rc = ctx && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1 ? 0 : -ENOMEM;
    segs_reader_init(&reader, segs);
    while (rc == 0 && len > 0) {
        ssize_t n = segs_read(&reader, off, p, len < BLOCK ? (size_t)len : BLOCK);
        if (n <= 0) {
            rc = n < 0 ? (int)n : -EIO;
            break;
        }
        EVP_DigestUpdate(ctx, p, (size_t)n);
        off += (uint64_t)n;
        len -= (uint64_t)n;
    }
    unsigned int n = 0;
    if (rc == 0)
        EVP_DigestFinal_ex(ctx, md5, &n);
    segs_reader_done(&reader);
    EVP_MD_CTX_free(ctx);
    return rc;
}

/* "/bucket/key?versionId=.." into its names; false: not that. */
static bool split_source(struct request *r, const char **ret_bucket, const char **ret_key)
{
    const char *text = req_header(r, "copy-source");
    if (*text == '/')
        text++;
    size_t n = strcspn(text, "?");
    const char *plain = text_decode(&r->mem, text, n, false);
    const char *slash = plain ? strchr(plain, '/') : NULL;
    if (!slash || !slash[1])
        return false;
    *ret_bucket = arena_dupn(&r->mem, plain, (size_t)(slash - plain));
    *ret_key = slash + 1;
    return true;
}

struct object *copy_source(struct request *r)
{
    const char *bucket, *key;
    struct object *o = NULL;
    const char *prefix = r->dialect == DIALECT_OBS ? "x-obs-copy-source-" : "x-amz-copy-source-";
    if (!split_source(r, &bucket, &key)) {
        ans_error(r, "InvalidArgument", "Invalid copy source");
    } else if (store_get(r->srv->store, bucket, key, &o) != 0) {
        ans_error(r, store_bucket_exists(r->srv->store, bucket) ? "NoSuchKey" : "NoSuchBucket",
                  NULL);
    } else if (range_condition(&r->headers, prefix, o->etag, o->mtime_ms / 1000, now_s(r)) != 0) {
        ans_error(r, "PreconditionFailed", NULL);
    } else if (archived(o)) {
        ans_error(r, "InvalidObjectState", NULL);
    } else if (!props_owner_may_read(&o->props)) {
        ans_error(r, "AccessDenied", NULL);
    } else if (props_check_customer_key(r, &o->props, "copy-source-")) {
        return o;
    }
    object_unref(o);
    return NULL;
}

/* What a copy takes from its source: all but the ACL, the storage class and the encryption. */
static bool inherited(const char *name)
{
    return !text_starts(name, "x-acl") && !text_starts(name, "x-grant") &&
           strcmp(name, "x-storage-class") != 0 && strcmp(name, "acl-xml") != 0 &&
           strcmp(name, "x-expires") != 0 && !text_starts(name, "x-server-side");
}

/* The properties of the copy. False: refused. */
static bool copy_props(struct request *r, const struct object *from, struct object *to)
{
    const char *directive = req_header(r, "metadata-directive");
    bool replace = directive && strcmp(directive, "REPLACE") == 0;
    if (directive && !replace && strcmp(directive, "COPY") != 0) {
        ans_error(r, "InvalidArgument", "Unknown metadata directive");
        return false;
    }
    struct pairs given = {0};
    bool ok = props_from_request(r, &given);
    if (replace) {
        pairs_copy(&to->props, &given);
    } else {
        for (size_t i = 0; i < from->props.n; i++) {
            if (inherited(from->props.v[i].name))
                pairs_set(&to->props, from->props.v[i].name, from->props.v[i].value);
        }
        for (size_t i = 0; i < given.n; i++) {
            const char *name = given.v[i].name;
            if (text_starts(name, "x-") && !text_starts(name, "x-meta-"))
                pairs_set(&to->props, name, given.v[i].value);
        }
    }
    pairs_done(&given);
    return ok;
}

static bool is_self(struct request *r)
{
    const char *bucket, *key;
    return split_source(r, &bucket, &key) && strcmp(bucket, r->bucket) == 0 &&
           strcmp(key, r->key) == 0;
}

static int copy_content(const struct object *from, struct object *to)
{
    unsigned char md5[16];
    to->size = from->size;
    segs_add(&to->segs, &from->segs, 0, from->size);
    bool same =
        !strchr(from->etag, '-') && !props_encrypted(&from->props) && !props_encrypted(&to->props);
    if (same) {
        memcpy(to->etag, from->etag, sizeof(to->etag));
        return 0;
    }
    int rc = segs_md5(&to->segs, 0, to->size, md5);
    if (rc == 0)
        props_etag(&to->props, md5, to->etag, sizeof(to->etag));
    return rc;
}

static void copy_object(struct request *r)
{
    const char *directive = req_header(r, "metadata-directive");
    if (r->received > 0) {
        ans_error(r, "MaxMessageLengthExceeded", NULL);
        return;
    }
    struct object *from = copy_source(r);
    if (!from)
        return;
    struct object *to = object_new();
    if (from->size > OBJECT_MAX) {
        ans_error(r, "EntityTooLarge", NULL);
    } else if (is_self(r) && !(directive && strcmp(directive, "REPLACE") == 0)) {
        ans_error(r, "InvalidRequest", "A copy onto itself must replace the metadata");
    } else if (copy_props(r, from, to)) {
        int rc = copy_content(from, to);
        char etag[STORE_ETAG_MAX];
        memcpy(etag, to->etag, sizeof(etag));
        props_sse_to_answer(r, &to->props);
        if (rc == 0) {
            to->mtime_ms = store_now_us(r->srv->store) / 1000;
            int64_t mtime_ms = to->mtime_ms;
            rc = store_put(r->srv->store, r->bucket, r->key, to, NULL);
            to = NULL;
            ans_xml(r, "CopyObjectResult");
            xml_text(&r->out, "LastModified", iso_text(r, mtime_ms));
            buf_addf(&r->out, "<ETag>&quot;%s&quot;</ETag></CopyObjectResult>", etag);
        }
        if (rc != 0)
            ans_errno(r, rc);
    }
    object_unref(to);
    object_unref(from);
}

/* OBS API: modifying object metadata. */
static bool new_metadata(struct request *r, const struct object *old, struct object *o)
{
    const char *directive = req_header(r, "metadata-directive");
    bool add = directive && strcmp(directive, "REPLACE_NEW") == 0;
    if (!directive || (!add && strcmp(directive, "REPLACE") != 0)) {
        ans_error(r, "InvalidArgument", "x-obs-metadata-directive must be REPLACE_NEW or REPLACE");
        return false;
    }
    struct pairs given = {0};
    bool ok = props_from_request(r, &given);
    if (ok && !add && pairs_get(&given, "x-storage-class")) {
        ans_error(r, "InvalidArgument", "The storage class changes only with REPLACE_NEW");
        ok = false;
    }
    for (size_t i = 0; ok && i < old->props.n; i++) {
        const char *name = old->props.v[i].name;
        bool kept = add || text_starts(name, "x-object-lock") ||
                    (!inherited(name) && strcmp(name, "x-expires") != 0);
        if (kept)
            pairs_set(&o->props, name, old->props.v[i].value);
    }
    for (size_t i = 0; ok && i < given.n; i++)
        pairs_set(&o->props, given.v[i].name, given.v[i].value);
    pairs_done(&given);
    size_t total = 0;
    for (size_t i = 0; i < o->props.n; i++) {
        if (text_starts(o->props.v[i].name, "x-meta-"))
            total += strlen(o->props.v[i].name) - 7 + strlen(o->props.v[i].value);
    }
    if (ok && total > 8192) {
        ans_error(r, "MetadataTooLarge", NULL);
        ok = false;
    }
    return ok;
}

static void set_metadata(struct request *r)
{
    struct store *s = r->srv->store;
    int rc = -EAGAIN;
    while (rc == -EAGAIN) {
        struct object *old = NULL;
        rc = store_get(s, r->bucket, r->key, &old);
        if (rc != 0)
            break;
        struct object *o = object_new();
        if (!new_metadata(r, old, o)) {
            object_unref(o);
            object_unref(old);
            return;
        }
        o->size = old->size;
        o->since_us = old->since_us;
        o->mtime_ms = s->config.metadata_mtime ? store_now_us(s) / 1000 : old->mtime_ms;
        memcpy(o->etag, old->etag, sizeof(o->etag));
        memcpy(o->upload_id, old->upload_id, sizeof(o->upload_id));
        segs_add(&o->segs, &old->segs, 0, old->size);
        rc = store_replace(s, r->bucket, r->key, old, o);
        object_unref(old);
    }
    if (rc != 0)
        ans_errno(r, rc);
    else
        ans_status(r, 200);
}

const struct op op_put_object = {"PutObject", BODY_BLOB, true, false, put_object, begin_put};
const struct op op_get_object = {"GetObject", BODY_NONE, false, true, read_object, NULL};
const struct op op_head_object = {"HeadObject", BODY_NONE, false, true, read_object, NULL};
const struct op op_delete_object = {"DeleteObject", BODY_NONE, true, false, delete_object, NULL};
const struct op op_copy_object = {"CopyObject", BODY_NONE,   true,
                                  false,        copy_object, refuse_missing_bucket};
const struct op op_set_metadata = {"SetObjectMetadata", BODY_NONE, true, false, set_metadata, NULL};
