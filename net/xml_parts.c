// SPDX-License-Identifier: Apache-2.0
// Lists of parts, and the bodies that are sent; see xml.h.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/base/clock.h"
#include "net/digest.h"
#include "net/props.h"
#include "net/xml_impl.h"

enum { PART_NO_MAX = 10000 };

struct parts_reader {
    struct obs_parts parts;
    size_t cap;
    struct obs_part part; /* of the record that is open */
    bool sized;
};

void obs_parts_clear(struct obs_parts *parts)
{
    free(parts->v);
    *parts = (struct obs_parts){0};
}

void obs_object_clear(struct obs_object *object)
{
    obs_props_clear(&object->props);
    *object = (struct obs_object){0};
}

static int begin(void *arg, const char *record)
{
    struct parts_reader *r = arg;
    r->part = (struct obs_part){0};
    r->sized = false;
    return 0;
}

static int number32(const char *text, uint32_t max, uint32_t *ret)
{
    uint64_t v;
    int rc = xml_number(text, max, &v);
    if (rc == 0)
        *ret = (uint32_t)v;
    return rc;
}

static int field(void *arg, const char *record, const char *name, const char *text, size_t n)
{
    struct parts_reader *r = arg;
    if (!record) {
        if (xml_is(name, "IsTruncated"))
            r->parts.truncated = strcasecmp(text, "true") == 0;
        else if (xml_is(name, "NextPartNumberMarker") && n > 0)
            return number32(text, PART_NO_MAX, &r->parts.next_marker);
        return 0;
    }
    if (!xml_is(record, "Part"))
        return 0;
    if (xml_is(name, "PartNumber"))
        return number32(text, PART_NO_MAX, &r->part.part_no);
    if (xml_is(name, "Size")) {
        r->sized = true;
        return xml_number(text, INT64_MAX, &r->part.size);
    }
    if (xml_is(name, "LastModified")) {
        int64_t ms;
        if (clock_parse_iso(text, &ms) == 0)
            r->part.mtime_ms = ms;
        return 0;
    }
    if (xml_is(name, "ETag"))
        return etag_clean(text, r->part.etag, sizeof(r->part.etag)) < 0 ? -EBADMSG : 0;
    return 0;
}

static int end(void *arg, const char *record)
{
    struct parts_reader *r = arg;
    if (!xml_is(record, "Part"))
        return 0;
    if (r->part.part_no == 0 || !r->sized || !r->part.etag[0] || r->parts.n == PART_NO_MAX)
        return -EBADMSG;
    if (r->parts.n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 64;
        struct obs_part *v = reallocarray(r->parts.v, cap, sizeof(*v));
        if (!v)
            return -ENOMEM;
        r->parts.v = v;
        r->cap = cap;
    }
    r->parts.v[r->parts.n++] = r->part;
    return 0;
}

int xml_parse_parts(const void *p, size_t n, struct obs_parts *ret, struct xml_fault *fault,
                    struct err *err)
{
    static const char *const roots[] = {"ListPartsResult", NULL};
    const struct xml_handler handler = {.roots = roots, .begin = begin, .field = field, .end = end};
    struct parts_reader r = {0};

    int rc = xml_read(p, n, &handler, &r, fault, err);
    uint32_t last = r.parts.n ? r.parts.v[r.parts.n - 1].part_no : 0;
    if (rc == 0 && r.parts.truncated && r.parts.next_marker < last)
        r.parts.next_marker = last;
    if (rc == 0 && r.parts.truncated && r.parts.next_marker == 0)
        rc = err_set(err, -EBADMSG, "the answer does not say where the next page begins");
    if (rc < 0)
        obs_parts_clear(&r.parts);
    *ret = r.parts;
    return rc;
}

int xml_add_text(struct buf *out, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p < 0x20 && *p != '\t' && *p != '\n')
            return -EILSEQ;
    }
    int rc = 0;
    for (; *text && rc == 0; text++) {
        switch (*text) {
        case '&':
            rc = buf_adds(out, "&amp;");
            break;
        case '<':
            rc = buf_adds(out, "&lt;");
            break;
        case '>':
            rc = buf_adds(out, "&gt;");
            break;
        case '\t':
        case '\n':
            rc = buf_addf(out, "&#%d;", *text);
            break;
        default:
            rc = buf_addc(out, *text);
        }
    }
    return rc;
}

/* The number of bytes of the UTF-8 character at p that XML allows, 0 if there is none. */
static size_t xml_char(const unsigned char *p)
{
    if (p[0] < 0x80)
        return 1;
    size_t n = p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3 : 2;
    if (n == 2 && (p[0] < 0xc2 || p[0] >= 0xe0))
        return 0;
    uint32_t c = p[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    bool overlong = (n == 3 && c < 0x800) || (n == 4 && c < 0x10000);
    bool forbidden = (c >= 0xd800 && c < 0xe000) || c > 0x10ffff || c == 0xfffe || c == 0xffff;
    return overlong || forbidden ? 0 : n;
}

static bool is_xml_utf8(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        size_t n = xml_char(p);
        if (n == 0)
            return false;
        p += n;
    }
    return true;
}

int xml_build_delete(struct buf *out, const char *const *keys, size_t n)
{
    int rc = buf_adds(out, "<Delete><Quiet>true</Quiet>");
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (!is_xml_utf8(keys[i]))
            return -EILSEQ;
        rc = buf_adds(out, "<Object><Key>");
        if (rc == 0)
            rc = xml_add_text(out, keys[i]);
        if (rc == 0)
            rc = buf_adds(out, "</Key></Object>");
    }
    return rc < 0 ? rc : buf_adds(out, "</Delete>");
}

int xml_build_complete(struct buf *out, const struct obs_part *parts, size_t n)
{
    int rc = buf_adds(out, "<CompleteMultipartUpload>");
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (parts[i].part_no == 0 || (i > 0 && parts[i].part_no <= parts[i - 1].part_no))
            return -EINVAL;
        rc = buf_addf(out, "<Part><PartNumber>%u</PartNumber><ETag>", parts[i].part_no);
        if (rc == 0)
            rc = xml_add_text(out, parts[i].etag);
        if (rc == 0)
            rc = buf_adds(out, "</ETag></Part>");
    }
    return rc < 0 ? rc : buf_adds(out, "</CompleteMultipartUpload>");
}
