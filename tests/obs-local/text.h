// SPDX-License-Identifier: Apache-2.0
/* text - memory of one request, lists of pairs, and the encodings of the wire
 *
 * Role        The small things that everything else of obs-local stands on. Pure but for memory.
 * Ownership   What an arena hands out lives until arena_done(); nothing in it is freed singly.
 * Errors      Running out of memory ends the process with a message: this is a test service.
 */
#ifndef OBSLOCAL_TEXT_H
#define OBSLOCAL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/base/buf.h"

void *mem_alloc(size_t n); /* zeroed, never NULL */
void *mem_grow(void *p, size_t n);
char *mem_dup(const char *s);

struct arena_chunk;
struct arena {
    struct arena_chunk *head;
};

void *arena_alloc(struct arena *a, size_t n); /* zeroed */
char *arena_dup(struct arena *a, const char *s);
char *arena_dupn(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void arena_done(struct arena *a);

/* Name and value; a list of them keeps its order. */
struct pair {
    char *name;
    char *value; /* never NULL */
};

struct pairs {
    struct pair *v;
    size_t n;
    size_t cap;
};

/* Lists whose strings are in an arena (the vector too). */
void arena_pairs_add(struct arena *a, struct pairs *p, const char *name, const char *value);
/* Lists that own their strings. */
void pairs_add(struct pairs *p, const char *name, const char *value);
void pairs_set(struct pairs *p, const char *name, const char *value); /* replaces, or adds */
void pairs_remove(struct pairs *p, const char *name);
void pairs_copy(struct pairs *to, const struct pairs *from); /* adds all of them */
void pairs_done(struct pairs *p);
/* The value, or NULL. Exact names: they are kept in lower case (queries as they came). */
const char *pairs_get(const struct pairs *p, const char *name);

/* Percent-decodes n bytes into the arena. A '%' without two hex digits stays as it is; a decoded
 * NUL gives NULL. */
char *text_decode(struct arena *a, const char *s, size_t n, bool plus_is_space);

/* Adds s percent-encoded: A-Z a-z 0-9 - _ . ~ stay (and '/', if keep_slash). */
void text_encode(struct buf *b, const char *s, bool keep_slash);

/* "a=b&c" into decoded pairs; a name without '=' gets the value "". False: a NUL was in it. */
bool text_query(struct arena *a, const char *s, bool plus_is_space, struct pairs *ret);

/* Adds s with & < > " ' and control characters escaped for XML. */
void text_xml(struct buf *b, const char *s);

/* Adds s as a JSON string with its quotes; bytes that are no UTF-8 become \u00XX. */
void text_json(struct buf *b, const char *s);

void text_hex(const unsigned char *p, size_t n, char *out); /* out: 2n + 1 bytes */
bool text_unhex(const char *s, size_t n, unsigned char *out);
void text_base64(const unsigned char *p, size_t n, char *out); /* out: 4 * ((n + 2) / 3) + 1 */
/* Decodes at most max bytes; the number of them, or -1. */
int text_unbase64(const char *s, unsigned char *out, size_t max);

/* Decimal digits only, at most `max`; false for anything else. */
bool text_u64(const char *s, uint64_t max, uint64_t *ret);

bool text_starts(const char *s, const char *prefix);

/* "2024-10-15T07:20:09.123Z" of milliseconds since 1970. */
void text_iso(int64_t ms, char out[32]);

/* Shell pattern with * and ?, over the whole of s ('/' is like any other byte). */
bool text_glob(const char *pattern, const char *s);

#endif
