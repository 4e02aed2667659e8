// SPDX-License-Identifier: Apache-2.0
/* Answers, see answer.h and the second half of server.h */
#include "tests/obs-local/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "net/base/cleanup.h"
#include "net/base/clock.h"

enum { BLOCK = 256 << 10 };

void ans_header(struct request *r, const char *name, const char *value)
{
    arena_pairs_add(&r->mem, &r->out_headers, name, value);
}

void ans_service_header(struct request *r, const char *base, const char *value)
{
    char name[160];
    bool obs = r->dialect == DIALECT_OBS || strcmp(base, "uploadId") == 0 ||
               strcmp(base, "expires") == 0 || strcmp(base, "api") == 0;
    snprintf(name, sizeof(name), "%s%s", obs ? "x-obs-" : "x-amz-", base);
    ans_header(r, name, value);
}

void ans_status(struct request *r, int status)
{
    r->status = status;
}

void ans_etag(struct request *r, const char *etag)
{
    ans_header(r, "ETag", arena_printf(&r->mem, "\"%s\"", etag));
}

void ans_crc64(struct request *r, uint64_t crc)
{
    ans_service_header(r, "checksum-crc64ecma",
                       arena_printf(&r->mem, "%llu", (unsigned long long)crc));
}

static void error_xml(struct request *r, const char *code, const char *message)
{
    struct buf *b = &r->out;
    ans_header(r, "Content-Type", "application/xml");
    buf_adds(b, "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<Error>");
    xml_text(b, "Code", code);
    xml_text(b, "Message", message);
    xml_text(b, "RequestId", r->request_id);
    xml_text(b, "HostId", "obs-local");
    xml_text(b, "Resource", r->path ? r->path : "/");
    buf_adds(b, "</Error>");
}

static void error_json(struct request *r, const char *code, const char *message)
{
    struct buf *b = &r->out;
    ans_header(r, "Content-Type", "application/json");
    if (r->error_form == ERROR_IAM) {
        buf_addf(b, "{\"error\":{\"code\":%d,\"message\":", r->status);
        text_json(b, message);
        buf_adds(b, ",\"title\":");
        text_json(b, code);
        buf_adds(b, "}}");
        return;
    }
    buf_adds(b, r->error_form == ERROR_V1 ? "{\"is_success\":false,\"error_code\":"
                                          : "{\"error_code\":");
    text_json(b, code);
    buf_adds(b, ",\"error_msg\":");
    text_json(b, message);
    buf_adds(b, ",\"request_id\":");
    text_json(b, r->request_id);
    buf_adds(b, "}");
}

void ans_error_status(struct request *r, int status, const char *code, const char *message)
{
    if (r->failed)
        return;
    r->failed = true;
    r->status = status;
    message = message ? message : error_message(code);
    buf_reset(&r->out);
    r->out_headers = (struct pairs){0};
    object_unref(r->payload.object);
    r->payload = (struct payload){0};
    if (status == 304)
        return;
    if (r->head) {
        ans_service_header(r, "error-code", code);
        ans_service_header(r, "error-message", message);
    } else if (r->error_form == ERROR_XML) {
        error_xml(r, code, message);
    } else {
        error_json(r, code, message);
    }
}

void ans_error(struct request *r, const char *code, const char *message)
{
    ans_error_status(r, error_status(code), code, message);
}

void ans_errno(struct request *r, int rc)
{
    if (rc == -ENOENT && r->bucket && !store_bucket_exists(r->srv->store, r->bucket))
        ans_error(r, "NoSuchBucket", NULL);
    else if (rc == -ENOENT)
        ans_error(r, "NoSuchKey", NULL);
    else if (rc == -ENOSPC)
        ans_error_status(r, 403, "InsufficientStorageSpace", "No space is left");
    else
        ans_error(r, "InternalError", err_text(rc));
}

void ans_xml(struct request *r, const char *root)
{
    ans_header(r, "Content-Type", "application/xml");
    r->status = 200;
    buf_addf(&r->out,
             "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<%s xmlns=\"%s\">",
             root,
             r->dialect == DIALECT_OBS ? "http://obs.myhwclouds.com/doc/2015-06-30/"
                                       : "http://s3.amazonaws.com/doc/2006-03-01/");
}

void xml_text(struct buf *b, const char *tag, const char *text)
{
    buf_addf(b, "<%s>", tag);
    text_xml(b, text);
    buf_addf(b, "</%s>", tag);
}

void xml_key(struct request *r, const char *tag, const char *text)
{
    const char *type = req_query(r, "encoding-type");
    if (!type || strcmp(type, "url") != 0) {
        xml_text(&r->out, tag, text);
        return;
    }
    buf_addf(&r->out, "<%s>", tag);
    text_encode(&r->out, text, true);
    buf_addf(&r->out, "</%s>", tag);
}

void xml_number(struct buf *b, const char *tag, uint64_t n)
{
    buf_addf(b, "<%s>%llu</%s>", tag, (unsigned long long)n, tag);
}

void ans_json(struct request *r, int status, const char *text)
{
    ans_header(r, "Content-Type", "application/json");
    r->status = status;
    buf_adds(&r->out, text);
}

/* The body of an answer that is made while it is sent. */
struct stream {
    struct server *srv;
    const char *op;
    struct object *object; /* a reference, or NULL: `text` */
    char *text;
    size_t text_n;
    uint64_t off, len; /* of the object or text */
    uint64_t sent;
    struct segs_reader reader;
    uint64_t rate;
    int64_t paced_ns;
    int64_t cut_at, stall_at;
    int64_t stall_ms;
    uint64_t gen;
    uint64_t total; /* what the header promises */
};

static bool stream_stalled(struct stream *s, size_t *max)
{
    if (s->stall_at < 0)
        return true;
    if (s->sent >= (uint64_t)s->stall_at) {
        s->stall_at = -1;
        return server_sleep(s->srv, s->stall_ms ? s->stall_ms : -1, &s->gen) || s->stall_ms >= 0;
    }
    if (*max > (uint64_t)s->stall_at - s->sent)
        *max = (size_t)((uint64_t)s->stall_at - s->sent);
    return true;
}

static void stream_pace(struct stream *s, size_t n)
{
    if (!s->rate)
        return;
    int64_t now = clock_ns();
    if (s->paced_ns < now - 20000000)
        s->paced_ns = now;
    s->paced_ns += (int64_t)((double)n * 1e9 / (double)s->rate);
    if (s->paced_ns - now > 1000000)
        server_sleep(s->srv, (s->paced_ns - now) / 1000000, NULL);
}

static ssize_t stream_fill(struct stream *s, char *p, size_t max)
{
    if (s->sent >= s->len) { /* a body that is longer than it should be */
        memset(p, 'x', max);
        return (ssize_t)max;
    }
    if (max > s->len - s->sent)
        max = (size_t)(s->len - s->sent);
    if (s->object)
        return segs_read(&s->reader, s->off + s->sent, p, max);
    memcpy(p, s->text + s->off + s->sent, max);
    return (ssize_t)max;
}

static ssize_t stream_read(void *cls, uint64_t pos, char *p, size_t max)
{
    struct stream *s = cls;
    if (s->rate && max > s->rate / 20 + 1)
        max = (size_t)(s->rate / 20 + 1);
    if (s->cut_at >= 0 && s->sent >= (uint64_t)s->cut_at)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (s->cut_at >= 0 && max > (uint64_t)s->cut_at - s->sent)
        max = (size_t)((uint64_t)s->cut_at - s->sent);
    stream_stalled(s, &max);
    ssize_t n = stream_fill(s, p, max);
    if (n <= 0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    stream_pace(s, (size_t)n);
    s->sent += (uint64_t)n;
    return n;
}

static void stream_free(void *cls)
{
    struct stream *s = cls;
    if (s->sent < s->total)
        stats_unsent(s->srv->stats, s->op, s->total - s->sent);
    segs_reader_done(&s->reader);
    object_unref(s->object);
    free(s->text);
    free(s);
}

static struct stream *stream_new(struct request *r, uint64_t total)
{
    struct stream *s = mem_alloc(sizeof(*s));
    *s = (struct stream){.srv = r->srv,
                         .op = r->op->name,
                         .rate = r->fault.rate ? r->fault.rate : r->srv->config.rate,
                         .cut_at = r->fault.cut_at,
                         .stall_at = r->fault.stall_at,
                         .stall_ms = r->fault.stall_ms,
                         .gen = r->fault.gen,
                         .total = total};
    if (r->payload.object) {
        s->object = object_ref(r->payload.object);
        s->off = r->payload.off;
        s->len = r->payload.len;
        segs_reader_init(&s->reader, &s->object->segs);
    } else {
        s->reader.fd = -1;
        s->len = s->text_n = r->out.n;
        s->text = buf_steal(&r->out);
    }
    return s;
}

/* The one file that has all of the range, for sendfile; -1: more than one, or none. */
static int single_fd(const struct payload *p, uint64_t *ret_off)
{
    uint64_t start = 0;
    for (size_t i = 0; i < p->object->segs.n; i++) {
        const struct seg *g = &p->object->segs.v[i];
        if (p->off < start + g->len) {
            if (p->off + p->len > start + g->len || g->blob->id == 0)
                return -1;
            *ret_off = g->off + (p->off - start);
            return blob_open(g->blob);
        }
        start += g->len;
    }
    return -1;
}

static struct MHD_Response *make_response(struct request *r)
{
    const struct fault_hit *f = &r->fault;
    bool plain = f->cut_at < 0 && f->stall_at < 0 && f->body_delta == 0;
    uint64_t len = r->payload.object ? r->payload.len : r->out.n;
    uint64_t rate = f->rate ? f->rate : r->srv->config.rate;
    r->answered = r->head ? 0 : len;
    if (r->head && r->payload.object)
        return MHD_create_response_from_callback(len, BLOCK, stream_read, NULL, NULL);
    if (!r->payload.object && plain) {
        size_t n = r->out.n;
        char *text = buf_steal(&r->out);
        return MHD_create_response_from_buffer(n, text ? text : mem_alloc(1),
                                               MHD_RESPMEM_MUST_FREE);
    }
    uint64_t off = 0;
    int fd = plain && !rate && len > 0 ? single_fd(&r->payload, &off) : -1;
    if (fd >= 0)
        return MHD_create_response_from_fd_at_offset64(len, fd, off);
    /* too short: the header keeps its promise of `len`, and the connection ends early */
    uint64_t total = f->body_delta > 0 ? len + (uint64_t)f->body_delta : len;
    struct stream *s = stream_new(r, total);
    if (f->body_delta < 0)
        s->cut_at = (int64_t)len + f->body_delta > 0 ? (int64_t)len + f->body_delta : 0;
    return MHD_create_response_from_callback(total, BLOCK, stream_read, s, stream_free);
}

enum MHD_Result answer_reset(struct request *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->conn, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info) {
        struct linger linger = {.l_onoff = 1};
        struct sockaddr none = {.sa_family = AF_UNSPEC};
        setsockopt(info->connect_fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
        /* the connection is dissolved with a RST now, not with the FIN of a shutdown */
        if (connect(info->connect_fd, &none, sizeof(none)) != 0)
            shutdown(info->connect_fd, SHUT_RDWR);
    }
    return MHD_NO;
}

static void apply_late_faults(struct request *r)
{
    const struct fault_hit *f = &r->fault;
    if (!f->fired)
        return;
    if (!r->failed && f->in_200) {
        ans_error_status(r, f->status ? f->status : 500, f->code ? f->code : "InternalError",
                         f->message);
        r->status = 200;
    } else if (!r->failed && f->status && f->after) {
        ans_error_status(r, f->status, f->code, f->message);
    }
    if (f->raw_body) {
        buf_reset(&r->out);
        buf_adds(&r->out, f->body);
        object_unref(r->payload.object);
        r->payload = (struct payload){0};
    }
}

static void wait_before(struct request *r)
{
    const struct fault_hit *f = &r->fault;
    if (r->srv->config.latency_ms && r->op->name[0] != '/')
        server_sleep(r->srv, r->srv->config.latency_ms, NULL);
    if (f->delay_ms > 0)
        server_sleep(r->srv, f->delay_ms, &f->gen);
    if (f->stall_ms && f->stall_at < 0)
        server_sleep(r->srv, f->stall_ms, &f->gen);
}

static void spoil_etags(struct request *r)
{
    for (size_t i = 0; i < r->out_headers.n; i++) {
        struct pair *p = &r->out_headers.v[i];
        if (strcasecmp(p->name, "ETag") == 0 && p->value[1])
            p->value[1] = p->value[1] == '0' ? '1' : '0';
    }
    char *at = r->out.p ? strstr(r->out.p, "<ETag>&quot;") : NULL;
    if (at)
        at[12] = at[12] == '0' ? '1' : '0';
}

static void spoil_crc64(struct request *r)
{
    for (size_t i = 0; i < r->out_headers.n; i++) {
        struct pair *p = &r->out_headers.v[i];
        char *end = p->value + strlen(p->value);
        if (strcasestr(p->name, "checksum-crc64ecma") && end > p->value)
            end[-1] = end[-1] == '0' ? '1' : '0';
    }
}

static void add_common_headers(struct request *r, struct MHD_Response *resp)
{
    char date[30];
    clock_http_date((time_t)(store_now_us(r->srv->store) / 1000000), date);
    bool aws = r->dialect == DIALECT_AWS;
    MHD_add_response_header(resp, "Server", "OBS");
    MHD_add_response_header(resp, "Date", date);
    MHD_add_response_header(resp, aws ? "x-amz-request-id" : "x-obs-request-id", r->request_id);
    MHD_add_response_header(resp, aws ? "x-amz-id-2" : "x-obs-id-2", "obs-local");
    if (r->cloud)
        MHD_add_response_header(resp, "X-Request-Id", r->request_id);
    for (size_t i = 0; i < r->out_headers.n; i++)
        MHD_add_response_header(resp, r->out_headers.v[i].name, r->out_headers.v[i].value);
    for (size_t i = 0; i < r->fault.headers.n; i++)
        MHD_add_response_header(resp, r->fault.headers.v[i].name, r->fault.headers.v[i].value);
}

enum MHD_Result answer_send(struct request *r)
{
    if (r->status == 0)
        r->status = 200;
    apply_late_faults(r);
    if (r->fault.wrong_etag)
        spoil_etags(r);
    if (r->fault.wrong_crc64)
        spoil_crc64(r);
    wait_before(r);
    if (r->fault.reset == FAULT_RESET_AFTER || r->fault.reset == FAULT_RESET)
        return answer_reset(r);
    int status = r->status;
    struct MHD_Response *resp = make_response(r);
    if (!resp)
        return MHD_NO;
    add_common_headers(r, resp);
    if (r->op->name[0] != '/')
        stats_end(r->srv->stats, r);
    r->logged = true;
    enum MHD_Result rc = MHD_queue_response(r->conn, (unsigned)status, resp);
    MHD_destroy_response(resp);
    return rc;
}
