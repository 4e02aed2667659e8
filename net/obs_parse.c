// SPDX-License-Identifier: Apache-2.0
// The answer half of a call, and its verification; see obs_impl.h.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/base/clock.h"
#include "net/crc64.h"
#include "net/obs_impl.h"
#include "net/props.h"
#include "net/xml.h"

static void copy_text(char *out, size_t size, const char *text)
{
    (void)snprintf(out, size, "%s", text ? text : "");
}

/* Fields that say something about the object. */
static int take_object(struct obs_state *st)
{
    struct obs_object *object = &st->call->object;
    const struct http_fields *fields = &st->http.response.fields;

    obs_object_clear(object);
    const char *etag = http_fields_get(fields, "ETag");
    const char *modified = http_fields_get(fields, "Last-Modified");
    time_t t;
    if (etag)
        (void)etag_clean(etag, object->etag, sizeof(object->etag));
    if (modified && clock_parse_http_date(modified, &t) == 0)
        object->mtime_ms = (int64_t)t * 1000;
    copy_text(object->upload_id, sizeof(object->upload_id), obs_field(st, "uploadId"));
    copy_text(object->version_id, sizeof(object->version_id), obs_field(st, "version-id"));
    object->encrypted = obs_field(st, "server-side-encryption") ||
                        obs_field(st, "server-side-encryption-customer-algorithm");
    for (size_t i = 0; i < fields->n; i++) {
        if (props_take_header(&object->props, st->obs->dialect, fields->v[i].name,
                              fields->v[i].value) < 0)
            return err_set(&st->http.err, -ENOMEM, "out of memory");
    }
    return obs_sse_accepted(st);
}

/* Decimal digits and nothing else. */
static bool take_size(const struct obs_state *st, uint64_t *ret)
{
    const char *text = http_fields_get(&st->http.response.fields, "Content-Length");
    if (!text || !text[0] || strspn(text, "0123456789") != strlen(text))
        return false;
    errno = 0;
    *ret = strtoull(text, NULL, 10);
    return errno == 0;
}

/* --- GET --- */

/* OBS API, downloading an object: a range that the service does not like is ignored and the whole
 * object comes with 200, so what was asked for has to be what comes. */
static int check_range(struct obs_state *st)
{
    struct obs_call *call = st->call;
    struct http_call *http = &st->http;
    uint64_t first, last, total;
    uint64_t from = call->offset + st->received;

    if (from == 0 && call->length == 0) {
        if (http->response.status != 200)
            return obs_spoiled(st, "a part of the object came instead of the whole");
        if (!take_size(st, &call->object.size))
            call->object.size = UINT64_MAX;
        st->expected = call->object.size;
        return 0;
    }
    const char *range = http_fields_get(&http->response.fields, "Content-Range");
    if (http->response.status != 206 || !range ||
        http_content_range(range, &first, &last, &total) < 0)
        return obs_spoiled(st, "the service did not send the range that was asked for");
    uint64_t end = total - 1;
    if (call->length && call->offset + call->length - 1 < end)
        end = call->offset + call->length - 1;
    if (first != from || last != end)
        return obs_spoiled(st, "the service sent another range than was asked for");
    call->object.size = total;
    st->expected = last + 1 - call->offset;
    return 0;
}

int obs_get_begin(struct obs_state *st)
{
    struct obs_call *call = st->call;
    const char *pinned = call->if_match ? call->if_match : st->pinned;

    int rc = take_object(st);
    if (rc < 0)
        return rc;
    if (pinned[0] && call->object.etag[0] && !etag_equal(pinned, call->object.etag)) {
        err_set(&st->http.err, -ESTALE, "the object was changed by somebody else");
        st->http.err.cls = ERR_CONFLICT;
        return -ESTALE;
    }
    rc = check_range(st);
    if (rc == 0 && !pinned[0])
        copy_text(st->pinned, sizeof(st->pinned), call->object.etag);
    return rc;
}

int obs_get_sink(struct http_call *http, const void *p, size_t n)
{
    struct obs_state *st = http->arg;
    struct obs_call *call = st->call;

    if (n > st->expected - st->received)
        return -EIO;
    int rc = call->sink(call->sink_arg, call->offset + st->received, p, n);
    if (rc == 0)
        st->received += n;
    return rc;
}

static int parse_get(struct obs_state *st)
{
    struct obs_call *call = st->call;
    if (st->expected == UINT64_MAX) /* a length was not stated */
        call->object.size = st->expected = st->received;
    if (st->received == st->expected)
        return 0;
    err_set(&st->http.err, -EIO, "the service sent %" PRIu64 " of %" PRIu64 " bytes", st->received,
            st->expected);
    st->http.err.cls = ERR_RETRY;
    return -EIO;
}

/* --- PUT, part --- */

/* The ETag in the query of the address that a 303 names. */
static void etag_of_location(struct obs_state *st)
{
    const char *at = http_fields_get(&st->http.response.fields, "Location");
    CLEANUP_BUF struct buf value = BUF_INIT(OBS_ETAG_MAX);
    at = at ? strcasestr(at, "etag=") : NULL;
    if (!at || (at[-1] != '?' && at[-1] != '&'))
        return;
    at += strlen("etag=");
    if (url_decode(&value, at, strcspn(at, "&#"), true) == 0)
        (void)etag_clean(buf_str(&value), st->call->object.etag, sizeof(st->call->object.etag));
}

bool obs_crc64_differs(const struct obs_state *st, uint64_t crc)
{
    const char *text = obs_field(st, "checksum-crc64ecma");
    uint64_t stated;
    if (!text)
        text = obs_field(st, "hash-crc64ecma"); /* its older name */
    return text && (crc64_parse(text, &stated) < 0 || stated != crc);
}

static int parse_stored(struct obs_state *st)
{
    struct obs_call *call = st->call;
    unsigned char md5[DIGEST_SIZE_MAX];
    unsigned char stated[DIGEST_MD5_SIZE];

    int rc = take_object(st);
    if (rc < 0)
        return rc;
    call->object.size = call->body.size;
    if (!call->object.etag[0] && st->http.response.status == 303)
        etag_of_location(st);
    if (!st->md5_known) {
        if (st->hashed != call->body.size)
            return obs_spoiled(st, "the service answered before it had all data");
        if (digest_end(st->digest, md5) < 0)
            return err_set(&st->http.err, -EIO, "the checksum could not be computed");
        memcpy(call->md5, md5, sizeof(call->md5));
    }
    if (st->crc64_known && obs_crc64_differs(st, call->crc64))
        return obs_spoiled(st, "CRC-64 mismatch: what was stored is not what was sent");
    /* Then the ETag is no checksum (OBS API: querying object metadata): the service has compared
     * the one that came with the data. It comes along next time. */
    if (call->object.encrypted)
        return st->md5_known ? 0 : obs_spoiled(st, "the bucket encrypts: sent again with its MD5");
    if (!call->object.etag[0] && st->http.response.status != 303)
        return obs_spoiled(st, "the service did not state the checksum of what it stored");
    if (!call->object.etag[0])
        return 0;
    if (etag_md5(call->object.etag, stated) < 0)
        return st->md5_known ? 0 : obs_spoiled(st, "the checksum of what was stored is unreadable");
    if (memcmp(stated, call->md5, sizeof(stated)) != 0)
        return obs_spoiled(st, "checksum mismatch: what was stored is not what was sent");
    return 0;
}

/* --- answers with a body --- */

/* The result of an XML reader. */
static int parsed(struct obs_state *st, int rc, const struct xml_fault *fault)
{
    struct err why;
    if (rc >= 0)
        return 0;
    if (rc == -EREMOTEIO) /* an error inside a success */
        return obs_fault(st, fault);
    if (rc != -EBADMSG)
        return err_set(&st->http.err, rc, "the answer cannot be read: %s", err_text(rc));
    why = st->http.err;
    return obs_spoiled(st, why.msg[0] ? why.msg : "the answer is not what was expected");
}

static int parse_list(struct obs_state *st)
{
    struct obs_call *call = st->call;
    const struct buf *body = &st->http.response.body;
    struct err *err = &st->http.err;
    struct xml_fault fault = {0};
    int rc;

    obs_list_clear(&call->list);
    obs_parts_clear(&call->parts);
    if (call->op == OBS_LIST)
        rc = xml_parse_list(body->p, body->n, &call->list, &fault, err);
    else if (call->op == OBS_MP_LIST_UPLOADS)
        rc = xml_parse_uploads(body->p, body->n, &call->list, &fault, err);
    else if (call->op == OBS_MP_LIST_PARTS)
        rc = xml_parse_parts(body->p, body->n, &call->parts, &fault, err);
    else if (body->n == 0) /* quiet, and nothing failed */
        rc = 0;
    else
        rc = xml_parse_delete(body->p, body->n, &call->list, &fault, err);
    return parsed(st, rc, &fault);
}

static int parse_initiate(struct obs_state *st)
{
    struct obs_call *call = st->call;
    const struct buf *body = &st->http.response.body;
    struct xml_fault fault = {0};

    int rc = take_object(st); /* it says whether encryption is on */
    if (rc < 0)
        return rc;
    rc = xml_parse_initiate(body->p, body->n, call->upload_id_out, sizeof(call->upload_id_out),
                            &fault, &st->http.err);
    return parsed(st, rc, &fault);
}

static int parse_acl(struct obs_state *st)
{
    struct obs_call *call = st->call;
    const struct buf *body = &st->http.response.body;
    struct xml_fault fault = {0};
    obs_acl_clear(&call->acl); /* of an earlier attempt */
    int rc = xml_parse_acl(body->p, body->n, &call->acl, &fault, &st->http.err);
    return parsed(st, rc, &fault);
}

static bool has_callback(const struct obs_state *st)
{
    return st->obs->has_callback ||
           (st->call->props && obs_props_get(st->call->props, OBS_PROP_HEADER, "callback"));
}

/* COPY, CopyPart, Complete: only an ETag in the body makes a success (OBS API: copying an object,
 * copying a part). */
static int parse_etag(struct obs_state *st)
{
    struct obs_call *call = st->call;
    const struct buf *body = &st->http.response.body;
    struct xml_fault fault = {0};
    char etag[OBS_ETAG_MAX];
    int64_t mtime_ms = 0;

    int rc = take_object(st);
    if (rc < 0)
        return rc;
    rc = xml_parse_etag(body->p, body->n, etag, sizeof(etag), &mtime_ms, &fault, &st->http.err);
    if (rc == -EBADMSG && call->op == OBS_MP_COMPLETE && has_callback(st)) {
        err_clear(&st->http.err); /* the body is the callback server's */
        return 0;
    }
    if (rc < 0)
        return parsed(st, rc, &fault);
    copy_text(call->object.etag, sizeof(call->object.etag), etag);
    call->crc64_differs = call->op == OBS_MP_COMPLETE && call->whole_crc64 &&
                          obs_crc64_differs(st, *call->whole_crc64);
    if (mtime_ms)
        call->object.mtime_ms = mtime_ms;
    return 0;
}

int obs_parse(struct obs_state *st)
{
    struct obs_call *call = st->call;
    int rc;

    switch (call->op) {
    case OBS_GET:
        return parse_get(st);
    case OBS_HEAD:
    case OBS_HEAD_BUCKET:
        rc = take_object(st);
        if (rc == 0 && call->op == OBS_HEAD && !take_size(st, &call->object.size))
            rc = obs_spoiled(st, "the service did not state the size of the object");
        return rc;
    case OBS_PUT:
    case OBS_MP_PART:
        return parse_stored(st);
    case OBS_LIST:
    case OBS_DELETE_BATCH:
    case OBS_MP_LIST_PARTS:
    case OBS_MP_LIST_UPLOADS:
        return parse_list(st);
    case OBS_COPY:
    case OBS_MP_COPY_PART:
    case OBS_MP_COMPLETE:
        return parse_etag(st);
    case OBS_MP_INITIATE:
        return parse_initiate(st);
    case OBS_GET_ACL:
    case OBS_GET_BUCKET_ACL:
        return parse_acl(st);
    default:
        return take_object(st);
    }
}
