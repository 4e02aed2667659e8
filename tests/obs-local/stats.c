// SPDX-License-Identifier: Apache-2.0
/* Counters and the log of requests, see stats.h */
#include "tests/obs-local/stats.h"

#include <stdlib.h>
#include <string.h>

#include "net/base/clock.h"
#include "net/base/lock.h"
#include "tests/obs-local/server.h"

enum { RING = 100000, OPS_MAX = 96, STATUSES_MAX = 32 };

struct op_count {
    const char *name; /* lives as long as the program */
    uint64_t count, bytes_in, bytes_out;
    uint64_t status[STATUSES_MAX]; /* by place in stats->statuses */
    unsigned in_flight, max_in_flight;
};

struct stats {
    struct lock lock;
    struct op_count ops[OPS_MAX];
    size_t n_ops;
    int statuses[STATUSES_MAX];
    size_t n_statuses;
    uint64_t sign[SIGN_KIND_COUNT];
    unsigned in_flight, max_in_flight;
    uint64_t faults;
    char **ring; /* RING lines of JSON, by serial modulo RING */
    uint64_t serial;
};

static const char *const sign_names[SIGN_KIND_COUNT] = {"none", "obs", "v2", "v4", "sdk", "token"};

struct stats *stats_new(void)
{
    struct stats *st = mem_alloc(sizeof(*st));
    lock_init(&st->lock);
    st->ring = mem_alloc(RING * sizeof(*st->ring));
    return st;
}

static void clear_ring_locked(struct stats *st)
{
    for (size_t i = 0; i < RING; i++) {
        free(st->ring[i]);
        st->ring[i] = NULL;
    }
    st->serial = 0;
}

void stats_free(struct stats *st)
{
    if (!st)
        return;
    lock_take(&st->lock);
    clear_ring_locked(st);
    lock_drop(&st->lock);
    free(st->ring);
    lock_done(&st->lock);
    free(st);
}

static struct op_count *op_locked(struct stats *st, const char *name)
{
    for (size_t i = 0; i < st->n_ops; i++) {
        if (strcmp(st->ops[i].name, name) == 0)
            return &st->ops[i];
    }
    if (st->n_ops == OPS_MAX)
        return &st->ops[OPS_MAX - 1];
    st->ops[st->n_ops] = (struct op_count){.name = name};
    return &st->ops[st->n_ops++];
}

static size_t status_locked(struct stats *st, int status)
{
    for (size_t i = 0; i < st->n_statuses; i++) {
        if (st->statuses[i] == status)
            return i;
    }
    if (st->n_statuses == STATUSES_MAX)
        return STATUSES_MAX - 1;
    st->statuses[st->n_statuses] = status;
    return st->n_statuses++;
}

void stats_begin(struct stats *st, const char *op)
{
    lock_take(&st->lock);
    struct op_count *c = op_locked(st, op);
    if (++c->in_flight > c->max_in_flight)
        c->max_in_flight = c->in_flight;
    if (++st->in_flight > st->max_in_flight)
        st->max_in_flight = st->in_flight;
    lock_drop(&st->lock);
}

/* Whether a header's value may stand in the log; secrets may not. */
static bool is_secret(const char *name)
{
    return strstr(name, "authorization") || strstr(name, "token") ||
           (strstr(name, "customer-key") && !strstr(name, "md5"));
}

/* The texts of cloud services, but for IAM's, which have passwords. */
static bool shows_body(const struct request *r)
{
    enum { BODY_MAX = 8192 };
    return (strncmp(r->op->name, "Dli", 3) == 0 || strncmp(r->op->name, "ModelArts", 9) == 0) &&
           r->body.n <= BODY_MAX;
}

static char *log_line(const struct request *r, uint64_t serial, unsigned in_flight)
{
    struct buf b = BUF_INIT(64 << 10);
    struct timespec t = clock_real();
    buf_addf(&b, "{\"n\":%llu,\"time\":%lld.%03ld,\"ms\":%.2f,\"op\":\"%s\",\"method\":\"%s\"",
             (unsigned long long)serial, (long long)t.tv_sec, t.tv_nsec / 1000000,
             (double)(clock_ns() - r->t0_ns) / 1e6, r->op->name, r->method);
    buf_adds(&b, ",\"bucket\":");
    text_json(&b, r->bucket ? r->bucket : "");
    buf_adds(&b, ",\"key\":");
    text_json(&b, r->key ? r->key : "");
    buf_adds(&b, ",\"path\":");
    text_json(&b, r->path ? r->path : "");
    buf_adds(&b, ",\"query\":{");
    for (size_t i = 0; i < r->query.n; i++) {
        bool secret = strcmp(r->query.v[i].name, "Signature") == 0 || is_secret(r->query.v[i].name);
        buf_adds(&b, i ? "," : "");
        text_json(&b, r->query.v[i].name);
        buf_addc(&b, ':');
        text_json(&b, secret ? "***" : r->query.v[i].value);
    }
    buf_addf(&b,
             "},\"status\":%d,\"bytes_in\":%llu,\"bytes_out\":%llu,\"sign\":\"%s\","
             "\"in_flight\":%u,\"answered\":%s,\"fault\":%s,\"headers\":{",
             r->status, (unsigned long long)r->received, (unsigned long long)r->answered,
             sign_names[r->sign], in_flight, r->status ? "true" : "false",
             r->fault.fired ? "true" : "false");
    for (size_t i = 0; i < r->headers.n; i++) {
        buf_adds(&b, i ? "," : "");
        text_json(&b, r->headers.v[i].name);
        buf_addc(&b, ':');
        text_json(&b, is_secret(r->headers.v[i].name) ? "***" : r->headers.v[i].value);
    }
    buf_adds(&b, "}");
    if (shows_body(r)) {
        buf_adds(&b, ",\"body\":");
        text_json(&b, buf_str(&r->body));
    }
    buf_adds(&b, "}");
    if (!b.eno)
        return buf_steal(&b);
    buf_done(&b);
    return NULL;
}

void stats_end(struct stats *st, const struct request *r)
{
    if (!r->op)
        return;
    lock_take(&st->lock);
    struct op_count *c = op_locked(st, r->op->name);
    unsigned in_flight = st->in_flight;
    uint64_t serial = st->serial++;
    c->count++;
    c->bytes_in += r->received;
    c->bytes_out += r->answered;
    c->status[status_locked(st, r->status)]++;
    c->in_flight -= c->in_flight > 0;
    st->in_flight -= st->in_flight > 0;
    st->sign[r->sign]++;
    st->faults += r->fault.fired;
    lock_drop(&st->lock);

    char *line = log_line(r, serial, in_flight);
    lock_take(&st->lock);
    char *old = st->ring[serial % RING];
    st->ring[serial % RING] = line;
    lock_drop(&st->lock);
    free(old);
}

void stats_unsent(struct stats *st, const char *op, uint64_t n)
{
    lock_take(&st->lock);
    struct op_count *c = op_locked(st, op);
    c->bytes_out -= n < c->bytes_out ? n : c->bytes_out;
    lock_drop(&st->lock);
}

void stats_reset(struct stats *st)
{
    lock_take(&st->lock);
    for (size_t i = 0; i < st->n_ops; i++) {
        struct op_count *c = &st->ops[i];
        *c = (struct op_count){
            .name = c->name, .in_flight = c->in_flight, .max_in_flight = c->in_flight};
    }
    memset(st->sign, 0, sizeof(st->sign));
    st->max_in_flight = st->in_flight;
    st->faults = 0;
    clear_ring_locked(st);
    lock_drop(&st->lock);
}

static void add_count_locked(const struct stats *st, const struct op_count *c, struct buf *out)
{
    buf_addf(out,
             "\"count\":%llu,\"bytes_in\":%llu,\"bytes_out\":%llu,\"max_in_flight\":%u,"
             "\"status\":{",
             (unsigned long long)c->count, (unsigned long long)c->bytes_in,
             (unsigned long long)c->bytes_out, c->max_in_flight);
    const char *comma = "";
    for (size_t i = 0; i < st->n_statuses; i++) {
        if (!c->status[i])
            continue;
        buf_addf(out, "%s\"%d\":%llu", comma, st->statuses[i], (unsigned long long)c->status[i]);
        comma = ",";
    }
    buf_adds(out, "}");
}

void stats_json(struct stats *st, struct buf *out)
{
    struct op_count total = {.name = "total"};
    const char *comma = "";
    lock_take(&st->lock);
    buf_adds(out, "{\"operations\":{");
    for (size_t i = 0; i < st->n_ops; i++) {
        const struct op_count *c = &st->ops[i];
        if (!c->count)
            continue;
        buf_addf(out, "%s\"%s\":{", comma, c->name);
        comma = ",";
        add_count_locked(st, c, out);
        buf_adds(out, "}");
        total.count += c->count;
        total.bytes_in += c->bytes_in;
        total.bytes_out += c->bytes_out;
        for (size_t k = 0; k < STATUSES_MAX; k++)
            total.status[k] += c->status[k];
    }
    total.max_in_flight = st->max_in_flight;
    buf_adds(out, "},\"total\":{");
    add_count_locked(st, &total, out);
    buf_addf(out, "},\"in_flight\":%u,\"faults\":%llu,\"signatures\":{", st->in_flight,
             (unsigned long long)st->faults);
    for (size_t i = 0; i < SIGN_KIND_COUNT; i++)
        buf_addf(out, "%s\"%s\":%llu", i ? "," : "", sign_names[i],
                 (unsigned long long)st->sign[i]);
    buf_adds(out, "}}");
    lock_drop(&st->lock);
}

void stats_log_json(struct stats *st, uint64_t tail, const char *op, struct buf *out)
{
    char wanted[96];
    size_t wanted_n = 0;
    if (op) {
        struct buf b = BUF_INIT(sizeof(wanted));
        buf_addf(&b, "\"op\":\"%s\",", op);
        wanted_n = b.n < sizeof(wanted) ? b.n : 0;
        memcpy(wanted, buf_str(&b), wanted_n);
        wanted[wanted_n] = '\0';
        buf_done(&b);
    }
    lock_take(&st->lock);
    uint64_t first = st->serial > RING ? st->serial - RING : 0;
    if (!op && st->serial - first > tail)
        first = st->serial - tail;
    buf_adds(out, "[");
    const char *comma = "";
    for (uint64_t i = first; i < st->serial; i++) {
        const char *line = st->ring[i % RING];
        if (!line || (wanted_n && !strstr(line, wanted)))
            continue;
        buf_addf(out, "%s\n%s", comma, line);
        comma = ",";
    }
    buf_adds(out, "\n]\n");
    lock_drop(&st->lock);
}
