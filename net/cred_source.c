// SPDX-License-Identifier: Apache-2.0
// Keeping access keys; see cred.h.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/base/clock.h"
#include "net/base/lock.h"
#include "net/cred.h"

enum { CHECK_INTERVAL_MS = 1000, REFRESH_BEFORE_S = 600, REFRESH_INTERVAL_MS = 10000 };

struct cred_source {
    /* constant after cred_source_new() */
    char *file;
    cred_refresh_fn *refresh;
    void *refresh_arg;
    char name[256];
    size_t secret_size;

    struct lock lock; /* below: under lock */
    struct cred *secret;
    bool have;
    struct stat seen;     /* of the file when it was read */
    int64_t checked_ms;   /* when the file's time was last looked at */
    int64_t refreshed_ms; /* when new keys were last asked for; 0: never */
    int64_t ask_s;        /* real time from which on better ones are asked for; 0: never */
};

static const char *process_env(void *arg, const char *name)
{
    (void)arg;
    return secure_getenv(name);
}

/* Pages of their own: what shares a page with them would be missing in a core dump, too. */
static struct cred *secret_alloc(size_t *ret_size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = (sizeof(struct cred) + page - 1) / page * page;
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    /* A kernel may refuse either: the keys then are as safe as the rest of the memory. */
    (void)madvise(p, size, MADV_DONTDUMP);
    (void)mlock(p, size);
    *ret_size = size;
    return p;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Reads the file into the kept keys; on failure those stay. */
static int read_file_locked(struct cred_source *source, struct err *err)
{
    CLEANUP_CRED struct cred fresh;
    struct stat st = {0};

    ASSERT_HELD(&source->lock);
    /* Looked at before it is read: a change in between is seen at the next look. */
    (void)stat(source->file, &st);
    int rc = cred_from_file(source->file, &fresh, err);
    source->checked_ms = clock_ms();
    if (rc < 0)
        return rc;
    *source->secret = fresh;
    source->seen = st;
    source->have = true;
    return 0;
}

static int first_read(struct cred_source *source, const struct cred_config *config, struct err *err)
{
    if (config->file) {
        (void)snprintf(source->name, sizeof(source->name), "file '%s'", config->file);
        source->file = strdup(config->file);
        if (!source->file)
            return err_set(err, -ENOMEM, "out of memory");
        lock_take(&source->lock);
        int rc = read_file_locked(source, err);
        lock_drop(&source->lock);
        return rc;
    }
    if (config->env) {
        const char *name = "";
        int rc = cred_from_env(process_env, NULL, source->secret, &name, err);
        source->have = rc == 0;
        (void)snprintf(source->name, sizeof(source->name), "environment (%s)", name);
        if (rc != -ENOENT || !config->refresh)
            return rc;
        if (err)
            err_clear(err);
    }
    if (!config->refresh)
        return err_set(err, -EINVAL, "no source of access keys is configured");
    (void)snprintf(source->name, sizeof(source->name), "metadata service");
    source->refresh = config->refresh;
    source->refresh_arg = config->refresh_arg;
    return 0;
}

int cred_source_new(const struct cred_config *config, struct cred_source **ret, struct err *err)
{
    struct cred_source *source = calloc(1, sizeof(*source));
    if (!source)
        return err_set(err, -ENOMEM, "out of memory");
    lock_init(&source->lock);
    source->secret = secret_alloc(&source->secret_size);
    int rc =
        source->secret ? first_read(source, config, err) : err_set(err, -ENOMEM, "out of memory");
    if (rc < 0) {
        cred_source_free(source);
        return rc;
    }
    *ret = source;
    return 0;
}

void cred_source_free(struct cred_source *source)
{
    if (!source)
        return;
    if (source->secret) {
        explicit_bzero(source->secret, source->secret_size);
        munmap(source->secret, source->secret_size);
    }
    lock_done(&source->lock);
    free(source->file);
    free(source);
}

const char *cred_source_name(const struct cred_source *source)
{
    return source->name;
}

/* True if it is time to ask for new keys; the caller then does so without the lock. */
static bool refresh_due_locked(struct cred_source *source, bool expired)
{
    ASSERT_HELD(&source->lock);
    if (!source->refresh)
        return false;
    bool ends = source->have && source->ask_s && clock_real().tv_sec >= source->ask_s;
    if (!expired && source->have && !ends)
        return false;
    int64_t now = clock_ms();
    if (source->refreshed_ms && now - source->refreshed_ms < REFRESH_INTERVAL_MS)
        return false;
    source->refreshed_ms = now;
    return true;
}

/* Reads the file again if its time changed. A failure leaves the old keys: a file that is being
 * replaced must not stop the mount. */
static void look_at_file_locked(struct cred_source *source)
{
    struct stat st;

    ASSERT_HELD(&source->lock);
    int64_t now = clock_ms();
    if (!source->file || now - source->checked_ms < CHECK_INTERVAL_MS)
        return;
    source->checked_ms = now;
    if (stat(source->file, &st) == 0 && !same_file(&st, &source->seen))
        (void)read_file_locked(source, NULL);
}

int cred_get(struct cred_source *source, struct cred *ret, struct err *err)
{
    lock_take(&source->lock);
    look_at_file_locked(source);
    bool refresh = refresh_due_locked(source, false);
    bool have = source->have;
    if (have)
        *ret = *source->secret;
    lock_drop(&source->lock);

    if (refresh)
        source->refresh(source->refresh_arg);
    if (!have)
        return err_set(err, -EAGAIN, "no access keys have come from the %s yet", source->name);
    return 0;
}

static bool same_keys(const struct cred *a, const struct cred *b)
{
    return strcmp(a->ak, b->ak) == 0 && strcmp(a->sk, b->sk) == 0 &&
           strcmp(a->token, b->token) == 0;
}

int cred_reload(struct cred_source *source, const struct cred *used, struct err *err)
{
    int rc = 0;
    lock_take(&source->lock);
    bool changed = source->have && !same_keys(source->secret, used);
    if (!changed && source->file) {
        rc = read_file_locked(source, err);
        changed = rc == 0 && !same_keys(source->secret, used);
    }
    bool refresh = !changed && refresh_due_locked(source, true);
    lock_drop(&source->lock);

    if (refresh)
        source->refresh(source->refresh_arg);
    if (changed)
        return 1;
    if (rc == 0 && source->refresh)
        return err_set(err, -EAGAIN, "new access keys have been asked for");
    return rc;
}

/* Ten minutes before the end. If the same keys came again there are no better ones yet: in the
 * middle of what is left. */
static int64_t when_to_ask(const struct cred *cred, bool again)
{
    int64_t left_s = cred->expires - clock_real().tv_sec;
    if (!cred->expires)
        return 0;
    return cred->expires - (again && left_s < 2 * REFRESH_BEFORE_S ? left_s / 2 : REFRESH_BEFORE_S);
}

void cred_put(struct cred_source *source, const struct cred *cred)
{
    lock_take(&source->lock);
    source->ask_s = when_to_ask(cred, source->have && same_keys(source->secret, cred) &&
                                          source->secret->expires == cred->expires);
    *source->secret = *cred;
    source->have = true;
    source->refreshed_ms = 0;
    lock_drop(&source->lock);
}
