// SPDX-License-Identifier: Apache-2.0
// A disk that loses power; see journal_disk.h.
#include "tests/crash/journal_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { FILES_MAX = 64, NAMES_MAX = 64, OPEN_MAX = 64, PATH_LEN = 128, SECTOR = 512 };

struct image {
    unsigned char *p;
    size_t n;
};

struct change { // one write, or a truncation (p NULL)
    uint64_t off;
    size_t n;
    unsigned char *p;
    struct change *next;
};

struct file {
    bool used;
    struct image seen;
    struct image medium;
    struct change *first;
    struct change **last;
};

struct name {
    char path[PATH_LEN];
    int file; // -1: no such name
};

enum name_op { OP_SET, OP_CLEAR };

struct name_change {
    enum name_op op;
    bool joined; // happens together with the one before: a rename
    char path[PATH_LEN];
    int file;
};

struct disk {
    struct io io;
    unsigned seed;
    unsigned syncs;
    unsigned cut_at;
    bool off;
    size_t room;
    struct file files[FILES_MAX];
    struct name seen[NAMES_MAX];
    struct name medium[NAMES_MAX];
    struct name_change waiting[4 * NAMES_MAX];
    int n_waiting;
    int fds[OPEN_MAX]; // file number, -1: free
};

static unsigned draw(struct disk *d)
{
    d->seed = d->seed * 1103515245u + 12345u;
    return d->seed >> 16 & 0x7fff;
}

static void image_write(struct image *im, uint64_t off, const unsigned char *p, size_t n)
{
    if (off + n > im->n) {
        im->p = realloc(im->p, off + n);
        memset(im->p + im->n, 0, off + n - im->n);
        im->n = off + n;
    }
    memcpy(im->p + off, p, n);
}

static void image_truncate(struct image *im, uint64_t size)
{
    if (size > im->n) {
        im->p = realloc(im->p, size);
        memset(im->p + im->n, 0, size - im->n);
    }
    im->n = size;
}

static void image_copy(struct image *to, const struct image *from)
{
    to->p = realloc(to->p, from->n ? from->n : 1);
    if (from->n)
        memcpy(to->p, from->p, from->n);
    to->n = from->n;
}

static struct name *lookup(struct name *names, const char *path)
{
    struct name *free_one = NULL;
    for (int i = 0; i < NAMES_MAX; i++) {
        if (strcmp(names[i].path, path) == 0)
            return &names[i];
        if (!free_one && names[i].path[0] == 0)
            free_one = &names[i];
    }
    if (!free_one || strlen(path) >= PATH_LEN)
        abort();
    strcpy(free_one->path, path);
    free_one->file = -1;
    return free_one;
}

static void change_name(struct disk *d, enum name_op op, bool joined, const char *path, int file)
{
    struct name_change *c = &d->waiting[d->n_waiting++];
    if (d->n_waiting >= 4 * NAMES_MAX)
        abort();
    *c = (struct name_change){.op = op, .joined = joined, .file = file};
    strcpy(c->path, path);
    lookup(d->seen, path)->file = op == OP_SET ? file : -1;
}

static int new_file(struct disk *d)
{
    for (int i = 0; i < FILES_MAX; i++) {
        if (!d->files[i].used) {
            d->files[i] = (struct file){.used = true};
            d->files[i].last = &d->files[i].first;
            return i;
        }
    }
    abort();
}

static struct disk *of(const struct io *io)
{
    return io->ctx;
}

static struct file *file_of(const struct io *io, int fd)
{
    return &of(io)->files[of(io)->fds[fd]];
}

static void wait_change(struct file *f, uint64_t off, const void *p, size_t n)
{
    struct change *c = calloc(1, sizeof(*c));
    c->off = off;
    c->n = n;
    if (p) {
        c->p = malloc(n ? n : 1);
        memcpy(c->p, p, n);
    }
    *f->last = c;
    f->last = &c->next;
}

static int d_open(const struct io *io, const char *path, int flags, mode_t mode)
{
    struct disk *d = of(io);
    if (d->off)
        return -EIO;
    struct name *name = lookup(d->seen, path);
    if (name->file >= 0 && flags & O_CREAT && flags & O_EXCL)
        return -EEXIST;
    if (name->file < 0) {
        if (!(flags & O_CREAT))
            return -ENOENT;
        change_name(d, OP_SET, false, path, new_file(d));
    }
    struct file *f = &d->files[name->file];
    if (flags & O_TRUNC && f->seen.n > 0) {
        image_truncate(&f->seen, 0);
        wait_change(f, 0, NULL, 0);
    }
    for (int fd = 0; fd < OPEN_MAX; fd++) {
        if (d->fds[fd] < 0) {
            d->fds[fd] = name->file;
            return fd;
        }
    }
    return -EMFILE;
}

static void d_close(const struct io *io, int fd)
{
    of(io)->fds[fd] = -1;
}

static ssize_t d_pread(const struct io *io, int fd, void *p, size_t n, uint64_t off)
{
    if (of(io)->off)
        return -EIO;
    struct file *f = file_of(io, fd);
    if (off >= f->seen.n)
        return 0;
    if (n > f->seen.n - off)
        n = f->seen.n - off;
    memcpy(p, f->seen.p + off, n);
    return (ssize_t)n;
}

static ssize_t d_pwrite(const struct io *io, int fd, const void *p, size_t n, uint64_t off)
{
    struct disk *d = of(io);
    if (d->off)
        return -EIO;
    if (d->room == 0)
        return -ENOSPC;
    if (n > d->room)
        n = d->room;
    if (d->room != SIZE_MAX)
        d->room -= n;
    struct file *f = file_of(io, fd);
    image_write(&f->seen, off, p, n);
    wait_change(f, off, p, n);
    return (ssize_t)n;
}

static int d_truncate(const struct io *io, int fd, uint64_t size)
{
    if (of(io)->off)
        return -EIO;
    image_truncate(&file_of(io, fd)->seen, size);
    wait_change(file_of(io, fd), size, NULL, 0);
    return 0;
}

static int d_size(const struct io *io, int fd, uint64_t *ret_size)
{
    *ret_size = file_of(io, fd)->seen.n;
    return of(io)->off ? -EIO : 0;
}

static bool sync_fails(struct disk *d)
{
    d->syncs++;
    if (d->cut_at && d->syncs >= d->cut_at)
        d->off = true;
    return d->off;
}

static void forget_changes(struct file *f)
{
    while (f->first) {
        struct change *c = f->first;
        f->first = c->next;
        free(c->p);
        free(c);
    }
    f->last = &f->first;
}

static int d_datasync(const struct io *io, int fd)
{
    if (sync_fails(of(io)))
        return -EIO;
    struct file *f = file_of(io, fd);
    image_copy(&f->medium, &f->seen);
    forget_changes(f);
    return 0;
}

static int d_rename(const struct io *io, const char *from, const char *to)
{
    struct disk *d = of(io);
    if (d->off)
        return -EIO;
    int file = lookup(d->seen, from)->file;
    if (file < 0)
        return -ENOENT;
    change_name(d, OP_SET, false, to, file);
    change_name(d, OP_CLEAR, true, from, -1);
    return 0;
}

static int d_unlink(const struct io *io, const char *path)
{
    struct disk *d = of(io);
    if (d->off)
        return -EIO;
    if (lookup(d->seen, path)->file < 0)
        return -ENOENT;
    change_name(d, OP_CLEAR, false, path, -1);
    return 0;
}

static void apply_names(struct disk *d, int n)
{
    for (int i = 0; i < n; i++) {
        const struct name_change *c = &d->waiting[i];
        lookup(d->medium, c->path)->file = c->op == OP_SET ? c->file : -1;
    }
    d->n_waiting = 0;
}

static int d_sync_dir(const struct io *io, const char *path)
{
    struct disk *d = of(io);
    if (sync_fails(d))
        return -EIO;
    apply_names(d, d->n_waiting);
    return 0;
}

static const struct io_ops disk_ops = {
    .open = d_open,
    .close = d_close,
    .pread = d_pread,
    .pwrite = d_pwrite,
    .truncate = d_truncate,
    .size = d_size,
    .datasync = d_datasync,
    .rename = d_rename,
    .unlink = d_unlink,
    .sync_dir = d_sync_dir,
};

struct disk *disk_new(unsigned seed)
{
    struct disk *d = calloc(1, sizeof(*d));
    d->io = (struct io){&disk_ops, d};
    d->seed = seed;
    d->room = SIZE_MAX;
    for (int i = 0; i < OPEN_MAX; i++)
        d->fds[i] = -1;
    for (int i = 0; i < NAMES_MAX; i++)
        d->seen[i].file = d->medium[i].file = -1;
    return d;
}

void disk_free(struct disk *d)
{
    for (int i = 0; i < FILES_MAX; i++) {
        if (!d->files[i].used)
            continue;
        forget_changes(&d->files[i]);
        free(d->files[i].seen.p);
        free(d->files[i].medium.p);
    }
    free(d);
}

const struct io *disk_io(struct disk *d)
{
    return &d->io;
}

void disk_cut_at(struct disk *d, unsigned k)
{
    d->syncs = 0;
    d->cut_at = k;
}

bool disk_is_off(const struct disk *d)
{
    return d->off;
}

unsigned disk_syncs(const struct disk *d)
{
    return d->syncs;
}

// One piece of a write that was not synced meets its fate.
static void settle_piece(struct disk *d, struct image *medium, uint64_t off, unsigned char *p,
                         size_t n, enum disk_fate fate)
{
    if (fate == FATE_RANDOM)
        fate = draw(d) % 3;
    if (fate == FATE_DROP)
        return;
    if (fate == FATE_GARBLE)
        for (size_t i = 0; i < n; i++)
            p[i] ^= (unsigned char)(draw(d) % 4 == 0 ? draw(d) : 0);
    image_write(medium, off, p, n);
}

static void settle_file(struct disk *d, struct file *f, enum disk_fate fate)
{
    for (struct change *c = f->first; c; c = c->next) {
        if (!c->p) {
            if (fate == FATE_KEEP || (fate == FATE_RANDOM && draw(d) % 2))
                image_truncate(&f->medium, c->off);
            continue;
        }
        for (size_t at = 0; at < c->n;) {
            size_t n = SECTOR - (c->off + at) % SECTOR;
            if (n > c->n - at)
                n = c->n - at;
            settle_piece(d, &f->medium, c->off + at, c->p + at, n, fate);
            at += n;
        }
    }
    forget_changes(f);
    image_copy(&f->seen, &f->medium);
}

void disk_cut(struct disk *d, enum disk_fate fate)
{
    for (int i = 0; i < FILES_MAX; i++)
        if (d->files[i].used)
            settle_file(d, &d->files[i], fate);

    int keep = d->n_waiting;
    if (fate == FATE_DROP)
        keep = 0;
    else if (fate != FATE_KEEP)
        keep = (int)(draw(d) % (unsigned)(d->n_waiting + 1));
    while (keep < d->n_waiting && d->waiting[keep].joined)
        keep++;
    apply_names(d, keep);
    memcpy(d->seen, d->medium, sizeof(d->seen));
    for (int i = 0; i < OPEN_MAX; i++)
        d->fds[i] = -1;
    d->off = false;
    d->cut_at = 0;
}

unsigned char *disk_bytes(struct disk *d, const char *path, size_t *ret_n)
{
    int file = lookup(d->seen, path)->file;
    if (file < 0)
        return NULL;
    *ret_n = d->files[file].seen.n;
    return d->files[file].seen.p;
}

void disk_fill_after(struct disk *d, size_t bytes)
{
    d->room = bytes;
}
