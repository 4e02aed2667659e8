// SPDX-License-Identifier: Apache-2.0
// The streaming reader, and the answers of one value; see xml.h and xml_impl.h.
#include "net/xml.h"

#include <errno.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/base/clock.h"
#include "net/digest.h"
#include "net/xml_impl.h"

enum { NAME_MAX_BYTES = 64, CHUNK_BYTES = 64 * 1024 };

struct reader {
    const struct xml_handler *handler;
    void *arg;
    struct xml_fault *fault;
    bool is_fault; /* the root is Error */
    int depth;     /* open elements */
    char record[NAME_MAX_BYTES];
    char name[NAME_MAX_BYTES];       /* of the innermost open element of depth 3 */
    char inner[2 * NAME_MAX_BYTES];  /* NAME/CHILD of depth 4 */
    char inmost[3 * NAME_MAX_BYTES]; /* NAME/CHILD/CHILD of depth 5 */
    bool leaf;                       /* the element that ends next has no children */
    struct buf text;
    int rc;          /* the first failure */
    const char *why; /* its reason */
    xmlParserCtxtPtr parser;
};

bool xml_is(const char *name, const char *wanted)
{
    return strcmp(name, wanted) == 0;
}

int xml_keep(char **to, const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    free(*to);
    *to = copy;
    return 0;
}

int xml_number(const char *text, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;
    text += strspn(text, " \t\r\n");
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || text[digits + strspn(text + digits, " \t\r\n")] != 0)
        return -EBADMSG;
    for (size_t i = 0; i < digits; i++) {
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(text[i] - '0'), &v))
            return -EBADMSG;
    }
    if (v > max)
        return -EBADMSG;
    *ret = v;
    return 0;
}

static void stop(struct reader *r, int rc, const char *why)
{
    if (r->rc == 0) {
        r->rc = rc;
        r->why = why;
    }
    xmlStopParser(r->parser);
}

/* A field of an Error document. */
static void fault_field(struct xml_fault *f, const char *name, const char *text)
{
    const struct {
        const char *name;
        char *to;
        size_t size;
    } fields[] = {
        {"Code", f->code, sizeof(f->code)},
        {"Message", f->message, sizeof(f->message)},
        {"RequestId", f->request_id, sizeof(f->request_id)},
        {"RequestID", f->request_id, sizeof(f->request_id)},
        {"HostId", f->host_id, sizeof(f->host_id)},
        {"Resource", f->resource, sizeof(f->resource)},
        {"Endpoint", f->endpoint, sizeof(f->endpoint)},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
        if (xml_is(name, fields[i].name))
            (void)snprintf(fields[i].to, fields[i].size, "%s", text);
    }
}

static void check_root(struct reader *r, const char *name)
{
    r->is_fault = xml_is(name, "Error");
    for (const char *const *root = r->handler->roots; *root; root++) {
        if (xml_is(name, *root))
            return;
    }
    if (!r->is_fault)
        stop(r, -EBADMSG, "the answer is another document than expected");
}

static void on_start(void *arg, const xmlChar *local, const xmlChar *prefix, const xmlChar *uri,
                     int n_ns, const xmlChar **ns, int n_attr, int n_default, const xmlChar **attr)
{
    struct reader *r = arg;
    const char *name = (const char *)local;

    if (r->rc)
        return;
    if (++r->depth > XML_DEPTH_MAX) {
        stop(r, -EBADMSG, "the answer is nested too deeply");
        return;
    }
    r->leaf = true;
    buf_reset(&r->text);
    if (r->depth == 1) {
        check_root(r, name);
    } else if (r->depth == 2) {
        (void)snprintf(r->record, sizeof(r->record), "%s", name);
        int rc = r->handler->begin && !r->is_fault ? r->handler->begin(r->arg, r->record) : 0;
        if (rc < 0)
            stop(r, rc, "the answer has too many entries");
    } else if (r->depth == 3) {
        (void)snprintf(r->name, sizeof(r->name), "%s", name);
    } else if (r->depth == 4) {
        (void)snprintf(r->inner, sizeof(r->inner), "%s/%s", r->name, name);
    } else if (r->depth == 5) {
        (void)snprintf(r->inmost, sizeof(r->inmost), "%s/%s", r->inner, name);
    }
}

/* The end of an element of depth 2 or 3. */
static int end_element(struct reader *r)
{
    const char *record = r->depth == 3 ? r->record : NULL;
    const char *name = r->depth == 3 ? r->name : r->record;
    int rc = 0;

    if (r->leaf && r->is_fault && !record)
        fault_field(r->fault, name, buf_str(&r->text));
    if (r->is_fault)
        return 0;
    if (r->leaf)
        rc = r->handler->field(r->arg, record, name, buf_str(&r->text), r->text.n);
    else if (record && r->handler->close)
        rc = r->handler->close(r->arg, record, name);
    if (rc == 0 && !record && r->handler->end)
        rc = r->handler->end(r->arg, name);
    return rc;
}

/* The end of one of depth 4 or 5, such as Initiator/ID. */
static int end_inner(struct reader *r)
{
    const char *name = r->depth == 4 ? r->inner : r->inmost;
    return r->leaf && !r->is_fault
               ? r->handler->field(r->arg, r->record, name, buf_str(&r->text), r->text.n)
               : 0;
}

static void on_end(void *arg, const xmlChar *local, const xmlChar *prefix, const xmlChar *uri)
{
    struct reader *r = arg;
    if (r->rc)
        return;
    if (r->depth >= 2 && r->depth <= 5) {
        int rc = r->depth >= 4 ? end_inner(r) : end_element(r);
        if (rc < 0)
            stop(r, rc, "a field of the answer is missing or not valid");
    }
    r->depth--;
    r->leaf = false;
    buf_reset(&r->text);
}

static void on_text(void *arg, const xmlChar *text, int n)
{
    struct reader *r = arg;
    if (r->rc || !r->leaf || r->depth < 2 || r->depth > 5)
        return;
    int rc = buf_add(&r->text, text, (size_t)n);
    if (rc < 0)
        stop(r, rc == -ENOMEM ? rc : -EBADMSG, "a value of the answer is too long");
}

static void on_doctype(void *arg, const xmlChar *name, const xmlChar *external,
                       const xmlChar *system)
{
    stop(arg, -EBADMSG, "the answer has a document type");
}

static const xmlSAXHandler sax = {
    .initialized = XML_SAX2_MAGIC,
    .internalSubset = on_doctype,
    .startElementNs = on_start,
    .endElementNs = on_end,
    .characters = on_text,
    .cdataBlock = on_text,
    .ignorableWhitespace = on_text,
};

static int run(struct reader *r, const char *p, size_t n)
{
    xmlSAXHandler handlers = sax;
    r->parser = xmlCreatePushParserCtxt(&handlers, r, NULL, 0, NULL);
    if (!r->parser)
        return -ENOMEM;
    xmlCtxtUseOptions(r->parser, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                                     XML_PARSE_IGNORE_ENC);

    int bad = 0;
    for (size_t done = 0; done < n && r->rc == 0 && !bad; done += CHUNK_BYTES) {
        size_t chunk = n - done < CHUNK_BYTES ? n - done : CHUNK_BYTES;
        bad = xmlParseChunk(r->parser, p + done, (int)chunk, 0);
    }
    if (r->rc == 0 && !bad)
        bad = xmlParseChunk(r->parser, NULL, 0, 1);
    if (r->rc == 0 && (bad || !r->parser->wellFormed)) {
        r->rc = bad == XML_ERR_NO_MEMORY ? -ENOMEM : -EBADMSG;
        r->why = "the answer is not well-formed XML";
    }
    xmlFreeParserCtxt(r->parser);
    return r->rc;
}

/* The library guesses UTF-16 and others from the first bytes, and prints what it cannot convert to
 * stderr. The service sends UTF-8 only. */
static bool is_utf8_document(const char *p, size_t n)
{
    if (n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
        p += 3;
        n -= 3;
    }
    return n > 0 && strchr("< \t\r\n", p[0]) && !memchr(p, 0, n);
}

int xml_read(const void *p, size_t n, const struct xml_handler *handler, void *arg,
             struct xml_fault *fault, struct err *err)
{
    struct xml_fault unused;
    struct reader r = {.handler = handler,
                       .arg = arg,
                       .fault = fault ? fault : &unused,
                       .text = BUF_INIT(XML_TEXT_MAX)};

    *r.fault = (struct xml_fault){0};
    if (n > XML_BODY_MAX)
        return err_set(err, -EBADMSG, "the answer is longer than %d bytes", XML_BODY_MAX);
    if (!is_utf8_document(p, n))
        return err_set(err, -EBADMSG, "the answer is not XML in UTF-8");
    int rc = run(&r, p, n);
    buf_done(&r.text);
    if (rc == -ENOMEM)
        return err_set(err, rc, "out of memory");
    if (rc < 0)
        return err_set(err, rc, "%s", r.why ? r.why : "the answer cannot be read");
    if (r.is_fault)
        return err_set(err, -EREMOTEIO, "the answer is an error: %.64s", r.fault->code);
    return 0;
}

/* --- answers of one value --- */

struct single {
    const char *wanted;
    char *out;
    size_t size;
    int64_t mtime_ms;
};

static int single_field(void *arg, const char *record, const char *name, const char *text, size_t n)
{
    struct single *s = arg;
    int64_t ms;

    if (record)
        return 0;
    if (xml_is(name, "LastModified") && clock_parse_iso(text, &ms) == 0)
        s->mtime_ms = ms;
    if (!xml_is(name, s->wanted))
        return 0;
    return etag_clean(text, s->out, s->size) < 0 ? -EBADMSG : 0;
}

static int parse_single(const void *p, size_t n, const char *const *roots, struct single *s,
                        struct xml_fault *fault, struct err *err)
{
    const struct xml_handler handler = {.roots = roots, .field = single_field};
    s->out[0] = 0;
    int rc = xml_read(p, n, &handler, s, fault, err);
    if (rc == 0 && s->out[0] == 0)
        rc = err_set(err, -EBADMSG, "the answer has no %s", s->wanted);
    return rc;
}

int xml_parse_initiate(const void *p, size_t n, char *upload_id, size_t size,
                       struct xml_fault *fault, struct err *err)
{
    static const char *const roots[] = {"InitiateMultipartUploadResult", NULL};
    struct single s = {.wanted = "UploadId", .out = upload_id, .size = size};
    return parse_single(p, n, roots, &s, fault, err);
}

int xml_parse_etag(const void *p, size_t n, char *etag, size_t size, int64_t *ret_mtime_ms,
                   struct xml_fault *fault, struct err *err)
{
    static const char *const roots[] = {"CompleteMultipartUploadResult", "CopyObjectResult",
                                        "CopyPartResult", NULL};
    struct single s = {.wanted = "ETag", .out = etag, .size = size};
    int rc = parse_single(p, n, roots, &s, fault, err);
    if (ret_mtime_ms)
        *ret_mtime_ms = s.mtime_ms;
    return rc;
}

static int ignore_field(void *arg, const char *record, const char *name, const char *text, size_t n)
{
    return 0;
}

int xml_parse_error(const void *p, size_t n, struct xml_fault *ret)
{
    static const char *const roots[] = {NULL};
    const struct xml_handler handler = {.roots = roots, .field = ignore_field};
    int rc = xml_read(p, n, &handler, NULL, ret, NULL);
    return rc == -EREMOTEIO ? 0 : rc;
}
