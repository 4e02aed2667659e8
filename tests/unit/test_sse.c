// SPDX-License-Identifier: Apache-2.0
// Server-side encryption: words, key files, properties, what goes out.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/props.h"
#include "net/sse.h"
#include "tests/lib/webserver.h"
#include "tests/unit/obs_fixture.h"

/* OBS API, SSE-C: these bytes have this MD5. */
#define KEY "0123456789abcdef0123456789abcdef"
#define KEY_BASE64 "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define KEY_MD5 "hRasmdxgYDKV3nvbahU1MA=="

static void test_words(void **state)
{
    static const struct {
        const char *text;
        enum sse_kind kind;
        const char *id;
    } good[] = {
        {"none", SSE_NONE, ""},
        {"kms", SSE_KMS, ""},
        {"kms:0000-1111", SSE_KMS, "0000-1111"},
        {"kms:cn-north-4:0a1b:key/0000-1111", SSE_KMS, "cn-north-4:0a1b:key/0000-1111"},
        {"kms:arn:aws:kms:eu-1:1:key/2", SSE_KMS, "arn:aws:kms:eu-1:1:key/2"},
        {"c:a", SSE_CUSTOMER, "a"},
        {"c:my_key-2.bin", SSE_CUSTOMER, "my_key-2.bin"},
    };
    static const char *const bad[] = {"",         "KMS",          "kms:",           "kms:a b",
                                      "kms:r:d",  "kms:r:d:key/", "kms::d:key/1",   "kms:\n",
                                      "kms:a/b",  "c:",           "c:../a",         "c:.a",
                                      "c:a/b",    "c:a b",        "aes256",         "c",
                                      "customer", "none ",        "kms:r:d:key/1:2"};
    struct sse_spec spec;
    struct err err;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(sse_spec_parse(good[i].text, &spec, &err), 0);
        assert_int_equal(spec.kind, good[i].kind);
        assert_string_equal(spec.id, good[i].id);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (sse_spec_parse(bad[i], &spec, &err) != -EINVAL)
            fail_msg("accepted: '%s'", bad[i]);
        assert_true(err.msg[0]);
    }
    char text[400];
    memset(text, 'x', sizeof(text));
    memcpy(text, "kms:", 4);
    text[4 + SSE_ID_MAX] = 0;
    assert_int_equal(sse_spec_parse(text, &spec, &err), 0);
    text[4 + SSE_ID_MAX] = 'x';
    text[5 + SSE_ID_MAX] = 0;
    assert_int_equal(sse_spec_parse(text, &spec, &err), -EINVAL);
    memcpy(text, "c:", 2);
    text[2 + SSE_NAME_MAX + 1] = 0;
    assert_int_equal(sse_spec_parse(text, &spec, &err), -EINVAL);
}

static void test_key_text(void **state)
{
    static const char *const good[] = {KEY, KEY "\n", KEY "\r\n", KEY_BASE64, KEY_BASE64 "\n"};
    static const char *const bad[] = {"",
                                      "\n",
                                      "short",
                                      (KEY "x"),
                                      (KEY "\n\n"),
                                      (KEY_BASE64 "x"),
                                      (" " KEY_BASE64),
                                      "MDEyMzQ1Njc4OQ=="};
    unsigned char key[SSE_KEY_SIZE];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(sse_key_parse(good[i], strlen(good[i]), key), 0);
        assert_memory_equal(key, KEY, SSE_KEY_SIZE);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(sse_key_parse(bad[i], strlen(bad[i]), key), -EINVAL);
    unsigned char any[SSE_KEY_SIZE] = {'\n', 0, 255, '\n'}; /* 32 bytes are taken as they are */
    any[SSE_KEY_SIZE - 1] = '\n';
    assert_int_equal(sse_key_parse(any, sizeof(any), key), 0);
    assert_memory_equal(key, any, SSE_KEY_SIZE);
}

/* --- a directory of keys --- */

static void put(const char *dir, const char *name, const char *text, mode_t mode)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
}

static void empty(const char *dir)
{
    char command[300];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

static struct sse_keys *load_two(char dir[64])
{
    struct sse_keys *keys = NULL;
    struct err err;
    strcpy(dir, "/tmp/obsmount-sse.XXXXXX");
    assert_non_null(mkdtemp(dir));
    put(dir, "zz", KEY, 0600);
    put(dir, "b", "MTEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n", 0400);
    put(dir, ".hidden", "x", 0644);
    assert_int_equal(sse_keys_load(dir, &keys, &err), 0);
    return keys;
}

static void test_keys(void **state)
{
    char dir[64], secret[SSE_KEY_TEXT];
    struct sse_keys *keys = load_two(dir);
    assert_int_equal(sse_keys_count(keys), 2);
    assert_string_equal(sse_keys_name(keys, 0), "b");
    assert_string_equal(sse_keys_name(keys, 1), "zz");
    assert_string_equal(sse_keys_md5(keys, 1), KEY_MD5);
    sse_keys_secret(keys, 1, secret);
    assert_string_equal(secret, KEY_BASE64);
    assert_int_equal(sse_keys_by_name(keys, "zz"), 1);
    assert_int_equal(sse_keys_by_name(keys, "z"), -1);
    assert_int_equal(sse_keys_by_md5(keys, KEY_MD5), 1);
    assert_int_equal(sse_keys_by_md5(keys, ""), -1);
    assert_int_equal(sse_keys_by_md5(NULL, KEY_MD5), -1);
    sse_keys_free(keys);
    sse_keys_free(NULL);
    empty(dir);
}

static void refuses(const char *dir, int eno, const char *words)
{
    struct sse_keys *keys = NULL;
    struct err err = {0};
    assert_int_equal(sse_keys_load(dir, &keys, &err), eno);
    assert_null(keys);
    if (!strstr(err.msg, words))
        fail_msg("'%s' is not in '%s'", words, err.msg);
    assert_null(strstr(err.msg, "0123456789abcdef"));
}

static void test_keys_refused(void **state)
{
    char dir[64] = "/tmp/obsmount-sse.XXXXXX";
    assert_non_null(mkdtemp(dir));
    refuses("/nonexistent/keys", -ENOENT, "cannot open");
    refuses(dir, -ENOENT, "holds no key");
    put(dir, "a", KEY, 0640);
    refuses(dir, -EACCES, "may be accessed by others");
    put(dir, "a", KEY, 0600);
    put(dir, "b", KEY "more", 0600);
    refuses(dir, -EINVAL, "holds neither a key");
    put(dir, "b", KEY KEY KEY, 0600);
    refuses(dir, -EFBIG, "larger");
    put(dir, "b", KEY, 0600);
    put(dir, "a~", KEY, 0600);
    refuses(dir, -EINVAL, "cannot be a key's name");
    empty(dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    for (int i = 0; i <= SSE_KEYS_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "k%d", i);
        put(dir, name, KEY, 0600);
    }
    refuses(dir, -E2BIG, "more than");
    assert_int_equal(chmod(dir, 0770), 0);
    refuses(dir, -EACCES, "may be written by others");
    empty(dir);
}

/* --- properties --- */

static void test_props(void **state)
{
    char dir[64], text[SSE_TEXT_MAX];
    struct sse_keys *keys = load_two(dir);
    struct obs_props props = {0}, copy = {0};
    struct sse_spec spec;
    struct err err;
    obs_props_set(&props, OBS_PROP_META, "mode", "33188");
    sse_to_text(&props, keys, text);
    assert_string_equal(text, "none");
    assert_false(sse_encrypted(&props));

    static const char *const words[] = {"kms:0001", "c:zz", "c:b", "none"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        sse_spec_parse(words[i], &spec, &err);
        assert_int_equal(sse_to_props(&spec, keys, &props, &err), 0);
        sse_to_text(&props, keys, text);
        assert_string_equal(text, words[i]);
        assert_int_equal(sse_encrypted(&props), i < 3);
        assert_int_equal(sse_customer_md5(&props) != NULL, i == 1 || i == 2);
        assert_int_equal(sse_copy(&copy, &props), 0);
        assert_true(sse_same(&copy, &props));
        assert_null(obs_props_get(&copy, OBS_PROP_META, "mode"));
        assert_string_equal(obs_props_get(&props, OBS_PROP_META, "mode"), "33188");
    }
    sse_spec_parse("c:zz", &spec, &err);
    sse_to_props(&spec, keys, &props, &err);
    assert_false(sse_same(&copy, &props));
    sse_to_text(&props, NULL, text);
    assert_string_equal(text, "c:?");
    sse_spec_parse("c:other", &spec, &err);
    assert_int_equal(sse_to_props(&spec, keys, &props, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "'other'"));
    sse_drop(&props);
    assert_int_equal(props.n, 1);
    obs_props_clear(&props);
    obs_props_clear(&copy);
    sse_keys_free(keys);
    empty(dir);
}

static void header_is(enum obs_dialect dialect, const char *name, const char *value,
                      const char *wire_name, const char *wire_value)
{
    struct obs_prop prop = {OBS_PROP_HEADER, (char *)(uintptr_t)name, (char *)(uintptr_t)value};
    struct buf n = BUF_INIT(256), v = BUF_INIT(256);
    struct obs_props back = {0};
    assert_int_equal(props_to_header(&prop, dialect, &n, &v), 0);
    assert_string_equal(buf_str(&n), wire_name);
    assert_string_equal(buf_str(&v), wire_value);
    assert_int_equal(props_take_header(&back, dialect, wire_name, wire_value), 1);
    assert_string_equal(obs_props_get(&back, OBS_PROP_HEADER, name), value);
    obs_props_clear(&back);
    buf_done(&n);
    buf_done(&v);
}

static void test_dialects(void **state)
{
    header_is(OBS_DIALECT_OBS, "server-side-encryption", "kms", "x-obs-server-side-encryption",
              "kms");
    header_is(OBS_DIALECT_S3, "server-side-encryption", "kms", "x-amz-server-side-encryption",
              "aws:kms");
    header_is(OBS_DIALECT_S3, "server-side-encryption", "AES256", "x-amz-server-side-encryption",
              "AES256");
    header_is(OBS_DIALECT_OBS, "server-side-encryption-kms-key-id", "r:d:key/1",
              "x-obs-server-side-encryption-kms-key-id", "r:d:key/1");
    header_is(OBS_DIALECT_S3, "server-side-encryption-kms-key-id", "1",
              "x-amz-server-side-encryption-aws-kms-key-id", "1");
}

/* --- requests --- */

static void on_any(void *arg, struct web_conn *conn, const struct web_request *r)
{
    struct obs_fixture *f = arg;
    obs_fixture_note(f, r, "x-obs-server-side-encryption");
    web_reply(conn, r->no > 1 ? 400 : 200, "ETag: \"e\"\r\n", NULL, 0);
}

/* What a request says about encryption depends on what it does; a key never goes out over http. */
static void test_requests(void **state)
{
    struct obs_fixture f;
    struct obs_props kms = {0};
    obs_props_set(&kms, OBS_PROP_HEADER, "server-side-encryption", "kms");
    obs_fixture_start(&f, on_any);
    struct obs_call head = {.op = OBS_HEAD, .key = "k", .props = &kms};
    (void)obs_run(f.obs, &head, NULL);
    assert_string_equal(f.seen[1], "-");
    obs_call_clear(&head);

    /* refused without a code, and there are no keys to try: the reason is said */
    assert_int_equal(obs_run(f.obs, &head, NULL), -EACCES);
    assert_int_equal(head.attempts, 1);
    assert_true(head.object.key_missing);
    assert_non_null(strstr(head.err.msg, "mount with sse_c_keys"));
    obs_call_clear(&head);

    struct obs_call put = put_call("k");
    put.props = &kms;
    (void)obs_run(f.obs, &put, NULL);
    assert_string_equal(f.seen[3], "kms");
    obs_call_clear(&put);
    obs_fixture_stop(&f);
    obs_props_clear(&kms);
}

static void test_no_key_over_http(void **state)
{
    char dir[64];
    struct sse_keys *keys = load_two(dir);
    struct obs_fixture f;
    struct obs *obs = NULL;
    struct err err;
    struct obs_props props = {0};
    struct sse_spec spec;
    char endpoint[64];
    obs_fixture_start(&f, on_any);
    (void)snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%u", web_port(f.web));
    const struct obs_config config = {
        .endpoint = endpoint, .bucket = "bucket", .sse_keys = keys, .sse_first = 1};
    assert_int_equal(obs_new(&config, f.engine, f.cred, NULL, &obs, &err), 0);
    sse_spec_parse("c:zz", &spec, &err);
    assert_int_equal(sse_to_props(&spec, keys, &props, &err), 0);
    struct obs_call put = put_call("k");
    put.props = &props;
    assert_int_equal(obs_run(obs, &put, NULL), -EACCES);
    assert_non_null(strstr(put.err.msg, "https only"));
    obs_call_clear(&put);
    struct obs_call head = {.op = OBS_HEAD, .key = "k", .read_key = KEY_MD5};
    assert_int_equal(obs_run(obs, &head, NULL), -EACCES);
    obs_call_clear(&head);
    head.read_key = "AAAAAAAAAAAAAAAAAAAAAA=="; /* nobody has it */
    assert_int_equal(obs_run(obs, &head, NULL), -EACCES);
    assert_non_null(strstr(head.err.msg, "not in sse_c_keys"));
    assert_true(head.object.key_missing);
    obs_call_clear(&head);
    assert_string_equal(f.seen[1], ""); /* nothing was sent */
    obs_free(obs);
    obs_fixture_stop(&f);
    obs_props_clear(&props);
    sse_keys_free(keys);
    empty(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),    cmocka_unit_test(test_key_text),
        cmocka_unit_test(test_keys),     cmocka_unit_test(test_keys_refused),
        cmocka_unit_test(test_props),    cmocka_unit_test(test_dialects),
        cmocka_unit_test(test_requests), cmocka_unit_test(test_no_key_over_http),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
