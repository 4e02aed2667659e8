// SPDX-License-Identifier: Apache-2.0
/* sign - signatures of requests
 *
 * Role        Pure functions from a request, keys and a time to the header lines that authorise it:
 *             sign_obs()   OBS signature (HMAC-SHA1), dialect OBS
 *             sign_aws4()  AWS signature V4, dialect S3
 *             sign_sdk()   SDK-HMAC-SHA256 of DLI, ModelArts and IAM
 *             The caller sends exactly the headers that it passes plus the lines that come back. It
 *             signs again at every attempt.
 * Headers     Passed raw, in any order and case, values without surrounding blanks and without CR
 *             or LF; a name that occurs twice is joined with ','. Those that a signature does not
 *             cover are ignored, so all headers of the request may be passed. "Host" is needed by
 *             sign_aws4() and sign_sdk(), as it is sent.
 * Secrets     Keys and intermediate keys are wiped; lines are wiped by sign_lines_clear().
 * Errors      -ENOMEM; -E2BIG: more than SIGN_HEADERS_MAX headers or SIGN_QUERY_MAX parameters, or
 *             more text than SIGN_TEXT_MAX; -EINVAL: a needed header or the region is missing, or a
 *             value contains a control character.
 */
#ifndef OBSM_NET_SIGN_H
#define OBSM_NET_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "net/base/buf.h"
#include "net/cred.h"
#include "net/url.h"

enum {
    SIGN_HEADERS_MAX = 128,
    SIGN_QUERY_MAX = 32,
    SIGN_TEXT_MAX = 131072,
    SIGN_LINES_MAX = 4,
};

struct sign_header {
    const char *name;
    const char *value;
};

struct sign_request {
    const char *method; /* "GET", .. */
    const char *bucket; /* sign_obs: in front of the path in the signed resource (virtual host);
                           NULL in path style, where `path` begins with the bucket */
    const char *path;   /* encoded, as sent, begins with '/' (url_path) */
    const struct url_param *query; /* raw */
    size_t n_query;
    const struct sign_header *headers;
    size_t n_headers;
    const char *sha256; /* aws4, sdk: of the body in lower-case hex. NULL: aws4 "UNSIGNED-PAYLOAD",
                           sdk that of an empty body */
    const char *region; /* aws4 */
    time_t now;         /* with the server's offset applied */
};

/* Header lines "Name: value" to be added to the request; the last is Authorization. */
struct sign_lines {
    char *v[SIGN_LINES_MAX];
    size_t n;
};

#define CLEANUP_SIGN_LINES __attribute__((cleanup(sign_lines_clear)))

/* Wipes and frees. */
void sign_lines_clear(struct sign_lines *lines);

/* Adds Date (unless Date or x-obs-date is among the headers), x-obs-security-token (if the keys
 * have one), Authorization. OBS API: authentication of signature in a header. */
int sign_obs(const struct sign_request *r, const struct cred *cred, struct sign_lines *ret);

/* Adds x-amz-date (unless it or Date is among the headers), x-amz-content-sha256,
 * x-amz-security-token, Authorization. Signed: host, date, content-type, content-md5, x-amz-*. */
int sign_aws4(const struct sign_request *r, const struct cred *cred, struct sign_lines *ret);

/* Adds X-Sdk-Date, X-Security-Token, Authorization. Signed: content-type, host, x-project-id,
 * x-domain-id, x-sdk-date, x-security-token. The signed path ends in '/', the sent one need not. */
int sign_sdk(const struct sign_request *r, const struct cred *cred, struct sign_lines *ret);

/* Appends the target (path and query) of a URL that is valid until `expires` without headers:
 * AccessKeyId, Expires, Signature, x-obs-security-token. OBS API: authentication of signature in a
 * URL. The result is a secret until then. */
int sign_obs_query(const struct sign_request *r, const struct cred *cred, time_t expires,
                   struct buf *ret_target);

/* The texts that are signed; all headers are in r, also those that the functions above add. */

/* `prefix` is "x-obs-" or "x-amz-"; `date` stands in the date line. */
int sign_obs_text(const struct sign_request *r, const char *prefix, const char *date,
                  struct buf *ret);
int sign_aws4_text(const struct sign_request *r, struct buf *ret);
int sign_sdk_text(const struct sign_request *r, struct buf *ret);

#endif
