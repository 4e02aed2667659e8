// SPDX-License-Identifier: Apache-2.0
/* Operations on multipart uploads, see ops.h */
#include "tests/obs-local/ops.h"

#include <libxml/tree.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/base/cleanup.h"
#include "tests/obs-local/crc64.h"
#include "tests/obs-local/range.h"
#include "tests/obs-local/xmlin.h"

enum { PART_MAX = 10000, PAGE_MAX = 1000, PART_MIN_OBS = 100 << 10, PART_MIN_AWS = 5 << 20 };

static void refuse_missing_bucket(struct request *r)
{
    if (!store_bucket_exists(r->srv->store, r->bucket))
        ans_error(r, "NoSuchBucket", NULL);
}

static void encoding_type(struct request *r)
{
    const char *type = req_query(r, "encoding-type");
    if (type && strcmp(type, "url") == 0)
        xml_text(&r->out, "EncodingType", "url");
}

static void initiate(struct request *r)
{
    struct upload *u = mem_alloc(sizeof(*u));
    u->bucket = mem_dup(r->bucket);
    u->key = mem_dup(r->key);
    u->initiator = mem_dup(r->ak ? r->ak : "");
    if (!props_from_request(r, &u->props)) {
        upload_free(u);
        return;
    }
    props_sse_to_answer(r, &u->props);
    int rc = upload_create(r->srv->store, u);
    if (rc != 0) {
        upload_free(u);
        ans_errno(r, rc);
        return;
    }
    ans_xml(r, "InitiateMultipartUploadResult");
    xml_text(&r->out, "Bucket", r->bucket);
    xml_key(r, "Key", r->key);
    xml_text(&r->out, "UploadId", u->id);
    encoding_type(r);
    buf_adds(&r->out, "</InitiateMultipartUploadResult>");
}

/* The properties of the upload that this request names; false: refused. */
static bool upload_props(struct request *r, struct pairs *ret)
{
    const char *id = req_query(r, "uploadId");
    lock_take(&r->srv->store->lock);
    struct upload *u = upload_find_locked(r->srv->store, r->bucket, r->key, id ? id : "");
    if (u)
        pairs_copy(ret, &u->props);
    lock_drop(&r->srv->store->lock);
    if (!u && store_bucket_exists(r->srv->store, r->bucket))
        ans_error(r, "NoSuchUpload", NULL);
    else if (!u)
        ans_error(r, "NoSuchBucket", NULL);
    return u != NULL;
}

/* Number and upload of a part, and the customer key again; false: refused. */
static bool part_args(struct request *r, struct part *p, struct pairs *props)
{
    uint64_t number;
    const char *text = req_query(r, "partNumber");
    if (!text || !text_u64(text, PART_MAX, &number) || number < 1) {
        ans_error(r, "InvalidArgument", "Part number must be an integer between 1 and 10000");
        return false;
    }
    p->number = (unsigned)number;
    return upload_props(r, props) && props_check_customer_key(r, props, "");
}

static void begin_part(struct request *r)
{
    struct part p = {0};
    struct pairs props = {0};
    if (r->has_length && r->length > OBJECT_MAX)
        ans_error(r, "EntityTooLarge", NULL);
    else
        part_args(r, &p, &props);
    pairs_done(&props);
}

static bool store_part(struct request *r, struct part *p)
{
    int rc = upload_put_part(r->srv->store, r->bucket, r->key, req_query(r, "uploadId"), p);
    if (rc == 0)
        return true;
    segs_done(&p->segs);
    ans_error(r, "NoSuchUpload", NULL);
    return false;
}

static void upload_part(struct request *r)
{
    struct part p = {.size = r->received, .has_crc64 = r->has_crc64, .crc64 = r->crc64};
    struct pairs props = {0};
    if (part_args(r, &p, &props)) {
        p.segs = r->segs;
        r->segs = (struct segs){0};
        props_etag(&props, r->digest, p.etag, sizeof(p.etag));
        memcpy(p.md5, r->digest, 16);
        char etag[STORE_ETAG_MAX];
        memcpy(etag, p.etag, sizeof(etag));
        if (store_part(r, &p)) {
            ans_status(r, 200);
            ans_etag(r, etag);
            if (r->has_crc64)
                ans_crc64(r, r->crc64);
            props_sse_to_answer(r, &props);
        }
    }
    pairs_done(&props);
}

static void copy_part_from(struct request *r, const struct object *from, struct part *p,
                           const struct pairs *props)
{
    uint64_t off = 0, len = from->size;
    const char *range = req_header(r, "copy-source-range");
    if (range && !range_parse_exact(range, from->size, &off, &len)) {
        ans_error(r, "InvalidArgument", "The copy source range is not within the object");
        return;
    }
    if (len > OBJECT_MAX) {
        ans_error(r, "EntityTooLarge", NULL);
        return;
    }
    p->size = len;
    segs_add(&p->segs, &from->segs, off, len);
    int rc = segs_md5(&p->segs, 0, len, p->md5);
    if (rc != 0) {
        segs_done(&p->segs);
        ans_errno(r, rc);
        return;
    }
    props_etag(props, p->md5, p->etag, sizeof(p->etag));
    char etag[STORE_ETAG_MAX];
    memcpy(etag, p->etag, sizeof(etag));
    if (!store_part(r, p))
        return;
    ans_xml(r, "CopyPartResult");
    xml_text(&r->out, "LastModified", iso_text(r, p->mtime_ms));
    buf_addf(&r->out, "<ETag>&quot;%s&quot;</ETag></CopyPartResult>", etag);
}

static void copy_part(struct request *r)
{
    struct part p = {0};
    struct pairs props = {0};
    struct object *from = NULL;
    if (r->received > 0)
        ans_error(r, "MaxMessageLengthExceeded", NULL);
    else if (part_args(r, &p, &props) && (from = copy_source(r)) != NULL)
        copy_part_from(r, from, &p, &props);
    object_unref(from);
    pairs_done(&props);
}

static void list_parts_locked(struct request *r, const struct upload *u, unsigned max,
                              unsigned marker)
{
    unsigned given = 0, last = marker;
    bool more = false;
    struct buf parts = BUF_INIT(8 << 20);
    for (size_t i = 0; i < u->n_parts && !more; i++) {
        const struct part *p = &u->parts[i];
        if (p->number <= marker)
            continue;
        if (given == max) {
            more = max > 0;
            break;
        }
        char time[32];
        text_iso(p->mtime_ms, time);
        buf_addf(&parts,
                 "<Part><PartNumber>%u</PartNumber><LastModified>%s</LastModified>"
                 "<ETag>&quot;%s&quot;</ETag><Size>%llu</Size></Part>",
                 p->number, time, p->etag, (unsigned long long)p->size);
        last = p->number;
        given++;
    }
    ans_xml(r, "ListPartsResult");
    xml_text(&r->out, "Bucket", r->bucket);
    xml_key(r, "Key", r->key);
    encoding_type(r);
    xml_text(&r->out, "UploadId", u->id);
    xml_owner(r, "Initiator", u->initiator);
    xml_owner(r, "Owner", "obs-local");
    xml_text(&r->out, "StorageClass", props_storage_class(r, &u->props));
    xml_number(&r->out, "PartNumberMarker", marker);
    xml_number(&r->out, "NextPartNumberMarker", last);
    xml_number(&r->out, "MaxParts", max);
    xml_text(&r->out, "IsTruncated", more ? "true" : "false");
    buf_add(&r->out, parts.p, parts.n);
    buf_adds(&r->out, "</ListPartsResult>");
    buf_done(&parts);
}

static void list_parts(struct request *r)
{
    struct store *s = r->srv->store;
    unsigned max, marker;
    if (!query_number(r, "max-parts", PAGE_MAX, PAGE_MAX, &max) ||
        !query_number(r, "part-number-marker", 0, INT32_MAX, &marker))
        return;
    lock_take(&s->lock);
    const struct upload *u = upload_find_locked(s, r->bucket, r->key, req_query(r, "uploadId"));
    if (u)
        list_parts_locked(r, u, max, marker);
    lock_drop(&s->lock);
    if (!u)
        ans_error(r, "NoSuchUpload", NULL);
}

struct wanted {
    unsigned number;
    const char *etag; /* without quotes */
};

static const char *unquoted(struct arena *a, const char *etag)
{
    while (*etag == '"' || *etag == ' ' || *etag == '\n')
        etag++;
    size_t n = strlen(etag);
    while (n > 0 && (etag[n - 1] == '"' || etag[n - 1] == ' ' || etag[n - 1] == '\n'))
        n--;
    return arena_dupn(a, etag, n);
}

/* The body's list of parts; -1: malformed. */
static int read_wanted(struct request *r, struct wanted **ret)
{
    xmlDoc *doc = xmlin_parse(&r->body, "CompleteMultipartUpload");
    if (!doc)
        return -1;
    int n = 0;
    xmlNode *first = xmlDocGetRootElement(doc)->children;
    for (xmlNode *p = first; (p = xmlin_find(p, "Part")) != NULL; p = p->next)
        n++;
    struct wanted *v = arena_alloc(&r->mem, ((size_t)n + 1) * sizeof(*v));
    int at = 0;
    for (xmlNode *p = first; at >= 0 && (p = xmlin_find(p, "Part")) != NULL; p = p->next) {
        const char *number = xmlin_text(&r->mem, p, "PartNumber");
        const char *etag = xmlin_text(&r->mem, p, "ETag");
        uint64_t v_number = 0;
        if (!number || !etag || !text_u64(number, PART_MAX, &v_number) || v_number == 0) {
            at = -1;
            break;
        }
        v[at++] = (struct wanted){(unsigned)v_number, unquoted(&r->mem, etag)};
    }
    xmlFreeDoc(doc);
    *ret = v;
    return at;
}

static const struct part *find_part(const struct upload *u, unsigned number)
{
    size_t lo = 0, hi = u->n_parts;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (u->parts[mid].number < number)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < u->n_parts && u->parts[lo].number == number ? &u->parts[lo] : NULL;
}

/* OBS API: completing a multipart upload. NULL: all is well, else the error's code. */
static const char *check_parts(const struct request *r, const struct upload *u,
                               const struct wanted *v, int n)
{
    uint64_t least = r->dialect == DIALECT_AWS ? PART_MIN_AWS : PART_MIN_OBS;
    for (int i = 1; i < n; i++) {
        if (v[i].number <= v[i - 1].number)
            return "InvalidPartOrder";
    }
    for (int i = 0; i < n; i++) {
        const struct part *p = find_part(u, v[i].number);
        if (!p || strcmp(p->etag, v[i].etag) != 0)
            return "InvalidPart";
    }
    for (int i = 0; i + 1 < n; i++) {
        if (find_part(u, v[i].number)->size < least)
            return "EntityTooSmall";
    }
    return NULL;
}

static struct object *assemble(const struct upload *u, const struct wanted *v, int n)
{
    struct object *o = object_new();
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char md5[16] = {0};
    char hex[33];
    unsigned int md5_n = 0;
    EVP_DigestInit_ex(ctx, EVP_md5(), NULL);
    for (int i = 0; i < n; i++) {
        const struct part *p = find_part(u, v[i].number);
        segs_add(&o->segs, &p->segs, 0, p->size);
        o->size += p->size;
        EVP_DigestUpdate(ctx, p->md5, 16);
    }
    EVP_DigestFinal_ex(ctx, md5, &md5_n);
    EVP_MD_CTX_free(ctx);
    pairs_copy(&o->props, &u->props);
    props_etag(&o->props, md5, hex, sizeof(hex));
    snprintf(o->etag, sizeof(o->etag), "%s-%d", hex, n);
    snprintf(o->upload_id, sizeof(o->upload_id), "%s", u->id);
    return o;
}

/* The CRC-64 of the object, if all parts came with theirs. False: another one was promised. */
static bool combine_crc64(struct request *r, const struct upload *u, const struct wanted *v, int n,
                          struct object *o)
{
    uint64_t crc = 0;
    for (int i = 0; i < n; i++) {
        const struct part *p = find_part(u, v[i].number);
        if (!p->has_crc64)
            return true;
        crc = crc_join(crc, p->crc64, p->size);
    }
    if (r->has_crc64 && r->crc64 != crc)
        return false;
    props_set_crc64(r, &o->props, crc);
    return true;
}

static void complete_answer(struct request *r, const struct object *o)
{
    ans_xml(r, "CompleteMultipartUploadResult");
    struct buf url = BUF_INIT(16 << 10);
    buf_addf(&url, "%s://%s/%s%s", r->tls ? "https" : "http", r->host, r->vhost ? "" : r->bucket,
             r->vhost ? "" : "/");
    text_encode(&url, r->key, true);
    xml_text(&r->out, "Location", buf_str(&url));
    buf_done(&url);
    xml_text(&r->out, "Bucket", r->bucket);
    xml_key(r, "Key", r->key);
    encoding_type(r);
    buf_addf(&r->out, "<ETag>&quot;%s&quot;</ETag></CompleteMultipartUploadResult>", o->etag);
    props_sse_to_answer(r, &o->props);
}

static void complete(struct request *r)
{
    struct store *s = r->srv->store;
    struct wanted *v = NULL;
    const char *code = NULL;
    int n = read_wanted(r, &v);
    lock_take(&s->lock);
    struct upload *u = upload_find_locked(s, r->bucket, r->key, req_query(r, "uploadId"));
    if (!u)
        code = "NoSuchUpload";
    else if (n <= 0)
        code = "MalformedXML";
    else
        code = check_parts(r, u, v, n);
    if (!code) {
        struct object *o = assemble(u, v, n);
        if (!combine_crc64(r, u, v, n, o)) {
            object_unref(o);
            code = "BadDigest";
            goto out;
        }
        complete_answer(r, o);
        if (upload_complete_locked(s, u, o, NULL) != 0) {
            object_unref(o);
            code = "NoSuchBucket";
        }
    }
out:
    lock_drop(&s->lock);
    if (code)
        ans_error(r, code, NULL);
}

static void abort_upload(struct request *r)
{
    if (upload_abort(r->srv->store, r->bucket, r->key, req_query(r, "uploadId")) != 0)
        ans_error(r, "NoSuchUpload", NULL);
    else
        ans_status(r, 204);
}

struct listing {
    struct request *r;
    struct buf prefixes;
};

static void emit_upload(void *arg, const char *key, size_t n, void *value)
{
    struct listing *l = arg;
    struct request *r = l->r;
    const struct upload *u = value;
    if (!u) {
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
    char time[32];
    text_iso(u->since_us / 1000, time);
    buf_adds(&r->out, "<Upload>");
    xml_key(r, "Key", u->key);
    xml_text(&r->out, "UploadId", u->id);
    xml_owner(r, "Initiator", u->initiator);
    xml_owner(r, "Owner", "obs-local");
    xml_text(&r->out, "StorageClass", props_storage_class(r, &u->props));
    xml_text(&r->out, "Initiated", time);
    buf_adds(&r->out, "</Upload>");
}

/* "key NUL id", so that the listing goes on after exactly this upload; without an id after all
 * uploads of the key, or of the common prefix that the marker is. */
static void uploads_marker(struct request *r, struct list_args *a)
{
    const char *key = req_query(r, "key-marker"), *id = req_query(r, "upload-id-marker");
    size_t delimiter_n = strlen(a->delimiter);
    if (!key || !key[0]) {
        a->marker = "";
        return;
    }
    size_t key_n = strlen(key);
    bool is_prefix = !(id && id[0]) && delimiter_n && key_n >= delimiter_n &&
                     strcmp(key + key_n - delimiter_n, a->delimiter) == 0;
    char *marker = arena_alloc(&r->mem, key_n + (id ? strlen(id) : 0) + 3);
    memcpy(marker, key, key_n);
    a->marker_n = key_n;
    if (!is_prefix) {
        const char *tail = id && id[0] ? id : "\xff";
        memcpy(marker + key_n + 1, tail, strlen(tail));
        a->marker_n += 1 + strlen(tail);
    }
    a->marker = marker;
}

static void list_uploads_answer(struct listing *l, const struct list_args *a, bool more,
                                const char *last, size_t last_n)
{
    struct request *r = l->r;
    const char *key = req_query(r, "key-marker"), *id = req_query(r, "upload-id-marker");
    buf_add(&r->out, l->prefixes.p, l->prefixes.n);
    xml_text(&r->out, "Bucket", r->bucket);
    xml_key(r, "KeyMarker", key ? key : "");
    xml_text(&r->out, "UploadIdMarker", id ? id : "");
    if (more) {
        size_t key_n = strlen(last);
        xml_key(r, "NextKeyMarker", last);
        xml_text(&r->out, "NextUploadIdMarker", key_n < last_n ? last + key_n + 1 : "");
    }
    xml_key(r, "Prefix", a->prefix);
    if (a->delimiter[0])
        xml_key(r, "Delimiter", a->delimiter);
    encoding_type(r);
    xml_number(&r->out, "MaxUploads", a->max);
    xml_text(&r->out, "IsTruncated", more ? "true" : "false");
    buf_adds(&r->out, "</ListMultipartUploadsResult>");
}

static void list_uploads(struct request *r)
{
    struct store *s = r->srv->store;
    struct listing l = {.r = r, .prefixes = BUF_INIT(16 << 20)};
    const char *prefix = req_query(r, "prefix"), *delimiter = req_query(r, "delimiter");
    struct list_args args = {.prefix = prefix ? prefix : "",
                             .delimiter = delimiter ? delimiter : ""};
    if (!query_number(r, "max-uploads", PAGE_MAX, PAGE_MAX, &args.max))
        return;
    uploads_marker(r, &args);
    char *last = NULL;
    size_t last_n = 0;
    ans_xml(r, "ListMultipartUploadsResult");
    lock_take(&s->lock);
    const struct bucket *b = store_bucket_locked(s, r->bucket);
    bool more = b && list_page(b->uploads, &args, emit_upload, &l, &r->mem, &last, &last_n);
    lock_drop(&s->lock);
    if (!b)
        ans_error(r, "NoSuchBucket", NULL);
    else
        list_uploads_answer(&l, &args, more, last, last_n);
    buf_done(&l.prefixes);
}

const struct op op_initiate_upload = {"InitiateMultipartUpload", BODY_NONE, true, false, initiate,
                                      refuse_missing_bucket};
const struct op op_upload_part = {"UploadPart", BODY_BLOB, true, false, upload_part, begin_part};
const struct op op_copy_part = {"CopyPart", BODY_NONE, true, false, copy_part, NULL};
const struct op op_list_parts = {"ListParts", BODY_NONE,  false,
                                 false,       list_parts, refuse_missing_bucket};
const struct op op_complete_upload = {"CompleteMultipartUpload", BODY_MEMORY, true, false, complete,
                                      refuse_missing_bucket};
const struct op op_abort_upload = {"AbortMultipartUpload", BODY_NONE, true, false, abort_upload,
                                   refuse_missing_bucket};
const struct op op_list_uploads = {"ListMultipartUploads", BODY_NONE, false, false,
                                   list_uploads,           NULL};
