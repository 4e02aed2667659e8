// SPDX-License-Identifier: Apache-2.0
/* fsx - random operations on the content of one file, compared with a copy in memory
 *
 *   fsx [-n OPS] [-l MAX-SIZE] [-p PART-SIZE] [-m solo|pair|race] [-r OPS] [-q] FILE
 *
 * solo   one process
 * pair   two processes with handles of their own; each operation is done by one or the other
 * race   two processes at the same time, each in its own half of a file of constant size
 *
 * -r     every so many operations (solo, pair) all handles are closed, "remount" is printed, a line
 *        is read from stdin, and the file is read from beginning to end
 * -p     operations like to begin and end near multiples of it
 *
 * The seed is printed; OBSM_SEED repeats a run. After a failure the last operations are printed and
 * the exit status is 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOG_SIZE = 50, PAGE = 4096 };

enum kind {
    READ,
    WRITE,
    MAP_READ,
    MAP_WRITE,
    MAP_FLUSH, /* MAP_WRITE and msync */
    APPEND,
    CUT,      /* ftruncate to `off` */
    CUT_PATH, /* truncate(2) */
    PUNCH,
    ZERO, /* may grow the file */
    GROW, /* fallocate, may grow the file */
    COPY, /* copy_file_range from `from` */
    SEEK, /* data must be where SEEK_DATA says, holes read as zero */
    SYNC,
    REOPEN,
    EMPTY, /* reopened with O_TRUNC */
    CLOSE,
    OPEN,
    END,
};

static const char *const names[] = {
    "read",         "write", "mapread", "mapwrite", "mapsync", "append", "truncate",
    "pathtruncate", "punch", "zero",    "grow",     "copy",    "seek",   "fsync",
    "reopen",       "empty", "close",   "open",     "end",
};

struct op {
    uint64_t number;
    enum kind kind;
    unsigned who; /* 0 or 1 */
    uint64_t off, len, from;
};

/* What both processes see. `size` and `good` are changed only by who decides the operations. */
struct model {
    uint64_t size;
    unsigned char good[];
};

struct test {
    const char *path;
    uint64_t max, part;
    uint64_t lo, hi; /* operations stay in here; race: one's half */
    bool race, quiet;
    uint64_t rng;
    struct model *model;
    unsigned char *buf;
    int fd;
    int peer; /* socket to the second process, or -1 */
    struct op log[LOG_SIZE];
    uint64_t n_log;
};

static uint64_t rnd(struct test *t)
{
    uint64_t z = t->rng += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t below(struct test *t, uint64_t n)
{
    return n ? rnd(t) % n : 0;
}

/* The bytes that an operation writes: never zero, and they tell operation and place apart. */
static void pattern(unsigned char *p, const struct op *op)
{
    for (uint64_t i = 0; i < op->len; i++) {
        uint64_t x = (op->number * 0x9e3779b97f4a7c15u) ^ ((op->off + i) * 0xff51afd7ed558ccdu);
        p[i] = (unsigned char)((x >> 37) | 1);
    }
}

__attribute__((format(printf, 2, 3))) static int wrong(const struct op *op, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    fprintf(stderr, "fsx: operation %" PRIu64 " (%s by %u): ", op->number, names[op->kind],
            op->who);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    va_end(ap);
    return -1;
}

static int failed(const struct op *op, const char *call)
{
    return wrong(op, "%s: %s", call, strerror(errno));
}

static int compare(struct test *t, const struct op *op, const unsigned char *got, uint64_t off,
                   uint64_t n)
{
    const unsigned char *good = t->model->good + off;
    uint64_t i = 0, last = n;
    if (memcmp(got, good, n) == 0)
        return 0;
    while (got[i] == good[i])
        i++;
    while (got[last - 1] == good[last - 1])
        last--;
    return wrong(op,
                 "bytes 0x%" PRIx64 "..0x%" PRIx64
                 " differ, the first is %02x instead of %02x (read 0x%" PRIx64 "..0x%" PRIx64
                 ", size 0x%" PRIx64 ")",
                 off + i, off + last, got[i], good[i], off, off + n, t->model->size);
}

static int do_read(struct test *t, const struct op *op, uint64_t off, uint64_t len)
{
    uint64_t n = 0, size = t->model->size;
    while (n < len) {
        ssize_t rc = pread(t->fd, t->buf + n, len - n, (off_t)(off + n));
        if (rc < 0)
            return failed(op, "read");
        if (rc == 0)
            break;
        n += (uint64_t)rc;
    }
    uint64_t expected = off >= size ? 0 : len < size - off ? len : size - off;
    if (n != expected)
        return wrong(op, "read %" PRIu64 " bytes at 0x%" PRIx64 ", expected %" PRIu64, n, off,
                     expected);
    return compare(t, op, t->buf, off, n);
}

static int do_write(struct test *t, const struct op *op, int fd)
{
    pattern(t->buf, op);
    for (uint64_t n = 0; n < op->len;) {
        ssize_t rc = op->kind == APPEND ? write(fd, t->buf + n, op->len - n)
                                        : pwrite(fd, t->buf + n, op->len - n, (off_t)(op->off + n));
        if (rc <= 0)
            return failed(op, "write");
        n += (uint64_t)rc;
    }
    return 0;
}

static int do_append(struct test *t, const struct op *op)
{
    int fd = open(t->path, O_WRONLY | O_APPEND);
    if (fd < 0)
        return failed(op, "open");
    int rc = do_write(t, op, fd);
    if (close(fd) != 0 && rc == 0)
        rc = failed(op, "close");
    return rc;
}

static int do_map(struct test *t, const struct op *op)
{
    bool writes = op->kind != MAP_READ;
    uint64_t skip = op->off % PAGE;
    unsigned char *p = mmap(NULL, skip + op->len, PROT_READ | (writes ? PROT_WRITE : 0), MAP_SHARED,
                            t->fd, (off_t)(op->off - skip));
    if (p == MAP_FAILED)
        return failed(op, "mmap");
    int rc = 0;
    if (writes)
        pattern(p + skip, op);
    else
        rc = compare(t, op, p + skip, op->off, op->len);
    if (op->kind == MAP_FLUSH && msync(p, skip + op->len, MS_SYNC) != 0)
        rc = failed(op, "msync");
    if (munmap(p, skip + op->len) != 0)
        rc = failed(op, "munmap");
    return rc;
}

static int do_allocate(struct test *t, const struct op *op)
{
    int mode = op->kind == PUNCH  ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
               : op->kind == ZERO ? FALLOC_FL_ZERO_RANGE
                                  : 0;
    return fallocate(t->fd, mode, (off_t)op->off, (off_t)op->len) == 0 ? 0
                                                                       : failed(op, "fallocate");
}

static int do_copy(struct test *t, const struct op *op)
{
    off_t from = (off_t)op->from, to = (off_t)op->off;
    /* Only from what is stored the server can copy. */
    if (op->number % 2 && fsync(t->fd) != 0)
        return failed(op, "fsync");
    for (uint64_t n = 0; n < op->len;) {
        ssize_t rc = copy_file_range(t->fd, &from, t->fd, &to, op->len - n, 0);
        if (rc <= 0)
            return failed(op, "copy_file_range");
        n += (uint64_t)rc;
    }
    return 0;
}

static int do_seek(struct test *t, const struct op *op)
{
    uint64_t size = t->model->size;
    off_t data = lseek(t->fd, (off_t)op->off, SEEK_DATA);
    if (data < 0 && errno != ENXIO)
        return failed(op, "SEEK_DATA");
    uint64_t end = data < 0 ? size : (uint64_t)data;
    if (end > t->hi)
        end = t->hi;
    for (uint64_t i = op->off; i < end; i++)
        if (t->model->good[i])
            return wrong(op, "SEEK_DATA passes the data at 0x%" PRIx64, i);
    off_t hole = lseek(t->fd, (off_t)op->off, SEEK_HOLE);
    if (op->off < size && (hole < (off_t)op->off || hole > (off_t)size))
        return wrong(op, "SEEK_HOLE at 0x%" PRIx64 " says %jd", op->off, (intmax_t)hole);
    return 0;
}

static int do_open(struct test *t, const struct op *op, int flags)
{
    t->fd = open(t->path, O_RDWR | O_CREAT | flags, 0644);
    return t->fd < 0 ? failed(op, "open") : 0;
}

static int do_close(struct test *t, const struct op *op)
{
    int rc = close(t->fd);
    t->fd = -1;
    return rc == 0 ? 0 : failed(op, "close");
}

/* Does the operation in this process; the model has not been changed yet. */
static int perform(struct test *t, const struct op *op)
{
    switch (op->kind) {
    case READ:
        return do_read(t, op, op->off, op->len);
    case WRITE:
        return do_write(t, op, t->fd);
    case MAP_READ:
    case MAP_WRITE:
    case MAP_FLUSH:
        return do_map(t, op);
    case APPEND:
        return do_append(t, op);
    case CUT:
        return ftruncate(t->fd, (off_t)op->off) == 0 ? 0 : failed(op, "ftruncate");
    case CUT_PATH:
        return truncate(t->path, (off_t)op->off) == 0 ? 0 : failed(op, "truncate");
    case PUNCH:
    case ZERO:
    case GROW:
        return do_allocate(t, op);
    case COPY:
        return do_copy(t, op);
    case SEEK:
        return do_seek(t, op);
    case SYNC:
        return fsync(t->fd) == 0 ? 0 : failed(op, "fsync");
    case REOPEN:
    case EMPTY:
        if (do_close(t, op) < 0)
            return -1;
        return do_open(t, op, op->kind == EMPTY ? O_TRUNC : 0);
    case CLOSE:
        return do_close(t, op);
    case OPEN:
        return do_open(t, op, 0);
    case END:
        break;
    }
    return 0;
}

static int check_size(struct test *t, const struct op *op)
{
    struct stat st;
    int rc = t->fd >= 0 && op->number % 2 ? fstat(t->fd, &st) : stat(t->path, &st);
    if (rc < 0)
        return failed(op, "stat");
    if ((uint64_t)st.st_size != t->model->size)
        return wrong(op, "size 0x%jx instead of 0x%" PRIx64, (intmax_t)st.st_size, t->model->size);
    return 0;
}

static void set_size(struct model *m, uint64_t size)
{
    if (size < m->size)
        memset(m->good + size, 0, m->size - size);
    m->size = size;
}

static void apply(struct test *t, const struct op *op)
{
    struct model *m = t->model;
    uint64_t end = op->off + op->len;
    switch (op->kind) {
    case WRITE:
    case MAP_WRITE:
    case MAP_FLUSH:
    case APPEND:
        pattern(m->good + op->off, op);
        break;
    case CUT:
    case CUT_PATH:
    case EMPTY:
        set_size(m, op->off);
        return;
    case PUNCH:
        if (end > m->size)
            end = m->size;
        if (op->off < end)
            memset(m->good + op->off, 0, end - op->off);
        return;
    case ZERO:
        memset(m->good + op->off, 0, op->len);
        break;
    case GROW:
        break;
    case COPY:
        memmove(m->good + op->off, m->good + op->from, op->len);
        break;
    default:
        return;
    }
    if (end > m->size)
        m->size = end;
}

static void print_log(const struct test *t)
{
    uint64_t first = t->n_log > LOG_SIZE ? t->n_log - LOG_SIZE : 0;
    fprintf(stderr, "the last operations:\n");
    for (uint64_t i = first; i < t->n_log; i++) {
        const struct op *op = &t->log[i % LOG_SIZE];
        fprintf(stderr, "%8" PRIu64 " %u %-12s 0x%06" PRIx64 " .. 0x%06" PRIx64 " (%" PRIu64 ")",
                op->number, op->who, names[op->kind], op->off, op->off + op->len, op->len);
        if (op->kind == COPY)
            fprintf(stderr, " from 0x%" PRIx64, op->from);
        fputc('\n', stderr);
    }
}

/* One operation by the process that it names. */
static int run_op(struct test *t, struct op *op)
{
    int rc;
    t->log[t->n_log++ % LOG_SIZE] = *op;
    if (op->who == 1 && t->peer >= 0) {
        if (send(t->peer, op, sizeof(*op), MSG_NOSIGNAL) != sizeof(*op) ||
            recv(t->peer, &rc, sizeof(rc), 0) != sizeof(rc))
            rc = wrong(op, "the second process has ended");
    } else {
        rc = perform(t, op);
    }
    if (rc == 0 && !t->race)
        apply(t, op);
    if (rc == 0)
        rc = check_size(t, op);
    return rc;
}

/* The second process of a pair. */
static int serve(struct test *t)
{
    struct op op;
    t->fd = -1;
    for (;;) {
        if (recv(t->peer, &op, sizeof(op), 0) != sizeof(op))
            return 1;
        int rc = perform(t, &op);
        if (send(t->peer, &rc, sizeof(rc), MSG_NOSIGNAL) != sizeof(rc))
            return 1;
        if (op.kind == END)
            return 0;
    }
}

static uint64_t choose_length(struct test *t)
{
    switch (below(t, 8)) {
    case 0:
        return 1 + below(t, 16);
    case 1:
        return 1 + below(t, t->part * 3);
    case 2:
        return t->part;
    default:
        return 1 + below(t, 65536);
    }
}

static uint64_t choose_offset(struct test *t, uint64_t from, uint64_t to)
{
    uint64_t off = from + below(t, to - from);
    switch (below(t, 6)) {
    case 0:
        off -= off % t->part;
        break;
    case 1:
        off -= off % PAGE;
        break;
    case 2:
        off = off - off % t->part + t->part - below(t, 3);
        break;
    }
    return off < from ? from : off < to ? off : to - 1;
}

static enum kind choose_kind(struct test *t)
{
    static const struct {
        enum kind kind;
        unsigned weight;
    } weights[] = {
        {READ, 300}, {WRITE, 260},   {MAP_READ, 70}, {MAP_WRITE, 60}, {MAP_FLUSH, 20}, {APPEND, 25},
        {CUT, 50},   {CUT_PATH, 10}, {PUNCH, 40},    {ZERO, 30},      {GROW, 15},      {COPY, 20},
        {SEEK, 20},  {SYNC, 15},     {REOPEN, 35},   {EMPTY, 5},
    };
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof(weights) / sizeof(*weights); i++)
        sum += weights[i].weight;
    uint64_t x = below(t, sum);
    for (size_t i = 0;; i++) {
        if (x < weights[i].weight)
            return weights[i].kind;
        x -= weights[i].weight;
    }
}

static bool changes_size(enum kind kind)
{
    return kind == APPEND || kind == CUT || kind == CUT_PATH || kind == EMPTY;
}

/* Sizes: often small, so that files of one part and of many are seen. */
static uint64_t choose_size(struct test *t)
{
    if (!below(t, 10))
        return 0;
    uint64_t limit = below(t, 3) ? t->hi : 3 * t->part;
    return choose_offset(t, 0, (limit < t->hi ? limit : t->hi) + 1);
}

/* Decides the next operation; false: what was chosen makes no sense now. */
static bool choose(struct test *t, struct op *op)
{
    uint64_t size = t->race ? t->hi : t->model->size;
    op->kind = choose_kind(t);
    op->who = t->peer >= 0 ? below(t, 2) : 0;
    op->len = choose_length(t);
    op->off = choose_offset(t, t->lo, t->hi);
    op->from = 0;
    if (t->race && changes_size(op->kind))
        return false;
    switch (op->kind) {
    case APPEND:
        op->off = size;
        break;
    case CUT:
    case CUT_PATH:
        op->off = choose_size(t);
        op->len = 0;
        return true;
    case EMPTY:
    case SYNC:
    case REOPEN:
        op->off = op->len = 0;
        return true;
    case MAP_READ:
    case MAP_WRITE:
    case MAP_FLUSH:
    case SEEK:
        if (size <= t->lo)
            return false;
        op->off = choose_offset(t, t->lo, size);
        if (op->len > size - op->off)
            op->len = size - op->off;
        return true;
    case COPY:
        if (size <= t->lo)
            return false;
        op->from = choose_offset(t, t->lo, size);
        if (op->len > size - op->from)
            op->len = size - op->from;
        if (op->off < op->from + op->len && op->from < op->off + op->len)
            return false;
        break;
    default:
        if (size > t->lo && below(t, 2))
            op->off = choose_offset(t, t->lo, size);
        break;
    }
    if (op->off >= t->hi)
        return false;
    if (op->len > t->hi - op->off)
        op->len = t->hi - op->off;
    return true;
}

static int run_one(struct test *t, struct op *op, enum kind kind, unsigned who)
{
    op->kind = kind;
    op->who = who;
    op->off = op->len = 0;
    return run_op(t, op);
}

static int run_all(struct test *t, struct op *op, enum kind kind)
{
    int rc = run_one(t, op, kind, 0);
    return rc == 0 && t->peer >= 0 ? run_one(t, op, kind, 1) : rc;
}

static int read_all(struct test *t, struct op *op)
{
    op->kind = READ;
    op->who = 0;
    for (op->off = t->lo; op->off < t->hi; op->off += op->len) {
        op->len = t->hi - op->off < 65536 ? t->hi - op->off : 65536;
        if (do_read(t, op, op->off, op->len) < 0)
            return -1;
    }
    return 0;
}

static int remount(struct test *t, struct op *op)
{
    char answer[64];
    if (run_all(t, op, CLOSE) < 0)
        return -1;
    puts("remount");
    fflush(stdout);
    if (!fgets(answer, sizeof(answer), stdin))
        return wrong(op, "nobody has mounted it again");
    if (run_all(t, op, OPEN) < 0)
        return -1;
    return read_all(t, op);
}

static int run(struct test *t, uint64_t ops, uint64_t remount_every)
{
    struct op op = {0};
    int rc = run_all(t, &op, OPEN);
    for (op.number = 1; rc == 0 && op.number <= ops; op.number++) {
        while (!choose(t, &op))
            ;
        rc = run_op(t, &op);
        if (rc == 0 && t->race)
            apply(t, &op);
        if (rc == 0 && remount_every && op.number % remount_every == 0)
            rc = remount(t, &op);
        if (!t->quiet && op.number % 1000 == 0)
            fprintf(stderr, "fsx: %" PRIu64 " operations\n", op.number);
    }
    if (rc == 0)
        rc = read_all(t, &op);
    if (rc == 0)
        rc = run_all(t, &op, CLOSE);
    if (rc == 0)
        rc = run_all(t, &op, END);
    if (rc < 0)
        print_log(t);
    return rc;
}

static int wait_child(pid_t child)
{
    int status;
    if (waitpid(child, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "fsx: the second process has failed\n");
        return -1;
    }
    return 0;
}

static int run_pair(struct test *t, uint64_t ops, uint64_t remount_every)
{
    int sv[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) != 0)
        return -1;
    pid_t child = fork();
    if (child < 0)
        return -1;
    t->peer = sv[child == 0];
    close(sv[child != 0]);
    if (child == 0)
        _exit(serve(t));
    int rc = run(t, ops, remount_every);
    close(t->peer);
    return wait_child(child) == 0 ? rc : -1;
}

static int run_race(struct test *t, uint64_t ops)
{
    uint64_t half = t->max / 2 - t->max / 2 % PAGE + 100; /* not at the end of a page or part */
    int fd = open(t->path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || ftruncate(fd, (off_t)t->max) != 0 || close(fd) != 0) {
        perror("fsx: the file cannot be made");
        return -1;
    }
    t->model->size = t->max;
    pid_t child = fork();
    if (child < 0)
        return -1;
    t->lo = child ? 0 : half;
    t->hi = child ? half : t->max;
    t->rng += child == 0;
    int rc = run(t, ops, 0);
    if (child == 0)
        _exit(rc < 0);
    if (wait_child(child) < 0)
        return -1;
    struct op op = {.number = ops, .kind = OPEN};
    t->lo = 0;
    t->hi = t->max;
    return rc == 0 && do_open(t, &op, 0) == 0 ? read_all(t, &op) : -1;
}

static uint64_t seed(void)
{
    const char *given = getenv("OBSM_SEED");
    uint32_t s;
    if (given && strtoull(given, NULL, 0))
        return strtoull(given, NULL, 0);
    return getrandom(&s, sizeof(s), 0) == sizeof(s) ? s : 1;
}

int main(int argc, char **argv)
{
    struct test t = {.max = 3 << 20, .part = 100 << 10, .fd = -1, .peer = -1};
    uint64_t ops = 2000, remount_every = 0;
    const char *mode = "solo";
    int c;
    while ((c = getopt(argc, argv, "n:l:p:m:r:q")) != -1) {
        switch (c) {
        case 'n':
            ops = strtoull(optarg, NULL, 0);
            break;
        case 'l':
            t.max = strtoull(optarg, NULL, 0);
            break;
        case 'p':
            t.part = strtoull(optarg, NULL, 0);
            break;
        case 'm':
            mode = optarg;
            break;
        case 'r':
            remount_every = strtoull(optarg, NULL, 0);
            break;
        case 'q':
            t.quiet = true;
            break;
        default:
            return 2;
        }
    }
    if (optind != argc - 1 || t.max < 2 * PAGE || t.part < PAGE)
        return 2;
    t.path = argv[optind];
    t.hi = t.max;
    t.rng = seed();
    fprintf(stderr, "fsx: OBSM_SEED=%" PRIu64 ", %" PRIu64 " operations, %s\n", t.rng, ops, mode);
    t.model = mmap(NULL, sizeof(*t.model) + t.max, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    t.buf = malloc(t.max + 65536);
    if (t.model == MAP_FAILED || !t.buf)
        return 2;
    t.race = strcmp(mode, "race") == 0;
    (void)unlink(t.path);
    int rc = t.race                      ? run_race(&t, ops)
             : strcmp(mode, "pair") == 0 ? run_pair(&t, ops, remount_every)
                                         : run(&t, ops, remount_every);
    free(t.buf);
    munmap(t.model, sizeof(*t.model) + t.max);
    if (rc == 0)
        fprintf(stderr, "fsx: clean\n");
    return rc == 0 ? 0 : 1;
}
