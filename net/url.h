// SPDX-License-Identifier: Apache-2.0
/* url - percent-encoding, request targets, endpoints
 *
 * Role        The one place where a key becomes part of a URL. The string that is made here goes
 *             both into the request and into the signature, so the two can never differ. Pure.
 * Encoding    UTF-8 bytes; A-Z a-z 0-9 - _ . ~ stay (and '/' in a key), all others become %XX with
 *             upper-case digits (OBS API: URL encoding of object names).
 * Errors      -ENOMEM and -EMSGSIZE from the buffer; -EINVAL for malformed input.
 */
#ifndef OBSM_NET_URL_H
#define OBSM_NET_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/base/buf.h"
#include "net/base/err.h"

enum {
    URL_HOST_MAX = 254,    /* of a DNS name, with the final 0 */
    URL_TARGET_MAX = 16384 /* of a request target; the service takes less */
};

enum url_set {
    URL_KEY,   /* '/' stays */
    URL_VALUE, /* '/' is encoded: names and values of a query, header values */
};

/* One query parameter, raw (not encoded). value NULL: "name" alone, without "=". */
struct url_param {
    const char *name;
    const char *value;
};

/* Appends the encoded form of n raw bytes. */
int url_encode(struct buf *out, const void *raw, size_t n, enum url_set set);

/* Appends the decoded form of n characters; with plus_is_space '+' becomes ' '. -EINVAL for a '%'
 * that is not followed by two hex digits (nothing is appended then). The result may contain bytes
 * of any value, also 0: look at out->n. */
int url_decode(struct buf *out, const char *text, size_t n, bool plus_is_space);

/* Appends the path of a request: "/" key, or "/" bucket "/" key in path style; key NULL: of the
 * bucket, "/" or "/" bucket "/". */
int url_path(struct buf *out, const char *bucket, const char *key, bool path_style);

/* Appends path ["?" name["=" value] "&" ...]; the path is taken as it is, the query encoded. */
int url_target(struct buf *out, const char *path, const struct url_param *query, size_t n_query);

/* Where requests go. A value. */
struct url_endpoint {
    bool tls;                /* https */
    bool ip;                 /* host is an IPv4 or IPv6 literal: path style only */
    uint16_t port;           /* always set */
    char host[URL_HOST_MAX]; /* lower case; IPv6 without the brackets */
};

/* Parses "[http[s]://]host[:port][/]", https if no scheme is given. -EINVAL with a reason, also for
 * a path, a query or a user name. */
int url_endpoint_parse(const char *text, struct url_endpoint *ret, struct err *err);

/* Parses an absolute URL such as a Location header; *ret_target points into `url` at what follows
 * the authority (it may be ""). -EINVAL. */
int url_parse(const char *url, struct url_endpoint *ret, const char **ret_target, struct err *err);

/* Writes the value of the Host header: [bucket.]host[:port], the port only if it is not the
 * scheme's own; bucket NULL: without. -ENAMETOOLONG. */
int url_host(const struct url_endpoint *ep, const char *bucket, char *out, size_t size);

/* The region that a host name obs.REGION.myhuaweicloud.com names. -ENOENT for any other host,
 * -ENAMETOOLONG. */
int url_region(const struct url_endpoint *ep, char *out, size_t size);

/* "https" or "http" */
const char *url_scheme(const struct url_endpoint *ep);

/* 0 if `name` is a possible bucket name, else -EINVAL and the rule that it breaks (OBS API:
 * creating a bucket). */
int url_bucket_check(const char *name, struct err *err);

#endif
