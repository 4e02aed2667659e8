// SPDX-License-Identifier: Apache-2.0
// From a call to one attempt: URL, header fields, body, signature; see obs_impl.h.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "net/base/cleanup.h"
#include "net/crc64.h"
#include "net/obs_impl.h"
#include "net/props.h"
#include "net/sign.h"
#include "net/sse.h"
#include "net/xml.h"

enum {
    KEYS_MAX = 1000,        /* of a batch deletion, OBS API: deleting objects */
    KEYS_DEFAULT = 1000,    /* of one page of a list */
    SERVER_WORK = 10,       /* stall times granted where the service works before it answers */
    TEXT_MAX = 8 << 20,     /* of a body that is made here */
    HASH_STEP = 256 * 1024, /* bytes read at once to hash a body before it is sent */
    QUERY_MAX = 8,
};

/* What a request of each kind looks like. */
enum { Q_BUCKET = 1, Q_EXTRA = 2, Q_SLOW = 4, Q_LONG_ANSWER = 8, Q_UPLOAD = 16 };

static const struct {
    const char *method;
    enum http_lane lane;
    unsigned flags;
} shapes[OBS_OP_COUNT] = {
    [OBS_HEAD_BUCKET] = {"HEAD", HTTP_META, Q_BUCKET},
    [OBS_LIST] = {"GET", HTTP_META, Q_BUCKET | Q_LONG_ANSWER},
    [OBS_HEAD] = {"HEAD", HTTP_META, 0},
    [OBS_GET] = {"GET", HTTP_READ, 0},
    [OBS_PUT] = {"PUT", HTTP_WRITE, Q_EXTRA},
    [OBS_DELETE] = {"DELETE", HTTP_META, 0},
    [OBS_DELETE_BATCH] = {"POST", HTTP_META, Q_BUCKET | Q_LONG_ANSWER},
    [OBS_COPY] = {"PUT", HTTP_WRITE, Q_EXTRA | Q_SLOW},
    [OBS_SET_META] = {"PUT", HTTP_META, 0},
    [OBS_GET_ACL] = {"GET", HTTP_META, Q_LONG_ANSWER},
    [OBS_GET_BUCKET_ACL] = {"GET", HTTP_META, Q_BUCKET | Q_LONG_ANSWER},
    [OBS_SET_ACL] = {"PUT", HTTP_META, 0},
    [OBS_MP_INITIATE] = {"POST", HTTP_META, Q_EXTRA},
    [OBS_MP_PART] = {"PUT", HTTP_WRITE, Q_UPLOAD},
    [OBS_MP_COPY_PART] = {"PUT", HTTP_WRITE, Q_SLOW | Q_UPLOAD},
    [OBS_MP_LIST_PARTS] = {"GET", HTTP_META, Q_LONG_ANSWER | Q_UPLOAD},
    [OBS_MP_COMPLETE] = {"POST", HTTP_META, Q_EXTRA | Q_SLOW | Q_UPLOAD},
    [OBS_MP_ABORT] = {"DELETE", HTTP_META, Q_EXTRA | Q_UPLOAD},
    [OBS_MP_LIST_UPLOADS] = {"GET", HTTP_META, Q_BUCKET | Q_LONG_ANSWER},
};

/* --- the body --- */

/* The caller's bytes, hashed on their way. */
static ssize_t read_body(void *arg, uint64_t off, void *p, size_t n)
{
    struct obs_state *st = arg;
    const struct obs_body *body = &st->call->body;

    ssize_t got = body->read(body->arg, off, p, n);
    if (got <= 0 || st->md5_known)
        return got;
    if (off == 0) { /* also when the library has to send again */
        if (digest_reset(st->digest) < 0)
            return -ENOMEM;
        st->hashed = 0;
    }
    if (off != st->hashed) {
        st->hashed = UINT64_MAX;
        return got;
    }
    int rc = digest_add(st->digest, p, (size_t)got);
    st->hashed += (uint64_t)got;
    return rc < 0 ? rc : got;
}

static ssize_t read_text(void *arg, uint64_t off, void *p, size_t n)
{
    struct obs_state *st = arg;
    memcpy(p, st->text.p + off, n);
    return (ssize_t)n;
}

void obs_describe(struct obs_state *st)
{
    struct obs_call *call = st->call;
    unsigned flags = (unsigned)call->op < OBS_OP_COUNT ? shapes[call->op].flags : 0;

    st->http.lane = (unsigned)call->op < OBS_OP_COUNT ? shapes[call->op].lane : HTTP_META;
    if (call->urgent)
        st->http.lane = HTTP_URGENT;
    if (flags & Q_SLOW)
        st->http.stall_ms *= SERVER_WORK;
    if (flags & Q_LONG_ANSWER)
        st->http.answer_max = XML_BODY_MAX;
    if (call->op == OBS_GET)
        st->http.sink = obs_get_sink;
    if (call->op == OBS_PUT || call->op == OBS_MP_PART)
        st->http.body = (struct http_body){
            .present = true, .size = call->body.size, .read = read_body, .arg = st};
    if (call->op == OBS_MP_COMPLETE || call->op == OBS_DELETE_BATCH ||
        (call->op == OBS_SET_ACL && call->n_grants))
        st->http.body = (struct http_body){.present = true, .read = read_text, .arg = st};
}

/* Hashes the caller's body ahead of sending. */
static int hash_first(struct obs_state *st)
{
    struct obs_call *call = st->call;
    unsigned char out[DIGEST_SIZE_MAX];

    CLEANUP_FREE char *p = malloc(HASH_STEP);
    if (!p)
        return err_set(&st->http.err, -ENOMEM, "out of memory");
    uint64_t off = 0;
    call->crc64 = 0;
    int rc = digest_reset(st->digest);
    while (rc == 0 && off < call->body.size) {
        uint64_t left = call->body.size - off;
        ssize_t got = call->body.read(call->body.arg, off, p, left < HASH_STEP ? left : HASH_STEP);
        rc = got > 0 ? digest_add(st->digest, p, (size_t)got) : (got ? (int)got : -EIO);
        if (got > 0 && st->obs->crc64)
            call->crc64 = crc64_update(call->crc64, p, (size_t)got);
        off += got > 0 ? (uint64_t)got : 0;
    }
    if (rc == 0)
        rc = digest_end(st->digest, out);
    if (rc < 0)
        return err_set(&st->http.err, rc, "the data to send cannot be read");
    memcpy(call->md5, out, sizeof(call->md5));
    st->md5_known = true;
    st->crc64_known = st->obs->crc64;
    return 0;
}

/* Makes what the attempt sends, once; a digest begins anew. */
static int prepare_body(struct obs_state *st)
{
    struct obs_call *call = st->call;
    struct err *err = &st->http.err;
    int rc = 0;

    if (call->op == OBS_PUT || call->op == OBS_MP_PART) {
        if (!st->digest)
            st->digest = digest_new(DIGEST_MD5);
        if (!st->digest || (!st->md5_known && digest_reset(st->digest) < 0))
            return err_set(err, -ENOMEM, "out of memory");
        st->hashed = 0;
        bool first = call->body.content_md5 || st->obs->crc64 || obs_sse_asked(st) ||
                     atomic_load(&st->obs->opaque);
        return first && !st->md5_known ? hash_first(st) : 0;
    }
    if (!st->http.body.present || st->text.n)
        return 0;
    st->text = BUF_INIT(TEXT_MAX);
    if (call->op == OBS_MP_COMPLETE)
        rc = xml_build_complete(&st->text, call->complete, call->n_complete);
    else if (call->op == OBS_SET_ACL)
        rc = xml_build_acl(&st->text, call->owner, call->grants, call->n_grants);
    else
        rc = xml_build_delete(&st->text, call->keys, call->n_keys);
    st->http.body.size = st->text.n;
    return rc < 0 ? err_set(err, rc, "the body of the request cannot be built: %s", err_text(rc))
                  : 0;
}

/* --- URL --- */

struct query {
    struct url_param v[QUERY_MAX];
    size_t n;
    char max[24], part[24];
};

static void ask(struct query *q, const char *name, const char *value)
{
    q->v[q->n++] = (struct url_param){name, value};
}

static void ask_given(struct query *q, const char *name, const char *value)
{
    if (value && value[0])
        ask(q, name, value);
}

static void make_query(const struct obs_state *st, struct query *q)
{
    const struct obs_call *call = st->call;
    unsigned max = call->max_keys ? call->max_keys : KEYS_DEFAULT;

    (void)snprintf(q->max, sizeof(q->max), "%u", max);
    switch (call->op) {
    case OBS_LIST:
        ask(q, "prefix", call->prefix ? call->prefix : "");
        ask_given(q, "delimiter", call->delimiter);
        ask_given(q, "marker", call->marker);
        ask(q, "max-keys", q->max);
        ask(q, "encoding-type", "url");
        break;
    case OBS_DELETE_BATCH:
        ask(q, "delete", NULL);
        break;
    case OBS_SET_META:
        ask(q, "metadata", NULL);
        break;
    case OBS_GET_ACL:
    case OBS_GET_BUCKET_ACL:
    case OBS_SET_ACL:
        ask(q, "acl", NULL);
        break;
    case OBS_MP_INITIATE:
        ask(q, "uploads", NULL);
        break;
    case OBS_MP_PART:
    case OBS_MP_COPY_PART:
        (void)snprintf(q->part, sizeof(q->part), "%" PRIu32, call->part_no);
        ask(q, "partNumber", q->part);
        ask(q, "uploadId", call->upload_id);
        break;
    case OBS_MP_LIST_PARTS:
        (void)snprintf(q->part, sizeof(q->part), "%" PRIu32, call->part_marker);
        ask(q, "uploadId", call->upload_id);
        ask(q, "max-parts", q->max);
        if (call->part_marker)
            ask(q, "part-number-marker", q->part);
        break;
    case OBS_MP_COMPLETE:
    case OBS_MP_ABORT:
        ask(q, "uploadId", call->upload_id);
        break;
    case OBS_MP_LIST_UPLOADS:
        ask(q, "uploads", NULL);
        ask_given(q, "prefix", call->prefix);
        ask_given(q, "delimiter", call->delimiter);
        ask_given(q, "key-marker", call->marker);
        ask_given(q, "upload-id-marker", call->upload_id_marker);
        ask(q, "max-uploads", q->max);
        ask(q, "encoding-type", "url");
        break;
    default:
        break;
    }
}

/* --- header fields --- */

int obs_add_prefixed(struct obs_state *st, struct http_request *req, const char *name,
                     const char *value)
{
    char full[80];
    (void)snprintf(full, sizeof(full), "%s%s", props_prefix(st->obs->dialect), name);
    return http_fields_add(&req->fields, full, value);
}

static int add_etag(struct obs_state *st, struct http_request *req, const char *name,
                    const char *etag, bool prefixed)
{
    char value[OBS_ETAG_MAX + 3];
    (void)snprintf(value, sizeof(value), "\"%s\"", etag);
    return prefixed ? obs_add_prefixed(st, req, name, value)
                    : http_fields_add(&req->fields, name, value);
}

static int add_props(struct obs_state *st, struct http_request *req)
{
    const struct obs_props *props = st->call->props;
    CLEANUP_BUF struct buf name = BUF_INIT(1024);
    CLEANUP_BUF struct buf value = BUF_INIT(HTTP_FIELDS_MAX);
    bool grants = obs_has_grants(st);

    int rc = props_check(props, &st->http.err);
    if (rc == 0 && grants)
        rc = obs_rights_add(st, req);
    for (size_t i = 0; rc == 0 && i < props->n; i++) {
        if (sse_is_prop(&props->v[i]) || (grants && obs_rights_own(&props->v[i])))
            continue; /* obs_sse_add(), obs_rights_add() */
        buf_reset(&name);
        buf_reset(&value);
        rc = props_to_header(&props->v[i], st->obs->dialect, &name, &value);
        if (rc == 0)
            rc = http_fields_add(&req->fields, buf_str(&name), buf_str(&value));
    }
    return rc;
}

static int add_copy(struct obs_state *st, struct http_request *req)
{
    const struct obs_call *call = st->call;
    CLEANUP_BUF struct buf source = BUF_INIT(URL_TARGET_MAX);
    char range[64];

    int rc = url_path(&source, st->obs->bucket, call->source_key, true);
    if (rc == 0)
        rc = obs_add_prefixed(st, req, "copy-source", buf_str(&source));
    if (rc == 0 && call->if_match)
        rc = add_etag(st, req, "copy-source-if-match", call->if_match, true);
    if (rc == 0 && call->op == OBS_COPY)
        rc = obs_add_prefixed(st, req, "metadata-directive", call->replace ? "REPLACE" : "COPY");
    if (rc == 0 && call->op == OBS_MP_COPY_PART && call->length) {
        (void)snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, call->offset,
                       call->offset + call->length - 1);
        rc = obs_add_prefixed(st, req, "copy-source-range", range);
    }
    return rc;
}

/* The rest of the range, from the version whose beginning has been received. */
static int add_range(struct obs_state *st, struct http_request *req)
{
    const struct obs_call *call = st->call;
    const char *etag = call->if_match ? call->if_match : st->pinned;
    char range[64];
    int rc = 0;

    if (!etag[0])
        st->received = 0; /* it could be another version: from the start */
    uint64_t first = call->offset + st->received;
    if (call->length)
        (void)snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, first,
                       call->offset + call->length - 1);
    else
        (void)snprintf(range, sizeof(range), "bytes=%" PRIu64 "-", first);
    if (first || call->length)
        rc = http_fields_add(&req->fields, "Range", range);
    if (rc == 0 && etag[0])
        rc = add_etag(st, req, "If-Match", etag, false);
    return rc;
}

static int add_md5(struct obs_state *st, struct http_request *req)
{
    unsigned char md5[DIGEST_SIZE_MAX];
    char text[32];

    if (st->call->op == OBS_DELETE_BATCH) {
        int rc = digest_once(DIGEST_MD5, st->text.p, st->text.n, md5);
        if (rc < 0)
            return rc;
    } else {
        memcpy(md5, st->call->md5, DIGEST_MD5_SIZE);
    }
    int rc = base64_encode(md5, DIGEST_MD5_SIZE, text, sizeof(text));
    return rc < 0 ? rc : http_fields_add(&req->fields, "Content-MD5", text);
}

static int add_crc64(struct obs_state *st, struct http_request *req, uint64_t crc)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%" PRIu64, crc);
    return obs_add_prefixed(st, req, "checksum-crc64ecma", text);
}

/* The client's own; what the call says under the same name stands. */
static int add_extra(struct obs_state *st, struct http_request *req)
{
    const struct http_fields *extra = &st->obs->extra;
    bool end = st->call->op == OBS_MP_COMPLETE || st->call->op == OBS_MP_ABORT;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < extra->n; i++) {
        const struct http_field *f = &extra->v[i];
        if (end && strncasecmp(f->name, "content-", 8) == 0)
            continue; /* they tell of the object, here they would of the request's own body */
        if (!http_fields_get(&req->fields, f->name))
            rc = http_fields_add(&req->fields, f->name, f->value);
    }
    return rc;
}

static int add_fields(struct obs_state *st, struct http_request *req)
{
    const struct obs_call *call = st->call;
    int rc = call->props ? add_props(st, req) : 0;

    if (rc == 0)
        rc = obs_sse_add(st, req);
    if (rc == 0 && (shapes[call->op].flags & Q_EXTRA))
        rc = add_extra(st, req);
    if (rc == 0 && call->op == OBS_GET)
        rc = add_range(st, req);
    if (rc == 0 && call->op == OBS_HEAD && call->if_match)
        rc = add_etag(st, req, "If-Match", call->if_match, false);
    if (rc == 0 && (call->op == OBS_COPY || call->op == OBS_MP_COPY_PART))
        rc = add_copy(st, req);
    if (rc == 0 && call->op == OBS_SET_META)
        rc = obs_add_prefixed(st, req, "metadata-directive",
                              call->replace ? "REPLACE" : "REPLACE_NEW");
    if (rc == 0 && st->text.n)
        rc = http_fields_add(&req->fields, "Content-Type", "application/xml");
    if (rc == 0 && (call->op == OBS_DELETE_BATCH || st->md5_known))
        rc = add_md5(st, req);
    if (rc == 0 && st->crc64_known)
        rc = add_crc64(st, req, call->crc64);
    if (rc == 0 && call->op == OBS_MP_COMPLETE && call->whole_crc64)
        rc = add_crc64(st, req, *call->whole_crc64);
    return rc;
}

/* --- all together --- */

static int check(struct obs_state *st)
{
    const struct obs_call *call = st->call;
    struct err *err = &st->http.err;

    if ((unsigned)call->op >= OBS_OP_COUNT)
        return err_set(err, -EINVAL, "there is no such operation");
    unsigned flags = shapes[call->op].flags;
    if (!(flags & Q_BUCKET) && (!call->key || !call->key[0]))
        return err_set(err, -EINVAL, "%s needs a name", obs_op_name(call->op));
    if (call->key && strlen(call->key) > OBS_KEY_MAX)
        return err_set(err, -ENAMETOOLONG, "the name is longer than %d bytes", OBS_KEY_MAX);
    if ((flags & Q_UPLOAD) && (!call->upload_id || !call->upload_id[0]))
        return err_set(err, -EINVAL, "%s needs an upload", obs_op_name(call->op));
    bool copy = call->op == OBS_COPY || call->op == OBS_MP_COPY_PART;
    if (copy && (!call->source_key || !call->source_key[0]))
        return err_set(err, -EINVAL, "%s needs a source", obs_op_name(call->op));
    if (call->op == OBS_GET && !call->sink)
        return err_set(err, -EINVAL, "GET needs a sink");
    if (call->op == OBS_SET_META && st->obs->dialect != OBS_DIALECT_OBS)
        return err_set(err, -EOPNOTSUPP, "this dialect cannot change metadata in place");
    if (call->op == OBS_DELETE_BATCH && (call->n_keys < 1 || call->n_keys > KEYS_MAX))
        return err_set(err, -EINVAL, "a batch deletion takes 1 to %d names", KEYS_MAX);
    return 0;
}

static int sign(struct obs_state *st, struct http_request *req, const char *path,
                const struct query *q, const char *host)
{
    struct sign_header headers[SIGN_HEADERS_MAX];
    CLEANUP_SIGN_LINES struct sign_lines lines = {0};
    struct obs *obs = st->obs;

    if (req->fields.n + 1 > SIGN_HEADERS_MAX)
        return -E2BIG;
    for (size_t i = 0; i < req->fields.n; i++)
        headers[i] = (struct sign_header){req->fields.v[i].name, req->fields.v[i].value};
    headers[req->fields.n] = (struct sign_header){"Host", host};
    struct sign_request r = {
        .method = req->method,
        .bucket = st->path_style ? NULL : obs->bucket,
        .path = path,
        .query = q->v,
        .n_query = q->n,
        .headers = headers,
        .n_headers = req->fields.n + 1,
        .region = obs->region,
        .now = time(NULL) + (time_t)atomic_load(&obs->clock_offset),
    };
    int rc = obs->dialect == OBS_DIALECT_S3 ? sign_aws4(&r, &st->cred, &lines)
                                            : sign_obs(&r, &st->cred, &lines);
    for (size_t i = 0; rc == 0 && i < lines.n; i++)
        rc = http_fields_add_line(&req->fields, lines.v[i], strlen(lines.v[i]));
    return rc;
}

int obs_prepare(struct http_call *http, struct http_request *req)
{
    struct obs_state *st = http->arg;
    struct obs *obs = st->obs;
    CLEANUP_BUF struct buf path = BUF_INIT(URL_TARGET_MAX);
    struct query q = {0};
    char host[URL_HOST_MAX + 80];

    int rc = check(st);
    if (rc == 0 && !obs_rights_ready(st))
        return -EAGAIN;
    if (rc == 0 && obs->cred)
        rc = cred_get(obs->cred, &st->cred, &http->err);
    if (rc == 0)
        rc = prepare_body(st);
    if (rc < 0)
        return rc;

    bool bucket_level = shapes[st->call->op].flags & Q_BUCKET;
    req->method = shapes[st->call->op].method;
    make_query(st, &q);
    rc = url_path(&path, obs->bucket, bucket_level ? NULL : st->call->key, st->path_style);
    if (rc == 0)
        rc = url_host(&st->endpoint, st->path_style ? NULL : obs->bucket, host, sizeof(host));
    if (rc == 0)
        rc = buf_addf(&req->url, "%s://%s", url_scheme(&st->endpoint), host);
    if (rc == 0)
        rc = url_target(&req->url, buf_str(&path), q.v, q.n);
    if (rc == 0)
        rc = add_fields(st, req);
    if (rc == 0 && obs->cred)
        rc = sign(st, req, buf_str(&path), &q, host);
    if (rc == -EAGAIN)
        rc = -EIO;
    if (rc < 0 && !http->err.eno)
        err_set(&http->err, rc, "the request cannot be built: %s", err_text(rc));
    return rc;
}
