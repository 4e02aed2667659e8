// SPDX-License-Identifier: Apache-2.0
// SDK-HMAC-SHA256, the signature of the other cloud services; see sign.h.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "net/sign_impl.h"

static const char empty_sha256[] =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static bool covers(const char *name, const void *arg)
{
    static const char *const names[] = {"content-type", "host",       "x-project-id",
                                        "x-domain-id",  "x-sdk-date", "x-security-token"};
    (void)arg;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strcasecmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

int sign_sdk_text(const struct sign_request *r, struct buf *ret)
{
    const struct sign_header *headers[SIGN_ALL_MAX];
    size_t n = sign_select(r, covers, NULL, headers);
    size_t n_path = strlen(r->path);

    if (r->n_query > SIGN_QUERY_MAX)
        return -E2BIG;
    buf_addf(ret, "%s\n%s%s\n", r->method, r->path,
             n_path && r->path[n_path - 1] == '/' ? "" : "/");
    sign_add_query(ret, r->query, r->n_query);
    buf_addc(ret, '\n');
    sign_add_headers(ret, headers, n);
    buf_addc(ret, '\n');
    sign_add_names(ret, headers, n);
    buf_addf(ret, "\n%s", r->sha256 ? r->sha256 : empty_sha256);
    return ret->eno;
}

static int signature(const struct sign_request *r, const struct cred *cred, const char *stamp,
                     char out[2 * DIGEST_SHA256_SIZE + 1])
{
    CLEANUP_SECRET_BUF struct buf text = BUF_INIT(SIGN_TEXT_MAX);
    unsigned char mac[DIGEST_SHA256_SIZE];
    char hash[2 * DIGEST_SHA256_SIZE + 1];
    char to_sign[128];

    int rc = sign_sdk_text(r, &text);
    if (rc == 0)
        rc = sign_hash_hex(buf_str(&text), text.n, hash);
    if (rc < 0)
        return rc;
    int n = snprintf(to_sign, sizeof(to_sign), "SDK-HMAC-SHA256\n%s\n%s", stamp, hash);
    rc = digest_hmac(DIGEST_SHA256, cred->sk, strlen(cred->sk), to_sign, (size_t)n, mac);
    if (rc == 0)
        hex_encode(mac, sizeof(mac), out);
    return rc;
}

int sign_sdk(const struct sign_request *r, const struct cred *cred, struct sign_lines *ret)
{
    struct sign_draft d;
    char stamp[SIGN_TIME_MAX];
    char sig[2 * DIGEST_SHA256_SIZE + 1];
    const struct sign_header *headers[SIGN_ALL_MAX];
    CLEANUP_BUF struct buf auth = BUF_INIT(SIGN_TEXT_MAX);

    *ret = (struct sign_lines){0};
    int rc = sign_begin(&d, r);
    if (rc < 0)
        return rc;
    if (!sign_find_header(r, "host"))
        return -EINVAL;

    sign_time(r->now, stamp);
    rc = sign_add_line(&d, ret, "X-Sdk-Date", stamp);
    if (rc == 0 && cred->token[0])
        rc = sign_add_line(&d, ret, "X-Security-Token", cred->token);
    if (rc == 0)
        rc = signature(&d.r, cred, stamp, sig);
    if (rc == 0) {
        size_t n = sign_select(&d.r, covers, NULL, headers);
        buf_addf(&auth, "SDK-HMAC-SHA256 Access=%s, SignedHeaders=", cred->ak);
        sign_add_names(&auth, headers, n);
        buf_addf(&auth, ", Signature=%s", sig);
        rc = auth.eno ? auth.eno : sign_add_line(&d, ret, "Authorization", buf_str(&auth));
    }
    return sign_finish(rc, ret);
}
