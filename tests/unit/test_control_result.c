// SPDX-License-Identifier: Apache-2.0
// The answer to an upload as JSON: success, failure, odd fields.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/control_result.h"
#include "net/base/cleanup.h"

static void assert_says(const struct result *r, const char *const *words, bool yes)
{
    CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);
    assert_int_equal(result_format(r, &out), 0);
    for (; *words; words++) {
        if ((strstr(buf_str(&out), *words) != NULL) != yes)
            fail_msg("'%s' %s in %s", *words, yes ? "is not" : "is", buf_str(&out));
    }
}

static void test_success(void **state)
{
    const struct result r = {
        .bucket = "bkt",
        .key = "a/b",
        .url = "https://bkt.obs.x/a/b",
        .status = 200,
        .multipart = true,
        .redirect = true,
        .etag = "0123-2",
        .version_id = "v1",
        .fields = "x-obs-request-id: 0001\nServer: OBS\nx-reserved-indicator: 7\n"
                  "x-obs-server-side-encryption: kms\nX-Obs-Server-Side-Encryption-Kms-Key-Id: k\n"
                  "x-obs-server-side-encryption-customer-algorithm: AES256\n"
                  "x-obs-server-side-encryption-customer-key-MD5: m\n"};
    static const char *const yes[] = {"\"status\": 200",
                                      "\"reason\": \"OK\"",
                                      "\"requestId\": \"0001\"",
                                      "\"indicator\": \"7\"",
                                      "\"etag\": \"0123-2\"",
                                      "\"versionId\": \"v1\"",
                                      "\"location\": \"https://bkt.obs.x/a/b\"",
                                      "\"sseKms\": \"kms\"",
                                      "\"sseKmsKey\": \"k\"",
                                      "\"sseC\": \"AES256\"",
                                      "\"sseCKeyMd5\": \"m\"",
                                      "\"note\": ",
                                      NULL};
    static const char *const no[] = {"errorCode", "errorMessage", "hostId", "resource", NULL};
    assert_says(&r, yes, true);
    assert_says(&r, no, false);
}

static void test_failure(void **state)
{
    struct result r = {.bucket = "bkt",
                       .key = "k\xff",
                       .status = 403,
                       .host_id = "h",
                       .resource = "/k",
                       .fields = "no colon\n:\nx-obs-request-id: 0\xff"
                                 "2\nx: \n"};
    err_set(&r.err, -EACCES, "access denied");
    (void)strcpy(r.err.code, "AccessDenied");
    static const char *const yes[] = {"\"status\": 403",
                                      "\"reason\": \"Forbidden\"",
                                      "\"errorCode\": \"AccessDenied\"",
                                      "\"errorMessage\": \"access denied\"",
                                      "\"hostId\": \"h\"",
                                      "\"resource\": \"/k\"",
                                      "\"requestId\": \"0?2\"",
                                      "\"body\": null",
                                      NULL};
    assert_says(&r, yes, true);

    /* no answer came */
    struct result none = {.bucket = "bkt", .key = "k"};
    err_set(&none.err, -EIO, "connection refused");
    static const char *const nothing[] = {"\"status\": null", "\"header\": []",
                                          "\"errorCode\": null", "connection refused", NULL};
    assert_says(&none, nothing, true);
}

static void test_redirect(void **state)
{
    const struct result r = {
        .bucket = "bkt", .key = "k", .status = 303, .fields = "Location: http://x/\n"};
    static const char *const yes[] = {"\"status\": 303", "\"body\": null", "http://x/", NULL};
    static const char *const no[] = {"errorCode", "note", NULL};
    assert_says(&r, yes, true);
    assert_says(&r, no, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_success),
        cmocka_unit_test(test_failure),
        cmocka_unit_test(test_redirect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
