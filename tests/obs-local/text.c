// SPDX-License-Identifier: Apache-2.0
/* Memory, pairs and encodings, see text.h */
#include "tests/obs-local/text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

static void out_of_memory(void)
{
    static const char text[] = "obs-local: out of memory\n";
    fwrite(text, 1, sizeof(text) - 1, stderr);
    abort();
}

void *mem_alloc(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    if (!p)
        out_of_memory();
    return p;
}

void *mem_grow(void *p, size_t n)
{
    void *q = realloc(p, n ? n : 1);
    if (!q)
        out_of_memory();
    return q;
}

char *mem_dup(const char *s)
{
    size_t n = strlen(s) + 1;
    return memcpy(mem_alloc(n), s, n);
}

struct arena_chunk {
    struct arena_chunk *next;
    size_t used;
    size_t cap;
    _Alignas(16) char data[];
};

void *arena_alloc(struct arena *a, size_t n)
{
    n = (n + 15) & ~(size_t)15;
    struct arena_chunk *c = a->head;
    if (!c || c->cap - c->used < n) {
        size_t cap = n > 4064 ? n : 4064;
        c = mem_grow(NULL, sizeof(*c) + cap);
        *c = (struct arena_chunk){.next = a->head, .cap = cap};
        a->head = c;
    }
    void *p = c->data + c->used;
    c->used += n;
    return memset(p, 0, n);
}

char *arena_dupn(struct arena *a, const char *s, size_t n)
{
    char *p = arena_alloc(a, n + 1);
    memcpy(p, s, n);
    return p;
}

char *arena_dup(struct arena *a, const char *s)
{
    return arena_dupn(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = arena_alloc(a, (size_t)(n < 0 ? 0 : n) + 1);
    if (n > 0)
        vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return p;
}

void arena_done(struct arena *a)
{
    while (a->head) {
        struct arena_chunk *next = a->head->next;
        free(a->head);
        a->head = next;
    }
}

void arena_pairs_add(struct arena *a, struct pairs *p, const char *name, const char *value)
{
    if (p->n == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 16;
        struct pair *v = arena_alloc(a, cap * sizeof(*v));
        if (p->n)
            memcpy(v, p->v, p->n * sizeof(*v));
        p->v = v;
        p->cap = cap;
    }
    p->v[p->n++] = (struct pair){arena_dup(a, name), arena_dup(a, value)};
}

void pairs_add(struct pairs *p, const char *name, const char *value)
{
    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 4;
        p->v = mem_grow(p->v, p->cap * sizeof(*p->v));
    }
    p->v[p->n++] = (struct pair){mem_dup(name), mem_dup(value)};
}

static struct pair *pairs_find(const struct pairs *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++) {
        if (strcmp(p->v[i].name, name) == 0)
            return &p->v[i];
    }
    return NULL;
}

void pairs_set(struct pairs *p, const char *name, const char *value)
{
    struct pair *at = pairs_find(p, name);
    if (!at) {
        pairs_add(p, name, value);
        return;
    }
    char *copy = mem_dup(value);
    free(at->value);
    at->value = copy;
}

void pairs_remove(struct pairs *p, const char *name)
{
    struct pair *at = pairs_find(p, name);
    if (!at)
        return;
    free(at->name);
    free(at->value);
    size_t i = (size_t)(at - p->v);
    memmove(at, at + 1, (p->n - i - 1) * sizeof(*at));
    p->n--;
}

void pairs_copy(struct pairs *to, const struct pairs *from)
{
    for (size_t i = 0; i < from->n; i++)
        pairs_add(to, from->v[i].name, from->v[i].value);
}

void pairs_done(struct pairs *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->v[i].name);
        free(p->v[i].value);
    }
    free(p->v);
    *p = (struct pairs){0};
}

const char *pairs_get(const struct pairs *p, const char *name)
{
    const struct pair *at = pairs_find(p, name);
    return at ? at->value : NULL;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *text_decode(struct arena *a, const char *s, size_t n, bool plus_is_space)
{
    char *out = arena_alloc(a, n + 1);
    size_t o = 0;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (c == '+' && plus_is_space) {
            c = ' ';
        } else if (c == '%' && i + 2 < n && hex_digit(s[i + 1]) >= 0 && hex_digit(s[i + 2]) >= 0) {
            c = (char)(hex_digit(s[i + 1]) * 16 + hex_digit(s[i + 2]));
            i += 2;
        }
        if (c == '\0')
            return NULL;
        out[o++] = c;
    }
    out[o] = '\0';
    return out;
}

void text_encode(struct buf *b, const char *s, bool keep_slash)
{
    static const char digits[] = "0123456789ABCDEF";
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.' || c == '~' || (c == '/' && keep_slash);
        if (plain) {
            buf_addc(b, (char)c);
        } else {
            char e[3] = {'%', digits[c >> 4], digits[c & 15]};
            buf_add(b, e, 3);
        }
    }
}

bool text_query(struct arena *a, const char *s, bool plus_is_space, struct pairs *ret)
{
    while (*s) {
        size_t n = strcspn(s, "&");
        const char *eq = memchr(s, '=', n);
        size_t name_n = eq ? (size_t)(eq - s) : n;
        if (n > 0) {
            char *name = text_decode(a, s, name_n, plus_is_space);
            char *value = eq ? text_decode(a, eq + 1, n - name_n - 1, plus_is_space) : NULL;
            if (!name || (eq && !value))
                return false;
            arena_pairs_add(a, ret, name, value ? value : "");
        }
        s += n;
        if (*s == '&')
            s++;
    }
    return true;
}

void text_xml(struct buf *b, const char *s)
{
    for (; *s; s++) {
        size_t plain = 0;
        while ((unsigned char)s[plain] >= 0x20 && !strchr("&<>\"'", s[plain]))
            plain++;
        if (plain > 0) {
            buf_add(b, s, plain);
            s += plain - 1;
            continue;
        }
        switch (*s) {
        case '&':
            buf_adds(b, "&amp;");
            break;
        case '<':
            buf_adds(b, "&lt;");
            break;
        case '>':
            buf_adds(b, "&gt;");
            break;
        case '"':
            buf_adds(b, "&quot;");
            break;
        case '\'':
            buf_adds(b, "&apos;");
            break;
        default:
            buf_addf(b, "&#x%x;", (unsigned char)*s);
        }
    }
}

/* The length of the UTF-8 sequence at s, or 0. */
static size_t utf8(const unsigned char *s)
{
    size_t n = s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;
    if (s[0] >= 0xf5 || (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    return n;
}

void text_json(struct buf *b, const char *s)
{
    buf_addc(b, '"');
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') {
            buf_addc(b, '\\');
            buf_addc(b, *s);
        } else if (c >= 0x20 && c < 0x7f) {
            buf_addc(b, *s);
        } else if (c >= 0x80 && utf8((const unsigned char *)s)) {
            size_t n = utf8((const unsigned char *)s);
            buf_add(b, s, n);
            s += n - 1;
        } else {
            buf_addf(b, "\\u%04x", c);
        }
    }
    buf_addc(b, '"');
}

void text_hex(const unsigned char *p, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * n] = '\0';
}

bool text_unhex(const char *s, size_t n, unsigned char *out)
{
    for (size_t i = 0; i < n; i++) {
        int hi = hex_digit(s[2 * i]);
        int lo = hi < 0 ? -1 : hex_digit(s[2 * i + 1]);
        if (lo < 0)
            return false;
        out[i] = (unsigned char)(hi * 16 + lo);
    }
    return s[2 * n] == '\0';
}

void text_base64(const unsigned char *p, size_t n, char *out)
{
    EVP_EncodeBlock((unsigned char *)out, p, (int)n);
}

int text_unbase64(const char *s, unsigned char *out, size_t max)
{
    unsigned char tmp[96];
    size_t n = strlen(s);
    if (n == 0 || n % 4 != 0 || n / 4 * 3 > sizeof(tmp))
        return -1;
    int got = EVP_DecodeBlock(tmp, (const unsigned char *)s, (int)n);
    if (got < 0)
        return -1;
    got -= (s[n - 1] == '=') + (s[n - 2] == '=');
    if ((size_t)got > max)
        return -1;
    memcpy(out, tmp, (size_t)got);
    return got;
}

bool text_u64(const char *s, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;
    if (!*s)
        return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9' || v > (UINT64_MAX - 9) / 10)
            return false;
        v = v * 10 + (uint64_t)(*s - '0');
    }
    *ret = v;
    return v <= max;
}

bool text_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

void text_iso(int64_t ms, char out[32])
{
    time_t t = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&t, &tm);
    size_t n = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, 32 - n, ".%03dZ", (int)(ms % 1000));
}

bool text_glob(const char *pattern, const char *s)
{
    const char *star = NULL, *from = NULL;
    while (*s) {
        if (*pattern == '*') {
            star = pattern++;
            from = s;
        } else if (*pattern == '?' || *pattern == *s) {
            pattern++;
            s++;
        } else if (star) {
            pattern = star + 1;
            s = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}
