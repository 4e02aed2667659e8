// SPDX-License-Identifier: Apache-2.0
// Access lists as properties and as headers of a copy.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fs/access.h"
#include "fs/property.h"

#define EVERYONE(right)                                                                            \
    {                                                                                              \
        .everyone = true, .permission = right                                                      \
    }
#define ACCOUNT(name, right)                                                                       \
    {                                                                                              \
        .id = (char *)(name), .permission = right                                                  \
    }

static const char *raw(const struct obs_props *set, const char *name)
{
    return obs_props_get(set, OBS_PROP_RAW, name);
}

static void test_canned(void **state)
{
    struct obs_right rights[] = {ACCOUNT("me", "FULL_CONTROL"), EVERYONE("READ"),
                                 EVERYONE("WRITE")};
    static const char *const names[] = {"private", "public-read", "public-read-write"};
    for (size_t n = 1; n <= 3; n++) {
        const struct obs_acl acl = {.owner = "me", .v = rights, .n = n};
        struct obs_props set = {0};
        bool lost = true;
        assert_int_equal(access_from_acl(&acl, &set, &lost), 0);
        assert_false(lost);
        assert_int_equal(set.n, 1);
        assert_string_equal(raw(&set, "acl"), names[n - 1]);
        obs_props_clear(&set);
    }
}

static void test_grants(void **state)
{
    struct obs_right rights[] = {
        ACCOUNT("a", "READ"),      ACCOUNT("me", "FULL_CONTROL"), ACCOUNT("b", "READ"),
        ACCOUNT("a", "READ_ACP"),  ACCOUNT("a", "READ"),          ACCOUNT("c", "FULL_CONTROL"),
        ACCOUNT("a", "WRITE_ACP"), ACCOUNT("me", "READ"),
    };
    const struct obs_acl acl = {.owner = "me", .v = rights, .n = 8};
    struct obs_props set = {0};
    bool lost;
    assert_int_equal(access_from_acl(&acl, &set, &lost), 0);
    assert_false(lost);
    assert_string_equal(raw(&set, "grant.read"), "id=a,id=b,id=me");
    assert_string_equal(raw(&set, "grant.read_acp"), "id=a");
    assert_string_equal(raw(&set, "grant.write_acp"), "id=a");
    assert_string_equal(raw(&set, "grant.full_control"), "id=c");
    obs_props_clear(&set);
}

/* What no property can say is told, and the rest is there. */
static void test_lost(void **state)
{
    static struct obs_right odd[] = {
        ACCOUNT("a", "WRITE"),  EVERYONE("READ_ACP"),   EVERYONE("WRITE"),
        {.permission = "READ"}, ACCOUNT("a b", "READ"), ACCOUNT("", "READ"),
    };
    for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
        struct obs_right rights[] = {ACCOUNT("x", "READ_ACP"), odd[i]};
        const struct obs_acl acl = {.owner = "me", .v = rights, .n = 2};
        struct obs_props set = {0};
        bool lost = false;
        assert_int_equal(access_from_acl(&acl, &set, &lost), 0);
        assert_true(lost);
        assert_string_equal(raw(&set, "acl"), "private");
        assert_string_equal(raw(&set, "grant.read_acp"), "id=x");
        assert_null(raw(&set, "grant.read"));
        obs_props_clear(&set);
    }
}

/* Of what was set earlier only a word stays that a list cannot tell. */
static void test_headers(void **state)
{
    struct obs_right rights[] = {ACCOUNT("a", "READ"), EVERYONE("READ")};
    for (size_t n = 1; n <= 2; n++) {
        const struct obs_acl acl = {.owner = "me", .v = rights, .n = n};
        struct obs_props headers = {0};
        bool lost;
        assert_int_equal(obs_props_set(&headers, OBS_PROP_HEADER, "grant-full-control", "id=z"), 0);
        assert_int_equal(obs_props_set(&headers, OBS_PROP_HEADER, "storage-class", "WARM"), 0);
        assert_int_equal(
            obs_props_set(&headers, OBS_PROP_HEADER, "acl", "bucket-owner-full-control"), 0);
        assert_int_equal(access_to_headers(&acl, &headers, &lost), 0);
        assert_int_equal(headers.n, 3);
        assert_string_equal(obs_props_get(&headers, OBS_PROP_HEADER, "acl"),
                            n == 1 ? "bucket-owner-full-control" : "public-read");
        assert_string_equal(obs_props_get(&headers, OBS_PROP_HEADER, "grant-read"), "id=a");
        assert_string_equal(obs_props_get(&headers, OBS_PROP_HEADER, "storage-class"), "WARM");
        obs_props_clear(&headers);
    }
    const struct obs_acl none = {.owner = "me"};
    struct obs_props headers = {0};
    bool lost;
    assert_int_equal(obs_props_set(&headers, OBS_PROP_HEADER, "acl", "public-read"), 0);
    assert_int_equal(access_to_headers(&none, &headers, &lost), 0);
    assert_int_equal(headers.n, 0);
    obs_props_clear(&headers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canned),
        cmocka_unit_test(test_grants),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
