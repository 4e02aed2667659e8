// SPDX-License-Identifier: Apache-2.0
/* The journal of the store, see store.h
 *
 * A line is a letter and fields with a blank between them; a field is percent-encoded, "." is an
 * empty one (a real "." is "%2E"). Segments are "BLOB:OFF:LEN,.." with BLOB in hex.
 *   B bucket created N (name value)*N
 *   D bucket
 *   P bucket key size etag mtime since upload segments ended N (name value)*N
 *   X bucket key
 *   U id bucket key since initiator N (name value)*N
 *   Q id number size etag md5 mtime segments [crc64]
 *   A id
 * "ended" is the upload that this object completes.
 */
#include "tests/obs-local/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "net/base/cleanup.h"
#include "tests/obs-local/crc64.h"

enum { LINE_MAX_BYTES = 8 << 20 };

static void add_text(struct buf *b, const char *text)
{
    if (!text[0])
        buf_adds(b, " .");
    else if (strcmp(text, ".") == 0)
        buf_adds(b, " %2E");
    else {
        buf_addc(b, ' ');
        text_encode(b, text, true);
    }
}

static void add_number(struct buf *b, int64_t n)
{
    buf_addf(b, " %lld", (long long)n);
}

static void add_pairs(struct buf *b, const struct pairs *p)
{
    add_number(b, (int64_t)p->n);
    for (size_t i = 0; i < p->n; i++) {
        add_text(b, p->v[i].name);
        add_text(b, p->v[i].value);
    }
}

static void add_segs(struct buf *b, const struct segs *s)
{
    buf_addc(b, ' ');
    if (s->n == 0)
        buf_addc(b, '.');
    for (size_t i = 0; i < s->n; i++)
        buf_addf(b, "%s%llx:%llu:%llu", i ? "," : "", (unsigned long long)s->v[i].blob->id,
                 (unsigned long long)s->v[i].off, (unsigned long long)s->v[i].len);
}

static void write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t got = write(fd, p, n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            perror("obs-local: journal");
            return;
        }
        p += got;
        n -= (size_t)got;
    }
}

static int compact_locked(struct store *s);

static void emit_locked(struct store *s, struct buf *line)
{
    buf_addc(line, '\n');
    if (line->eno)
        fprintf(stderr, "obs-local: journal: a line is too long, dropped\n");
    else
        write_all(s->journal, line->p, line->n);
    buf_done(line);
    if (++s->journal_lines > 200000 && s->journal_lines > 4 * s->journal_live)
        compact_locked(s);
}

static void line_bucket(struct buf *line, const struct bucket *b)
{
    buf_adds(line, "B");
    add_text(line, b->name);
    add_number(line, b->created_ms);
    add_pairs(line, &b->props);
}

static void line_object(struct buf *line, const char *bucket, const char *key,
                        const struct object *o, const char *ended)
{
    buf_adds(line, "P");
    add_text(line, bucket);
    add_text(line, key);
    add_number(line, (int64_t)o->size);
    add_text(line, o->etag);
    add_number(line, o->mtime_ms);
    add_number(line, o->since_us);
    add_text(line, o->upload_id);
    add_segs(line, &o->segs);
    add_text(line, ended ? ended : "");
    add_pairs(line, &o->props);
}

static void line_upload(struct buf *line, const struct upload *u)
{
    buf_adds(line, "U");
    add_text(line, u->id);
    add_text(line, u->bucket);
    add_text(line, u->key);
    add_number(line, u->since_us);
    add_text(line, u->initiator);
    add_pairs(line, &u->props);
}

static void line_part(struct buf *line, const struct upload *u, const struct part *p)
{
    char md5[33];
    text_hex(p->md5, 16, md5);
    buf_adds(line, "Q");
    add_text(line, u->id);
    add_number(line, p->number);
    add_number(line, (int64_t)p->size);
    add_text(line, p->etag);
    add_text(line, md5);
    add_number(line, p->mtime_ms);
    add_segs(line, &p->segs);
    if (p->has_crc64)
        buf_addf(line, " %llu", (unsigned long long)p->crc64);
}

void journal_bucket_locked(struct store *s, const struct bucket *b)
{
    struct buf line = BUF_INIT(LINE_MAX_BYTES);
    line_bucket(&line, b);
    emit_locked(s, &line);
}

void journal_bucket_gone_locked(struct store *s, const char *name)
{
    struct buf line = BUF_INIT(LINE_MAX_BYTES);
    buf_adds(&line, "D");
    add_text(&line, name);
    emit_locked(s, &line);
}

void journal_object_locked(struct store *s, const char *bucket, const char *key,
                           const struct object *o, const char *ended_upload)
{
    struct buf line = BUF_INIT(LINE_MAX_BYTES);
    line_object(&line, bucket, key, o, ended_upload);
    s->journal_live++;
    emit_locked(s, &line);
}

void journal_object_gone_locked(struct store *s, const char *bucket, const char *key)
{
    struct buf line = BUF_INIT(LINE_MAX_BYTES);
    buf_adds(&line, "X");
    add_text(&line, bucket);
    add_text(&line, key);
    if (s->journal_live)
        s->journal_live--;
    emit_locked(s, &line);
}

void journal_upload_locked(struct store *s, const struct upload *u)
{
    struct buf line = BUF_INIT(LINE_MAX_BYTES);
    line_upload(&line, u);
    emit_locked(s, &line);
}

void journal_part_locked(struct store *s, const struct upload *u, const struct part *p)
{
    struct buf line = BUF_INIT(LINE_MAX_BYTES);
    line_part(&line, u, p);
    emit_locked(s, &line);
}

void journal_upload_gone_locked(struct store *s, const char *id)
{
    struct buf line = BUF_INIT(LINE_MAX_BYTES);
    buf_adds(&line, "A");
    add_text(&line, id);
    emit_locked(s, &line);
}

/* Everything that is alive, into a new file that then takes the journal's name. */
static int compact_locked(struct store *s)
{
    CLEANUP_CLOSE int fd =
        openat(s->dir, "journal.new", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    uint64_t lines = 0;
    struct buf out = BUF_INIT(64 << 20);
    for (struct index_node *n = index_seek(s->buckets, "", 0, false); n; n = index_next(n)) {
        struct bucket *b = index_value(n);
        line_bucket(&out, b);
        buf_addc(&out, '\n');
        lines++;
        for (struct index_node *m = index_seek(b->objects, "", 0, false); m; m = index_next(m)) {
            line_object(&out, b->name, index_key(m, NULL), index_value(m), NULL);
            buf_addc(&out, '\n');
            lines++;
            if (out.n > 1 << 20) {
                write_all(fd, out.p, out.n);
                buf_reset(&out);
            }
        }
    }
    s->journal_live = lines;
    for (struct index_node *n = index_seek(s->uploads, "", 0, false); n; n = index_next(n)) {
        struct upload *u = index_value(n);
        line_upload(&out, u);
        buf_addc(&out, '\n');
        for (size_t i = 0; i < u->n_parts; i++) {
            line_part(&out, u, &u->parts[i]);
            buf_addc(&out, '\n');
        }
        lines += 1 + u->n_parts;
        write_all(fd, out.p ? out.p : "", out.n);
        buf_reset(&out);
    }
    write_all(fd, out.p ? out.p : "", out.n);
    buf_done(&out);
    if (renameat(s->dir, "journal.new", s->dir, "journal") != 0)
        return -errno;
    if (s->journal >= 0)
        close(s->journal);
    s->journal = steal_fd(&fd);
    s->journal_lines = lines;
    return 0;
}

struct loader {
    struct store *s;
    void *blobs; /* tsearch tree of struct blob */
    char *at;    /* the rest of the line */
    bool bad;
    struct arena mem;
};

static const char *next_text(struct loader *l)
{
    char *field = l->at ? strsep(&l->at, " ") : NULL;
    if (!field) {
        l->bad = true;
        return "";
    }
    if (strcmp(field, ".") == 0)
        return "";
    const char *text = text_decode(&l->mem, field, strlen(field), false);
    if (!text) {
        l->bad = true;
        return "";
    }
    return text;
}

static int64_t next_number(struct loader *l)
{
    uint64_t v = 0;
    if (!text_u64(next_text(l), INT64_MAX, &v))
        l->bad = true;
    return (int64_t)v;
}

static void next_copy(struct loader *l, char *out, size_t size)
{
    snprintf(out, size, "%s", next_text(l));
}

static void next_pairs(struct loader *l, struct pairs *ret)
{
    for (int64_t n = next_number(l); n > 0 && !l->bad; n--) {
        const char *name = next_text(l);
        const char *value = next_text(l);
        pairs_add(ret, name, value);
    }
}

static int by_id(const void *a, const void *b)
{
    uint64_t x = ((const struct blob *)a)->id, y = ((const struct blob *)b)->id;
    return (x > y) - (x < y);
}

/* The blob of this id, with a reference for the caller. */
static struct blob *loaded_blob(struct loader *l, uint64_t id)
{
    struct blob probe = {.id = id};
    struct blob **found = tfind(&probe, &l->blobs, by_id);
    struct blob *b = found ? *found : NULL;
    if (!b) {
        b = blob_new(l->s, id); /* this reference is the tree's */
        tsearch(b, &l->blobs, by_id);
        if (id >= atomic_load(&l->s->next_blob))
            atomic_store(&l->s->next_blob, id + 1);
    }
    atomic_fetch_add(&b->refs, 1);
    return b;
}

static void next_segs(struct loader *l, struct segs *ret)
{
    char *list = l->at ? strsep(&l->at, " ") : NULL;
    if (!list) {
        l->bad = true;
        return;
    }
    char *item;
    while (strcmp(list, ".") != 0 && (item = strsep(&list, ",")) != NULL) {
        unsigned long long id, off, len;
        if (sscanf(item, "%llx:%llu:%llu", &id, &off, &len) != 3) {
            l->bad = true;
            return;
        }
        if ((ret->n & (ret->n - 1)) == 0)
            ret->v = mem_grow(ret->v, (ret->n ? ret->n * 2 : 1) * sizeof(*ret->v));
        ret->v[ret->n++] = (struct seg){loaded_blob(l, id), off, len};
        if (!list)
            break;
    }
}

static void load_bucket(struct loader *l)
{
    const char *name = next_text(l);
    int64_t created = next_number(l);
    if (l->bad)
        return;
    struct bucket *b = store_bucket_locked(l->s, name);
    if (!b)
        b = bucket_new_locked(l->s, name);
    b->created_ms = created;
    pairs_done(&b->props);
    next_pairs(l, &b->props);
}

static void load_object(struct loader *l)
{
    struct bucket *b = store_bucket_locked(l->s, next_text(l));
    const char *key = next_text(l);
    struct object *o = object_new();
    o->size = (uint64_t)next_number(l);
    next_copy(l, o->etag, sizeof(o->etag));
    o->mtime_ms = next_number(l);
    o->since_us = next_number(l);
    next_copy(l, o->upload_id, sizeof(o->upload_id));
    next_segs(l, &o->segs);
    const char *ended = next_text(l);
    next_pairs(l, &o->props);
    if (!b || l->bad) {
        object_unref(o);
        return;
    }
    object_unref(index_put(b->objects, key, strlen(key), o));
    if (ended[0])
        upload_free(upload_remove_locked(l->s, ended));
}

static void load_upload(struct loader *l)
{
    struct upload *u = mem_alloc(sizeof(*u));
    next_copy(l, u->id, sizeof(u->id));
    u->bucket = mem_dup(next_text(l));
    u->key = mem_dup(next_text(l));
    u->since_us = next_number(l);
    u->initiator = mem_dup(next_text(l));
    next_pairs(l, &u->props);
    struct bucket *b = store_bucket_locked(l->s, u->bucket);
    if (!b || l->bad)
        upload_free(u);
    else
        upload_insert_locked(l->s, b, u);
}

static void load_part(struct loader *l)
{
    const char *id = next_text(l);
    struct upload *u = index_get(l->s->uploads, id, strlen(id));
    struct part p = {.number = (unsigned)next_number(l)};
    p.size = (uint64_t)next_number(l);
    next_copy(l, p.etag, sizeof(p.etag));
    const char *md5 = next_text(l);
    if (strlen(md5) != 32 || !text_unhex(md5, 16, p.md5))
        l->bad = true;
    p.mtime_ms = next_number(l);
    next_segs(l, &p.segs);
    if (l->at) {
        p.has_crc64 = true;
        l->bad |= !crc_read(next_text(l), &p.crc64);
    }
    if (!u || l->bad)
        segs_done(&p.segs);
    else
        upload_set_part(u, &p);
}

static void load_line(struct loader *l, char *line)
{
    char kind = line[0];
    l->at = line[0] && line[1] ? line + 2 : NULL;
    l->bad = false;
    struct bucket *b;
    const char *key;
    switch (kind) {
    case 'B':
        load_bucket(l);
        break;
    case 'D':
        key = next_text(l);
        b = index_remove(l->s->buckets, key, strlen(key));
        if (b)
            bucket_free(b);
        break;
    case 'P':
        load_object(l);
        break;
    case 'X':
        b = store_bucket_locked(l->s, next_text(l));
        key = next_text(l);
        if (b)
            object_unref(index_remove(b->objects, key, strlen(key)));
        break;
    case 'U':
        load_upload(l);
        break;
    case 'Q':
        load_part(l);
        break;
    case 'A':
        upload_free(upload_remove_locked(l->s, next_text(l)));
        break;
    default:
        l->bad = true;
    }
    if (l->bad)
        fprintf(stderr, "obs-local: journal: a line of kind '%c' cannot be read, skipped\n", kind);
    arena_done(&l->mem);
}

/* Removes the files in blobs/XX that no segment refers to. */
static int sweep_folder(struct loader *l, unsigned xx)
{
    char path[32];
    snprintf(path, sizeof(path), "blobs/%02x", xx);
    if (mkdirat(l->s->dir, path, 0700) != 0 && errno != EEXIST)
        return -errno;
    int fd = openat(l->s->dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d)
        return -errno;
    struct dirent *e;
    while ((e = readdir(d)) != NULL) {
        struct blob probe = {.id = strtoull(e->d_name, NULL, 16)};
        if (e->d_name[0] == '.')
            continue;
        struct blob **found = tfind(&probe, &l->blobs, by_id);
        if (!found || atomic_load(&(*found)->refs) == 1)
            unlinkat(fd, e->d_name, 0);
        if (probe.id >= atomic_load(&l->s->next_blob))
            atomic_store(&l->s->next_blob, probe.id + 1);
    }
    closedir(d);
    return 0;
}

static void unref_loaded(void *b)
{
    blob_unref(b);
}

static void read_lines(struct loader *l, FILE *f)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    while ((n = getline(&line, &cap, f)) > 0) {
        if (line[n - 1] != '\n')
            break; /* the process was killed in the middle of it */
        line[n - 1] = '\0';
        load_line(l, line);
    }
    free(line);
}

int journal_load(struct store *s, struct err *err)
{
    struct loader l = {.s = s};
    int rc = 0;
    lock_take(&s->lock);
    if (mkdirat(s->dir, "blobs", 0700) != 0 && errno != EEXIST)
        rc = -errno;
    int fd = openat(s->dir, "journal", O_RDONLY | O_CLOEXEC);
    CLEANUP_FCLOSE FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
    bool null_store = s->config.null_store;
    s->config.null_store = true; /* what is superseded while reading is swept afterwards */
    if (f)
        read_lines(&l, f);
    for (unsigned xx = 0; rc == 0 && xx < 256; xx++)
        rc = sweep_folder(&l, xx);
    tdestroy(l.blobs, unref_loaded);
    s->config.null_store = null_store;
    if (rc == 0)
        rc = compact_locked(s);
    lock_drop(&s->lock);
    return rc == 0
               ? 0
               : err_set(err, rc, "cannot use the folder '%s': %s", s->config.dir, err_text(rc));
}
