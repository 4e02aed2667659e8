// SPDX-License-Identifier: Apache-2.0
// What a failed request means.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/error.h"

static struct err answer(int status, const char *code, int op, enum obs_dialect dialect)
{
    struct err e;
    const struct error_answer a = {
        .status = status, .code = code, .op = op, .dialect = dialect, .request_id = "r1"};
    int rc = error_from_answer(&a, &e);
    assert_int_equal(rc, e.eno);
    return e;
}

static void test_codes(void **state)
{
    static const struct {
        int status;
        const char *code;
        enum err_class cls;
        int eno;
    } v[] = {
        {400, "BadDigest", ERR_RETRY, -EIO},
        {400, "IncompleteBody", ERR_RETRY, -EIO},
        {400, "EntityTooLarge", ERR_FATAL, -EFBIG},
        {400, "EntityTooSmall", ERR_FATAL, -EIO},
        {400, "InvalidPart", ERR_FATAL, -EIO},
        {400, "KeyTooLongError", ERR_FATAL, -ENAMETOOLONG},
        {400, "KeyTooLong", ERR_FATAL, -ENAMETOOLONG},
        {400, "MetadataTooLarge", ERR_FATAL, -E2BIG},
        {400, "KMS.DisabledException", ERR_DENIED, -EACCES},
        {400, "TooManyWrongSignature", ERR_THROTTLED, -EACCES},
        {403, "AccessDenied", ERR_DENIED, -EACCES},
        {403, "InvalidAccessKeyId", ERR_REAUTH, -EACCES},
        {403, "ExpiredToken", ERR_REAUTH, -EACCES},
        {403, "SignatureDoesNotMatch", ERR_DENIED, -EACCES},
        {403, "RequestTimeTooSkewed", ERR_CLOCK_SKEW, -EACCES},
        {403, "InsufficientStorageSpace", ERR_FATAL, -EDQUOT},
        {403, "QuotaExceeded", ERR_FATAL, -EDQUOT},
        {404, "NoSuchKey", ERR_GONE, -ENOENT},
        {404, "NoSuchUpload", ERR_GONE, -ENOENT},
        {405, "FsNotSupport", ERR_FATAL, -EOPNOTSUPP},
        {409, "OperationAborted", ERR_RETRY, -EBUSY},
        {409, "FsObjectConflict", ERR_CONFLICT, -EEXIST},
        {409, "BucketNotEmpty", ERR_CONFLICT, -ENOTEMPTY},
        {412, "PreconditionFailed", ERR_CONFLICT, -ESTALE},
        {416, "InvalidRange", ERR_CONFLICT, -ERANGE},
        {503, "SlowDown", ERR_THROTTLED, -EIO},
        {200, "InternalError", ERR_RETRY, -EIO},
        {301, "PermanentRedirect", ERR_REDIRECT, -EREMCHG},
        /* without a code, or with an unknown one: by status */
        {400, NULL, ERR_FATAL, -EINVAL},
        {401, "", ERR_REAUTH, -EACCES},
        {403, "Whatever", ERR_DENIED, -EACCES},
        {404, NULL, ERR_GONE, -ENOENT},
        {307, NULL, ERR_REDIRECT, -EREMCHG},
        {408, NULL, ERR_RETRY, -ETIMEDOUT},
        {412, NULL, ERR_CONFLICT, -ESTALE},
        {414, NULL, ERR_FATAL, -ENAMETOOLONG},
        {418, NULL, ERR_FATAL, -EIO},
        {429, NULL, ERR_THROTTLED, -EIO},
        {500, NULL, ERR_RETRY, -EIO},
        {502, NULL, ERR_RETRY, -EIO},
        {503, NULL, ERR_THROTTLED, -EIO},
        {599, NULL, ERR_RETRY, -EIO},
        {100, NULL, ERR_RETRY, -EIO},
        {0, NULL, ERR_RETRY, -EIO},
    };
    for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
        struct err e = answer(v[i].status, v[i].code, OBS_GET, OBS_DIALECT_OBS);
        if (e.cls != v[i].cls || e.eno != v[i].eno)
            fail_msg("%d %s: %s %s", v[i].status, v[i].code, err_class_name(e.cls),
                     err_name(e.eno));
        assert_int_equal(e.http, v[i].status);
        assert_string_equal(e.code, v[i].code ? v[i].code : "");
        assert_string_equal(e.request_id, "r1");
        assert_int_not_equal(strlen(e.msg), 0);
    }
}

static void test_success(void **state)
{
    struct err e = answer(204, NULL, OBS_DELETE, OBS_DIALECT_OBS);
    assert_int_equal(e.eno, 0);
    assert_string_equal(e.msg, "");
}

static void test_missing_bucket(void **state)
{
    struct err e = answer(404, NULL, OBS_HEAD_BUCKET, OBS_DIALECT_OBS);
    assert_int_equal(e.cls, ERR_GONE);
    assert_non_null(strstr(e.msg, "bucket"));
    e = answer(404, NULL, OBS_HEAD, OBS_DIALECT_OBS);
    assert_non_null(strstr(e.msg, "object"));
}

/* A refusal names the right that is missing. */
static void test_rights(void **state)
{
    struct err e = answer(403, "AccessDenied", OBS_PUT, OBS_DIALECT_OBS);
    assert_non_null(strstr(e.msg, "obs:object:PutObject"));
    e = answer(403, "AccessDenied", OBS_MP_PART, OBS_DIALECT_S3);
    assert_non_null(strstr(e.msg, "s3:PutObject"));
    e = answer(403, NULL, OBS_LIST, OBS_DIALECT_OBS);
    assert_non_null(strstr(e.msg, "obs:bucket:ListBucket"));
    for (int op = 0; op < OBS_OP_COUNT; op++) {
        assert_true(strncmp(error_right((enum obs_op)op, OBS_DIALECT_OBS), "obs:", 4) == 0);
        assert_true(strncmp(error_right((enum obs_op)op, OBS_DIALECT_S3), "s3:", 3) == 0);
    }
    assert_string_equal(error_right(OBS_OP_COUNT, OBS_DIALECT_OBS), "");

    const struct error_answer a = {.status = 403, .op = -1, .right = "dli:resource:getResource"};
    (void)error_from_answer(&a, &e);
    assert_non_null(strstr(e.msg, "dli:resource:getResource"));
}

static void test_transport(void **state)
{
    for (int f = NET_DNS; f < NET_FAILURE_COUNT; f++) {
        const struct error_answer a = {
            .failure = (enum net_failure)f, .detail = "own words", .op = -1};
        struct err e;
        assert_true(error_from_answer(&a, &e) < 0);
        assert_non_null(strstr(e.msg, "own words"));
        assert_int_equal(e.http, 0);
        assert_int_equal(error_may_repeat(e.cls), f != NET_CERT && f != NET_LOCAL);
    }
}

/* What the service says cannot forge a line, and long words are cut. */
static void test_foreign_words(void **state)
{
    char words[2000];
    struct err e;
    memset(words, 'x', sizeof(words) - 1);
    words[sizeof(words) - 1] = 0;
    words[3] = '\n';
    words[4] = 0x1b;
    const struct error_answer a = {
        .status = 400, .code = words, .message = words, .request_id = words, .op = OBS_PUT};
    (void)error_from_answer(&a, &e);
    assert_null(strpbrk(e.msg, "\n\x1b"));
    assert_null(strpbrk(e.code, "\n\x1b"));
    assert_null(strpbrk(e.request_id, "\n\x1b"));
    assert_int_equal(strlen(e.request_id), sizeof(e.request_id) - 1);
}

static void test_table(void **state)
{
    struct error_row row;
    size_t n = 0;
    for (; error_row(n, &row); n++) {
        assert_true(row.eno < 0);
        assert_string_not_equal(err_name(row.eno), "E?");
        if (row.advice) {
            assert_in_range(strlen(row.advice), 10, 150);
            assert_int_not_equal(row.advice[strlen(row.advice) - 1], '.');
        }
    }
    assert_in_range(n, 60, 200);
}

static void test_backoff(void **state)
{
    /* The middle of the range doubles up to the limit; the range is its upper half. */
    for (unsigned attempt = 1; attempt < 100; attempt++) {
        int64_t low = error_backoff_ms(attempt, ERR_RETRY, 0, 0);
        int64_t high = 0;
        for (uint64_t r = 0; r < 64; r++) {
            int64_t ms = error_backoff_ms(attempt, ERR_RETRY, r * UINT64_C(0x9e3779b97f4a7c15), 0);
            assert_true(ms >= low && ms <= 2 * low);
            high = ms > high ? ms : high;
        }
        assert_true(high > low);
        assert_true(low <= 15000);
    }
    assert_int_equal(error_backoff_ms(1, ERR_RETRY, 0, 0), 100);
    assert_int_equal(error_backoff_ms(2, ERR_RETRY, 0, 0), 200);
    assert_int_equal(error_backoff_ms(100, ERR_RETRY, 0, 0), 15000);
    assert_int_equal(error_backoff_ms(0, ERR_RETRY, 0, 0), 100);
    assert_int_equal(error_backoff_ms(1, ERR_THROTTLED, 0, 0), 500);
    assert_int_equal(error_backoff_ms(UINT32_MAX, ERR_THROTTLED, UINT64_MAX, 0) <= 60000, 1);

    /* Never earlier than the server asked for, and never absurdly late. */
    assert_true(error_backoff_ms(1, ERR_THROTTLED, 0, 7000) >= 7000);
    assert_true(error_backoff_ms(1, ERR_THROTTLED, UINT64_MAX, 7000) <= 9000);
    assert_true(error_backoff_ms(1, ERR_RETRY, UINT64_MAX, INT64_MAX) <= 375000);
    assert_int_equal(error_backoff_ms(1, ERR_RETRY, 0, -5), 100);
    assert_int_equal(error_backoff_ms(1, ERR_REAUTH, 5, 0), 0);
    assert_int_equal(error_backoff_ms(1, ERR_REDIRECT, 5, 0), 0);
}

static void test_retry_after(void **state)
{
    time_t now = 1728976809;
    assert_int_equal(error_retry_after_ms("7", now), 7000);
    assert_int_equal(error_retry_after_ms("0", now), 0);
    assert_int_equal(error_retry_after_ms("99999999999999999999", now), 300000);
    assert_int_equal(error_retry_after_ms("Tue, 15 Oct 2024 07:20:19 GMT", now), 10000);
    assert_int_equal(error_retry_after_ms("Tue, 15 Oct 2024 07:20:00 GMT", now), 0);
    assert_int_equal(error_retry_after_ms("Tue, 15 Oct 2034 07:20:00 GMT", now), 300000);
    assert_int_equal(error_retry_after_ms("soon", now), 0);
    assert_int_equal(error_retry_after_ms("-1", now), 0);
    assert_int_equal(error_retry_after_ms("", now), 0);
    assert_int_equal(error_retry_after_ms(NULL, now), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes),       cmocka_unit_test(test_success),
        cmocka_unit_test(test_rights),      cmocka_unit_test(test_missing_bucket),
        cmocka_unit_test(test_transport),   cmocka_unit_test(test_foreign_words),
        cmocka_unit_test(test_table),       cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_retry_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
