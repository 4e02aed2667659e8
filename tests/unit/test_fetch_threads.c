// SPDX-License-Identifier: Apache-2.0
/* The read cache under threads: readers in order and at random, cancels, renames and closes, over a
 * source that answers in any order, in small pieces, with repeated attempts and failures. Whatever
 * happens: right bytes, one answer for each read, the memory budget kept, nothing left over. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/fetch.h"
#include "net/base/lock.h"
#include "net/obs.h"

#define K (UINT64_C(1) << 10)
#define M (UINT64_C(1) << 20)

enum { SERVERS = 3, READERS = 4, FILES = 6, ENTRIES = 1024, BATCH = 8, PIECE_MAX = 48 << 10 };

static const uint64_t SIZES[FILES] = {0, 1, 4095, 300 * K + 17, 3 * M, 20 * M + 1};
static const uint64_t MEMORY = 4 * M;

static unsigned char byte_at(unsigned file, uint64_t off)
{
    return (unsigned char)(off * 31 + (off >> 8) * 7 + (off >> 16) + file * 101);
}

/* --- the source --- */

struct entry {
    struct obs_call *call;
    bool taken, cancelled;
};

struct source {
    struct lock lock;
    pthread_cond_t cond;
    struct entry entries[ENTRIES];
    bool stop;
    unsigned trouble; /* one GET in so many fails; 0: none */
    unsigned seed;
    _Atomic unsigned faults; /* of the source's own rules */
};

static void source_submit(void *arg, struct obs_call *call)
{
    struct source *s = arg;
    int i = 0;

    lock_take(&s->lock);
    while (i < ENTRIES && s->entries[i].call)
        i++;
    if (i < ENTRIES)
        s->entries[i] = (struct entry){.call = call};
    else
        s->faults++;
    pthread_cond_signal(&s->cond);
    lock_drop(&s->lock);
}

static void source_cancel(void *arg, struct obs_call *call)
{
    struct source *s = arg;
    bool found = false;

    lock_take(&s->lock);
    for (int i = 0; i < ENTRIES; i++) {
        if (s->entries[i].call == call) {
            s->entries[i].cancelled = true;
            found = true;
        }
    }
    s->faults += !found;
    lock_drop(&s->lock);
}

static bool is_cancelled(struct source *s, struct entry *e)
{
    lock_take(&s->lock);
    bool yes = e->cancelled;
    lock_drop(&s->lock);
    return yes;
}

static void fill(unsigned char *p, const struct obs_call *call, uint64_t off, size_t n)
{
    unsigned file = (unsigned)(call->key[0] - 'a');
    for (size_t i = 0; i < n; i++)
        p[i] = byte_at(file, off + i);
}

/* One attempt: up to `until` bytes of the range. */
static int attempt(struct source *s, struct entry *e, uint64_t until, unsigned *seed)
{
    static _Thread_local unsigned char piece[PIECE_MAX];
    struct obs_call *call = e->call;

    for (uint64_t at = 0; at < until;) {
        if (is_cancelled(s, e))
            return -ECANCELED;
        size_t n = 1 + (size_t)rand_r(seed) % PIECE_MAX;
        n = n < until - at ? n : (size_t)(until - at);
        fill(piece, call, call->offset + at, n);
        int rc = call->sink(call->sink_arg, call->offset + at, piece, n);
        if (rc < 0)
            return rc;
        at += n;
    }
    return 0;
}

static void serve(struct source *s, struct entry *e, unsigned *seed)
{
    struct obs_call *call = e->call;
    bool trouble = s->trouble && (unsigned)rand_r(seed) % s->trouble == 0;
    int rc = 0;

    if (rand_r(seed) % 8 == 0)
        rc = attempt(s, e, (uint64_t)rand_r(seed) % call->length, seed);
    if (rc == 0 && trouble)
        rc = attempt(s, e, (uint64_t)rand_r(seed) % call->length, seed);
    else if (rc == 0)
        rc = attempt(s, e, call->length, seed);
    call->status = rc == 0 ? 206 : 0;
    if (rc < 0) {
        err_set(&call->err, rc, "ended early");
    } else if (trouble && rand_r(seed) % 2 == 0) {
        call->status = 500;
        err_set(&call->err, -EIO, "trouble");
    } else if (trouble) {
        call->status = 412;
        err_set(&call->err, -EBUSY, "changed");
    }
    call->done(call);
}

static struct entry *pick(struct source *s, unsigned *seed)
{
    struct entry *waiting[ENTRIES];
    int n = 0;

    for (int i = 0; i < ENTRIES; i++)
        if (s->entries[i].call && !s->entries[i].taken)
            waiting[n++] = &s->entries[i];
    return n ? waiting[rand_r(seed) % n] : NULL;
}

static void *server(void *arg)
{
    struct source *s = arg;

    lock_take(&s->lock);
    unsigned seed = s->seed++;
    for (;;) {
        struct entry *e = pick(s, &seed);
        if (e) {
            e->taken = true;
            lock_drop(&s->lock);
            serve(s, e, &seed);
            lock_take(&s->lock);
            *e = (struct entry){0};
        } else if (s->stop) {
            break;
        } else {
            lock_wait(&s->lock, &s->cond, NULL);
        }
    }
    lock_drop(&s->lock);
    return NULL;
}

/* --- the readers --- */

struct world {
    struct source source;
    struct fetch *fetch;
    struct fetch_file *files[FILES];
    unsigned seed;
    unsigned steps;
    bool trouble;
    _Atomic unsigned wrong;    /* bytes or lengths */
    _Atomic unsigned answered; /* reads, by done() or at once or by cancelling */
    _Atomic unsigned started;
};

struct task {
    struct fetch_read read;
    struct world *world;
    struct intr intr; /* finished when answered */
    unsigned file;
    uint64_t off;
    size_t n;
    bool release_in_done; /* all but the first of a batch: nobody may hold room while he waits for
                             it */
    _Atomic int answers;
};

static void check(struct task *t)
{
    uint64_t size = SIZES[t->file];
    uint64_t left = t->off < size ? size - t->off : 0;
    size_t want = t->n < left ? t->n : (size_t)left;

    if (t->read.eno < 0) {
        t->world->wrong += !t->world->trouble && t->read.eno != -EINTR;
        t->world->wrong += t->read.eno == -ECANCELED || t->read.n_iov != 0;
        return;
    }
    t->world->wrong += t->read.n != want;
    uint64_t at = t->off;
    unsigned wrong = 0;
    for (int i = 0; i < t->read.n_iov; i++) {
        const unsigned char *p = t->read.iov[i].iov_base;
        for (size_t k = 0; k < t->read.iov[i].iov_len; k++, at++)
            wrong += p[k] != byte_at(t->file, at);
    }
    t->world->wrong += wrong + (at != t->off + want);
}

static void answered(struct task *t)
{
    t->answers++;
    t->world->answered++;
    check(t);
}

static void on_done(struct fetch_read *read, void *arg)
{
    struct task *t = arg;

    answered(t);
    if (t->release_in_done)
        fetch_read_release(read);
    intr_finish(&t->intr);
}

static void begin(struct task *t, bool first, struct world *w, struct fetch_stream *stream,
                  struct fetch_file *file, unsigned *seed)
{
    t->world = w;
    t->answers = 0;
    t->release_in_done = !first || rand_r(seed) % 2;
    intr_init(&t->intr);
    fetch_read_init(&t->read, file, stream, t->off, t->n, on_done, t);
    w->started++;
    bool stopped = rand_r(seed) % 64 == 0 && !fetch_read_cancel(&t->read);
    int rc = fetch_read_start(&t->read);
    w->wrong += stopped != (rc == -EINTR);
    if (rc != 0) {
        answered(t);
        if (t->release_in_done)
            fetch_read_release(&t->read);
        intr_finish(&t->intr);
    }
}

static void end(struct task *t, unsigned *seed)
{
    if (rand_r(seed) % 6 == 0 && fetch_read_cancel(&t->read)) {
        t->world->wrong += t->read.eno != -EINTR;
        answered(t);
        intr_finish(&t->intr);
    }
    (void)intr_wait(&t->intr, -1, true);
    fetch_read_release(&t->read);
    t->world->wrong += t->answers != 1;
    intr_done(&t->intr);
}

/* Batches of parallel reads, in order with a little disorder, or anywhere. */
static void one_handle(struct world *w, struct task *tasks, unsigned *seed)
{
    unsigned f = (unsigned)rand_r(seed) % FILES;
    struct fetch_file *file = fetch_file_ref(w->files[f]);
    struct fetch_stream *stream = NULL;
    bool in_order = rand_r(seed) % 2;
    uint64_t at = rand_r(seed) % 2 ? 0 : (uint64_t)rand_r(seed) % (SIZES[f] + 1);

    if (fetch_stream_new(file, &stream) < 0)
        w->wrong++;
    for (int batch = rand_r(seed) % 12; batch >= 0; batch--) {
        int n = 1 + rand_r(seed) % BATCH;
        for (int i = 0; i < n; i++) {
            struct task *t = &tasks[i];
            t->file = f;
            t->n = in_order ? 128 * K : 1 + (size_t)rand_r(seed) % (256 * K);
            t->n = rand_r(seed) % 16 ? t->n : FETCH_READ_MAX;
            t->off = in_order ? at : (uint64_t)rand_r(seed) % (SIZES[f] + 1);
            at += t->n;
        }
        if (n > 1 && rand_r(seed) % 2) {
            uint64_t off = tasks[0].off;
            tasks[0].off = tasks[1].off;
            tasks[1].off = off;
        }
        for (int i = 0; i < n; i++)
            begin(&tasks[i], i == 0, w, rand_r(seed) % 8 ? stream : NULL, file, seed);
        for (int i = 0; i < n; i++)
            end(&tasks[i], seed);
    }
    fetch_stream_free(stream);
    fetch_file_unref(file);
}

static void copy_some(struct world *w, unsigned *seed)
{
    unsigned f = (unsigned)rand_r(seed) % FILES;
    size_t n = (size_t)rand_r(seed) % (3 * M);
    uint64_t off = (uint64_t)rand_r(seed) % (SIZES[f] + 1);
    unsigned char *p = malloc(n + 1);
    struct err err = {0};

    ssize_t rc = p ? fetch_copy(w->files[f], off, p, n, NULL, &err) : -ENOMEM;
    uint64_t left = SIZES[f] - off;
    if (rc < 0)
        w->wrong += !w->trouble || err.eno != rc;
    else
        w->wrong += (uint64_t)rc != (n < left ? n : left);
    unsigned wrong = 0;
    for (ssize_t i = 0; i < rc; i++)
        wrong += p[i] != byte_at(f, off + (uint64_t)i);
    w->wrong += wrong;
    free(p);
}

struct reader {
    pthread_t thread;
    struct world *world;
    unsigned seed;
};

static void *reader(void *arg)
{
    struct reader *r = arg;
    struct world *w = r->world;
    struct task *tasks = calloc(BATCH, sizeof(*tasks));

    for (unsigned i = 0; tasks && i < w->steps; i++) {
        unsigned f = (unsigned)rand_r(&r->seed) % FILES;
        char key[3] = {(char)('a' + f), (char)('0' + rand_r(&r->seed) % 10), 0};
        switch (rand_r(&r->seed) % 10) {
        case 0:
            fetch_file_drop(w->files[f]);
            break;
        case 1:
            w->wrong += fetch_file_rekey(w->files[f], key, key, NULL) != 0;
            break;
        case 2:
            copy_some(w, &r->seed);
            break;
        default:
            one_handle(w, tasks, &r->seed);
        }
    }
    w->wrong += !tasks;
    free(tasks);
    return NULL;
}

static void world_run(unsigned seed, unsigned trouble, unsigned steps)
{
    struct world *w = calloc(1, sizeof(*w));
    pthread_t servers[SERVERS];
    struct reader readers[READERS];

    print_message("seed %u, one GET in %u fails\n", seed, trouble);
    assert_non_null(w);
    lock_init(&w->source.lock);
    lock_cond_init(&w->source.cond);
    w->source.seed = seed;
    w->source.trouble = trouble;
    w->trouble = trouble != 0;
    w->steps = steps;
    struct fetch_config config = {
        .source = {.submit = source_submit, .cancel = source_cancel, .arg = &w->source},
        .memory_max = MEMORY,
        .parallel = 5,
    };
    assert_int_equal(fetch_new(&config, &w->fetch), 0);
    for (unsigned i = 0; i < FILES; i++) {
        char key[2] = {(char)('a' + i), 0};
        assert_int_equal(fetch_file_new(w->fetch, key, "etag", SIZES[i], NULL, &w->files[i]), 0);
    }
    for (int i = 0; i < SERVERS; i++)
        assert_int_equal(pthread_create(&servers[i], NULL, server, &w->source), 0);
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.world = w, .seed = seed + 1000 * (i + 1)};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, reader, &readers[i]), 0);
    }
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i].thread, NULL);

    struct fetch_stats stats;
    fetch_stats(w->fetch, &stats);
    for (unsigned i = 0; i < FILES; i++)
        fetch_file_unref(w->files[i]);
    fetch_free(w->fetch);
    lock_take(&w->source.lock);
    w->source.stop = true;
    pthread_cond_broadcast(&w->source.cond);
    lock_drop(&w->source.lock);
    for (int i = 0; i < SERVERS; i++)
        pthread_join(servers[i], NULL);

    assert_int_equal(w->wrong, 0);
    assert_int_equal(w->source.faults, 0);
    assert_int_equal(w->started, w->answered);
    assert_true(stats.memory_peak <= MEMORY);
    assert_true(stats.hits + stats.waits + stats.failed >= stats.reads - stats.cancelled);
    print_message(
        "reads %llu, hits %llu, memory waits %llu, cancelled %llu, failed %llu, GETs %llu, "
        "ahead %llu, evicted %llu\n",
        (unsigned long long)stats.reads, (unsigned long long)stats.hits,
        (unsigned long long)stats.memory_waits, (unsigned long long)stats.cancelled,
        (unsigned long long)stats.failed, (unsigned long long)stats.gets,
        (unsigned long long)stats.gets_ahead, (unsigned long long)stats.evicted);
    pthread_cond_destroy(&w->source.cond);
    lock_done(&w->source.lock);
    free(w);
}

/* OBSM_SEED=N repeats or varies a run. */
static unsigned seed_or(unsigned seed)
{
    const char *text = getenv("OBSM_SEED");
    return text ? (unsigned)strtoul(text, NULL, 10) : seed;
}

static void anything_without_failures(void **state)
{
    world_run(seed_or(7001), 0, 60);
}

static void anything_with_failures(void **state)
{
    world_run(seed_or(9001), 6, 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anything_without_failures),
        cmocka_unit_test(anything_with_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
