// SPDX-License-Identifier: Apache-2.0
/* sign - what a signature must be, from the request as it arrived
 *
 * Role        Pure: builds the text that a client must have signed, and the signature of it. It is
 *             written from the documents alone and shares nothing with the client in net/, so that
 *             the two check each other.
 * Source      OBS API: authentication of signature in a header, in a URL; AWS signature versions 2
 *             and 4; SDK-HMAC-SHA256 (API signing guide).
 */
#ifndef OBSLOCAL_SIGN_H
#define OBSLOCAL_SIGN_H

#include "tests/obs-local/text.h"

struct sign_req {
    const char *method;
    const char *path;            /* raw, as on the request line, without the query */
    const char *bucket;          /* of a virtual host; NULL: path style */
    const struct pairs *headers; /* lower-case names, repeated ones joined by ',' */
    const struct pairs *query;   /* decoded */
};

/* The string to sign of OBS and AWS V2. `prefix` is "x-obs-" or "x-amz-"; `expires` is not NULL for
 * a signature in the query; `slash` adds the '/' after a bucket that the path has without. */
void sign_text_v2(const struct sign_req *r, const char *prefix, const char *expires, bool slash,
                  struct buf *out);

/* base64(HMAC-SHA1(key, text)); out: 29 bytes. */
void sign_hmac_sha1(const char *key, const struct buf *text, char out[32]);

/* The canonical request of AWS V4. `signed_headers` is the list as sent ("host;x-amz-date"). */
void sign_text_v4(const struct sign_req *r, const char *signed_headers, const char *payload_hash,
                  struct buf *out);

/* The signature of a canonical request: scope is "20241015/region/s3/aws4_request", `time` the
 * x-amz-date value; out: 65 bytes. */
void sign_v4(const char *secret, const char *time, const char *scope, const struct buf *canonical,
             char out[65]);

/* The canonical request of SDK-HMAC-SHA256, and the signature of one. */
void sign_text_sdk(const struct sign_req *r, const char *signed_headers, const char *payload_hash,
                   struct buf *out);
void sign_sdk(const char *secret, const char *time, const struct buf *canonical, char out[65]);

/* Lower-case hex SHA-256; out: 65 bytes. */
void sign_sha256_hex(const void *p, size_t n, char out[65]);

/* Compares without leaking where they differ. */
bool sign_equal(const char *a, const char *b);

#endif
