// SPDX-License-Identifier: Apache-2.0
// Properties as headers, and back.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/props.h"

static void test_set_get(void **state)
{
    struct obs_props a = {0}, b = {0};
    assert_null(obs_props_get(&a, OBS_PROP_META, "mode"));
    assert_int_equal(obs_props_set(&a, OBS_PROP_META, "mode", "1"), 0);
    assert_int_equal(obs_props_set(&a, OBS_PROP_RAW, "mode", "2"), 0);
    assert_int_equal(obs_props_set(&a, OBS_PROP_META, "MODE", "3"), 0);
    assert_int_equal(a.n, 2);
    assert_string_equal(obs_props_get(&a, OBS_PROP_META, "Mode"), "3");
    assert_string_equal(obs_props_get(&a, OBS_PROP_RAW, "mode"), "2");
    assert_int_equal(obs_props_set(&b, OBS_PROP_META, "x", "y"), 0);
    assert_int_equal(obs_props_copy(&b, &a), 0);
    obs_props_clear(&a);
    obs_props_clear(&a);
    assert_int_equal(b.n, 2);
    assert_null(obs_props_get(&b, OBS_PROP_META, "x"));
    assert_int_equal(obs_props_copy(&b, &b), 0);
    assert_string_equal(obs_props_get(&b, OBS_PROP_META, "mode"), "3");
    obs_props_clear(&b);
}

static void encodes(const char *raw, const char *wanted)
{
    CLEANUP_BUF struct buf wire = BUF_INIT(4096);
    CLEANUP_BUF struct buf back = BUF_INIT(4096);
    assert_int_equal(props_encode_value(&wire, raw), 0);
    assert_string_equal(buf_str(&wire), wanted);
    assert_int_equal(props_decode_value(&back, buf_str(&wire)), 0);
    assert_string_equal(buf_str(&back), raw);
}

static void test_values(void **state)
{
    encodes("", "");
    encodes("33188", "33188");
    encodes("A B", "A B");
    encodes(" A ", "%20A%20");
    encodes(" ", "%20");
    encodes(" ;/?:@&=+$,'*x", "%20;/?:@&=+$,'*x");
    encodes("100%", "100%25");
    encodes("%41", "%2541");
    encodes("r\xc3\xa9sum\xc3\xa9", "r%C3%A9sum%C3%A9");
    encodes("a\r\nx-obs-acl: public", "a%0D%0Ax-obs-acl: public");
    encodes("{\"user.a\":\"YQ==\"}", "%7B%22user.a%22:%22YQ==%22%7D");
    encodes("\x01\x7f\xff\t", "%01%7F%FF%09");

    /* Foreign values. */
    CLEANUP_BUF struct buf back = BUF_INIT(64);
    assert_int_equal(props_decode_value(&back, "50% off"), 0);
    assert_int_equal(props_decode_value(&back, "%00"), 0);
    assert_int_equal(props_decode_value(&back, "a+b"), 0);
    assert_string_equal(buf_str(&back), "50% off%00a+b");
}

static void sends(enum obs_prop_kind kind, const char *name, const char *value,
                  enum obs_dialect dialect, const char *wanted)
{
    CLEANUP_BUF struct buf n = BUF_INIT(256);
    CLEANUP_BUF struct buf v = BUF_INIT(256);
    char line[600];
    const struct obs_prop p = {.kind = kind, .name = (char *)name, .value = (char *)value};
    assert_int_equal(props_to_header(&p, dialect, &n, &v), 0);
    (void)snprintf(line, sizeof(line), "%s: %s", buf_str(&n), buf_str(&v));
    assert_string_equal(line, wanted);
}

static void test_to_header(void **state)
{
    sends(OBS_PROP_META, "Mode", "a%", OBS_DIALECT_OBS, "x-obs-meta-mode: a%25");
    sends(OBS_PROP_META, "mode", "1", OBS_DIALECT_S3, "x-amz-meta-mode: 1");
    sends(OBS_PROP_HEADER, "acl", "public-read", OBS_DIALECT_OBS, "x-obs-acl: public-read");
    sends(OBS_PROP_HEADER, "storage-class", "WARM", OBS_DIALECT_OBS, "x-obs-storage-class: WARM");
    sends(OBS_PROP_HEADER, "storage-class", "WARM", OBS_DIALECT_S3,
          "x-amz-storage-class: STANDARD_IA");
    sends(OBS_PROP_HEADER, "storage-class", "COLD", OBS_DIALECT_S3, "x-amz-storage-class: GLACIER");
    sends(OBS_PROP_RAW, "Content-Type", "text/plain", OBS_DIALECT_S3, "Content-Type: text/plain");
}

static void test_take_header(void **state)
{
    struct obs_props p = {0};
    assert_int_equal(props_take_header(&p, OBS_DIALECT_OBS, "X-Obs-Meta-Owner", "r%C3%A9"), 1);
    assert_int_equal(props_take_header(&p, OBS_DIALECT_OBS, "content-type", "text/plain"), 1);
    assert_int_equal(props_take_header(&p, OBS_DIALECT_OBS, "x-obs-storage-class", "WARM"), 1);
    assert_int_equal(props_take_header(&p, OBS_DIALECT_OBS, "x-obs-request-id", "1"), 0);
    assert_int_equal(props_take_header(&p, OBS_DIALECT_OBS, "x-obs-meta-", "1"), 0);
    assert_int_equal(props_take_header(&p, OBS_DIALECT_OBS, "x-obs-", "1"), 0);
    assert_int_equal(props_take_header(&p, OBS_DIALECT_OBS, "Date", "1"), 0);
    assert_int_equal(props_take_header(&p, OBS_DIALECT_OBS, "x-amz-meta-a", "1"), 0);
    assert_int_equal(p.n, 3);
    assert_string_equal(obs_props_get(&p, OBS_PROP_META, "owner"), "r\xc3\xa9");
    assert_string_equal(p.v[0].name, "owner");
    assert_string_equal(obs_props_get(&p, OBS_PROP_RAW, "Content-Type"), "text/plain");
    assert_string_equal(obs_props_get(&p, OBS_PROP_HEADER, "storage-class"), "WARM");
    obs_props_clear(&p);
    assert_int_equal(props_take_header(&p, OBS_DIALECT_S3, "x-amz-storage-class", "STANDARD_IA"),
                     1);
    assert_string_equal(obs_props_get(&p, OBS_PROP_HEADER, "storage-class"), "WARM");
    obs_props_clear(&p);
}

static int check_one(enum obs_prop_kind kind, const char *name, const char *value)
{
    struct obs_props p = {0};
    struct err err = {0};
    assert_int_equal(obs_props_set(&p, kind, name, value), 0);
    int rc = props_check(&p, &err);
    assert_true(rc == 0 || err.msg[0]);
    obs_props_clear(&p);
    return rc;
}

static void test_check(void **state)
{
    static char big[PROPS_META_MAX + 2];
    assert_int_equal(check_one(OBS_PROP_META, "mode", "a\r\nb"), 0); /* is encoded */
    assert_int_equal(check_one(OBS_PROP_HEADER, "acl", "a\r\nb"), -EINVAL);
    assert_int_equal(check_one(OBS_PROP_RAW, "Content-Type", "a\nb"), -EINVAL);
    assert_int_equal(check_one(OBS_PROP_META, "a b", "1"), -EINVAL);
    assert_int_equal(check_one(OBS_PROP_META, "a:b", "1"), -EINVAL);
    assert_int_equal(check_one(OBS_PROP_META, "", "1"), -EINVAL);
    assert_int_equal(check_one(OBS_PROP_META, "a\n", "1"), -EINVAL);
    assert_int_equal(check_one(OBS_PROP_META, "\xc3\xa9", "1"), -EINVAL);

    memset(big, 'x', sizeof(big) - 1);
    big[PROPS_META_MAX - 1] = 0;
    assert_int_equal(check_one(OBS_PROP_META, "n", big), 0);
    big[PROPS_META_MAX - 1] = 'x';
    assert_int_equal(check_one(OBS_PROP_META, "n", big), -E2BIG);
    big[PROPS_META_MAX / 3] = 0;
    memset(big, '%', PROPS_META_MAX / 3);
    assert_int_equal(check_one(OBS_PROP_META, "nnnn", big), -E2BIG); /* counts as it is sent */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_get),   cmocka_unit_test(test_values),
        cmocka_unit_test(test_to_header), cmocka_unit_test(test_take_header),
        cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
