// SPDX-License-Identifier: Apache-2.0
// Every operation of the OBS client against obs-local, in both dialects and both styles of address.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "net/base/log.h"
#include "net/cred.h"
#include "net/digest.h"
#include "net/engine.h"
#include "net/obs.h"
#include "tests/lib/service.h"

enum { KIB = 1024, SMALL = 100 * KIB, S3_PART = 5 * KIB * KIB };

struct fixture {
    struct service service;
    struct engine *engine;
    struct cred_source *cred;
    struct obs *obs;
    enum obs_dialect dialect;
};

struct style {
    enum obs_dialect dialect;
    bool path_style;
    bool token;
};

static const struct style styles[] = {
    {OBS_DIALECT_OBS, false, false},
    {OBS_DIALECT_OBS, true, true},
    {OBS_DIALECT_S3, false, true},
    {OBS_DIALECT_S3, true, false},
};

static int set_up(void **state)
{
    const struct style *style = *state;
    static const char *const more[] = {"--credential",    "AK0:sk0",         "--credential",
                                       "AK1:sk1:T0KEN==", "--credential-ro", "AKR:skr",
                                       "--bucket",        "test-bucket",     NULL};
    struct fixture *f = calloc(1, sizeof(*f));
    if (!f || service_start(&f->service, OBS_LOCAL, more) < 0)
        return -1;
    f->dialect = style->dialect;
    struct engine_config ec = {.backoff_ms = 20};
    struct cred_config cc = {.refresh = NULL};
    struct cred cred = {.ak = "AK0", .sk = "sk0"};
    if (style->token)
        cred = (struct cred){.ak = "AK1", .sk = "sk1", .token = "T0KEN=="};
    char path[96];
    (void)snprintf(path, sizeof(path), "%s/keys", f->service.dir);
    FILE *file = fopen(path, "w");
    if (!file)
        return -1;
    fprintf(file, "%s:%s%s%s\n", cred.ak, cred.sk, cred.token[0] ? ":" : "", cred.token);
    fclose(file);
    chmod(path, 0600);
    cc.file = path;
    char endpoint[64];
    (void)snprintf(endpoint, sizeof(endpoint), "http://%s:%u",
                   style->path_style ? "127.0.0.1" : "localhost", f->service.port);
    struct obs_config oc = {.endpoint = endpoint,
                            .bucket = "test-bucket",
                            .dialect = style->dialect,
                            .retry_ms = 20000};
    struct err err = {0};
    if (engine_new(&ec, &f->engine, &err) < 0 || cred_source_new(&cc, &f->cred, &err) < 0 ||
        obs_new(&oc, f->engine, f->cred, NULL, &f->obs, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return -1;
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    engine_free(f->engine);
    obs_free(f->obs);
    cred_source_free(f->cred);
    service_stop(&f->service);
    free(f);
    return 0;
}

/* --- bytes --- */

static unsigned char byte_at(uint64_t off)
{
    return (unsigned char)(off * 2654435761u >> 13);
}

static ssize_t read_pattern(void *arg, uint64_t off, void *p, size_t n)
{
    uint64_t base = *(uint64_t *)arg;
    for (size_t i = 0; i < n; i++)
        ((unsigned char *)p)[i] = byte_at(base + off + i);
    return (ssize_t)n;
}

struct check {
    uint64_t base; /* of the pattern, less the object's offset */
    uint64_t n;
    bool wrong;
};

static int take_pattern(void *arg, uint64_t off, const void *p, size_t n)
{
    struct check *c = arg;
    for (size_t i = 0; i < n; i++)
        c->wrong |= ((const unsigned char *)p)[i] != byte_at(c->base + off + i);
    c->n += n;
    return 0;
}

static void run(struct fixture *f, struct obs_call *call, int want)
{
    int rc = obs_run(f->obs, call, NULL);
    if (rc != want)
        print_error("%s '%s': %d %s %s (wire: %s)\n", obs_op_name(call->op),
                    call->key ? call->key : "", rc, call->err.code, call->err.msg, call->wire.msg);
    assert_int_equal(rc, want);
}

static void run_clear(struct fixture *f, struct obs_call call, int want)
{
    run(f, &call, want);
    obs_call_clear(&call);
}

static void put(struct fixture *f, const char *key, uint64_t size)
{
    uint64_t base = 0;
    run_clear(f,
              (struct obs_call){.op = OBS_PUT,
                                .key = key,
                                .body = {.size = size, .read = read_pattern, .arg = &base}},
              0);
}

static void check_get(struct fixture *f, const char *key, uint64_t offset, uint64_t length,
                      uint64_t want)
{
    struct check c = {0};
    struct obs_call call = {.op = OBS_GET,
                            .key = key,
                            .offset = offset,
                            .length = length,
                            .sink = take_pattern,
                            .sink_arg = &c};
    run(f, &call, 0);
    assert_int_equal(c.n, want);
    assert_false(c.wrong);
    obs_call_clear(&call);
}

/* --- the tests --- */

static void test_bucket(void **state)
{
    struct fixture *f = *state;
    struct obs_call call = {.op = OBS_HEAD_BUCKET};
    run(f, &call, 0);
    assert_true(call.server_time > 0);
    obs_call_clear(&call);

    struct obs *other;
    char endpoint[64];
    (void)snprintf(endpoint, sizeof(endpoint), "http://localhost:%u", f->service.port);
    struct obs_config oc = {
        .endpoint = endpoint, .bucket = "no-such-bucket", .dialect = f->dialect};
    assert_int_equal(obs_new(&oc, f->engine, f->cred, NULL, &other, NULL), 0);
    assert_int_equal(obs_run(other, &call, NULL), -ENOENT);
    assert_string_equal(call.err.code, "NoSuchBucket");
    obs_call_clear(&call);
    obs_free(other);
}

static void test_object(void **state)
{
    struct fixture *f = *state;
    uint64_t base = 0;
    struct obs_props props = {0};
    obs_props_set(&props, OBS_PROP_META, "mtime", "1700000000.5");
    obs_props_set(&props, OBS_PROP_META, "note", " 100% r\xc3\xa9sum\xc3\xa9 + \"x\" ");
    obs_props_set(&props, OBS_PROP_RAW, "Content-Type", "text/x-test");
    obs_props_set(&props, OBS_PROP_RAW, "Cache-Control", "no-cache");
    obs_props_set(&props, OBS_PROP_HEADER, "storage-class", "WARM");
    struct obs_call call = {.op = OBS_PUT,
                            .key = "dir/object",
                            .props = &props,
                            .body = {.size = 300 * KIB, .read = read_pattern, .arg = &base}};
    run(f, &call, 0);
    char etag[OBS_ETAG_MAX];
    (void)snprintf(etag, sizeof(etag), "%s", call.object.etag);
    char hex[33];
    hex_encode(call.md5, 16, hex);
    assert_string_equal(etag, hex);
    obs_call_clear(&call);

    call.body.content_md5 = true;
    run(f, &call, 0);
    obs_call_clear(&call);

    call = (struct obs_call){.op = OBS_HEAD, .key = "dir/object"};
    run(f, &call, 0);
    assert_int_equal(call.object.size, 300 * KIB);
    assert_string_equal(call.object.etag, etag);
    assert_true(llabs(call.object.mtime_ms / 1000 - (int64_t)time(NULL)) < 300);
    assert_string_equal(call.object.upload_id, "");
    const struct obs_props *got = &call.object.props;
    for (size_t i = 0; i < props.n; i++)
        assert_string_equal(obs_props_get(got, props.v[i].kind, props.v[i].name), props.v[i].value);
    obs_call_clear(&call);
    obs_props_clear(&props);

    check_get(f, "dir/object", 0, 0, 300 * KIB);
    check_get(f, "dir/object", 0, 1, 1);
    check_get(f, "dir/object", 1000, 200 * KIB, 200 * KIB);
    check_get(f, "dir/object", 299 * KIB, 0, KIB);
    check_get(f, "dir/object", 299 * KIB, 99 * KIB, KIB);

    struct check c = {0};
    call =
        (struct obs_call){.op = OBS_GET, .key = "dir/object", .sink = take_pattern, .sink_arg = &c};
    call.if_match = etag;
    run(f, &call, 0);
    obs_call_clear(&call);
    call.if_match = "00000000000000000000000000000000";
    run(f, &call, -ESTALE);
    obs_call_clear(&call);
    call.if_match = NULL;
    call.offset = 300 * KIB;
    call.length = 1;
    run(f, &call, -ERANGE);
    obs_call_clear(&call);
    call.key = "dir/missing";
    run(f, &call, -ENOENT);
    obs_call_clear(&call);
    run_clear(f, (struct obs_call){.op = OBS_HEAD, .key = "dir/missing"}, -ENOENT);

    put(f, "empty", 0);
    check_get(f, "empty", 0, 0, 0);
    run_clear(f, (struct obs_call){.op = OBS_DELETE, .key = "dir/object"}, 0);
    run_clear(f, (struct obs_call){.op = OBS_DELETE, .key = "dir/object"}, 0);
    run_clear(f, (struct obs_call){.op = OBS_HEAD, .key = "dir/object"}, -ENOENT);
}

static void test_metadata_and_copy(void **state)
{
    struct fixture *f = *state;
    struct obs_props props = {0};
    put(f, "source a+b", SMALL);
    obs_props_set(&props, OBS_PROP_META, "mode", "33188");
    struct obs_call call = {.op = OBS_SET_META, .key = "source a+b", .props = &props};
    run(f, &call, f->dialect == OBS_DIALECT_OBS ? 0 : -EOPNOTSUPP);
    obs_call_clear(&call);

    call = (struct obs_call){.op = OBS_COPY,
                             .key = "copy",
                             .source_key = "source a+b",
                             .props = &props,
                             .replace = true};
    run(f, &call, 0);
    assert_true(call.object.etag[0]);
    char etag[OBS_ETAG_MAX];
    (void)snprintf(etag, sizeof(etag), "%s", call.object.etag);
    obs_call_clear(&call);
    check_get(f, "copy", 0, 0, SMALL);

    call = (struct obs_call){.op = OBS_HEAD, .key = "copy"};
    run(f, &call, 0);
    assert_string_equal(obs_props_get(&call.object.props, OBS_PROP_META, "mode"), "33188");
    assert_string_equal(call.object.etag, etag);
    obs_call_clear(&call);

    run_clear(
        f,
        (struct obs_call){.op = OBS_COPY, .key = "copy2", .source_key = "copy", .if_match = etag},
        0);
    call = (struct obs_call){.op = OBS_HEAD, .key = "copy2"};
    run(f, &call, 0);
    assert_string_equal(obs_props_get(&call.object.props, OBS_PROP_META, "mode"), "33188");
    obs_call_clear(&call);
    run_clear(f,
              (struct obs_call){.op = OBS_COPY,
                                .key = "copy3",
                                .source_key = "copy",
                                .if_match = "00000000000000000000000000000000"},
              -ESTALE);
    run_clear(f, (struct obs_call){.op = OBS_COPY, .key = "copy3", .source_key = "none"}, -ENOENT);
    obs_props_clear(&props);
}

static void upload_part(struct fixture *f, const char *key, const char *id, struct obs_part *part,
                        uint64_t base, unsigned char md5[16])
{
    struct obs_call call = {.op = OBS_MP_PART,
                            .key = key,
                            .upload_id = id,
                            .part_no = part->part_no,
                            .body = {.size = part->size, .read = read_pattern, .arg = &base}};
    run(f, &call, 0);
    (void)snprintf(part->etag, sizeof(part->etag), "%s", call.object.etag);
    memcpy(md5, call.md5, 16);
    obs_call_clear(&call);
}

static void copy_part(struct fixture *f, const char *key, const char *id, struct obs_part *part,
                      uint64_t base, unsigned char md5[16])
{
    struct obs_call call = {.op = OBS_MP_COPY_PART,
                            .key = key,
                            .source_key = "old #1",
                            .upload_id = id,
                            .part_no = part->part_no,
                            .offset = base,
                            .length = part->size};
    run(f, &call, 0);
    (void)snprintf(part->etag, sizeof(part->etag), "%s", call.object.etag);
    assert_int_equal(etag_md5(part->etag, md5), 0);
    obs_call_clear(&call);
}

static void check_parts(struct fixture *f, const char *key, const char *id,
                        const struct obs_part *parts, size_t n)
{
    struct obs_call call = {.op = OBS_MP_LIST_PARTS, .key = key, .upload_id = id, .max_keys = 2};
    size_t seen = 0;
    for (;;) {
        run(f, &call, 0);
        for (size_t i = 0; i < call.parts.n; i++, seen++) {
            assert_true(seen < n);
            assert_int_equal(call.parts.v[i].part_no, parts[seen].part_no);
            assert_int_equal(call.parts.v[i].size, parts[seen].size);
            assert_string_equal(call.parts.v[i].etag, parts[seen].etag);
        }
        bool more = call.parts.truncated;
        call.part_marker = call.parts.next_marker;
        obs_call_clear(&call);
        if (!more)
            break;
    }
    assert_int_equal(seen, n);
}

static void test_multipart(void **state)
{
    struct fixture *f = *state;
    static const char key[] = "big/ob ject";
    const uint64_t size = f->dialect == OBS_DIALECT_S3 ? S3_PART : SMALL;
    struct obs_part parts[3] = {
        {.part_no = 1, .size = size}, {.part_no = 4, .size = size}, {.part_no = 5, .size = 7}};
    unsigned char md5[3][16];
    struct obs_props props = {0};
    obs_props_set(&props, OBS_PROP_META, "uid", "1000");
    put(f, "old #1", 2 * size);

    struct obs_call call = {.op = OBS_MP_INITIATE, .key = key, .props = &props};
    run(f, &call, 0);
    char id[OBS_UPLOAD_ID_MAX];
    (void)snprintf(id, sizeof(id), "%s", call.upload_id_out);
    assert_true(id[0]);
    obs_call_clear(&call);
    obs_props_clear(&props);

    upload_part(f, key, id, &parts[0], 0, md5[0]);
    copy_part(f, key, id, &parts[1], size, md5[1]);
    upload_part(f, key, id, &parts[2], 2 * size, md5[2]);
    check_parts(f, key, id, parts, 3);

    call = (struct obs_call){.op = OBS_MP_LIST_UPLOADS, .prefix = "big/"};
    run(f, &call, 0);
    assert_int_equal(call.list.n, 1);
    assert_string_equal(call.list.v[0].key, key);
    assert_string_equal(call.list.v[0].upload_id, id);
    obs_call_clear(&call);

    call = (struct obs_call){
        .op = OBS_MP_COMPLETE, .key = key, .upload_id = id, .complete = parts, .n_complete = 3};
    run(f, &call, 0);
    char want[ETAG_COMPOSITE_MAX];
    assert_int_equal(etag_composite(md5, 3, want), 0);
    assert_string_equal(call.object.etag, want);
    obs_call_clear(&call);
    run_clear(f, call, -ENOENT); /* a second time */

    call = (struct obs_call){.op = OBS_HEAD, .key = key};
    run(f, &call, 0);
    assert_int_equal(call.object.size, 2 * size + 7);
    assert_string_equal(obs_props_get(&call.object.props, OBS_PROP_META, "uid"), "1000");
    if (f->dialect == OBS_DIALECT_OBS)
        assert_string_equal(call.object.upload_id, id);
    obs_call_clear(&call);
    check_get(f, key, 0, 0, 2 * size + 7);
    check_get(f, key, size - 5, 10, 10);
}

static void test_abort(void **state)
{
    struct fixture *f = *state;
    struct obs_call call = {.op = OBS_MP_INITIATE, .key = "k"};
    run(f, &call, 0);
    char id[OBS_UPLOAD_ID_MAX];
    (void)snprintf(id, sizeof(id), "%s", call.upload_id_out);
    obs_call_clear(&call);

    struct obs_part part = {.part_no = 2, .etag = "00000000000000000000000000000000"};
    run_clear(
        f,
        (struct obs_call){
            .op = OBS_MP_COMPLETE, .key = "k", .upload_id = id, .complete = &part, .n_complete = 1},
        -EIO);
    run_clear(f, (struct obs_call){.op = OBS_MP_ABORT, .key = "k", .upload_id = id}, 0);
    run_clear(f, (struct obs_call){.op = OBS_MP_ABORT, .key = "k", .upload_id = id}, 0);
    run_clear(f, (struct obs_call){.op = OBS_MP_LIST_PARTS, .key = "k", .upload_id = id}, -ENOENT);
    call = (struct obs_call){.op = OBS_MP_LIST_UPLOADS};
    run(f, &call, 0);
    assert_int_equal(call.list.n, 0);
    obs_call_clear(&call);
}

/* Names that test encoding, in the order of their bytes. */
static const char *const odd[] = {
    "\nline\nbreak",
    " blank at both ends ",
    "!'()*",
    "\"quoted\"",
    "#hash",
    "%41%2F%",
    "&amp;<xml>",
    "+plus and space",
    "..",
    "../up",
    "./dot/./dot/../x",
    "//double//",
    "/leading",
    "=?uploads&partNumber=1",
    "?query#fragment",
    "[;:,@$]",
    "back\\slash|^`{}~",
    "tab\there",
    "\xc3\xbc\xc3\x9f\xe6\x96\x87/\xf0\x9f\x98\x80.txt",
};
enum { N_ODD = sizeof(odd) / sizeof(odd[0]) };

static void test_odd_keys(void **state)
{
    struct fixture *f = *state;
    char longest[OBS_KEY_MAX + 1];
    memset(longest, 'z', OBS_KEY_MAX);
    longest[OBS_KEY_MAX] = 0;
    memcpy(longest + 500, "\xe6\x96\x87/ %", 6);
    put(f, longest, 5);
    check_get(f, longest, 0, 0, 5);
    run_clear(f, (struct obs_call){.op = OBS_DELETE, .key = longest}, 0);

    for (size_t i = 0; i < N_ODD; i++)
        put(f, odd[i], i);
    struct obs_call call = {.op = OBS_LIST};
    run(f, &call, 0);
    assert_int_equal(call.list.n, N_ODD);
    for (size_t i = 0; i < N_ODD; i++) {
        assert_string_equal(call.list.v[i].key, odd[i]);
        assert_int_equal(call.list.v[i].size, i);
        check_get(f, odd[i], 0, 0, i);
        run_clear(f, (struct obs_call){.op = OBS_COPY, .key = "aim", .source_key = odd[i]}, 0);
    }
    obs_call_clear(&call);

    /* a page after each of them */
    for (size_t i = 0; i + 1 < N_ODD; i++) {
        call = (struct obs_call){.op = OBS_LIST, .marker = odd[i], .max_keys = 1};
        run(f, &call, 0);
        assert_int_equal(call.list.n, 1);
        if (strcmp(call.list.v[0].key, "aim") != 0)
            assert_string_equal(call.list.v[0].key, odd[i + 1]);
        obs_call_clear(&call);
    }
    call = (struct obs_call){.op = OBS_DELETE_BATCH, .keys = odd + 1, .n_keys = N_ODD - 1};
    run(f, &call, 0);
    assert_int_equal(call.list.n, 0);
    obs_call_clear(&call);
    run_clear(f, (struct obs_call){.op = OBS_DELETE, .key = odd[0]}, 0);
    run_clear(f, (struct obs_call){.op = OBS_DELETE, .key = "aim"}, 0);
    call = (struct obs_call){.op = OBS_LIST};
    run(f, &call, 0);
    for (size_t i = 0; i < call.list.n; i++)
        print_error("left: '%s'\n", call.list.v[i].key);
    assert_int_equal(call.list.n, 0);
    obs_call_clear(&call);
}

static void test_list(void **state)
{
    struct fixture *f = *state;
    char key[32];
    for (int i = 0; i < 25; i++) {
        (void)snprintf(key, sizeof(key), "d/%02d/x", i);
        put(f, key, 1);
        (void)snprintf(key, sizeof(key), "d/%02d.f", i);
        put(f, key, 2);
    }
    struct obs_call call = {.op = OBS_LIST, .prefix = "d/", .delimiter = "/", .max_keys = 7};
    char last[32] = "";
    unsigned files = 0;
    unsigned dirs = 0;
    char *marker = NULL;
    for (;;) {
        call.marker = marker;
        run(f, &call, 0);
        for (size_t i = 0; i < call.list.n; i++) {
            assert_true(strcmp(last, call.list.v[i].key) < 0);
            (void)snprintf(last, sizeof(last), "%s", call.list.v[i].key);
            dirs += call.list.v[i].is_prefix;
            files += !call.list.v[i].is_prefix;
        }
        free(marker);
        marker = call.list.truncated ? strdup(call.list.next_marker) : NULL;
        obs_call_clear(&call);
        if (!marker)
            break;
    }
    assert_int_equal(files, 25);
    assert_int_equal(dirs, 25);
}

/* What the service refuses, with the reason. */
static void test_refusals(void **state)
{
    struct fixture *f = *state;
    struct cred_source *cred;
    char path[96];
    (void)snprintf(path, sizeof(path), "%s/keys2", f->service.dir);
    static const struct {
        const char *keys, *code;
    } rows[] = {{"AK0:wrong\n", "SignatureDoesNotMatch"},
                {"AKX:sk\n", "InvalidAccessKeyId"},
                {"AKR:skr\n", "AccessDenied"}};
    for (int i = 0; i < 3; i++) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(rows[i].keys, file);
        fclose(file);
        chmod(path, 0600);
        struct cred_config cc = {.file = path};
        assert_int_equal(cred_source_new(&cc, &cred, NULL), 0);
        char endpoint[64];
        (void)snprintf(endpoint, sizeof(endpoint), "http://localhost:%u", f->service.port);
        struct obs_config oc = {
            .endpoint = endpoint, .bucket = "test-bucket", .dialect = f->dialect};
        struct obs *other;
        assert_int_equal(obs_new(&oc, f->engine, cred, NULL, &other, NULL), 0);
        uint64_t base = 0;
        struct obs_call call = {
            .op = OBS_PUT, .key = "k", .body = {.size = 1, .read = read_pattern, .arg = &base}};
        assert_int_equal(obs_run(other, &call, NULL), -EACCES);
        assert_string_equal(call.err.code, rows[i].code);
        assert_int_equal(call.attempts, 1);
        obs_call_clear(&call);
        obs_free(other);
        cred_source_free(cred);
    }
}

int main(void)
{
    static const struct {
        const char *name;
        CMUnitTestFunction run;
    } cases[] = {{"bucket", test_bucket},
                 {"object", test_object},
                 {"metadata and copy", test_metadata_and_copy},
                 {"multipart", test_multipart},
                 {"abort", test_abort},
                 {"list", test_list},
                 {"odd keys", test_odd_keys},
                 {"refusals", test_refusals}};
    enum { N = sizeof(cases) / sizeof(cases[0]), STYLES = sizeof(styles) / sizeof(styles[0]) };
    int failed = 0;
    for (size_t s = 0; s < STYLES; s++) {
        struct CMUnitTest tests[N];
        for (size_t i = 0; i < N; i++)
            tests[i] = (struct CMUnitTest){.name = cases[i].name,
                                           .test_func = cases[i].run,
                                           .setup_func = set_up,
                                           .teardown_func = tear_down,
                                           .initial_state = (void *)(uintptr_t)&styles[s]};
        printf("dialect %s, %s style\n", styles[s].dialect == OBS_DIALECT_S3 ? "s3" : "obs",
               styles[s].path_style ? "path" : "virtual host");
        failed += _cmocka_run_group_tests("obs", tests, N, NULL, NULL);
    }
    return failed;
}
