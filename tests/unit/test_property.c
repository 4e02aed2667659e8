// SPDX-License-Identifier: Apache-2.0
// Properties that a user can name: rules of their values, headers, and the form that is stored.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/options.h"
#include "fs/property.h"
#include "net/base/cleanup.h"

static int set(struct obs_props *props, const char *name, const char *value, struct err *err)
{
    return property_set(props, name, value, strlen(value), err);
}

static void test_good(void **state)
{
    static const struct {
        const char *name, *value, *header;
        enum obs_prop_kind kind;
    } v[] = {
        {"acl", "public-read", "acl", OBS_PROP_HEADER},
        {"acl", "bucket-owner-full-control", "acl", OBS_PROP_HEADER},
        {"grant.read", "id=a1", "grant-read", OBS_PROP_HEADER},
        {"grant.read_acp", "id=a1,id=B_2-c", "grant-read-acp", OBS_PROP_HEADER},
        {"grant.write_acp", "id=x", "grant-write-acp", OBS_PROP_HEADER},
        {"grant.full_control", "id=x", "grant-full-control", OBS_PROP_HEADER},
        {"content_type", "text/plain; charset=utf-8", "Content-Type", OBS_PROP_RAW},
        {"storage_class", "COLD", "storage-class", OBS_PROP_HEADER},
        {"website_redirect_location", "/other.html", "website-redirect-location", OBS_PROP_HEADER},
        {"website_redirect_location", "https://example.com/a", "website-redirect-location",
         OBS_PROP_HEADER},
        {"expires", "0", "x-obs-expires", OBS_PROP_RAW},
        {"success_action_redirect", "http://example.com/", "success-action-redirect", OBS_PROP_RAW},
        {"meta.owner", "a b\xc3\xa4%", "owner", OBS_PROP_META},
        {"header.Cache-Control", "no-store", "Cache-Control", OBS_PROP_RAW},
        {"header.x-obs-tagging", "a=1", "x-obs-tagging", OBS_PROP_RAW},
    };
    for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
        struct obs_props props = {0}, headers = {0};
        struct err err = {0};
        assert_int_equal(set(&props, v[i].name, v[i].value, &err), 0);
        assert_int_equal(property_to_header(v[i].name, v[i].value, &headers), 0);
        assert_int_equal(headers.n, 1);
        assert_string_equal(obs_props_get(&headers, v[i].kind, v[i].header), v[i].value);
        obs_props_clear(&props);
        obs_props_clear(&headers);
    }
}

static void test_bad(void **state)
{
    static char long_url[2060] = "/";
    static const struct {
        const char *name, *value;
    } v[] = {
        {"acl", "public-read-delivered"},
        {"acl", "public-read-write-delivered"},
        {"acl", "Private"},
        {"acl", ""},
        {"grant.write", "id=a"},
        {"grant.read_delivered", "id=a"},
        {"grant.read", "a"},
        {"grant.read", "id="},
        {"grant.read", "id=a,"},
        {"grant.read", "id=a, id=b"},
        {"grant.read", "id=a\r\nx:y"},
        {"content_type", "text"},
        {"content_type", "/plain"},
        {"content_type", "text/"},
        {"content_type", "text/pl ain"},
        {"content_type", "text/plain\n"},
        {"storage_class", "warm"},
        {"storage_class", "GLACIER"},
        {"website_redirect_location", "other.html"},
        {"website_redirect_location", "/"},
        {"website_redirect_location", "ftp://x/"},
        {"website_redirect_location", "/\xc3\xa4"},
        {"website_redirect_location", long_url},
        {"expires", "-1"},
        {"expires", ""},
        {"expires", "1.5"},
        {"expires", "12345678"},
        {"success_action_redirect", "/x"},
        {"meta.", "x"},
        {"meta.a b", "x"},
        {"meta.\xc3\xa4", "x"},
        {"meta.mode", "x"},
        {"meta.OBSMOUNT", "x"},
        {"meta.a", ""},
        {"header.", "x"},
        {"header.Authorization", "x"},
        {"header.content-type", "x"},
        {"header.x-obs-acl", "private"},
        {"header.x-obs-meta-a", "x"},
        {"header.X-AMZ-server-side-encryption", "x"},
        {"header.a", "x\r\ny"},
        {"header.a", ""},
        {"sse", "aes"},
        {"sse", "c:../key"},
        {"sse", "kms:"},
        {"part_size", "10"},
        {"part_size", "6G"},
        {"dir_markers", "perhaps"},
        {"etag", "x"},
        {"upload_id", "x"},
        {"result", "x"},
        {"nothing", "x"},
        {"", "x"},
    };
    memset(long_url + 1, 'a', sizeof(long_url) - 2);
    for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
        struct obs_props props = {0};
        struct err err = {0};
        assert_int_equal(set(&props, v[i].name, v[i].value, &err), -EINVAL);
        assert_true(err.msg[0]);
        assert_int_equal(props.n, 0);
    }
    struct obs_props props = {0};
    assert_int_equal(property_set(&props, "meta.a", "x\0y", 3, NULL), -EINVAL);
}

static void test_names(void **state)
{
    struct obs_props props = {0};
    assert_int_equal(set(&props, "meta.Owner", "a", NULL), 0);
    assert_int_equal(set(&props, "meta.OWNER", "b", NULL), 0);
    assert_int_equal(props.n, 1);
    assert_string_equal(props.v[0].name, "meta.owner");
    assert_string_equal(props.v[0].value, "b");
    assert_true(property_drop(&props, OBS_PROP_RAW, "meta.owner"));
    assert_false(property_drop(&props, OBS_PROP_RAW, "meta.owner"));
    assert_int_equal(props.n, 0);
    obs_props_clear(&props);

    const struct property *p = property_find("header.cache-control");
    assert_true(property_flags(p, "header.cache-control") & PROPERTY_TOLD);
    assert_int_equal(property_place_of(p, "header.cache-control"), PROPERTY_METADATA);
    assert_int_equal(property_place_of(p, "header.x-obs-tagging"), PROPERTY_NEW);
    assert_null(property_find("meta."));
    assert_null(property_find("grant.write"));
}

static void test_stored(void **state)
{
    struct obs_props props = {0}, back = {0};
    CLEANUP_BUF struct buf text = BUF_INIT(4096);
    CLEANUP_BUF struct buf none = BUF_INIT(16);
    assert_int_equal(property_encode(&props, &none), 0);
    assert_string_equal(buf_str(&none), "1");

    assert_int_equal(set(&props, "acl", "private", NULL), 0);
    assert_int_equal(set(&props, "meta.x", "a&b=c%20%&", NULL), 0);
    assert_int_equal(set(&props, "part_size", "1M", NULL), 0);
    assert_int_equal(property_encode(&props, &text), 0);
    assert_string_equal(buf_str(&text), "1&acl=private&meta.x=a%26b=c%2520%25%26&part_size=1M");
    assert_int_equal(property_decode(&back, buf_str(&text)), 0);
    assert_int_equal(back.n, 3);
    assert_string_equal(obs_props_get(&back, OBS_PROP_RAW, "meta.x"), "a&b=c%20%&");
    obs_props_clear(&props);

    /* what others may have written there */
    static const char *const odd[] = {
        "",     "2&acl=private", "acl=private", "1acl=private", "1&",       "1&&&",    "1&acl",
        "1&=x", "1&acl=x",       "1&acl=%zz",   "1&acl=a%00b",  "1&none=1", "1&etag=x"};
    for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
        assert_int_equal(property_decode(&back, odd[i]), 0);
        assert_int_equal(back.n, 0);
    }
    assert_int_equal(property_decode(&back, "1&bad=1&acl=private&&expires=x&meta.a=b"), 0);
    assert_int_equal(back.n, 2);
    obs_props_clear(&back);
}

static void test_options(void **state)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"acl=public-read-delivered", "acl=public-read-delivered"},
        {"storage_class=HOT", "STANDARD, WARM or COLD"},
        {"expires=soon", "number of days"},
        {"meta=:x", "NAME:VALUE"},
        {"meta=mode:1", "obsmount's own"},
        {"grant_read=me", "id=ACCOUNT"},
        {"content_type=text", "content type"},
        {"website_redirect_location=x", "/KEY"},
        {"success_action_redirect=x", "http://"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct options opt;
        struct err err = {0};
        assert_int_equal(options_init(&opt), 0);
        int rc = options_parse(&opt, "endpoint=localhost", false, &err);
        if (rc == 0)
            rc = options_parse(&opt, bad[i].text, false, &err);
        if (rc == 0)
            rc = options_check(&opt, &err);
        assert_int_equal(rc, -EINVAL);
        assert_non_null(strstr(err.msg, bad[i].says));
        options_done(&opt);
    }
    struct options opt;
    struct err err = {0};
    struct obs_props props = {0};
    assert_int_equal(options_init(&opt), 0);
    assert_int_equal(options_parse(&opt,
                                   "acl=private,grant_read=id=a\\,id=b,expires=3,meta=Owner:x:y,"
                                   "meta=b:2,storage_class=WARM",
                                   false, &err),
                     0);
    assert_int_equal(property_from_options(&opt, &props, &err), 0);
    assert_int_equal(props.n, 6);
    assert_string_equal(obs_props_get(&props, OBS_PROP_RAW, "grant.read"), "id=a,id=b");
    assert_string_equal(obs_props_get(&props, OBS_PROP_RAW, "meta.owner"), "x:y");
    obs_props_clear(&props);
    options_done(&opt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),   cmocka_unit_test(test_bad),     cmocka_unit_test(test_names),
        cmocka_unit_test(test_stored), cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
