// SPDX-License-Identifier: Apache-2.0
/* The HTTP side, see server.h */
#include "tests/obs-local/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "net/base/cleanup.h"
#include "net/base/clock.h"
#include "tests/obs-local/answer.h"
#include "tests/obs-local/auth.h"
#include "tests/obs-local/crc64.h"

/* A connection's memory: half of it is the read buffer, so it is also how much of a body comes at
 * once. */
enum { CONNECTION_MEMORY = 512 << 10, CONNECTIONS_MAX = 4096, THREAD_STACK = 1 << 20 };

bool server_sleep(struct server *srv, int64_t ms, const uint64_t *gen)
{
    struct timespec ts = clock_deadline(clock_ms() + ms);
    bool full = false;
    lock_take(&srv->lock);
    while (!srv->stopping && !(gen && faults_generation(srv->faults) != *gen)) {
        if (lock_wait(&srv->lock, &srv->cond, ms < 0 ? NULL : &ts) != 0) {
            full = true;
            break;
        }
    }
    lock_drop(&srv->lock);
    return full;
}

void server_wake(struct server *srv)
{
    lock_take(&srv->lock);
    pthread_cond_broadcast(&srv->cond);
    lock_drop(&srv->lock);
}

static enum MHD_Result add_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                  const char *value)
{
    struct request *r = cls;
    char *lower = arena_dup(&r->mem, name);
    for (char *p = lower; *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
    value = value ? value : "";
    size_t n = strlen(value);
    while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'))
        n--;
    char *trimmed = arena_dupn(&r->mem, value + strspn(value, " \t"),
                               n > strspn(value, " \t") ? n - strspn(value, " \t") : 0);
    for (size_t i = 0; i < r->headers.n; i++) {
        struct pair *p = &r->headers.v[i];
        if (strcmp(p->name, lower) == 0) {
            p->value = arena_printf(&r->mem, "%s,%s", p->value, trimmed);
            return MHD_YES;
        }
    }
    arena_pairs_add(&r->mem, &r->headers, lower, trimmed);
    return MHD_YES;
}

const char *req_plain_header(const struct request *r, const char *name)
{
    return pairs_get(&r->headers, name);
}

/* Names that keep "x-obs-" under the AWS signature. OBS SDK: convertor of the S3 dialect. */
static bool is_obs_only(const char *base)
{
    static const char *const names[] = {
        "expires",       "fs-file-interface", "object-type", "bucket-type", "next-append-position",
        "az-redundancy", "version",           "uploadId"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(base, names[i]) == 0)
            return true;
    }
    return false;
}

const char *req_header(const struct request *r, const char *base)
{
    char name[96];
    bool obs = r->dialect == DIALECT_OBS || is_obs_only(base);
    snprintf(name, sizeof(name), "%s%s", obs ? "x-obs-" : "x-amz-", base);
    return pairs_get(&r->headers, name);
}

const char *req_query(const struct request *r, const char *name)
{
    return pairs_get(&r->query, name);
}

/* False: the path or query has a NUL in it. */
static bool parse_uri(struct request *r)
{
    const char *uri = r->uri;
    const char *host_form = text_starts(uri, "http://") ? uri + 7 : NULL;
    if (host_form)
        uri = host_form + strcspn(host_form, "/");
    size_t n = strcspn(uri, "?");
    r->path = n ? arena_dupn(&r->mem, uri, n) : "/";
    const char *query = uri[n] ? uri + n + 1 : "";
    return text_query(&r->mem, query, true, &r->query) &&
           text_query(&r->mem, query, false, &r->signed_query);
}

static void parse_request(struct request *r)
{
    MHD_get_connection_values(r->conn, MHD_HEADER_KIND, add_header, r);
    r->host = req_plain_header(r, "host");
    if (!r->host)
        r->host = "";
    r->head = strcmp(r->method, "HEAD") == 0;
    const char *length = req_plain_header(r, "content-length");
    r->has_length = length && text_u64(length, INT64_MAX, &r->length);
    r->tls = r->srv->config.tls_cert != NULL;
    if (!parse_uri(r)) {
        r->op = &op_unknown;
        ans_error(r, "InvalidArgument", "A name contains a NUL");
        return;
    }
    auth_classify(r);
    if (!admin_route(r))
        route(r);
}

static void apply_early_faults(struct request *r)
{
    struct fault_hit *f = &r->fault;
    if (f->drop_upload && r->bucket && r->key) {
        const char *id = req_query(r, "uploadId");
        upload_abort(r->srv->store, r->bucket, r->key, id ? id : "");
    }
    if (f->status && !f->after && !f->in_200)
        ans_error_status(r, f->status, f->code, f->message);
}

/* OBS SDK: isAttachCrc64. */
static void take_crc64(struct request *r)
{
    const char *text = req_header(r, "checksum-crc64ecma");
    if (!text)
        text = req_header(r, "hash-crc64ecma");
    r->has_crc64 = text != NULL;
    if (text && !crc_read(text, &r->crc64))
        ans_error(r, "InvalidDigest", "The CRC-64 you specified is not valid.");
}

static bool is_admin(const struct request *r)
{
    return r->op->name[0] == '/';
}

static void request_begin(struct request *r)
{
    r->started = true;
    r->t0_ns = clock_ns();
    r->body = BUF_INIT(REQUEST_BODY_MAX);
    r->out = BUF_INIT(16 << 20);
    r->writer.fd = -1;
    r->fault = (struct fault_hit){.reset_in = -1, .cut_at = -1, .stall_at = -1};
    unsigned char id[16];
    if (getrandom(id, sizeof(id), 0) != sizeof(id))
        memset(id, 0x42, sizeof(id));
    text_hex(id, sizeof(id), r->request_id);
    parse_request(r);
    if (is_admin(r))
        return;
    stats_begin(r->srv->stats, r->op->name);
    if (!r->failed && !r->cloud)
        auth_check(r);
    if (!r->failed && !r->ak && !r->op->open)
        ans_error(r, "AccessDenied", NULL);
    if (!r->failed) {
        faults_match(r->srv->faults, r, &r->mem, &r->fault);
        apply_early_faults(r);
    }
    if (!r->failed)
        take_crc64(r);
    if (!r->failed && r->op->begin)
        r->op->begin(r);
    if (r->failed)
        return;
    if (r->op->body == BODY_BLOB) {
        int rc = blob_begin(r->srv->store, &r->writer);
        r->writing = rc == 0;
        if (rc < 0)
            ans_errno(r, rc);
    }
    r->md5 = EVP_MD_CTX_new();
    if (!r->md5 || EVP_DigestInit_ex(r->md5, EVP_md5(), NULL) != 1)
        ans_error(r, "InternalError", NULL);
}

static uint64_t rate_of(const struct request *r)
{
    return r->fault.rate ? r->fault.rate : r->srv->config.rate;
}

/* Waits until n more bytes may have passed. */
static void pace(struct request *r, size_t n)
{
    uint64_t rate = rate_of(r);
    if (!rate || is_admin(r))
        return;
    int64_t now = clock_ns();
    if (r->paced_ns < now - 20000000)
        r->paced_ns = now;
    r->paced_ns += (int64_t)((double)n * 1e9 / (double)rate);
    int64_t wait_ms = (r->paced_ns - now) / 1000000;
    if (wait_ms > 0)
        server_sleep(r->srv, wait_ms, NULL);
}

static void take_body(struct request *r, const char *p, size_t n)
{
    r->received += n;
    pace(r, n);
    if (r->failed || r->op->body == BODY_NONE)
        return;
    if (r->received > OBJECT_MAX) {
        ans_error(r, "EntityTooLarge", NULL);
        return;
    }
    if (r->md5)
        EVP_DigestUpdate(r->md5, p, n);
    if (r->sha256)
        EVP_DigestUpdate(r->sha256, p, n);
    if (r->has_crc64)
        r->crc64_body = crc_add(r->crc64_body, p, n);
    int rc = 0;
    if (r->op->body == BODY_BLOB)
        rc = blob_write(&r->writer, p, n);
    else if (buf_add(&r->body, p, n) != 0)
        ans_error(r, "MaxMessageLengthExceeded", NULL);
    if (rc < 0)
        ans_errno(r, rc);
}

static void check_digests(struct request *r)
{
    unsigned char sha[32], want[16];
    unsigned int n = 0;
    EVP_DigestFinal_ex(r->md5, r->digest, &n);
    if (r->sha256) {
        char hex[65];
        EVP_DigestFinal_ex(r->sha256, sha, &n);
        text_hex(sha, 32, hex);
        if (strcmp(hex, req_plain_header(r, "x-amz-content-sha256")) != 0) {
            ans_error(r, "XAmzContentSHA256Mismatch", NULL);
            return;
        }
    }
    if (r->has_crc64 && r->op->body == BODY_BLOB && r->crc64 != r->crc64_body) {
        ans_error(r, "BadDigest", "The CRC-64 you specified did not match what we received.");
        return;
    }
    const char *md5 = req_plain_header(r, "content-md5");
    if (!md5 || r->op->body == BODY_NONE)
        return;
    if (text_unbase64(md5, want, 16) != 16)
        ans_error(r, "InvalidDigest", NULL);
    else if (memcmp(want, r->digest, 16) != 0)
        ans_error(r, "BadDigest", NULL);
}

static void request_end(struct request *r)
{
    if (!r->failed && !is_admin(r))
        check_digests(r);
    if (r->writing) {
        r->writing = false;
        if (r->failed)
            blob_abort(&r->writer);
        else
            blob_finish(&r->writer, &r->segs);
    }
    if (!r->failed)
        r->op->finish(r);
}

static void *on_uri(void *cls, const char *uri, struct MHD_Connection *conn)
{
    struct request *r = mem_alloc(sizeof(*r));
    r->srv = cls;
    r->conn = conn;
    r->uri = arena_dup(&r->mem, uri);
    return r;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *conn, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *n, void **con_cls)
{
    struct request *r = *con_cls;
    if (!r)
        return MHD_NO;
    if (!r->started) {
        r->method = arena_dup(&r->mem, method);
        request_begin(r);
        if (r->fault.reset == FAULT_RESET_EARLY)
            return answer_reset(r);
        if (r->failed && req_plain_header(r, "expect"))
            return answer_send(r);
        return MHD_YES;
    }
    if (*n > 0) {
        take_body(r, data, *n);
        *n = 0;
        if (r->fault.reset_in >= 0 && r->received >= (uint64_t)r->fault.reset_in)
            return answer_reset(r);
        return MHD_YES;
    }
    if (r->fault.reset == FAULT_RESET)
        return answer_reset(r);
    request_end(r);
    return answer_send(r);
}

static void on_completed(void *cls, struct MHD_Connection *conn, void **con_cls,
                         enum MHD_RequestTerminationCode toe)
{
    struct request *r = *con_cls;
    if (!r)
        return;
    *con_cls = NULL;
    if (r->started && !r->logged && !is_admin(r))
        stats_end(r->srv->stats, r);
    if (r->writing)
        blob_abort(&r->writer);
    segs_done(&r->segs);
    object_unref(r->payload.object);
    EVP_MD_CTX_free(r->md5);
    EVP_MD_CTX_free(r->sha256);
    buf_done(&r->body);
    buf_done(&r->out);
    arena_done(&r->mem);
    free(r);
}

/* Names stay as they are on the wire: they are decoded here. */
static size_t on_unescape(void *cls, struct MHD_Connection *conn, char *s)
{
    return strlen(s);
}

static char *read_text(const char *path, struct err *err)
{
    CLEANUP_FCLOSE FILE *f = fopen(path, "re");
    if (!f) {
        err_set(err, -errno, "cannot read '%s': %s", path, err_text(errno));
        return NULL;
    }
    char *text = mem_alloc(1 << 17);
    text[fread(text, 1, (1 << 17) - 1, f)] = '\0';
    return text;
}

int server_start(struct server *srv, struct err *err)
{
    const struct server_config *c = &srv->config;
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(c->port)};
    if (inet_pton(AF_INET, c->host, &sa.sin_addr) != 1)
        return err_set(err, -EINVAL, "'%s' is not an IPv4 address", c->host);
    CLEANUP_FREE char *cert = c->tls_cert ? read_text(c->tls_cert, err) : NULL;
    CLEANUP_FREE char *key = c->tls_key ? read_text(c->tls_key, err) : NULL;
    if ((c->tls_cert && !cert) || (c->tls_key && !key))
        return err->eno;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, key},
        {MHD_OPTION_END, 0, NULL},
    };
    if (!cert)
        tls[0].option = MHD_OPTION_END;
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
                     MHD_USE_POLL | MHD_USE_ITC | (cert ? MHD_USE_TLS : 0);
    srv->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, srv, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&sa,
        MHD_OPTION_URI_LOG_CALLBACK, on_uri, srv, MHD_OPTION_NOTIFY_COMPLETED, on_completed, srv,
        MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, NULL, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_THREAD_STACK_SIZE, (size_t)THREAD_STACK, MHD_OPTION_LISTEN_BACKLOG_SIZE, 1024U,
        MHD_OPTION_LISTENING_ADDRESS_REUSE, 1U, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
    if (!srv->daemon)
        return err_set(err, -EADDRINUSE, "cannot listen on %s:%u%s", c->host, c->port,
                       cert ? " (or the certificate cannot be used)" : "");
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(srv->daemon, MHD_DAEMON_INFO_BIND_PORT);
    srv->port = info ? info->port : c->port;
    return 0;
}

void server_stop(struct server *srv)
{
    lock_take(&srv->lock);
    srv->stopping = true;
    pthread_cond_broadcast(&srv->cond);
    lock_drop(&srv->lock);
    if (srv->daemon)
        MHD_stop_daemon(srv->daemon);
    srv->daemon = NULL;
}
