// SPDX-License-Identifier: Apache-2.0
// The OBS client against a service that misbehaves.
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/base/clock.h"
#include "net/cred.h"
#include "net/digest.h"
#include "net/engine.h"
#include "net/obs.h"
#include "net/obs_impl.h"
#include "tests/lib/webserver.h"

#define DATA "0123456789abcdefghij"

struct fixture {
    struct web *web;
    struct web *other; /* a second host */
    struct engine *engine;
    struct cred_source *cred;
    struct obs *obs;
    atomic_uint refreshed;
    /* what the handler saw, by request number (1 ..); handlers run one at a time in these tests */
    char seen[8][256];
};

static void refresh(void *arg)
{
    struct fixture *f = arg;
    struct cred fresh = {.ak = "NEWAK", .sk = "newsk"};
    atomic_fetch_add(&f->refreshed, 1);
    cred_put(f->cred, &fresh);
}

static void start_with(struct fixture *f, web_handler_fn *handler, enum obs_dialect dialect,
                       const char *const *extra)
{
    memset(f, 0, sizeof(*f));
    f->web = web_new(handler, f);
    f->other = web_new(handler, f);
    assert_non_null(f->web);
    struct engine_config engine = {.backoff_ms = 2};
    assert_int_equal(engine_new(&engine, &f->engine, NULL), 0);
    struct cred_config cc = {.refresh = refresh, .refresh_arg = f};
    struct cred cred = {.ak = "AK", .sk = "sk"};
    assert_int_equal(cred_source_new(&cc, &f->cred, NULL), 0);
    cred_put(f->cred, &cred);
    char endpoint[64];
    (void)snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%u", web_port(f->web));
    struct obs_config config = {.endpoint = endpoint,
                                .bucket = "bucket",
                                .dialect = dialect,
                                .retry_ms = 20000,
                                .extra_headers = extra};
    struct err err;
    assert_int_equal(obs_new(&config, f->engine, f->cred, NULL, &f->obs, &err), 0);
}

static void start(struct fixture *f, web_handler_fn *handler)
{
    start_with(f, handler, OBS_DIALECT_OBS, NULL);
}

static void stop(struct fixture *f)
{
    engine_free(f->engine);
    obs_free(f->obs);
    cred_source_free(f->cred);
    web_free(f->web);
    web_free(f->other);
}

static void note(struct fixture *f, const struct web_request *r, const char *name)
{
    char value[256] = "";
    if (r->no < 8)
        (void)snprintf(f->seen[r->no], sizeof(f->seen[0]), "%s",
                       web_field(r, name, value, sizeof(value)) ? value : "-");
}

/* --- sending --- */

static ssize_t read_data(void *arg, uint64_t off, void *p, size_t n)
{
    memcpy(p, (const char *)arg + off, n);
    return (ssize_t)n;
}

static struct obs_call put_call(const char *key)
{
    return (struct obs_call){
        .op = OBS_PUT,
        .key = key,
        .body = {.size = strlen(DATA), .read = read_data, .arg = (void *)(uintptr_t)DATA},
    };
}

static void etag_line(char *out, size_t size, const void *p, size_t n)
{
    unsigned char md5[DIGEST_SIZE_MAX];
    char hex[33];
    digest_once(DIGEST_MD5, p, n, md5);
    hex_encode(md5, 16, hex);
    (void)snprintf(out, size, "ETag: \"%s\"\r\n", hex);
}

static void on_put(void *arg, struct web_conn *conn, const struct web_request *r)
{
    static const char wrong[] = "ETag: \"00000000000000000000000000000000\"\r\n";
    struct fixture *f = arg;
    char etag[128];
    char fields[256];
    note(f, r, "Content-MD5");
    etag_line(etag, sizeof(etag), r->body, r->n_body);
    if (strstr(r->target, "/wrong-once"))
        web_reply(conn, 200, r->no == 1 ? wrong : etag, NULL, 0);
    else if (strstr(r->target, "/wrong-sse"))
        web_reply(conn, 200,
                  "ETag: \"00000000000000000000000000000000\"\r\n"
                  "x-obs-server-side-encryption: kms\r\n",
                  NULL, 0);
    else if (strstr(r->target, "/wrong"))
        web_reply(conn, 200, wrong, NULL, 0);
    else if (strstr(r->target, "/none"))
        web_reply(conn, 200, NULL, NULL, 0);
    else if (strstr(r->target, "/redirect-header")) {
        (void)snprintf(fields, sizeof(fields), "%sLocation: http://elsewhere.example/\r\n", etag);
        web_reply(conn, 303, fields, NULL, 0);
    } else if (strstr(r->target, "/redirect-query")) {
        char hex[33];
        memcpy(hex, etag + 7, 32);
        hex[32] = 0;
        (void)snprintf(fields, sizeof(fields),
                       "Location: http://elsewhere.example/?bucket=b&etag=%%22%s%%22\r\n", hex);
        web_reply(conn, 303, fields, NULL, 0);
    } else if (strstr(r->target, "/digest"))
        web_reply_text(conn, 400, NULL, "<Error><Code>BadDigest</Code></Error>");
    else
        web_reply(conn, 200, etag, NULL, 0);
}

static void test_put(void **state)
{
    static const struct {
        const char *key;
        int eno;
        unsigned attempts;
    } rows[] = {
        {"fine", 0, 1},
        {"wrong-once", 0, 2},
        {"wrong", -EIO, 1 + SPOILED_MAX},
        {"wrong-sse", 0, 1},
        {"none", -EIO, 1 + SPOILED_MAX},
        {"redirect-header", 0, 1},
        {"redirect-query", 0, 1},
        {"digest", -EIO, 1 + SPOILED_MAX},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture f;
        start(&f, on_put);
        struct obs_call call = put_call(rows[i].key);
        assert_int_equal(obs_run(f.obs, &call, NULL), rows[i].eno);
        assert_int_equal(call.attempts, rows[i].attempts);
        if (rows[i].eno == 0) {
            unsigned char md5[DIGEST_SIZE_MAX];
            digest_once(DIGEST_MD5, DATA, strlen(DATA), md5);
            assert_memory_equal(call.md5, md5, 16);
            assert_string_equal(f.seen[1], "-");
            assert_true(call.object.etag[0]);
        }
        if (strcmp(rows[i].key, "wrong") == 0)
            assert_non_null(strstr(call.err.msg, "checksum mismatch"));
        if (strcmp(rows[i].key, "wrong-once") == 0)
            assert_int_equal(call.wire.eno, -EIO);
        assert_int_equal(call.object.encrypted, strcmp(rows[i].key, "wrong-sse") == 0);
        obs_call_clear(&call);
        stop(&f);
    }
}

static void test_put_md5_first(void **state)
{
    struct fixture f;
    start(&f, on_put);
    struct obs_call call = put_call("fine");
    call.body.content_md5 = true;
    assert_int_equal(obs_run(f.obs, &call, NULL), 0);
    unsigned char md5[DIGEST_SIZE_MAX];
    char text[32];
    digest_once(DIGEST_MD5, DATA, strlen(DATA), md5);
    base64_encode(md5, 16, text, sizeof(text));
    assert_string_equal(f.seen[1], text);
    assert_memory_equal(call.md5, md5, 16);
    obs_call_clear(&call);

    struct obs_call empty = {.op = OBS_PUT, .key = "empty"};
    assert_int_equal(obs_run(f.obs, &empty, NULL), 0);
    assert_string_equal(empty.object.etag, "d41d8cd98f00b204e9800998ecf8427e");
    obs_call_clear(&empty);
    stop(&f);
}

/* --- receiving --- */

struct sink {
    char got[256];
    size_t n;
    unsigned restarts;
    int eno;
    uint64_t base;
};

static int take(void *arg, uint64_t off, const void *p, size_t n)
{
    struct sink *s = arg;
    if (s->eno)
        return s->eno;
    if (off != s->base + s->n) {
        s->restarts++;
        s->n = (size_t)(off - s->base);
    }
    memcpy(s->got + s->n, p, n);
    s->n += n;
    s->got[s->n] = 0;
    return 0;
}

static void reply_range(struct web_conn *conn, size_t first, size_t last, size_t send,
                        const char *more)
{
    char head[512];
    (void)snprintf(head, sizeof(head),
                   "HTTP/1.1 206 Partial\r\nContent-Range: bytes %zu-%zu/%zu\r\n"
                   "Content-Length: %zu\r\n%s\r\n",
                   first, last, strlen(DATA), last - first + 1, more);
    web_raw_text(conn, head);
    web_raw(conn, &DATA[first], send);
    if (send < last - first + 1)
        web_close(conn);
}

static void on_get(void *arg, struct web_conn *conn, const struct web_request *r)
{
    struct fixture *f = arg;
    char range[64];
    char match[64];
    size_t first = 0;
    size_t last = strlen(DATA) - 1;
    const char *etag = "ETag: \"v1\"\r\nLast-Modified: Tue, 15 Oct 2024 07:20:09 GMT\r\n";
    bool ranged = web_field(r, "Range", range, sizeof(range));
    if (ranged && sscanf(range, "bytes=%zu-%zu", &first, &last) == 2 && last >= strlen(DATA))
        last = strlen(DATA) - 1;
    bool matched = web_field(r, "If-Match", match, sizeof(match));
    if (r->no < 8)
        (void)snprintf(f->seen[r->no], sizeof(f->seen[0]), "%s %s", ranged ? range : "-",
                       matched ? match : "-");

    if (strstr(r->target, "/ignored"))
        web_reply_text(conn, 200, etag, DATA);
    else if (strstr(r->target, "/shifted"))
        reply_range(conn, first + 1, last, last - first, etag);
    else if (strstr(r->target, "/less"))
        reply_range(conn, first, last - 1, last - first, etag);
    else if (strstr(r->target, "/stutter") && r->no < 4)
        reply_range(conn, first, last, 3, etag);
    else if (strstr(r->target, "/nameless") && r->no == 1)
        reply_range(conn, first, last, 3, "");
    else if (strstr(r->target, "/changes") && r->no == 1)
        reply_range(conn, first, last, 3, etag);
    else if (strstr(r->target, "/changes"))
        reply_range(conn, first, last, last - first + 1, "ETag: \"v2\"\r\n");
    else if (strstr(r->target, "/412"))
        web_reply_text(conn, 412, NULL, "<Error><Code>PreconditionFailed</Code></Error>");
    else if (!ranged)
        web_reply_text(conn, 200, etag, DATA);
    else
        reply_range(conn, first, last, last - first + 1, etag);
}

static void test_get(void **state)
{
    static const struct {
        const char *key;
        uint64_t offset, length;
        const char *if_match;
        int eno;
        unsigned attempts;
        const char *want;
        const char *seen[3];
    } rows[] = {
        {"fine", 0, 0, NULL, 0, 1, DATA, {"- -"}},
        {"fine", 5, 4, NULL, 0, 1, "5678", {"bytes=5-8 -"}},
        {"fine", 5, 0, "v1", 0, 1, "56789abcdefghij", {"bytes=5- \"v1\""}},
        {"fine", 18, 1000, NULL, 0, 1, "ij", {"bytes=18-1017 -"}},
        {"ignored", 5, 4, NULL, -EIO, 3, "", {"bytes=5-8 -"}},
        {"shifted", 5, 4, NULL, -EIO, 3, "", {"bytes=5-8 -"}},
        {"less", 5, 4, NULL, -EIO, 3, "", {"bytes=5-8 -"}},
        {"stutter",
         2,
         12,
         NULL,
         0,
         4,
         "23456789abcd",
         {"bytes=2-13 -", "bytes=5-13 \"v1\"", "bytes=8-13 \"v1\""}},
        {"nameless", 2, 5, NULL, 0, 2, "23456", {"bytes=2-6 -", "bytes=2-6 -"}},
        {"changes", 2, 5, NULL, -ESTALE, 2, "234", {"bytes=2-6 -", "bytes=5-6 \"v1\""}},
        {"fine", 2, 5, "v0", -ESTALE, 1, "", {"bytes=2-6 \"v0\""}},
        {"412", 0, 0, "v0", -ESTALE, 1, "", {"- \"v0\""}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture f;
        struct sink s = {.base = rows[i].offset};
        start(&f, on_get);
        struct obs_call call = {.op = OBS_GET,
                                .key = rows[i].key,
                                .offset = rows[i].offset,
                                .length = rows[i].length,
                                .if_match = rows[i].if_match,
                                .sink = take,
                                .sink_arg = &s};
        assert_int_equal(obs_run(f.obs, &call, NULL), rows[i].eno);
        assert_int_equal(call.attempts, rows[i].attempts);
        assert_string_equal(s.got, rows[i].want);
        for (int k = 0; k < 3 && rows[i].seen[k]; k++)
            assert_string_equal(f.seen[k + 1], rows[i].seen[k]);
        if (rows[i].eno == 0) {
            assert_int_equal(call.object.size, strlen(DATA));
            assert_string_equal(call.object.etag, "v1");
            assert_int_equal(call.object.mtime_ms, 1728976809000);
        }
        obs_call_clear(&call);
        stop(&f);
    }
}

static void test_get_sink_fails(void **state)
{
    struct fixture f;
    struct sink s = {.eno = -ENOSPC};
    start(&f, on_get);
    struct obs_call call = {.op = OBS_GET, .key = "fine", .sink = take, .sink_arg = &s};
    assert_int_equal(obs_run(f.obs, &call, NULL), -ENOSPC);
    assert_int_equal(call.attempts, 1);
    obs_call_clear(&call);
    stop(&f);
}

/* --- errors in a success, successes in an error --- */

static void on_complete(void *arg, struct web_conn *conn, const struct web_request *r)
{
    static const char error[] = "<?xml version=\"1.0\"?><Error><Code>%s</Code>"
                                "<Message>m</Message><RequestId>R1</RequestId></Error>";
    static const char good[] = "<%s xmlns=\"http://a/\"><ETag>\"e-2\"</ETag></%s>";
    const char *root =
        strcmp(r->method, "PUT") == 0 ? "CopyObjectResult" : "CompleteMultipartUploadResult";
    char text[256];
    (void)snprintf(text, sizeof(text), "<%s></%s>", root, root);
    if (strstr(r->target, "/inside-then-ok") && r->no == 1)
        (void)snprintf(text, sizeof(text), error, "InternalError");
    else if (strstr(r->target, "/inside-gone"))
        (void)snprintf(text, sizeof(text), error, "NoSuchUpload");
    else if (strstr(r->target, "/unknown-inside"))
        (void)snprintf(text, sizeof(text), error, "AccessDenied");
    else if (strstr(r->target, "/ok") || strstr(r->target, "then-ok"))
        (void)snprintf(text, sizeof(text), good, root, root);
    else if (strstr(r->target, "/garbage"))
        (void)snprintf(text, sizeof(text), "surely not XML");
    web_reply_text(conn, 200, NULL, text);
}

static void test_errors_in_success(void **state)
{
    static const struct {
        const char *key;
        int eno;
        unsigned attempts;
    } rows[] = {{"ok", 0, 1},
                {"inside-then-ok", 0, 2},
                {"inside-gone", -ENOENT, 1},
                {"unknown-inside", -EACCES, 1},
                {"no-etag", -EIO, 3},
                {"garbage", -EIO, 3}};
    static const struct obs_part parts[] = {{.part_no = 1, .etag = "a"},
                                            {.part_no = 3, .etag = "b"}};
    for (int copy = 0; copy < 2; copy++) {
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            struct fixture f;
            start(&f, on_complete);
            struct obs_call call = {.op = copy ? OBS_COPY : OBS_MP_COMPLETE,
                                    .key = rows[i].key,
                                    .source_key = "s",
                                    .upload_id = "U",
                                    .complete = parts,
                                    .n_complete = 2};
            assert_int_equal(obs_run(f.obs, &call, NULL), rows[i].eno);
            assert_int_equal(call.attempts, rows[i].attempts);
            if (rows[i].eno == 0)
                assert_string_equal(call.object.etag, "e-2");
            obs_call_clear(&call);
            stop(&f);
        }
    }
}

static void test_callback_body(void **state)
{
    static const char *const extra[] = {"x-obs-callback: e30=", NULL};
    static const struct obs_part part = {.part_no = 1, .etag = "a"};
    struct fixture f;
    start_with(&f, on_complete, OBS_DIALECT_OBS, extra);
    struct obs_call call = {.op = OBS_MP_COMPLETE,
                            .key = "garbage",
                            .upload_id = "U",
                            .complete = &part,
                            .n_complete = 1};
    assert_int_equal(obs_run(f.obs, &call, NULL), 0); /* the body is somebody else's */
    obs_call_clear(&call);
    stop(&f);
}

static void on_missing(void *arg, struct web_conn *conn, const struct web_request *r)
{
    char text[128];
    if (strcmp(r->method, "HEAD") == 0) {
        web_reply_text(conn, 403,
                       "x-obs-error-code: InvalidObjectState\r\nx-obs-request-id: R7\r\n"
                       "x-obs-error-message: cold\r\n",
                       "");
        return;
    }
    const char *code = strrchr(r->target, '/') + 1;
    (void)snprintf(text, sizeof(text), "<Error><Code>%.*s</Code></Error>", (int)strcspn(code, "?"),
                   code);
    web_reply_text(conn, 404, NULL, text);
}

static void test_missing(void **state)
{
    static const struct {
        enum obs_op op;
        const char *key;
        int eno;
    } rows[] = {{OBS_DELETE, "NoSuchKey", 0},
                {OBS_DELETE, "NoSuchBucket", -ENOENT},
                {OBS_MP_ABORT, "NoSuchUpload", 0},
                {OBS_MP_ABORT, "NoSuchBucket", -ENOENT},
                {OBS_MP_LIST_PARTS, "NoSuchUpload", -ENOENT},
                {OBS_HEAD, "k", -EACCES}};
    struct fixture f;
    start(&f, on_missing);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct obs_call call = {.op = rows[i].op, .key = rows[i].key, .upload_id = "U"};
        assert_int_equal(obs_run(f.obs, &call, NULL), rows[i].eno);
        assert_int_equal(call.attempts, 1);
        if (rows[i].op == OBS_HEAD) {
            assert_string_equal(call.err.code, "InvalidObjectState");
            assert_string_equal(call.err.request_id, "R7");
            assert_non_null(strstr(call.err.msg, "cold"));
        }
        obs_call_clear(&call);
    }
    struct obs_stats stats;
    obs_stats(f.obs, &stats);
    assert_int_equal(stats.calls[OBS_DELETE], 2);
    assert_int_equal(stats.failures[OBS_DELETE], 1);
    assert_int_equal(stats.attempts, 6);
    stop(&f);
}

static void on_head(void *arg, struct web_conn *conn, const struct web_request *r)
{
    web_reply(conn, 200,
              "etag: \"e-3\"\r\nLAST-MODIFIED: Tue, 15 Oct 2024 07:20:09 GMT\r\n"
              "X-OBS-UploadId: UPLOAD\r\nx-obs-meta-name: a%20b%25\r\nContent-Type: text/x\r\n"
              "x-obs-storage-class: WARM\r\nx-obs-server-side-encryption: kms\r\n",
              "xxxxxxxxxx", 10);
}

static void test_head(void **state)
{
    struct fixture f;
    start(&f, on_head);
    struct obs_call call = {.op = OBS_HEAD, .key = "k"};
    assert_int_equal(obs_run(f.obs, &call, NULL), 0);
    assert_int_equal(call.object.size, 10);
    assert_string_equal(call.object.etag, "e-3");
    assert_string_equal(call.object.upload_id, "UPLOAD");
    assert_true(call.object.encrypted);
    assert_string_equal(obs_props_get(&call.object.props, OBS_PROP_META, "name"), "a b%");
    assert_string_equal(obs_props_get(&call.object.props, OBS_PROP_RAW, "Content-Type"), "text/x");
    assert_string_equal(obs_props_get(&call.object.props, OBS_PROP_HEADER, "storage-class"),
                        "WARM");
    obs_call_clear(&call);
    stop(&f);
}

/* --- clocks, keys, other hosts --- */

static void skewed(void *arg, struct web_conn *conn, const struct web_request *r)
{
    struct fixture *f = arg;
    char date[64] = "";
    char now[30];
    char fields[128];
    time_t t = 0;
    time_t server = time(NULL) + 3600;
    note(f, r, "Date");
    clock_http_date(server, now);
    (void)snprintf(fields, sizeof(fields), "Date: %s\r\nLast-Modified: %s\r\n", now, now);
    web_field(r, "Date", date, sizeof(date));
    clock_parse_http_date(date, &t);
    if (llabs((long long)(server - t)) > 900 || strstr(r->target, "/never"))
        web_reply_text(conn, 403, fields,
                       "<Error><Code>RequestTimeTooSkewed</Code><Message>m</Message></Error>");
    else
        web_reply_text(conn, 200, fields, "");
}

static void test_clock_skew(void **state)
{
    static const enum obs_op ops[] = {OBS_SET_META, OBS_HEAD};
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        start(&f, skewed);
        struct obs_call call = {.op = ops[i], .key = "k"};
        assert_int_equal(obs_run(f.obs, &call, NULL), 0);
        assert_int_equal(call.attempts, 2);
        assert_true(call.server_time > time(NULL) + 3000);
        obs_call_clear(&call);
        call = (struct obs_call){.op = ops[i], .key = "again"}; /* the offset is kept */
        assert_int_equal(obs_run(f.obs, &call, NULL), 0);
        assert_int_equal(call.attempts, 1);
        obs_call_clear(&call);
        call = (struct obs_call){.op = OBS_DELETE, .key = "never"};
        assert_int_equal(obs_run(f.obs, &call, NULL), -EACCES);
        assert_int_equal(call.attempts, 1); /* the clock is right: it is something else */
        obs_call_clear(&call);
        stop(&f);
    }
}

static void expired(void *arg, struct web_conn *conn, const struct web_request *r)
{
    struct fixture *f = arg;
    note(f, r, "Authorization");
    if (strstr(r->target, "/always") || (r->no < 8 && strstr(f->seen[r->no], "OBS AK:")))
        web_reply_text(conn, 403, NULL, "<Error><Code>ExpiredToken</Code></Error>");
    else
        web_reply_text(conn, 200, NULL, "");
}

static void test_reauth(void **state)
{
    struct fixture f;
    start(&f, expired);
    struct obs_call call = {.op = OBS_DELETE, .key = "k"};
    assert_int_equal(obs_run(f.obs, &call, NULL), 0);
    assert_true(call.attempts >= 2);
    assert_int_equal(atomic_load(&f.refreshed), 1);
    assert_non_null(strstr(f.seen[call.attempts], "OBS NEWAK:"));
    obs_call_clear(&call);

    call = (struct obs_call){.op = OBS_DELETE, .key = "always", .give_up_ms = 50};
    assert_int_equal(obs_run(f.obs, &call, NULL), -EACCES);
    obs_call_clear(&call);
    stop(&f);
}

static void redirecting(void *arg, struct web_conn *conn, const struct web_request *r)
{
    struct fixture *f = arg;
    char host[64] = "";
    char fields[256] = "";
    note(f, r, "Authorization");
    web_field(r, "Host", host, sizeof(host));
    uint16_t to = (uint16_t)atoi(strchr(host, ':') + 1) == web_port(f->web) ? web_port(f->other)
                                                                            : web_port(f->web);
    bool first = to == web_port(f->other);
    if (strstr(r->target, "/foreign"))
        (void)snprintf(fields, sizeof(fields), "Location: http://bucket.evil.example/\r\n");
    else if (first || strstr(r->target, "/loop"))
        (void)snprintf(fields, sizeof(fields), "Location: http://127.0.0.1:%u%s\r\n", to,
                       r->target);
    if (fields[0])
        web_reply_text(conn, 307, fields, "<Error><Code>TemporaryRedirect</Code></Error>");
    else {
        etag_line(fields, sizeof(fields), r->body, r->n_body);
        web_reply(conn, 200, fields, NULL, 0);
    }
}

static void test_redirect(void **state)
{
    struct fixture f;
    start(&f, redirecting);
    struct obs_call call = put_call("k");
    assert_int_equal(obs_run(f.obs, &call, NULL), 0);
    assert_int_equal(call.attempts, 2);
    assert_int_equal(web_requests(f.other), 1);
    assert_non_null(strstr(f.seen[1], "OBS AK:"));
    obs_call_clear(&call);

    call = put_call("loop");
    assert_int_equal(obs_run(f.obs, &call, NULL), -EREMCHG);
    assert_int_equal(call.attempts, 1 + HTTP_REDIRECTS_MAX);
    obs_call_clear(&call);

    call = put_call("foreign");
    assert_int_equal(obs_run(f.obs, &call, NULL), -EREMCHG);
    assert_int_equal(call.attempts, 1);
    assert_non_null(strstr(call.err.msg, "evil.example"));
    obs_call_clear(&call);
    stop(&f);
}

static bool allowed(const char *from, const char *to)
{
    struct url_endpoint a;
    struct url_endpoint b;
    assert_int_equal(url_endpoint_parse(from, &a, NULL), 0);
    assert_int_equal(url_endpoint_parse(to, &b, NULL), 0);
    return obs_redirect_allowed(&a, &b);
}

static void test_redirect_allowed(void **state)
{
    assert_true(allowed("obs.cn-north-4.myhuaweicloud.com", "obs.cn-east-3.myhuaweicloud.com"));
    assert_true(allowed("obs.myhuaweicloud.com", "obs.cn-east-3.myhuaweicloud.com"));
    assert_true(allowed("obs.eu-de.otc.t-systems.com", "obs.eu-nl.otc.t-systems.com"));
    assert_true(allowed("obs.a.example.com.cn", "obs.b.example.com.cn"));
    assert_true(allowed("http://localhost:1", "http://127.0.0.1:2"));
    assert_true(allowed("http://127.0.0.1:1", "http://b.localhost:2"));
    assert_true(allowed("http://10.0.0.1:1", "http://10.0.0.1:2"));
    assert_true(allowed("http://store.lan", "http://store.lan:81"));
    assert_true(allowed("http://obs.a.example.com", "https://obs.b.example.com"));

    assert_false(allowed("obs.a.myhuaweicloud.com", "obs.a.myhuaweicloud.com.evil.example"));
    assert_false(allowed("obs.a.myhuaweicloud.com", "evilmyhuaweicloud.com"));
    assert_false(allowed("obs.a.myhuaweicloud.com", "obs.evilmyhuaweicloud.com"));
    assert_false(allowed("obs.example.com.cn", "obs.evil.com.cn"));
    assert_false(allowed("https://obs.a.example.com", "http://obs.b.example.com"));
    assert_false(allowed("http://10.0.0.1:1", "http://10.0.0.2:1"));
    assert_false(allowed("http://10.0.0.1:1", "http://127.0.0.1:1"));
    assert_false(allowed("http://127.0.0.1:1", "http://obs.a.example.com"));
    assert_false(allowed("http://notlocalhost", "http://localhost"));
    assert_false(allowed("http://a.lan", "http://b.lan"));
}

/* --- what is never sent; interruption --- */

static void test_refused_locally(void **state)
{
    struct fixture f;
    start(&f, on_put);
    char key[OBS_KEY_MAX + 2];
    memset(key, 'k', sizeof(key));
    key[OBS_KEY_MAX + 1] = 0;
    struct obs_call call = put_call(key);
    assert_int_equal(obs_run(f.obs, &call, NULL), -ENAMETOOLONG);
    obs_call_clear(&call);
    call = put_call("");
    assert_int_equal(obs_run(f.obs, &call, NULL), -EINVAL);
    obs_call_clear(&call);
    call = (struct obs_call){.op = OBS_GET, .key = "k"};
    assert_int_equal(obs_run(f.obs, &call, NULL), -EINVAL);
    obs_call_clear(&call);
    call = (struct obs_call){.op = OBS_MP_PART, .key = "k"};
    assert_int_equal(obs_run(f.obs, &call, NULL), -EINVAL);
    obs_call_clear(&call);
    call = (struct obs_call){.op = OBS_DELETE_BATCH};
    assert_int_equal(obs_run(f.obs, &call, NULL), -EINVAL);
    obs_call_clear(&call);
    assert_int_equal(web_requests(f.web), 0);
    key[OBS_KEY_MAX] = 0;
    call = put_call(key);
    assert_int_equal(obs_run(f.obs, &call, NULL), 0);
    obs_call_clear(&call);
    stop(&f);

    start_with(&f, on_put, OBS_DIALECT_S3, NULL);
    call = (struct obs_call){.op = OBS_SET_META, .key = "k"};
    assert_int_equal(obs_run(f.obs, &call, NULL), -EOPNOTSUPP);
    obs_call_clear(&call);
    stop(&f);
}

static void mute(void *arg, struct web_conn *conn, const struct web_request *r)
{
    struct fixture *f = arg;
    atomic_fetch_add(&f->refreshed, 1);
    web_stall(conn);
}

static void *interrupter(void *arg)
{
    void **args = arg;
    struct fixture *f = args[0];
    while (atomic_load(&f->refreshed) == 0)
        usleep(1000);
    intr_interrupt(args[1]);
    return NULL;
}

static void test_interrupt(void **state)
{
    struct fixture f;
    struct intr intr;
    pthread_t id;
    start(&f, mute);
    intr_init(&intr);
    void *args[] = {&f, &intr};
    assert_int_equal(pthread_create(&id, NULL, interrupter, args), 0);
    struct obs_call call = {.op = OBS_DELETE, .key = "k"};
    assert_int_equal(obs_run(f.obs, &call, &intr), -EINTR);
    pthread_join(id, NULL);
    obs_call_clear(&call);
    /* an interrupt that came before counts as well */
    assert_int_equal(obs_run(f.obs, &call, &intr), -EINTR);
    obs_call_clear(&call);
    intr_done(&intr);
    stop(&f);
}

struct many {
    struct obs_call call;
    atomic_uint *left;
};

static void many_done(struct obs_call *call)
{
    struct many *m = call->arg;
    atomic_fetch_sub(m->left, 1);
}

static void test_many(void **state)
{
    enum { N = 64 };
    struct fixture f;
    atomic_uint left = N;
    start(&f, on_put);
    struct many *m = calloc(N, sizeof(*m));
    for (int i = 0; i < N; i++) {
        m[i].left = &left;
        m[i].call = put_call("fine");
        m[i].call.urgent = i % 2;
        m[i].call.done = many_done;
        m[i].call.arg = &m[i];
        obs_submit(f.obs, &m[i].call);
        if (i % 8 == 0)
            obs_cancel(f.obs, &m[i].call);
    }
    while (atomic_load(&left))
        usleep(1000);
    engine_stop(f.engine, 0);
    for (int i = 0; i < N; i++) {
        assert_true(m[i].call.err.eno == 0 || (i % 8 == 0 && m[i].call.err.eno == -ECANCELED));
        obs_call_clear(&m[i].call);
    }
    free(m);
    stop(&f);
}

static void check_url(const char *endpoint, bool path_style, const char *want)
{
    struct obs_config config = {.endpoint = endpoint, .bucket = "bucket", .path_style = path_style};
    struct obs *obs;
    assert_int_equal(obs_new(&config, NULL, NULL, NULL, &obs, NULL), 0);
    char *url = obs_url(obs, "a b/+c");
    assert_string_equal(url, want);
    free(url);
    obs_free(obs);
}

static void test_new(void **state)
{
    struct obs *obs;
    struct err err;
    static const char *const bad_line[] = {"no colon", NULL};
    struct obs_config config = {.endpoint = "obs.example.com/x", .bucket = "bucket"};
    assert_int_equal(obs_new(&config, NULL, NULL, NULL, &obs, &err), -EINVAL);
    assert_true(err.msg[0]);
    config = (struct obs_config){.endpoint = "obs.example.com", .bucket = "Bucket_"};
    assert_int_equal(obs_new(&config, NULL, NULL, NULL, &obs, &err), -EINVAL);
    config = (struct obs_config){
        .endpoint = "obs.example.com", .bucket = "bucket", .extra_headers = bad_line};
    assert_int_equal(obs_new(&config, NULL, NULL, NULL, &obs, &err), -EINVAL);
    check_url("obs.example.com", false, "https://bucket.obs.example.com/a%20b/%2Bc");
    check_url("http://obs.example.com", false, "https://bucket.obs.example.com/a%20b/%2Bc");
    check_url("http://obs.example.com:8080", true,
              "https://obs.example.com:8080/bucket/a%20b/%2Bc");
    check_url("http://127.0.0.1:9", false, "https://127.0.0.1:9/bucket/a%20b/%2Bc");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new),
        cmocka_unit_test(test_redirect_allowed),
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_put_md5_first),
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_get_sink_fails),
        cmocka_unit_test(test_errors_in_success),
        cmocka_unit_test(test_callback_body),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_clock_skew),
        cmocka_unit_test(test_reauth),
        cmocka_unit_test(test_redirect),
        cmocka_unit_test(test_refused_locally),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
