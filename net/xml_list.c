// SPDX-License-Identifier: Apache-2.0
// Listings; see xml.h.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/base/clock.h"
#include "net/digest.h"
#include "net/url.h"
#include "net/xml_impl.h"

/* What is being read. */
struct lister {
    const char *entry; /* name of the records that become entries */
    const char *next;  /* name of the field with the next marker */
    struct obs_list list;
    size_t cap;
    struct obs_entry *open; /* the entry of the record that is open, or NULL */
    bool sized;             /* it has a size */
    bool encoded;           /* EncodingType was seen */
};

static void entry_clear(struct obs_entry *e)
{
    free(e->key);
    free(e->etag);
    free(e->upload_id);
    free(e->initiator);
    free(e->storage_class);
    free(e->code);
    free(e->message);
}

void obs_list_clear(struct obs_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        entry_clear(&list->v[i]);
    free(list->v);
    free(list->next_marker);
    free(list->next_upload_id_marker);
    *list = (struct obs_list){0};
}

static int begin(void *arg, const char *record)
{
    struct lister *l = arg;
    bool is_prefix = xml_is(record, "CommonPrefixes");

    l->open = NULL;
    l->sized = false;
    if (!is_prefix && !xml_is(record, l->entry))
        return 0;
    if (l->list.n == XML_ENTRIES_MAX)
        return -EBADMSG;
    if (l->list.n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 64;
        struct obs_entry *v = reallocarray(l->list.v, cap, sizeof(*v));
        if (!v)
            return -ENOMEM;
        l->list.v = v;
        l->cap = cap;
    }
    l->open = &l->list.v[l->list.n++];
    *l->open = (struct obs_entry){.is_prefix = is_prefix};
    return xml_keep(&l->open->etag, "");
}

static int keep_etag(struct obs_entry *e, const char *text)
{
    char clean[OBS_ETAG_MAX];
    return etag_clean(text, clean, sizeof(clean)) < 0 ? -EBADMSG : xml_keep(&e->etag, clean);
}

/* CommonPrefixes of a parallel file system state a time in seconds. */
static void keep_seconds(struct obs_entry *e, const char *text)
{
    uint64_t s;
    if (xml_number(text, INT64_MAX / 1000, &s) == 0)
        e->mtime_ms = (int64_t)s * 1000;
}

static int entry_field(struct lister *l, const char *name, const char *text)
{
    struct obs_entry *e = l->open;
    if (e->is_prefix && e->key && xml_is(name, "Prefix")) {
        /* Several prefixes in one element: each is an entry. */
        int rc = begin(l, "CommonPrefixes");
        if (rc < 0)
            return rc;
        e = l->open;
    }
    if (xml_is(name, e->is_prefix ? "Prefix" : "Key"))
        return xml_keep(&e->key, text);
    if (xml_is(name, "LastModified") || xml_is(name, "Initiated")) {
        int64_t ms;
        if (clock_parse_iso(text, &ms) == 0)
            e->mtime_ms = ms;
    } else if (xml_is(name, "MTime")) {
        keep_seconds(e, text);
    } else if (xml_is(name, "ETag")) {
        return keep_etag(e, text);
    } else if (xml_is(name, "Size")) {
        l->sized = true;
        return xml_number(text, INT64_MAX, &e->size);
    } else if (xml_is(name, "UploadId")) {
        return xml_keep(&e->upload_id, text);
    } else if (xml_is(name, "Initiator/ID")) {
        return xml_keep(&e->initiator, text);
    } else if (xml_is(name, "StorageClass") && xml_is(l->entry, "Upload")) {
        return xml_keep(&e->storage_class, text);
    } else if (xml_is(name, "Code")) {
        return xml_keep(&e->code, text);
    } else if (xml_is(name, "Message")) {
        return xml_keep(&e->message, text);
    }
    return 0;
}

static int field(void *arg, const char *record, const char *name, const char *text, size_t n)
{
    struct lister *l = arg;
    if (record)
        return l->open ? entry_field(l, name, text) : 0;
    if (xml_is(name, "IsTruncated"))
        l->list.truncated = strcasecmp(text, "true") == 0;
    else if (xml_is(name, "EncodingType"))
        l->encoded = strcasecmp(text, "url") == 0;
    else if (xml_is(name, l->next))
        return xml_keep(&l->list.next_marker, text);
    else if (xml_is(name, "NextUploadIdMarker"))
        return xml_keep(&l->list.next_upload_id_marker, text);
    return 0;
}

static int end(void *arg, const char *record)
{
    struct lister *l = arg;
    struct obs_entry *e = l->open;
    l->open = NULL;
    if (!e)
        return 0;
    if (!e->key)
        return -EBADMSG;
    if (xml_is(record, "Contents") && !l->sized)
        return -EBADMSG;
    if (xml_is(record, "Upload") && (!e->upload_id || !e->upload_id[0]))
        return -EBADMSG;
    return 0;
}

/* Decodes in place. 0, 1 if the result cannot be a key, -EBADMSG, -ENOMEM. */
static int decode(char **text)
{
    CLEANUP_BUF struct buf raw = BUF_INIT(XML_TEXT_MAX);
    int rc = url_decode(&raw, *text, strlen(*text), true);
    if (rc < 0)
        return rc == -ENOMEM ? rc : -EBADMSG;
    if (raw.n && memchr(raw.p, 0, raw.n))
        return 1;
    return xml_keep(text, buf_str(&raw));
}

/* Decodes the keys and takes out what is none. The number taken out, or -errno. */
static int finish_keys(struct lister *l)
{
    size_t kept = 0;
    int rc = 0;
    for (size_t i = 0; i < l->list.n; i++) {
        struct obs_entry *e = &l->list.v[i];
        int bad = rc < 0 ? 1 : l->encoded ? decode(&e->key) : 0;
        if (bad < 0) {
            rc = bad;
            bad = 1;
        }
        size_t len = bad ? 0 : strlen(e->key);
        if (len == 0 || len > OBS_KEY_MAX)
            entry_clear(e);
        else
            l->list.v[kept++] = *e;
    }
    int dropped = (int)(l->list.n - kept);
    l->list.n = kept;
    return rc < 0 ? rc : dropped;
}

static int compare_entries(const void *a, const void *b)
{
    const struct obs_entry *x = a, *y = b;
    return strcmp(x->key, y->key);
}

/* The answer has keys and prefixes apart, each in order. */
static void merge(struct obs_list *list)
{
    for (size_t i = 1; i < list->n; i++) {
        if (strcmp(list->v[i - 1].key, list->v[i].key) > 0) {
            qsort(list->v, list->n, sizeof(*list->v), compare_entries);
            return;
        }
    }
}

static void drop_markers(struct obs_list *list)
{
    free(list->next_marker);
    free(list->next_upload_id_marker);
    list->next_marker = NULL;
    list->next_upload_id_marker = NULL;
}

/* Where the next page begins: never before the last entry, or a listing would not end. Some servers
 * leave the marker out, others do not encode it when all else is. */
static int finish_marker(struct lister *l)
{
    struct obs_list *list = &l->list;
    const char *last = list->n ? list->v[list->n - 1].key : NULL;

    if (!list->truncated) {
        drop_markers(list);
        return 0;
    }
    if (list->next_marker && last && strcmp(list->next_marker, last) == 0)
        return 0;
    int rc = list->next_marker && l->encoded ? decode(&list->next_marker) : 0;
    if (rc == -ENOMEM)
        return rc;
    bool usable = list->next_marker && list->next_marker[0] && rc == 0;
    if (usable && (!last || strcmp(list->next_marker, last) >= 0))
        return 0;
    return last ? xml_keep(&list->next_marker, last) : -EBADMSG;
}

/* Uploads: the marker is a pair, which the answer always states; it is only decoded. */
static int finish_upload_marker(struct lister *l)
{
    struct obs_list *list = &l->list;
    if (!list->truncated) {
        drop_markers(list);
        return 0;
    }
    if (!list->next_marker)
        return -EBADMSG;
    int rc = l->encoded ? decode(&list->next_marker) : 0;
    return rc == 1 ? -EBADMSG : rc;
}

static int parse(const void *p, size_t n, const char *const *roots, struct lister *l,
                 struct xml_fault *fault, struct err *err)
{
    const struct xml_handler handler = {.roots = roots, .begin = begin, .field = field, .end = end};
    int rc = xml_read(p, n, &handler, l, fault, err);
    if (rc < 0)
        return rc;
    rc = finish_keys(l);
    if (rc < 0)
        err_set(err, rc, rc == -ENOMEM ? "out of memory" : "a name in the answer is not encoded");
    return rc;
}

/* Hands the list over, or frees it. `rc` is the number of entries left out, or -errno. */
static int hand_over(struct lister *l, int rc, struct obs_list *ret)
{
    if (rc < 0)
        obs_list_clear(&l->list);
    *ret = l->list;
    return rc;
}

int xml_parse_list(const void *p, size_t n, struct obs_list *ret, struct xml_fault *fault,
                   struct err *err)
{
    static const char *const roots[] = {"ListBucketResult", NULL};
    struct lister l = {.entry = "Contents", .next = "NextMarker"};
    int dropped = parse(p, n, roots, &l, fault, err);
    int rc = dropped;
    if (rc >= 0) {
        merge(&l.list);
        int bad = finish_marker(&l);
        if (bad < 0)
            rc = err_set(err, bad, "the answer does not say where the next page begins");
    }
    return hand_over(&l, rc, ret);
}

int xml_parse_uploads(const void *p, size_t n, struct obs_list *ret, struct xml_fault *fault,
                      struct err *err)
{
    static const char *const roots[] = {"ListMultipartUploadsResult", NULL};
    struct lister l = {.entry = "Upload", .next = "NextKeyMarker"};
    int rc = parse(p, n, roots, &l, fault, err);
    if (rc >= 0) {
        int bad = finish_upload_marker(&l);
        if (bad < 0)
            rc = err_set(err, bad, "the answer does not say where the next page begins");
    }
    return hand_over(&l, rc, ret);
}

int xml_parse_delete(const void *p, size_t n, struct obs_list *ret, struct xml_fault *fault,
                     struct err *err)
{
    static const char *const roots[] = {"DeleteResult", NULL};
    struct lister l = {.entry = "Error", .next = ""};
    int rc = parse(p, n, roots, &l, fault, err);
    for (size_t i = 0; i < l.list.n && rc >= 0; i++) {
        struct obs_entry *e = &l.list.v[i];
        if ((!e->code && xml_keep(&e->code, "") < 0) ||
            (!e->message && xml_keep(&e->message, "") < 0))
            rc = err_set(err, -ENOMEM, "out of memory");
    }
    return hand_over(&l, rc, ret);
}
