// SPDX-License-Identifier: Apache-2.0
// One attempt of a call on an easy handle; see engine_impl.h.
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/base/cleanup.h"
#include "net/base/clock.h"
#include "net/base/log.h"
#include "net/engine_impl.h"
#include "net/error.h"

enum {
    BULK_BUFFER = 512 * 1024,
    SMALL_BUFFER = 32 * 1024,
    STALL_BYTES = 1024, /* that must move within the stall time */
    STALL_LOOKS = 4,    /* how often to look in it */
    IDLE_SECONDS = 50,  /* a connection unused for longer is not used again */
};

/* --- what libcurl calls --- */

static size_t on_read(char *p, size_t size, size_t n, void *arg)
{
    struct attempt *a = arg;
    const struct http_body *body = &a->call->body;
    uint64_t left = body->size - a->body_pos;
    n *= size;
    if (n > left)
        n = (size_t)left;
    if (n == 0)
        return 0;

    ssize_t got = body->read(body->arg, a->body_pos, p, n);
    if (got <= 0) {
        a->local_eno = got ? (int)got : -EIO;
        err_set(&a->local_err, a->local_eno, "the data to send cannot be read at offset %" PRIu64,
                a->body_pos);
        return CURL_READFUNC_ABORT;
    }
    a->body_pos += (uint64_t)got;
    return (size_t)got;
}

/* The connection stands, the request is about to go out. */
static int on_request(void *arg, char *ip, char *own_ip, int port, int own_port)
{
    struct attempt *a = arg;
    a->call->sent++;
    return CURL_PREREQFUNC_OK;
}

/* A connection that was kept open turned out dead: the library sends again on a new one. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
    struct attempt *a = arg;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > a->call->body.size)
        return CURL_SEEKFUNC_FAIL;
    a->body_pos = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

static void end_locally(struct attempt *a, int eno, const struct err *err)
{
    a->local_eno = eno;
    a->local_err = *err;
}

/* All fields of the final answer are known. */
static int head_is_complete(struct attempt *a)
{
    struct http_call *call = a->call;
    const char *date = http_fields_get(&call->response.fields, "Date");
    time_t t;
    if (date && clock_parse_http_date(date, &t) == 0)
        call->response.date = (int64_t)t;
    a->complete_head = true;

    bool good = call->response.status / 100 == 2;
    a->to_sink = good && call->sink;
    size_t max = good && call->answer_max ? call->answer_max : HTTP_ERROR_BODY_MAX;
    call->response.body = BUF_INIT(max);
    if (!call->begin)
        return 0;

    err_clear(&call->err);
    int rc = call->begin(call);
    if (rc < 0)
        end_locally(a, rc, &call->err);
    return rc;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct attempt *a = arg;
    struct http_response *r = &a->call->response;
    n *= size;

    if (n > 5 && strncasecmp(p, "HTTP/", 5) == 0) {
        const char *space = memchr(p, ' ', n);
        http_fields_clear(&r->fields);
        r->status = space ? atoi(space + 1) : 0;
        a->complete_head = false;
        return n;
    }
    if (n <= 2 && (*p == '\r' || *p == '\n')) {
        if (r->status < 200 || a->complete_head)
            return n;
        return head_is_complete(a) < 0 ? 0 : n;
    }
    if (a->complete_head)
        return n; /* trailers say nothing that is needed */

    int rc = http_fields_add_line(&r->fields, p, n);
    if (rc < 0 && rc != -EINVAL) {
        a->local_eno = -EIO;
        err_set(&a->local_err, -EIO, "the header of the answer is too long");
        return 0;
    }
    return n;
}

static size_t on_write(char *p, size_t size, size_t n, void *arg)
{
    struct attempt *a = arg;
    struct http_call *call = a->call;
    struct http_response *r = &call->response;
    n *= size;

    if (a->to_sink) {
        int rc = call->sink(call, p, n);
        if (rc < 0) {
            a->local_eno = rc;
            err_set(&a->local_err, rc, "the data received cannot be taken: %s", err_text(rc));
            return 0;
        }
        r->sunk += n;
        return n;
    }
    if (r->status / 100 != 2) {
        size_t room = r->body.max - r->body.n;
        r->cut = r->cut || n > room;
        (void)buf_add(&r->body, p, n < room ? n : room);
        return n;
    }
    int rc = buf_add(&r->body, p, n);
    if (rc < 0) {
        a->local_eno = rc == -EMSGSIZE ? -EIO : rc;
        err_set(&a->local_err, a->local_eno, "the answer is longer than %zu bytes", r->body.max);
        return 0;
    }
    return n;
}

/* Header lines and the library's remarks, without secrets. */
static int on_trace(CURL *easy, curl_infotype type, char *p, size_t n, void *arg)
{
    static const char marks[] = {
        [CURLINFO_TEXT] = '*', [CURLINFO_HEADER_IN] = '<', [CURLINFO_HEADER_OUT] = '>'};
    struct attempt *a = arg;
    if (type > CURLINFO_HEADER_OUT)
        return 0;

    const char *end = p + n;
    while (p < end) {
        const char *line_end = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((line_end ? line_end : end) - p);
        size_t text = len && p[len - 1] == '\r' ? len - 1 : len;
        CLEANUP_BUF struct buf out = BUF_INIT(2 * HTTP_URL_MAX);
        http_redact(p, text, &out);
        log_debug(a->engine->log, "net", "%s %c %s", a->call->label, marks[type], buf_str(&out));
        p += len + 1;
    }
    return 0;
}

/* --- starting --- */

/* Loopback and link-local addresses are never reached through a proxy. */
static bool direct_host(const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    size_t n = strcspn(host, ":/?");
    if (strncmp(host, "127.", 4) == 0 || strncmp(host, "169.254.", 8) == 0 ||
        strncmp(host, "[::1]", 5) == 0)
        return true;
    return n >= 9 && strncasecmp(host + n - 9, "localhost", 9) == 0 &&
           (n == 9 || host[n - 10] == '.');
}

static int set_headers(struct attempt *a)
{
    CLEANUP_BUF struct buf line = BUF_INIT(HTTP_FIELDS_MAX + 16);
    static const char *const unwanted[] = {
        "Expect:", "Accept:", "Content-Type:", "Transfer-Encoding:"};

    for (size_t i = 0; i < a->request.fields.n; i++) {
        const struct http_field *f = &a->request.fields.v[i];
        buf_reset(&line);
        /* ';' is the library's way to send a field without a value. */
        buf_addf(&line, f->value[0] ? "%s: %s" : "%s;%s", f->name, f->value);
        struct curl_slist *list = line.eno ? NULL : curl_slist_append(a->headers, line.p);
        explicit_bzero(line.p, line.n);
        if (!list)
            return -ENOMEM;
        a->headers = list;
    }
    for (size_t i = 0; i < sizeof(unwanted) / sizeof(unwanted[0]); i++) {
        size_t n = strlen(unwanted[i]) - 1;
        char name[32];
        memcpy(name, unwanted[i], n);
        name[n] = 0;
        if (http_fields_get(&a->request.fields, name))
            continue;
        struct curl_slist *list = curl_slist_append(a->headers, unwanted[i]);
        if (!list)
            return -ENOMEM;
        a->headers = list;
    }
    curl_easy_setopt(a->easy, CURLOPT_HTTPHEADER, a->headers);
    return 0;
}

static void set_method(struct attempt *a)
{
    const char *method = a->request.method;
    const struct http_body *body = &a->call->body;
    CURL *easy = a->easy;

    if (strcmp(method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (body->present || strcmp(method, "PUT") == 0 || strcmp(method, "POST") == 0) {
        /* Upload, whatever the method is called: the length is stated and nothing is added. */
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE,
                         (curl_off_t)(body->present ? body->size : 0));
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(easy, CURLOPT_READDATA, a);
        curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(easy, CURLOPT_SEEKDATA, a);
    } else {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
        if (strcmp(method, "GET") != 0)
            curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    }
}

static void set_connection(struct attempt *a, const struct engine *engine)
{
    CURL *easy = a->easy;
    const struct http_call *call = a->call;
    int64_t connect_ms = call->connect_ms > 0 ? call->connect_ms : engine->connect_ms;

    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* do not wait for a name server */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)IDLE_SECONDS);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    if (engine->ca_file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, engine->ca_file);
    if (call->fresh)
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    if (call->direct || direct_host(a->request.url.p))
        curl_easy_setopt(easy, CURLOPT_PROXY, "");

    bool bulk_out = call->body.present && call->body.size > SMALL_BUFFER;
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)(call->sink ? BULK_BUFFER : SMALL_BUFFER));
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE,
                     (long)(bulk_out ? BULK_BUFFER : SMALL_BUFFER));
}

static int set_all(struct attempt *a, const struct engine *engine)
{
    CURL *easy = a->easy;

    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, (char *)a);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, a->errbuf);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, a);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, a);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_request);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, a);
    if (engine->trace && log_on(engine->log, LOG_LEVEL_DEBUG)) {
        curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L);
        curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, on_trace);
        curl_easy_setopt(easy, CURLOPT_DEBUGDATA, a);
    }
    set_connection(a, engine);
    set_method(a);
    if (curl_easy_setopt(easy, CURLOPT_URL, a->request.url.p) != CURLE_OK)
        return -ENOMEM;
    return set_headers(a);
}

void attempt_free(struct attempt *attempt)
{
    curl_easy_cleanup(attempt->easy);
    free(attempt);
}

static struct attempt *attempt_take(struct engine_thread *thread)
{
    if (thread->n_pool)
        return thread->pool[--thread->n_pool];

    CLEANUP_FREE struct attempt *a = calloc(1, sizeof(*a));
    if (!a)
        return NULL;
    a->easy = curl_easy_init();
    return a->easy ? steal_ptr(&a) : NULL;
}

/* Wipes what the signature left behind and keeps the handle for another attempt. */
static void attempt_release(struct engine_thread *thread, struct attempt *a)
{
    for (struct curl_slist *s = a->headers; s; s = s->next)
        explicit_bzero(s->data, strlen(s->data));
    for (size_t i = 0; i < a->request.fields.n; i++)
        explicit_bzero(a->request.fields.v[i].value, strlen(a->request.fields.v[i].value));
    curl_slist_free_all(a->headers);
    http_fields_clear(&a->request.fields);
    buf_done(&a->request.url);

    CURL *easy = a->easy;
    if (a->call)
        a->call->priv.attempt = NULL;
    memset(a, 0, sizeof(*a));
    a->easy = easy;
    curl_easy_reset(easy);
    if (thread->n_pool < POOL_MAX)
        thread->pool[thread->n_pool++] = a;
    else
        attempt_free(a);
}

static void set_deadlines(struct attempt *a, const struct engine *engine)
{
    const struct http_call *call = a->call;
    int64_t stall = call->stall_ms > 0 ? call->stall_ms : engine->stall_ms;
    bool small = !call->body.present && !call->sink;

    a->start_ms = clock_ms();
    a->check_ms = a->start_ms;
    a->end_ms = small ? call->priv.give_up_at : INT64_MAX;
    a->call->priv.wake_ms = a->start_ms + stall / STALL_LOOKS + 1;
    if (a->end_ms < a->call->priv.wake_ms)
        a->call->priv.wake_ms = a->end_ms;
}

static void empty_answer(struct http_call *call)
{
    http_fields_clear(&call->response.fields);
    buf_done(&call->response.body);
    call->response = (struct http_response){.body = BUF_INIT(HTTP_ERROR_BODY_MAX)};
    err_clear(&call->err);
}

int attempt_start(struct engine_thread *thread, struct http_call *call)
{
    struct engine *engine = thread->engine;
    struct attempt *a = attempt_take(thread);
    if (!a)
        return err_set(&call->err, -ENOMEM, "out of memory");

    a->engine = engine;
    a->request.url = BUF_INIT(HTTP_URL_MAX);
    empty_answer(call);
    int rc = call->prepare(call, &a->request);
    if (rc < 0) {
        attempt_release(thread, a);
        return rc;
    }
    a->call = call;
    rc = a->request.url.eno ? a->request.url.eno : set_all(a, engine);
    if (rc == 0 && curl_multi_add_handle(thread->multi, a->easy) != CURLM_OK)
        rc = -ENOMEM;
    if (rc < 0) {
        attempt_release(thread, a);
        return err_set(&call->err, rc, "the request cannot be built: %s", err_text(rc));
    }
    call->priv.attempt = a;
    call->attempts++;
    atomic_fetch_add(&engine->attempts, 1);
    set_deadlines(a, engine);
    return 0;
}

/* --- ending --- */

static uint64_t moved(CURL *easy, uint64_t *ret_up, uint64_t *ret_down)
{
    curl_off_t up = 0;
    curl_off_t down = 0;
    long head = 0;
    curl_easy_getinfo(easy, CURLINFO_SIZE_UPLOAD_T, &up);
    curl_easy_getinfo(easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
    curl_easy_getinfo(easy, CURLINFO_HEADER_SIZE, &head);
    *ret_up = (uint64_t)up;
    *ret_down = (uint64_t)down;
    return *ret_up + *ret_down + (uint64_t)head;
}

bool attempt_overdue(struct http_call *call, const struct engine *engine, int64_t now,
                     int64_t *ret_next)
{
    struct attempt *a = call->priv.attempt;
    int64_t stall = call->stall_ms > 0 ? call->stall_ms : engine->stall_ms;
    struct error_answer answer = {.op = -1};
    uint64_t up, down;

    uint64_t bytes = moved(a->easy, &up, &down);
    if (bytes - a->checked >= STALL_BYTES) {
        a->checked = bytes;
        a->check_ms = now;
    }
    if (now >= a->end_ms)
        answer.failure = NET_TIMEOUT;
    else if (now - a->check_ms >= stall)
        answer.failure = NET_STALL;
    if (answer.failure != NET_OK) {
        error_from_answer(&answer, &call->err);
        return true;
    }
    *ret_next = now + stall / STALL_LOOKS + 1;
    if (a->end_ms < *ret_next)
        *ret_next = a->end_ms;
    return false;
}

static enum net_failure failure_of(CURLcode rc)
{
    switch (rc) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return NET_DNS;
    case CURLE_COULDNT_CONNECT:
        return NET_CONNECT;
    case CURLE_OPERATION_TIMEDOUT:
        return NET_TIMEOUT;
    case CURLE_SSL_CONNECT_ERROR:
        return NET_TLS;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return NET_CERT;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return NET_PROTOCOL;
    case CURLE_OUT_OF_MEMORY:
    case CURLE_URL_MALFORMAT:
    case CURLE_BAD_FUNCTION_ARGUMENT:
    case CURLE_FAILED_INIT:
    case CURLE_NOT_BUILT_IN:
    case CURLE_UNKNOWN_OPTION:
        return NET_LOCAL;
    default:
        return NET_RESET;
    }
}

static void evaluate(struct http_call *call)
{
    if (call->evaluate) {
        call->evaluate(call);
        return;
    }
    struct error_answer answer = {.op = -1, .status = call->response.status};
    error_from_answer(&answer, &call->err);
}

static void log_attempt(const struct engine *engine, const struct attempt *a, uint64_t up,
                        uint64_t down)
{
    if (!log_on(engine->log, LOG_LEVEL_DEBUG))
        return;
    CLEANUP_BUF struct buf url = BUF_INIT(2 * HTTP_URL_MAX);
    http_redact(a->request.url.p, a->request.url.n, &url);
    const struct http_call *call = a->call;
    const char *id = http_fields_get(&call->response.fields, "x-obs-request-id");
    if (!id)
        id = http_fields_get(&call->response.fields, "x-amz-request-id");
    log_debug(engine->log, "net",
              "%s: %s '%s': attempt %u (http=%d sent=%" PRIu64 " received=%" PRIu64
              " ms=%lld request_id=%s)",
              call->label, a->request.method, buf_str(&url), call->attempts, call->response.status,
              up, down, (long long)(clock_ms() - a->start_ms), id ? id : "-");
}

static void count(struct engine_thread *thread, struct attempt *a)
{
    struct engine *engine = thread->engine;
    uint64_t up, down;
    long connects = 0;

    moved(a->easy, &up, &down);
    curl_easy_getinfo(a->easy, CURLINFO_NUM_CONNECTS, &connects);
    atomic_fetch_add(&engine->bytes_sent, up);
    atomic_fetch_add(&engine->bytes_received, down);
    atomic_fetch_add(&engine->connects, (uint64_t)connects);
    log_attempt(engine, a, up, down);
}

void attempt_finish(struct engine_thread *thread, struct http_call *call, CURLcode rc)
{
    struct attempt *a = call->priv.attempt;

    curl_multi_remove_handle(thread->multi, a->easy);
    count(thread, a);
    err_clear(&call->err);
    /* A service that refuses a body may close before it has read all of it: then its answer counts,
     * not the broken connection. */
    bool refused = a->complete_head && call->response.status >= 300;
    if (a->local_eno) {
        call->err = a->local_err;
    } else if (rc == CURLE_OK || refused) {
        evaluate(call);
    } else {
        struct error_answer answer = {
            .failure = failure_of(rc),
            .op = -1,
            .detail = a->errbuf[0] ? a->errbuf : curl_easy_strerror(rc),
        };
        error_from_answer(&answer, &call->err);
    }
    attempt_release(thread, a);
}

void attempt_drop(struct engine_thread *thread, struct http_call *call)
{
    struct attempt *a = call->priv.attempt;
    curl_multi_remove_handle(thread->multi, a->easy);
    count(thread, a);
    attempt_release(thread, a);
}
