// SPDX-License-Identifier: Apache-2.0
// The attribute index in an SQLite database; see index.h.
#include "checkpoint/index.h"

#include "net/base/cleanup.h"
#include "net/base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH_MAX = 4096, BUSY_MS = 200, ENTRIES_DEFAULT = 1000000, KEY_SIZE_MAX = 1024 };

enum query {
    Q_GET,
    Q_EACH,
    Q_PUT,
    Q_FORGET,
    Q_DROP_TREE,
    Q_DROP_NAMES,
    Q_DROP_ALL,
    Q_DROP_OLD,
    Q_DROP_OLDEST,
    Q_COUNT,
    N_QUERIES
};

/* A key is kept as directory and name, so that a directory is one range of the table. `upto` is the
 * prefix with its last byte one higher: what begins with the prefix is below it. */
static const char *const queries[N_QUERIES] = {
    [Q_GET] =
        "SELECT name,etag,mtime,size,attrs FROM attr WHERE dir=?1 AND name=?2 AND written>=?3",
    [Q_EACH] = "SELECT name,etag,mtime,size,attrs FROM attr WHERE dir=?1 AND written>=?2"
               " ORDER BY name",
    [Q_PUT] = "INSERT INTO attr(dir,name,etag,mtime,size,written,attrs)"
              " VALUES(?1,?2,?3,?4,?5,?6,?7) ON CONFLICT(dir,name) DO UPDATE SET"
              " etag=?3,mtime=?4,size=?5,written=?6,attrs=?7",
    [Q_FORGET] = "DELETE FROM attr WHERE dir=?1 AND name=?2",
    [Q_DROP_TREE] = "DELETE FROM attr WHERE dir>=?1 AND dir<?2",
    [Q_DROP_NAMES] = "DELETE FROM attr WHERE dir=?1 AND name>=?2 AND name<?3",
    [Q_DROP_ALL] = "DELETE FROM attr",
    [Q_DROP_OLD] = "DELETE FROM attr WHERE written<?1",
    [Q_DROP_OLDEST] = "DELETE FROM attr WHERE (dir,name) IN"
                      " (SELECT dir,name FROM attr ORDER BY written LIMIT ?1)",
    [Q_COUNT] = "SELECT count(*) FROM attr",
};

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS attr("
    " dir BLOB NOT NULL, name BLOB NOT NULL, etag BLOB NOT NULL, mtime INTEGER NOT NULL,"
    " size INTEGER NOT NULL, written INTEGER NOT NULL, attrs BLOB NOT NULL,"
    " PRIMARY KEY(dir,name)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS by_age ON attr(written);";

struct index {
    /* constant after open */
    char *path;
    int64_t ttl_s;
    uint64_t entries_max;
    struct log *log;

    struct lock lock;
    /* below: under lock */
    sqlite3 *db; /* NULL: given up */
    sqlite3_stmt *stmts[N_QUERIES];
    bool in_transaction;
    unsigned n_pending; /* puts since the last commit */
    unsigned n_remade;
    uint64_t estimate; /* of entries, never too low */
};

static void close_db(struct index *ix)
{
    for (int i = 0; i < N_QUERIES; i++) {
        sqlite3_finalize(ix->stmts[i]);
        ix->stmts[i] = NULL;
    }
    sqlite3_close(ix->db);
    ix->db = NULL;
    ix->in_transaction = false;
    ix->n_pending = 0;
}

// Makes the file private before SQLite opens it: WAL and shared memory take over its mode.
static int make_file(const char *path)
{
    CLEANUP_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd < 0 ? -errno : 0;
}

static int first_column(sqlite3 *db, const char *sql, int *ret)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *ret = sqlite3_column_int(stmt, 0);
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW ? SQLITE_OK : rc == SQLITE_DONE ? SQLITE_ERROR : rc;
}

static int set_up(sqlite3 *db)
{
    char version_sql[64];
    int version = 0;
    int rc = sqlite3_exec(db,
                          "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                          "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;",
                          NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = first_column(db, "PRAGMA user_version", &version);
    if (rc == SQLITE_OK && version != 0 && version != INDEX_VERSION)
        return SQLITE_NOTADB;
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, schema, NULL, NULL, NULL);
    (void)snprintf(version_sql, sizeof(version_sql), "PRAGMA user_version=%d", INDEX_VERSION);
    if (rc == SQLITE_OK && version == 0)
        rc = sqlite3_exec(db, version_sql, NULL, NULL, NULL);
    return rc;
}

static uint64_t count_entries(struct index *ix)
{
    sqlite3_stmt *stmt = ix->stmts[Q_COUNT];
    uint64_t n = 0;
    if (sqlite3_step(stmt) == SQLITE_ROW)
        n = (uint64_t)sqlite3_column_int64(stmt, 0);
    (void)sqlite3_reset(stmt);
    return n;
}

// An SQLite result code; the database is closed unless it is SQLITE_OK.
static int open_db(struct index *ix)
{
    if (make_file(ix->path) < 0)
        return SQLITE_CANTOPEN;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE;
    int rc = sqlite3_open_v2(ix->path, &ix->db, flags, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_busy_timeout(ix->db, BUSY_MS);
        rc = set_up(ix->db);
    }
    for (int i = 0; i < N_QUERIES && rc == SQLITE_OK; i++)
        rc = sqlite3_prepare_v3(ix->db, queries[i], -1, SQLITE_PREPARE_PERSISTENT, &ix->stmts[i],
                                NULL);
    if (rc != SQLITE_OK) {
        close_db(ix);
        return rc;
    }
    // From here on a lock of another process is a miss, not a wait.
    sqlite3_busy_timeout(ix->db, 0);
    ix->estimate = count_entries(ix);
    return SQLITE_OK;
}

static void remove_files(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        char *name = NULL;
        if (asprintf(&name, "%s%s", path, suffixes[i]) < 0)
            continue;
        (void)unlink(name);
        free(name);
    }
}

static bool is_damage(int rc)
{
    int primary = rc & 0xff;
    return primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB || primary == SQLITE_FORMAT ||
           primary == SQLITE_ERROR || primary == SQLITE_MISMATCH || rc == SQLITE_IOERR_SHORT_READ ||
           rc == SQLITE_IOERR_CORRUPTFS || rc == SQLITE_IOERR_DATA;
}

static int remake(struct index *ix, int why)
{
    close_db(ix);
    if (ix->n_remade++ == 0)
        log_notice(ix->log, "index", "'%s' cannot be read (%s), making a new one", ix->path,
                   sqlite3_errstr(why));
    remove_files(ix->path);
    return open_db(ix);
}

/* What a failed statement means: a damaged database is made anew (three times at most: a disk that
 * goes on like that is better left alone), anything else is a miss. */
static void failed_locked(struct index *ix, int rc)
{
    ASSERT_HELD(&ix->lock);
    log_debug(ix->log, "index", "'%s': %s, ignoring", ix->path, sqlite3_errstr(rc));
    if (!is_damage(rc))
        return;
    if (ix->n_remade >= 3)
        close_db(ix);
    else
        (void)remake(ix, rc);
}

int index_open(const struct index_params *params, struct index **ret, struct err *e)
{
    struct index *ix = calloc(1, sizeof(*ix));
    if (!ix || !(ix->path = strdup(params->path))) {
        free(ix);
        return err_set(e, -ENOMEM, "index: out of memory");
    }
    ix->ttl_s = params->ttl_s;
    ix->entries_max = params->entries_max ? params->entries_max : ENTRIES_DEFAULT;
    ix->log = params->log;
    lock_init(&ix->lock);

    int rc = open_db(ix);
    if (is_damage(rc) && rc != SQLITE_OK)
        rc = remake(ix, rc);
    if (rc != SQLITE_OK) {
        index_close(ix);
        return err_set(e, -EIO, "cannot open the attribute index '%s': %s", params->path,
                       sqlite3_errstr(rc));
    }
    *ret = ix;
    return 0;
}

// Runs a statement that gives no rows, and makes it ready for the next time.
static int run(struct index *ix, sqlite3_stmt *stmt)
{
    int rc = sqlite3_step(stmt);
    (void)sqlite3_reset(stmt);
    (void)sqlite3_clear_bindings(stmt);
    if (rc == SQLITE_DONE || rc == SQLITE_ROW)
        return SQLITE_OK;
    failed_locked(ix, rc);
    return rc;
}

// False: another process writes, or the database is gone. What was to be changed is then forgotten.
static bool begin_locked(struct index *ix)
{
    ASSERT_HELD(&ix->lock);
    if (!ix->db || ix->in_transaction)
        return ix->db;
    int rc = sqlite3_exec(ix->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    ix->in_transaction = rc == SQLITE_OK;
    if (rc != SQLITE_OK)
        failed_locked(ix, rc);
    return ix->in_transaction;
}

static void commit_locked(struct index *ix)
{
    ASSERT_HELD(&ix->lock);
    if (!ix->in_transaction)
        return;
    int rc = sqlite3_exec(ix->db, "COMMIT", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        (void)sqlite3_exec(ix->db, "ROLLBACK", NULL, NULL, NULL);
    ix->in_transaction = false;
    ix->n_pending = 0;
    if (rc != SQLITE_OK)
        failed_locked(ix, rc);
}

void index_close(struct index *ix)
{
    if (!ix)
        return;
    lock_take(&ix->lock);
    if (ix->db)
        commit_locked(ix);
    close_db(ix);
    lock_drop(&ix->lock);
    lock_done(&ix->lock);
    free(ix->path);
    free(ix);
}

static void bind_text(sqlite3_stmt *stmt, int at, const char *p, size_t n)
{
    // Blobs, so that they are compared byte by byte like the service's order of keys.
    (void)sqlite3_bind_blob64(stmt, at, n ? p : "", n, SQLITE_STATIC);
}

// Length of the directory part of a key: up to its last '/' that is not its end.
static size_t dir_length(const char *key, size_t n)
{
    size_t end = n > 0 && key[n - 1] == '/' ? n - 1 : n;
    while (end > 0 && key[end - 1] != '/')
        end--;
    return end;
}

static void bind_key(sqlite3_stmt *stmt, const char *key)
{
    size_t n = strlen(key);
    size_t dir = dir_length(key, n);
    bind_text(stmt, 1, key, dir);
    bind_text(stmt, 2, key + dir, n - dir);
}

static void bind_version(sqlite3_stmt *stmt, const struct index_version *v)
{
    bind_text(stmt, 3, v->etag, strlen(v->etag));
    (void)sqlite3_bind_int64(stmt, 4, v->mtime_ms);
    (void)sqlite3_bind_int64(stmt, 5, (int64_t)v->size);
}

bool index_same_version(const struct index_version *now, const struct index_version *entry)
{
    bool time =
        entry->mtime_ms < 0 ? now->mtime_ms <= -entry->mtime_ms : now->mtime_ms == entry->mtime_ms;
    return time && now->size == entry->size && strcmp(now->etag, entry->etag) == 0;
}

// A column as a string in `out`. False: longer than any that was put.
static bool column_text(sqlite3_stmt *stmt, int at, char *out, size_t size)
{
    const void *p = sqlite3_column_blob(stmt, at);
    int n = sqlite3_column_bytes(stmt, at);
    if (n < 0 || (size_t)n >= size)
        return false;
    if (n)
        memcpy(out, p, (size_t)n);
    out[n] = 0;
    return true;
}

// One row for the callback. Not 0: stop.
static int give(sqlite3_stmt *stmt, index_each_fn *fn, void *arg)
{
    char name[KEY_SIZE_MAX + 1];
    char etag[256];
    if (!column_text(stmt, 0, name, sizeof(name)) || !column_text(stmt, 1, etag, sizeof(etag)))
        return 0;
    struct index_version v = {etag, sqlite3_column_int64(stmt, 2),
                              (uint64_t)sqlite3_column_int64(stmt, 3)};
    const void *attrs = sqlite3_column_blob(stmt, 4);
    int n = sqlite3_column_bytes(stmt, 4);
    if (n < 0 || n > INDEX_ATTRS_MAX)
        return 0;
    return fn(arg, name, &v, attrs ? attrs : "", (size_t)n);
}

struct wanted {
    const struct index_version *version;
    void **attrs;
    size_t *n;
};

// The callback of give() for one entry: 1 if it is of the wanted version.
static int take_same(void *arg, const char *name, const struct index_version *version,
                     const void *attrs, size_t n)
{
    (void)name;
    const struct wanted *w = arg;
    char *copy = index_same_version(w->version, version) ? malloc(n + 1) : NULL;
    if (!copy)
        return 0;
    memcpy(copy, attrs, n);
    copy[n] = 0;
    *w->attrs = copy;
    *w->n = n;
    return 1;
}

int index_get(struct index *ix, const char *key, const struct index_version *version, int64_t now_s,
              void **ret_attrs, size_t *ret_n)
{
    if (!ix)
        return 0;
    int found = 0;
    lock_take(&ix->lock);
    if (ix->db) {
        struct wanted w = {.version = version, .attrs = ret_attrs, .n = ret_n};
        sqlite3_stmt *stmt = ix->stmts[Q_GET];
        bind_key(stmt, key);
        (void)sqlite3_bind_int64(stmt, 3, now_s - ix->ttl_s);
        int rc = sqlite3_step(stmt);
        if (rc == SQLITE_ROW)
            found = give(stmt, take_same, &w);
        (void)sqlite3_reset(stmt);
        (void)sqlite3_clear_bindings(stmt);
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
            failed_locked(ix, rc);
    }
    lock_drop(&ix->lock);
    return found;
}

int index_each(struct index *ix, const char *dir, int64_t now_s, index_each_fn *fn, void *arg)
{
    if (!ix)
        return 0;
    int given = 0;
    lock_take(&ix->lock);
    if (ix->db) {
        sqlite3_stmt *stmt = ix->stmts[Q_EACH];
        bind_text(stmt, 1, dir, strlen(dir));
        (void)sqlite3_bind_int64(stmt, 2, now_s - ix->ttl_s);
        int rc;
        while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
            given++;
            if (give(stmt, fn, arg) != 0)
                break;
        }
        (void)sqlite3_reset(stmt);
        (void)sqlite3_clear_bindings(stmt);
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
            failed_locked(ix, rc);
    }
    lock_drop(&ix->lock);
    return given;
}

void index_put(struct index *ix, const char *key, const struct index_version *version,
               const void *attrs, size_t n, int64_t now_s)
{
    if (!ix || n > INDEX_ATTRS_MAX || strlen(key) > KEY_SIZE_MAX || strlen(version->etag) > 255)
        return;
    lock_take(&ix->lock);
    if (begin_locked(ix)) {
        sqlite3_stmt *stmt = ix->stmts[Q_PUT];
        bind_key(stmt, key);
        bind_version(stmt, version);
        (void)sqlite3_bind_int64(stmt, 6, now_s);
        bind_text(stmt, 7, attrs, n);
        ix->estimate++;
        if (run(ix, stmt) == SQLITE_OK && ++ix->n_pending >= BATCH_MAX)
            commit_locked(ix);
    }
    lock_drop(&ix->lock);
}

void index_forget(struct index *ix, const char *key)
{
    if (!ix)
        return;
    lock_take(&ix->lock);
    if (begin_locked(ix)) {
        bind_key(ix->stmts[Q_FORGET], key);
        (void)run(ix, ix->stmts[Q_FORGET]);
        if (sqlite3_changes(ix->db) > 0) // a crash must not bring it back
            commit_locked(ix);
    }
    lock_drop(&ix->lock);
}

/* The first string behind all that begin with p: its last byte that can be, one higher. Returns its
 * length, 0 if there is none. */
static size_t behind(const char *p, size_t n, char *out)
{
    memcpy(out, p, n);
    while (n > 0 && (unsigned char)out[n - 1] == 0xff)
        n--;
    if (n > 0)
        out[n - 1]++;
    return n;
}

static void drop_locked(struct index *ix, const char *prefix, size_t n)
{
    ASSERT_HELD(&ix->lock);
    char upto[KEY_SIZE_MAX];
    size_t upto_n = behind(prefix, n, upto);
    if (upto_n == 0) { // no prefix, or none that a key could have
        (void)run(ix, ix->stmts[Q_DROP_ALL]);
        return;
    }
    bind_text(ix->stmts[Q_DROP_TREE], 1, prefix, n);
    bind_text(ix->stmts[Q_DROP_TREE], 2, upto, upto_n);
    if (run(ix, ix->stmts[Q_DROP_TREE]) != SQLITE_OK || !ix->db)
        return;

    // In the directory that the prefix itself lies in: the names that begin like it.
    size_t dir = dir_length(prefix, n);
    sqlite3_stmt *stmt = ix->stmts[Q_DROP_NAMES];
    upto_n = behind(prefix + dir, n - dir, upto);
    bind_text(stmt, 1, prefix, dir);
    bind_text(stmt, 2, prefix + dir, n - dir);
    bind_text(stmt, 3, upto, upto_n);
    (void)run(ix, stmt);
}

void index_drop(struct index *ix, const char *prefix)
{
    size_t n = strlen(prefix);
    if (!ix || n > KEY_SIZE_MAX)
        return;
    lock_take(&ix->lock);
    if (begin_locked(ix))
        drop_locked(ix, prefix, n);
    lock_drop(&ix->lock);
}

static void trim_locked(struct index *ix, int64_t now_s)
{
    ASSERT_HELD(&ix->lock);
    (void)sqlite3_bind_int64(ix->stmts[Q_DROP_OLD], 1, now_s - ix->ttl_s);
    if (run(ix, ix->stmts[Q_DROP_OLD]) != SQLITE_OK || !ix->db)
        return;
    // The estimate counts replaced entries twice: only when it is too high they are counted.
    if (ix->estimate <= ix->entries_max)
        return;
    uint64_t n = count_entries(ix);
    ix->estimate = n;
    if (n <= ix->entries_max)
        return;
    ix->estimate = ix->entries_max;
    (void)sqlite3_bind_int64(ix->stmts[Q_DROP_OLDEST], 1, (int64_t)(n - ix->entries_max));
    (void)run(ix, ix->stmts[Q_DROP_OLDEST]);
}

void index_flush(struct index *ix, int64_t now_s)
{
    if (!ix)
        return;
    lock_take(&ix->lock);
    if (ix->db && ix->in_transaction) {
        trim_locked(ix, now_s);
        if (ix->db)
            commit_locked(ix);
    }
    lock_drop(&ix->lock);
}

uint64_t index_count(struct index *ix)
{
    if (!ix)
        return 0;
    lock_take(&ix->lock);
    uint64_t n = ix->db ? count_entries(ix) : 0;
    lock_drop(&ix->lock);
    return n;
}
