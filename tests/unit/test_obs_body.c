// SPDX-License-Identifier: Apache-2.0
// The OBS client: what is sent and received is checked, against a service that misbehaves.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/digest.h"
#include "net/engine.h"
#include "net/obs.h"
#include "net/obs_impl.h"
#include "tests/lib/webserver.h"
#include "tests/unit/obs_fixture.h"

static void on_put(void *arg, struct web_conn *conn, const struct web_request *r)
{
    static const char wrong[] = "ETag: \"00000000000000000000000000000000\"\r\n";
    struct obs_fixture *f = arg;
    char etag[128];
    char fields[256];
    obs_fixture_note(f, r, "Content-MD5");
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
        {"wrong-sse", 0, 2}, /* again, with its MD5 */
        {"none", -EIO, 1 + SPOILED_MAX},
        {"redirect-header", 0, 1},
        {"redirect-query", 0, 1},
        {"digest", -EIO, 1 + SPOILED_MAX},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct obs_fixture f;
        obs_fixture_start(&f, on_put);
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
        obs_fixture_stop(&f);
    }
}

static void test_put_md5_first(void **state)
{
    struct obs_fixture f;
    obs_fixture_start(&f, on_put);
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
    obs_fixture_stop(&f);
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
    struct obs_fixture *f = arg;
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
        struct obs_fixture f;
        struct sink s = {.base = rows[i].offset};
        obs_fixture_start(&f, on_get);
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
        obs_fixture_stop(&f);
    }
}

static void test_get_sink_fails(void **state)
{
    struct obs_fixture f;
    struct sink s = {.eno = -ENOSPC};
    obs_fixture_start(&f, on_get);
    struct obs_call call = {.op = OBS_GET, .key = "fine", .sink = take, .sink_arg = &s};
    assert_int_equal(obs_run(f.obs, &call, NULL), -ENOSPC);
    assert_int_equal(call.attempts, 1);
    obs_call_clear(&call);
    obs_fixture_stop(&f);
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
            struct obs_fixture f;
            obs_fixture_start(&f, on_complete);
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
            obs_fixture_stop(&f);
        }
    }
}

static void test_callback_body(void **state)
{
    static const char *const extra[] = {"x-obs-callback: e30=", NULL};
    static const struct obs_part part = {.part_no = 1, .etag = "a"};
    struct obs_fixture f;
    obs_fixture_start_with(&f, on_complete, OBS_DIALECT_OBS, extra);
    struct obs_call call = {.op = OBS_MP_COMPLETE,
                            .key = "garbage",
                            .upload_id = "U",
                            .complete = &part,
                            .n_complete = 1};
    assert_int_equal(obs_run(f.obs, &call, NULL), 0); /* the body is somebody else's */
    obs_call_clear(&call);
    obs_fixture_stop(&f);
}

static void test_refused_locally(void **state)
{
    struct obs_fixture f;
    obs_fixture_start(&f, on_put);
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
    obs_fixture_stop(&f);

    obs_fixture_start_with(&f, on_put, OBS_DIALECT_S3, NULL);
    call = (struct obs_call){.op = OBS_SET_META, .key = "k"};
    assert_int_equal(obs_run(f.obs, &call, NULL), -EOPNOTSUPP);
    obs_call_clear(&call);
    obs_fixture_stop(&f);
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
    struct obs_fixture f;
    atomic_uint left = N;
    obs_fixture_start(&f, on_put);
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
    obs_fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_put_md5_first),
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_get_sink_fails),
        cmocka_unit_test(test_errors_in_success),
        cmocka_unit_test(test_callback_body),
        cmocka_unit_test(test_refused_locally),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
