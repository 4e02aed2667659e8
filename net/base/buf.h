// SPDX-License-Identifier: Apache-2.0
/* buf - a growing byte buffer that has a limit
 *
 * Role        Texts and bodies of unknown length. Every buffer is given its largest size when it is
 *             made, so that nothing a server, a disk or a user sends can take all memory.
 * Invariants  p[n] == 0 once anything was added (p may be NULL while n == 0); n <= max.
 * Errors      -ENOMEM, or -EMSGSIZE when the limit would be passed; the content is then unchanged.
 *             The first failure also sticks in `eno`, so that a run of additions needs one check.
 * Ownership   The caller owns the struct; buf_done() frees the bytes.
 */
#ifndef OBSM_BASE_BUF_H
#define OBSM_BASE_BUF_H

#include <stddef.h>

struct buf {
    char *p;
    size_t n;
    size_t cap;
    size_t max;
    int eno; /* the first failure, or 0 */
};

#define BUF_INIT(max_) ((struct buf){.max = (max_)})
#define CLEANUP_BUF __attribute__((cleanup(buf_done)))

int buf_add(struct buf *b, const void *p, size_t n);
int buf_addc(struct buf *b, char c);
int buf_adds(struct buf *b, const char *s);
int buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Length 0 and no error, memory kept. */
void buf_reset(struct buf *b);
void buf_done(struct buf *b);

/* The content as a string, never NULL, valid until the next change. */
const char *buf_str(const struct buf *b);

/* Hands the string to the caller, who frees it; the buffer is empty afterwards. NULL: out of
 * memory. */
char *buf_steal(struct buf *b);

#endif
