// SPDX-License-Identifier: Apache-2.0
/* obs-local's signatures against vectors that two official SDKs and openssl agree on */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/obs-local/sign.h"

#define SK "ExampleSK/0000000000000000000000000000+1"
#define D "Tue, 15 Oct 2024 07:20:09 GMT"
#define U "00000163D40171ED8DF4050919BD02B8"
#define ODD_KEY "a~b%21c%27d%28e%29%2Af/g%40h%3Ai%2Cj%3Bk%3Dl%26m%24n%25o"

/* A request in short: headers as name, value, .. NULL. */
struct vector {
    const char *name;
    const char *method;
    const char *bucket; /* virtual host */
    const char *path;
    const char *query;
    const char *headers[14];
    const char *prefix;
    const char *expires;
    const char *signature;
};

static const struct vector vectors[] = {
    {"T1",
     "GET",
     "test-bucket",
     "/object.txt",
     "",
     {"date", D},
     "x-obs-",
     NULL,
     "EcP7FbTYjecqRxvHFYfrEpXJWVw="},
    {"T2",
     "POST",
     "test-bucket",
     "/dir%20a/r%C3%A9sum%C3%A9%2Bv1%282%29.txt",
     "uploads&encoding-type=url",
     {"date", D, "content-type", "text/plain", "x-obs-acl", "private", "x-obs-storage-class",
      "WARM", "x-obs-meta-mtime", "1700000000.5", "x-obs-meta-owner", "A B"},
     "x-obs-",
     NULL,
     "aohhzXen27QBgvcDvAuuDnTABAE="},
    {"T3",
     "PUT",
     "test-bucket",
     "/object.bin",
     "partNumber=2&uploadId=" U,
     {"date", D, "content-md5", "XUFAKrxLKna5cZ2REBfFkg==", "content-type", "application/json"},
     "x-obs-",
     NULL,
     "AyJaptWkHuWfzei0IJ+kyk84lN4="},
    {"T4",
     "GET",
     "test-bucket",
     "/",
     "prefix=dir%20a/&marker=dir%20a/b&max-keys=1000&delimiter=/&encoding-type=url",
     {"date", D, "x-obs-security-token", "TOKEN123=="},
     "x-obs-",
     NULL,
     "+aVSMMbJ0uijHwz/0VTIuDPcJxQ="},
    {"T5",
     "POST",
     "test-pfs",
     "/dir1/old.txt",
     "rename&name=dir1/%C3%BCber%20neu.txt",
     {"date", D},
     "x-obs-",
     NULL,
     "NwibYZkA3/XX/in4uYBA4X3ITw4="},
    {"T6",
     "POST",
     "test-bucket",
     "/object.bin",
     "uploadId=" U,
     {"date", D},
     "x-obs-",
     NULL,
     "E670c5AA1dG0x0pw+nJpsbUwt2Y="},
    {"T7",
     "GET",
     "test-bucket",
     "/object.txt",
     "response-content-type=text/plain%3B%20charset%3Dutf-8&"
     "versionId=G001118A49821905FFFFD28739D419DA",
     {"date", D},
     "x-obs-",
     NULL,
     "IPoEib6sRQ0pjjPyHlTv2CAhUWI="},
    {"T8",
     "POST",
     "test-bucket",
     "/",
     "delete",
     {"date", D, "content-md5", "SpYVDMdjd4B6rAPzbPJU1w=="},
     "x-obs-",
     NULL,
     "X8h4fnN2U5ZxwbhiyAH3x6T/9P0="},
    {"T9",
     "HEAD",
     "test-bucket",
     "/",
     "",
     {"date", D},
     "x-obs-",
     NULL,
     "sYE5GGJsD++VqgMRm2f0l5j2PWM="},
    {"T10",
     "PUT",
     "test-bucket",
     "/object.txt",
     "",
     {"x-obs-date", D, "content-md5", "I5pU0r4+sgO9Emgl1KMQUg==", "content-type", "text/plain"},
     "x-obs-",
     NULL,
     "X+csA8FNpaELm/FsdHKk4k4hrsE="},
    {"T11",
     "PUT",
     "test-bucket",
     "/object.txt",
     "metadata",
     {"date", D, "x-obs-meta-mode", "33188", "x-obs-metadata-directive", "REPLACE_NEW"},
     "x-obs-",
     NULL,
     "MfJNVefcSjcvDxGIYUK7w7nn39c="},
    {"T12a",
     "POST",
     "test-bucket",
     "/log.txt",
     "append&position=10",
     {"date", D},
     "x-obs-",
     NULL,
     "buSVnfGbc2tOJx7Hnqboewl/OOs="},
    {"T12b",
     "PUT",
     "test-pfs",
     "/f",
     "truncate&length=1000",
     {"date", D},
     "x-obs-",
     NULL,
     "sPs67NBJhv1bsbBH3tKWT8UCXb4="},
    {"T12c",
     "PUT",
     "test-pfs",
     "/f",
     "modify&position=4096",
     {"date", D},
     "x-obs-",
     NULL,
     "RqnmgI6Ny9g70ukUO78prall+4U="},
    {"T13",
     "GET",
     "test-bucket",
     "/" ODD_KEY,
     "",
     {"date", D},
     "x-obs-",
     NULL,
     "Gj5l0rZF2fS0IrlP4oTlVrNKivc="},
    {"T14a",
     "GET",
     NULL,
     "/test-bucket",
     "",
     {"date", D},
     "x-amz-",
     NULL,
     "6ivvawGlmoeJBzvFaK01vQ7aUkY="},
    {"T14b",
     "PUT",
     "test-bucket",
     "/object.bin",
     "partNumber=2&uploadId=" U,
     {"date", D, "content-type", "application/json"},
     "x-amz-",
     NULL,
     "eAMQyThipDT4H3yFRHKuI2qKtrA="},
    {"T15a",
     "GET",
     "test-bucket",
     "/object.txt",
     "AccessKeyId=EXAMPLEAK00000000001&Expires=1728980409&Signature=x",
     {NULL},
     "x-obs-",
     "1728980409",
     "61eb84Z46euHw76xpCDio5O4L8U="},
    {"T15b",
     "PUT",
     "test-bucket",
     "/object.bin",
     "partNumber=2&uploadId=" U "&x-obs-security-token=TOKEN123%3D%3D",
     {"content-type", "application/octet-stream"},
     "x-obs-",
     "1728980409",
     "Dgm1dVCRf54Y9MPZXcpJHDwZqPg="},
};

static void fill(struct arena *a, const struct vector *v, struct pairs *headers,
                 struct pairs *query, struct sign_req *r)
{
    for (size_t i = 0; i < 14 && v->headers[i]; i += 2)
        arena_pairs_add(a, headers, v->headers[i], v->headers[i + 1]);
    assert_true(text_query(a, v->query, false, query));
    *r = (struct sign_req){v->method, v->path, v->bucket, headers, query};
}

static void test_vectors(void **state)
{
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct arena a = {0};
        struct pairs headers = {0}, query = {0};
        struct sign_req r;
        struct buf text = BUF_INIT(65536);
        char got[32];
        const char *want = vectors[i].signature;
        fill(&a, &vectors[i], &headers, &query, &r);
        sign_text_v2(&r, vectors[i].prefix, vectors[i].expires, false, &text);
        sign_hmac_sha1(SK, &text, got);
        if (strcmp(got, want) != 0)
            print_message("%s signs:\n%s\n", vectors[i].name, buf_str(&text));
        assert_string_equal(got, want);
        buf_done(&text);
        arena_done(&a);
    }
}

static void test_v4(void **state)
{
    struct arena a = {0};
    struct pairs headers = {0}, query = {0};
    struct buf text = BUF_INIT(65536);
    char hash[65], got[65];
    arena_pairs_add(&a, &headers, "date", D);
    arena_pairs_add(&a, &headers, "host", "test-bucket.obs.cn-north-4.myhuaweicloud.com");
    arena_pairs_add(&a, &headers, "x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    struct sign_req r = {"GET", "/object.txt", NULL, &headers, &query};
    sign_text_v4(&r, "date;host;x-amz-content-sha256", "UNSIGNED-PAYLOAD", &text);
    sign_sha256_hex(buf_str(&text), text.n, hash);
    assert_string_equal(hash, "2197e104131627f97ba5c061b742bd0a285f3c71746ed5946e2d0f8df1660c1a");
    sign_v4(SK, "20241015T072009Z", "20241015/cn-north-4/s3/aws4_request", &text, got);
    assert_string_equal(got, "b34e7416c27a3d86d7a508dc69aa7290bfafb4706c0a5b9a19ac43dafc968dbe");
    buf_done(&text);
    arena_done(&a);
}

#define P "0123456789abcdef0123456789abcdef"
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void check_sdk(const char *secret, const char *method, const char *path, const char *query,
                      const char *const *header, const char *signed_headers, const char *hash,
                      const char *want)
{
    struct arena a = {0};
    struct pairs headers = {0}, q = {0};
    struct buf text = BUF_INIT(65536);
    char got[65];
    const char *time = "";
    for (; *header; header += 2) {
        arena_pairs_add(&a, &headers, header[0], header[1]);
        if (strcmp(header[0], "x-sdk-date") == 0)
            time = header[1];
    }
    assert_true(text_query(&a, query, false, &q));
    struct sign_req r = {method, path, NULL, &headers, &q};
    sign_text_sdk(&r, signed_headers, hash, &text);
    sign_sdk(secret, time, &text, got);
    if (strcmp(got, want) != 0)
        print_message("%s\n", buf_str(&text));
    assert_string_equal(got, want);
    buf_done(&text);
    arena_done(&a);
}

static void test_sdk(void **state)
{
    static const char sk[] = "example-secret-key-not-a-real-one-000001";
    const char *v0[] = {"host", "service.endpoint.myhuaweicloud.com", "x-sdk-date",
                        "20200608T023900Z", NULL};
    check_sdk("SecretKey", "GET", "/resources", "size=1", v0, "host;x-sdk-date", EMPTY,
              "cfb4171acec81de07d50e53d57eb77edd537414d66ddb1d7d780f128e12cd842");
    check_sdk("SecretKey", "POST", "/resources", "size=1", v0, "host;x-sdk-date",
              "8ed555081b9961769014bc1182c629bb0fe68d7b01c1fc1caab4dc791f377e8c",
              "436b1ac0a1ae03705934bb70ef2f2e09f7bfed2117d731a38235053199323a1f");
    const char *v1[] = {"content-type",
                        "application/json",
                        "host",
                        "dli.cn-north-4.myhuaweicloud.com",
                        "x-project-id",
                        P,
                        "x-sdk-date",
                        "20250102T030405Z",
                        NULL};
    check_sdk(sk, "POST", "/v2.0/" P "/resources/pyfiles", "", v1,
              "content-type;host;x-project-id;x-sdk-date",
              "df5abe29ac300c437c834cf5eb0f456c7ffa114bc6622f174f2a29675209daed",
              "0a25a03ed8af382061d23cf60de59e0bdcedc96baf47ac17b1afd6307476adc3");
    const char *v2[] = {"content-type",
                        "application/json",
                        "host",
                        "dli.cn-north-4.myhuaweicloud.com",
                        "x-project-id",
                        P,
                        "x-sdk-date",
                        "20250102T030405Z",
                        "x-security-token",
                        "TOKEN/with+chars==",
                        NULL};
    check_sdk(sk, "GET", "/v2.0/" P "/resources/my%21lib_1.0-a.py",
              "group=g.1_x-y&Z=a%20b&a=1%2B1%3D2&tags=k%3Dv%2C%C3%A9", v2,
              "content-type;host;x-project-id;x-sdk-date;x-security-token", EMPTY,
              "e651204ebc50efa5fb8c3d32d835c933be180ba837a85e883413e1de01e74cc3");
    const char *v3[] = {"content-type",
                        "application/json",
                        "host",
                        "modelarts.cn-north-4.myhuaweicloud.com",
                        "x-project-id",
                        P,
                        "x-sdk-date",
                        "20250102T030405Z",
                        NULL};
    check_sdk(sk, "POST", "/v2/" P "/datasets/gfghHSokody6AJigS5A/sync-data", "", v3,
              "content-type;host;x-project-id;x-sdk-date", EMPTY,
              "083c1ce7b62eff1735d995f907e12c87fd255bbeb96989a7611ba9bfbcb35850");
    const char *v4[] = {"host", "iam.cn-north-4.myhuaweicloud.com", "x-sdk-date",
                        "20250102T030405Z", NULL};
    check_sdk(sk, "GET", "/v3/projects", "name=cn-north-4", v4, "host;x-sdk-date", EMPTY,
              "59f590e4b7f0a6d7f8673c7dd94bc6d435d233f85f10ff79d52da38d56837cc1");
}

static void test_text(void **state)
{
    struct arena a = {0};
    struct buf b = BUF_INIT(4096);
    text_encode(&b, "a~b!c'd(e)*f/g@h:i,j;k=l&m$n%o", true);
    assert_string_equal(buf_str(&b), ODD_KEY);
    assert_string_equal(text_decode(&a, ODD_KEY, strlen(ODD_KEY), false),
                        "a~b!c'd(e)*f/g@h:i,j;k=l&m$n%o");
    assert_string_equal(text_decode(&a, "a+b%2Bc%zz%4", 12, true), "a b+c%zz%4");
    assert_null(text_decode(&a, "a%00b", 5, false));
    buf_reset(&b);
    text_json(&b, "q\"\\\n\xff\xc3\xa9");
    assert_string_equal(buf_str(&b), "\"q\\\"\\\\\\u000a\\u00ff\xc3\xa9\"");
    assert_true(text_glob("a*c?", "abbcd"));
    assert_true(text_glob("*", ""));
    assert_false(text_glob("a*c", "abd"));
    assert_false(text_glob("", "a"));
    buf_done(&b);
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_v4),
        cmocka_unit_test(test_sdk),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
