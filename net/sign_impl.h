// SPDX-License-Identifier: Apache-2.0
/* sign_impl - what the three signatures share; private to net/sign*.c
 *
 * Role        A draft is a copy of the caller's request to which the lines that the signature needs
 *             are added before the canonical text is made. Functions that append to a buffer
 *             return nothing: the first failure stays in buf.eno, which is looked at once.
 */
#ifndef OBSM_NET_SIGN_IMPL_H
#define OBSM_NET_SIGN_IMPL_H

#include <stdbool.h>

#include "net/digest.h"
#include "net/sign.h"

enum { SIGN_ALL_MAX = SIGN_HEADERS_MAX + SIGN_LINES_MAX, SIGN_TIME_MAX = 32 };

struct sign_draft {
    struct sign_request r; /* its headers are the array below */
    struct sign_header headers[SIGN_ALL_MAX];
};

#define CLEANUP_SECRET_BUF __attribute__((cleanup(sign_buf_wipe)))

/* Wipes the bytes, then frees them. */
void sign_buf_wipe(struct buf *b);

/* Copies the request; -E2BIG, -EINVAL. */
int sign_begin(struct sign_draft *d, const struct sign_request *r);
/* Adds a line to the answer and a header to the draft; `name` is a literal. */
int sign_add_line(struct sign_draft *d, struct sign_lines *lines, const char *name,
                  const char *value);
/* The result of a signing function: on failure no lines are left. */
int sign_finish(int rc, struct sign_lines *lines);

/* The first value of that name, or NULL. */
const char *sign_find_header(const struct sign_request *r, const char *name);

/* Is a header of this name signed? */
typedef bool sign_covers_fn(const char *name, const void *arg);

/* The covered headers, sorted by lower-case name. */
size_t sign_select(const struct sign_request *r, sign_covers_fn *covers, const void *arg,
                   const struct sign_header *ret[SIGN_ALL_MAX]);
/* "name:value\n" for each name, values of the same name joined with ','. */
void sign_add_headers(struct buf *out, const struct sign_header *const *v, size_t n);
/* "name;name" */
void sign_add_names(struct buf *out, const struct sign_header *const *v, size_t n);
/* Encoded, sorted by raw name and value, "name=" where there is no value. */
void sign_add_query(struct buf *out, const struct url_param *query, size_t n);

/* SHA-256 in hex. */
int sign_hash_hex(const char *text, size_t n, char out[2 * DIGEST_SHA256_SIZE + 1]);
/* "20241015T072009Z" */
void sign_time(time_t t, char out[SIGN_TIME_MAX]);

#endif
