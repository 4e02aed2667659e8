// SPDX-License-Identifier: Apache-2.0
// One journal file: append, sync, read back; see journal.h. Compaction is in compact.c.
#include "checkpoint/journal.h"

#include "checkpoint/journal_impl.h"
#include "net/base/buf.h"
#include "net/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

int journal_path(const char *dir, uint64_t id, const char *suffix, char out[PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s/%llu.journal%s", dir, (unsigned long long)id, suffix);
    return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int journal_salt(uint64_t *ret)
{
    return getrandom(ret, sizeof(*ret), 0) == (ssize_t)sizeof(*ret) ? 0 : -EIO;
}

/* A journal without a file, and where its file is. */
static int new_journal(const struct io *io, const char *dir, uint64_t id, char path[PATH_MAX],
                       struct journal **ret, struct err *e)
{
    int rc = journal_path(dir, id, "", path);
    if (rc < 0)
        return err_set(e, rc, "journal: the path of '%s' is too long", dir);
    struct journal *j = calloc(1, sizeof(*j));
    if (j)
        j->dir = strdup(dir);
    if (!j || !j->dir) {
        free(j);
        return err_set(e, -ENOMEM, "journal: out of memory");
    }
    j->io = io;
    j->id = id;
    atomic_init(&j->refs, 1);
    j->fd = -1;
    j->next_compact = JOURNAL_COMPACT_MIN;
    j->since.max = JOURNAL_SIZE_MAX;
    lock_init(&j->lock);
    lock_cond_init(&j->cond);
    *ret = j;
    return 0;
}

struct journal *journal_ref(struct journal *j)
{
    if (j)
        atomic_fetch_add(&j->refs, 1);
    return j;
}

void journal_close(struct journal *j)
{
    if (!j || atomic_fetch_sub(&j->refs, 1) > 1)
        return;
    if (j->fd >= 0)
        j->io->ops->close(j->io, j->fd);
    state_done(&j->state);
    buf_done(&j->since);
    pthread_cond_destroy(&j->cond);
    lock_done(&j->lock);
    free(j->dir);
    free(j);
}

static int create_file(struct journal *j, const struct record *open_rec)
{
    CLEANUP_BUF struct buf b = BUF_INIT(RECORD_HEADER_SIZE + RECORD_PAYLOAD_MAX);
    uint8_t header[RECORD_HEADER_SIZE];
    record_header_encode(header, j->salt);
    int rc = buf_add(&b, header, sizeof(header));
    if (rc == 0)
        rc = record_encode(&b, open_rec, &(struct record_pos){.salt = j->salt});
    if (rc == 0)
        rc = state_fold(&j->state, open_rec);
    if (rc == 0)
        rc = io_write_all(j->io, j->fd, b.p, b.n, 0);
    j->end = b.n;
    j->needed = b.n;
    j->seq = 1;
    return rc;
}

int journal_create(const struct io *io, const char *dir, uint64_t id, const struct record *open_rec,
                   struct journal **ret, struct err *e)
{
    char path[PATH_MAX];
    struct journal *j;
    int rc = new_journal(io, dir, id, path, &j, e);
    if (rc < 0)
        return rc;

    j->fresh_name = true;
    rc = journal_salt(&j->salt);
    if (rc == 0)
        rc = io->ops->open(io, path, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (rc < 0) {
        journal_close(j);
        return err_set(e, rc, "cannot create '%s': %s", path, err_text(rc));
    }
    j->fd = rc;
    rc = create_file(j, open_rec);
    if (rc < 0) {
        journal_close(j);
        (void)io->ops->unlink(io, path);
        return err_set(e, rc, "cannot write '%s': %s", path, err_text(rc));
    }
    *ret = j;
    return 0;
}

// What the reader knows beyond the report.
struct reader {
    struct record_pos pos; // of the next record
    uint64_t at;           // offset of the next record
};

static int replay(const uint8_t *p, size_t n, struct journal_state *ret,
                  struct journal_report *report, struct reader *rd)
{
    *rd = (struct reader){.at = RECORD_HEADER_SIZE};
    int rc = record_header_decode(p, n, &rd->pos.salt);
    if (rc < 0) {
        report->lost = n;
        report->damaged = rc == -EBADMSG;
        report->unsupported = rc == -EPROTONOSUPPORT;
        return rc == -ENODATA ? 0 : rc;
    }

    while (rd->at < n) {
        struct record r;
        ssize_t len = record_decode(p + rd->at, n - rd->at, &rd->pos, &r);
        rc = len < 0 ? (int)len : 0;
        if (rc == 0 && r.type != 0)
            rc = state_fold(ret, &r);
        if (rc == -ENOMEM)
            return rc;
        if (rc < 0)
            break;
        rd->at += (uint64_t)len;
        rd->pos.seq++;
    }
    report->bytes = rd->at;
    report->lost = n - rd->at;
    report->n_records = rd->pos.seq;
    report->unsupported = rc == -EPROTONOSUPPORT;
    // A whole record that makes no sense was never written so by us.
    report->damaged = rc == -EPROTO || rc == -EINVAL || rc == -E2BIG ||
                      (rc == -EBADMSG && record_damaged(p, n, (size_t)rd->at, &rd->pos));
    return 0;
}

int journal_replay(const uint8_t *p, size_t n, struct journal_state *ret,
                   struct journal_report *ret_report)
{
    struct reader rd;
    struct journal_report report = {0};
    int rc = replay(p, n, ret, &report, &rd);
    if (ret_report)
        *ret_report = report;
    return rc == -ENOMEM ? rc : 0;
}

static int slurp(const struct io *io, const char *path, int fd, uint8_t **ret_p, size_t *ret_n,
                 struct err *e)
{
    int rc = io_slurp(io, fd, JOURNAL_SIZE_MAX, ret_p, ret_n);
    if (rc < 0)
        return err_set(e, rc, "cannot read '%s': %s", path, err_text(rc));
    return 0;
}

int journal_read(const struct io *io, const char *dir, uint64_t id, struct journal_state *ret,
                 struct journal_report *ret_report, struct err *e)
{
    char path[PATH_MAX];
    int rc = journal_path(dir, id, "", path);
    if (rc < 0)
        return err_set(e, rc, "journal: the path of '%s' is too long", dir);
    int fd = io->ops->open(io, path, O_RDONLY, 0);
    if (fd < 0)
        return err_set(e, fd, "cannot open '%s': %s", path, err_text(fd));

    CLEANUP_FREE uint8_t *p = NULL;
    size_t n = 0;
    rc = slurp(io, path, fd, &p, &n, e);
    io->ops->close(io, fd);
    if (rc < 0)
        return rc;

    struct journal_report report = {0};
    rc = journal_replay(p, n, ret, &report);
    if (ret_report)
        *ret_report = report;
    if (rc < 0)
        return err_set(e, rc, "cannot read '%s': %s", path, err_text(rc));
    if (ret->phase == PHASE_NONE && !report.damaged && !report.unsupported)
        return err_set(e, -ENODATA, "'%s' has no record that counts", path);
    return 0;
}

static int usable(const struct journal *j, const struct journal_report *report, struct err *e)
{
    unsigned long long id = j->id;
    if (report->unsupported)
        return err_set(e, -EPROTONOSUPPORT, "journal %llu was written by a newer version", id);
    if (report->damaged)
        return err_set(e, -EBADMSG, "journal %llu is damaged at byte %llu", id,
                       (unsigned long long)report->bytes);
    if (j->state.phase == PHASE_NONE)
        return err_set(e, -ENODATA, "journal %llu has no record that counts", id);
    return 0;
}

/* Cuts off the torn tail, and syncs that: else its records, whole again after the next power cut,
 * could stand behind new ones. */
static int cut_tail(struct journal *j, const struct journal_report *report)
{
    if (report->lost > 0) {
        int rc = j->io->ops->truncate(j->io, j->fd, report->bytes);
        if (rc < 0)
            return rc;
    }
    int rc = j->io->ops->datasync(j->io, j->fd);
    return rc < 0 ? rc : j->io->ops->sync_dir(j->io, j->dir);
}

static int open_file(struct journal *j, const char *path, struct journal_report *report,
                     struct err *e)
{
    int rc = j->io->ops->open(j->io, path, O_RDWR, 0);
    if (rc < 0)
        return err_set(e, rc, "cannot open '%s': %s", path, err_text(rc));
    j->fd = rc;

    CLEANUP_FREE uint8_t *p = NULL;
    size_t n = 0;
    rc = slurp(j->io, path, j->fd, &p, &n, e);
    if (rc < 0)
        return rc;
    struct reader rd;
    rc = replay(p, n, &j->state, report, &rd);
    if (rc == -ENOMEM)
        return err_set(e, rc, "cannot read '%s': %s", path, err_text(rc));
    rc = usable(j, report, e);
    if (rc < 0)
        return rc;
    rc = cut_tail(j, report);
    if (rc < 0)
        return err_set(e, rc, "cannot sync '%s': %s", path, err_text(rc));

    j->salt = rd.pos.salt;
    j->seq = rd.pos.seq;
    j->end = rd.at;
    j->needed = rd.at;
    j->durable = rd.at;
    return 0;
}

int journal_open(const struct io *io, const char *dir, uint64_t id, struct journal **ret,
                 struct journal_report *ret_report, struct err *e)
{
    char path[PATH_MAX];
    struct journal *j;
    int rc = new_journal(io, dir, id, path, &j, e);
    if (rc < 0)
        return rc;

    struct journal_report report = {0};
    rc = open_file(j, path, &report, e);
    if (ret_report)
        *ret_report = report;
    if (rc < 0) {
        journal_close(j);
        return rc;
    }
    *ret = j;
    return 0;
}

// Encodes the records as they will stand behind `end`.
static int encode_locked(struct journal *j, const struct record *recs, size_t n, struct buf *b)
{
    ASSERT_HELD(&j->lock);
    struct record_pos pos = {.salt = j->salt, .seq = j->seq, .durable = j->durable};
    for (size_t i = 0; i < n; i++) {
        int rc = record_encode(b, &recs[i], &pos);
        if (rc < 0)
            return rc;
        pos.seq++;
    }
    return 0;
}

/* A compaction is under way: the same records once more, to be written to the new file too. The
 * position does not matter, it is replaced. A failure stays in since.eno and ends the compaction.
 */
static void remember_locked(struct journal *j, const struct record *recs, size_t n)
{
    ASSERT_HELD(&j->lock);
    if (!j->compacting)
        return;
    for (size_t i = 0; i < n && !j->since.eno; i++) {
        int rc = record_encode(&j->since, &recs[i], &(struct record_pos){.seq = j->since_seq});
        if (rc < 0)
            j->since.eno = rc;
        j->since_seq++;
    }
}

/* The first record of a batch is checked against the state, the others as far as that says
 * something about them. */
static int check_locked(struct journal *j, const struct record *recs, size_t n)
{
    ASSERT_HELD(&j->lock);
    if (j->eno)
        return j->eno;
    for (size_t i = 0; i < n; i++) {
        int rc = state_check(&j->state, &recs[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int append_locked(struct journal *j, const struct record *recs, size_t n)
{
    ASSERT_HELD(&j->lock);
    while (j->hold && !j->eno)
        lock_wait(&j->lock, &j->cond, NULL);
    int rc = check_locked(j, recs, n);
    if (rc < 0)
        return rc;

    CLEANUP_BUF struct buf b = BUF_INIT(4 * RECORD_PAYLOAD_MAX);
    rc = encode_locked(j, recs, n, &b);
    if (rc < 0)
        return rc;
    if (j->end + b.n > JOURNAL_SIZE_MAX)
        return -EFBIG;
    rc = io_write_all(j->io, j->fd, b.p, b.n, j->end);
    if (rc < 0) {
        // What was written of it is a torn tail; the next write goes over it.
        (void)j->io->ops->truncate(j->io, j->fd, j->end);
        return rc;
    }
    j->end += b.n;
    j->needed = j->end;
    j->seq += (uint32_t)n;
    remember_locked(j, recs, n);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = state_fold(&j->state, &recs[i]);
    if (rc < 0)
        j->eno = rc; // file and state do not agree any more
    return rc;
}

int journal_append(struct journal *j, const struct record *recs, size_t n)
{
    lock_take(&j->lock);
    int rc = append_locked(j, recs, n);
    lock_drop(&j->lock);
    return rc;
}

/* Waits until no other thread syncs, and keeps others out. False: everything appended so far is
 * durable, or the journal has failed. */
static bool begin_sync_locked(struct journal *j)
{
    ASSERT_HELD(&j->lock);
    uint64_t epoch = j->epoch;
    uint64_t target = j->needed;
    for (;;) {
        // A compaction that began later has taken over and synced what we wait for.
        if (j->eno || j->settled > epoch)
            return false;
        if (j->epoch == epoch && j->durable >= target)
            return false;
        if (!j->syncing)
            break;
        lock_wait(&j->lock, &j->cond, NULL);
    }
    j->syncing = true;
    return true;
}

/* A witness behind what was just synced, unless a record follows already. Not synced itself, and
 * not missed if it cannot be written. */
static void vouch_locked(struct journal *j)
{
    ASSERT_HELD(&j->lock);
    if (j->end != j->durable)
        return;
    CLEANUP_BUF struct buf b = BUF_INIT(RECORD_PAYLOAD_MAX);
    struct record mark = {.type = RECORD_SYNCED, .optional = true};
    if (encode_locked(j, &mark, 1, &b) < 0)
        return;
    if (io_write_all(j->io, j->fd, b.p, b.n, j->end) < 0) {
        (void)j->io->ops->truncate(j->io, j->fd, j->end);
        return;
    }
    j->end += b.n;
    j->seq++;
}

static int sync_file(struct journal *j)
{
    lock_take(&j->lock);
    if (!begin_sync_locked(j)) {
        int eno = j->eno;
        lock_drop(&j->lock);
        return eno;
    }
    uint64_t upto = j->end;
    bool name = j->fresh_name;
    int fd = j->fd; // stays open: compaction waits for `syncing`
    lock_drop(&j->lock);

    int rc = j->io->ops->datasync(j->io, fd);
    if (rc == 0 && name)
        rc = j->io->ops->sync_dir(j->io, j->dir);

    lock_take(&j->lock);
    j->syncing = false;
    if (rc == 0) {
        j->durable = upto;
        j->fresh_name = false;
        vouch_locked(j);
    } else {
        j->eno = rc;
    }
    pthread_cond_broadcast(&j->cond);
    rc = j->eno;
    lock_drop(&j->lock);
    return rc;
}

int journal_sync(struct journal *j)
{
    int rc = sync_file(j);
    // Whoever forgets to compact still never gets a journal that is too long to be read.
    if (rc == 0 && journal_bytes(j) > JOURNAL_SIZE_MAX / 4 && journal_wants_compact(j))
        (void)journal_compact(j);
    return rc;
}

int journal_write(struct journal *j, const struct record *recs, size_t n)
{
    lock_take(&j->lock);
    int rc = append_locked(j, recs, n);
    enum durability durability = j->state.durability;
    lock_drop(&j->lock);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n; i++)
        if (record_wants_sync(&recs[i], durability))
            return journal_sync(j);
    return 0;
}

int journal_state(struct journal *j, struct journal_state *ret)
{
    lock_take(&j->lock);
    int rc = state_copy(ret, &j->state);
    lock_drop(&j->lock);
    return rc;
}

uint64_t journal_id(const struct journal *j)
{
    return j->id;
}

uint64_t journal_bytes(struct journal *j)
{
    lock_take(&j->lock);
    uint64_t n = j->end;
    lock_drop(&j->lock);
    return n;
}
