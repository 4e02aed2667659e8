// SPDX-License-Identifier: Apache-2.0
// AWS signature version 4; see sign.h.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "net/base/clock.h"
#include "net/sign_impl.h"

enum { SCOPE_MAX = 128 };

static bool covers(const char *name, const void *arg)
{
    (void)arg;
    return strcasecmp(name, "host") == 0 || strcasecmp(name, "date") == 0 ||
           strcasecmp(name, "content-type") == 0 || strcasecmp(name, "content-md5") == 0 ||
           strncasecmp(name, "x-amz-", 6) == 0;
}

int sign_aws4_text(const struct sign_request *r, struct buf *ret)
{
    const struct sign_header *headers[SIGN_ALL_MAX];
    size_t n = sign_select(r, covers, NULL, headers);
    const char *payload = sign_find_header(r, "x-amz-content-sha256");

    if (r->n_query > SIGN_QUERY_MAX)
        return -E2BIG;
    buf_addf(ret, "%s\n%s\n", r->method, r->path);
    sign_add_query(ret, r->query, r->n_query);
    buf_addc(ret, '\n');
    sign_add_headers(ret, headers, n);
    buf_addc(ret, '\n');
    sign_add_names(ret, headers, n);
    buf_addf(ret, "\n%s", payload ? payload : "UNSIGNED-PAYLOAD");
    return ret->eno;
}

/* The key of one day, region and service. */
static int derive_key(const struct cred *cred, const char *day, const char *region,
                      unsigned char key[DIGEST_SHA256_SIZE])
{
    const char *const steps[] = {day, region, "s3", "aws4_request"};
    char first[CRED_SK_MAX + 8];
    unsigned char next[DIGEST_SHA256_SIZE];

    int n = snprintf(first, sizeof(first), "AWS4%s", cred->sk);
    int rc = digest_hmac(DIGEST_SHA256, first, (size_t)n, steps[0], strlen(steps[0]), key);
    for (size_t i = 1; i < sizeof(steps) / sizeof(*steps) && rc == 0; i++) {
        rc = digest_hmac(DIGEST_SHA256, key, DIGEST_SHA256_SIZE, steps[i], strlen(steps[i]), next);
        memcpy(key, next, sizeof(next));
    }
    explicit_bzero(first, sizeof(first));
    explicit_bzero(next, sizeof(next));
    return rc;
}

/* Signature in hex over the draft's headers. */
static int signature(const struct sign_request *r, const struct cred *cred, const char *stamp,
                     const char *scope, char out[2 * DIGEST_SHA256_SIZE + 1])
{
    CLEANUP_SECRET_BUF struct buf text = BUF_INIT(SIGN_TEXT_MAX);
    unsigned char key[DIGEST_SHA256_SIZE];
    unsigned char mac[DIGEST_SHA256_SIZE];
    char hash[2 * DIGEST_SHA256_SIZE + 1];
    char to_sign[SCOPE_MAX + 128];
    char day[9];

    int rc = sign_aws4_text(r, &text);
    if (rc == 0)
        rc = sign_hash_hex(buf_str(&text), text.n, hash);
    if (rc < 0)
        return rc;
    int n = snprintf(to_sign, sizeof(to_sign), "AWS4-HMAC-SHA256\n%s\n%s\n%s", stamp, scope, hash);
    memcpy(day, stamp, 8);
    day[8] = 0;
    rc = derive_key(cred, day, r->region, key);
    if (rc == 0)
        rc = digest_hmac(DIGEST_SHA256, key, sizeof(key), to_sign, (size_t)n, mac);
    explicit_bzero(key, sizeof(key));
    if (rc == 0)
        hex_encode(mac, sizeof(mac), out);
    return rc;
}

static int add_authorization(struct sign_draft *d, const struct cred *cred, const char *stamp,
                             struct sign_lines *ret)
{
    char scope[SCOPE_MAX];
    char sig[2 * DIGEST_SHA256_SIZE + 1];
    CLEANUP_BUF struct buf auth = BUF_INIT(SIGN_TEXT_MAX);
    const struct sign_header *headers[SIGN_ALL_MAX];

    int n = snprintf(scope, sizeof(scope), "%.8s/%s/s3/aws4_request", stamp, d->r.region);
    if (n < 0 || n >= (int)sizeof(scope))
        return -EINVAL;
    int rc = signature(&d->r, cred, stamp, scope, sig);
    if (rc < 0)
        return rc;
    size_t n_headers = sign_select(&d->r, covers, NULL, headers);
    buf_addf(&auth, "AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=", cred->ak, scope);
    sign_add_names(&auth, headers, n_headers);
    buf_addf(&auth, ",Signature=%s", sig);
    return auth.eno ? auth.eno : sign_add_line(d, ret, "Authorization", buf_str(&auth));
}

int sign_aws4(const struct sign_request *r, const struct cred *cred, struct sign_lines *ret)
{
    struct sign_draft d;
    char stamp[SIGN_TIME_MAX];

    *ret = (struct sign_lines){0};
    int rc = sign_begin(&d, r);
    if (rc < 0)
        return rc;
    if (!r->region || !r->region[0] || !sign_find_header(r, "host"))
        return -EINVAL;

    /* The time that is signed has to be the one that is sent. */
    const char *given = sign_find_header(r, "x-amz-date");
    const char *date = sign_find_header(r, "Date");
    time_t now = r->now;
    if (!given && date && clock_parse_http_date(date, &now) < 0)
        return -EINVAL;
    sign_time(now, stamp);
    if (given && strlen(given) != strlen(stamp))
        return -EINVAL;
    if (given)
        memcpy(stamp, given, strlen(stamp));
    if (!given && !date)
        rc = sign_add_line(&d, ret, "x-amz-date", stamp);
    if (rc == 0)
        rc = sign_add_line(&d, ret, "x-amz-content-sha256",
                           r->sha256 ? r->sha256 : "UNSIGNED-PAYLOAD");
    if (rc == 0 && cred->token[0])
        rc = sign_add_line(&d, ret, "x-amz-security-token", cred->token);
    if (rc == 0)
        rc = add_authorization(&d, cred, stamp, ret);
    return sign_finish(rc, ret);
}
