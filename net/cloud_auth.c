// SPDX-License-Identifier: Apache-2.0
// Keys, tokens, the project, and keys that were refused; see cloud_impl.h.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/base/clock.h"
#include "net/cloud_impl.h"

enum {
    TRIES = 3,                    /* refusals in a row before the same keys stay unused */
    LOCK_MS = 5 * 60 * 1000,      /* for so long at first: as long as the service locks them */
    LOCK_MAX_MS = 60 * 60 * 1000, /* and twice as long after each further one, up to this */
    RENEW_WAIT_MS = 15 * 1000,    /* for other keys, after the service refused these */
    TOKEN_EARLY_S = 300,          /* before its end a token is renewed; of a short one a tenth */
    TOKEN_EARLY_PART = 10,
};

/* --- refused keys --- */

/* The hash of a pair of secrets with what belongs to them. */
static int make_print(unsigned char print[DIGEST_SHA256_SIZE], const char *const *parts, size_t n)
{
    struct digest *d = digest_new(DIGEST_SHA256);
    int rc = d ? digest_reset(d) : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = digest_add(d, parts[i], strlen(parts[i]) + 1);
    if (rc == 0)
        rc = digest_end(d, print);
    digest_free(d);
    return rc;
}

static bool same_print(const unsigned char *a, const unsigned char *b)
{
    return memcmp(a, b, DIGEST_SHA256_SIZE) == 0;
}

/* May these keys be sent now? 0; -EAGAIN: not yet, others are being tried; -EACCES. */
static int guard_enter_locked(struct cloud_guard *guard, struct cloud_state *st)
{
    ASSERT_HELD(&st->cloud->lock);
    int64_t now = clock_ms();
    if (!same_print(guard->print, st->print)) {
        memcpy(guard->print, st->print, sizeof(guard->print));
        guard->proven = false;
        guard->refused = 0;
        guard->locked_until = 0;
    }
    if (now < guard->locked_until) {
        st->http.err = guard->last;
        return err_prefix(&st->http.err, "refused %u times, not sent again for %lld s",
                          guard->refused, (long long)(guard->locked_until - now) / 1000 + 1);
    }
    unsigned left = guard->refused < TRIES ? TRIES - guard->refused : 1;
    if (!guard->proven && guard->trying >= left)
        return -EAGAIN;
    guard->trying++;
    st->entered = guard;
    return 0;
}

static void guard_refuse_locked(struct cloud_guard *guard, const struct cloud_state *st)
{
    ASSERT_HELD(&st->cloud->lock);
    if (!same_print(guard->print, st->print))
        return;
    bool locked = strstr(st->call->fault.msg, "reach the limit") != NULL;
    guard->proven = false;
    guard->refused++;
    guard->last = st->http.err;
    guard->last.cls = ERR_DENIED;
    if (locked && guard->refused < TRIES)
        guard->refused = TRIES;
    if (guard->refused < TRIES)
        return;
    int64_t ms = LOCK_MS;
    for (unsigned i = TRIES; i < guard->refused && ms < LOCK_MAX_MS; i++)
        ms *= 2;
    guard->locked_until = clock_ms() + (ms < LOCK_MAX_MS ? ms : LOCK_MAX_MS);
}

void cloud_auth_leave(struct cloud_state *st, bool accepted)
{
    struct cloud_guard *guard = st->entered;
    if (!guard)
        return;
    st->entered = NULL;
    lock_take(&st->cloud->lock);
    guard->trying--;
    if (accepted && same_print(guard->print, st->print)) {
        guard->proven = true;
        guard->refused = 0;
        guard->locked_until = 0;
    }
    lock_drop(&st->cloud->lock);
}

void cloud_auth_wipe(struct cloud_state *st)
{
    cred_wipe(&st->cred);
    if (st->token) {
        explicit_bzero(st->token, strlen(st->token));
        free(st->token);
        st->token = NULL;
    }
    if (st->login_body.p)
        explicit_bzero(st->login_body.p, st->login_body.n);
    buf_done(&st->login_body);
}

/* --- what has to be found out first --- */

/* Starts `role` unless it runs. -EAGAIN; or the failure of an attempt that was made for this call.
 * Drops the lock. */
static int look_up_unlock(struct cloud_state *st, struct cloud_lookup *lookup, enum cloud_role role)
{
    struct cloud *cloud = st->cloud;
    ASSERT_HELD(&cloud->lock);
    int rc = -EAGAIN;
    bool start = false;
    if (!lookup->running && lookup->failed_ns > st->start_ns) {
        st->http.err = lookup->failure;
        rc = lookup->failure.eno;
    } else {
        start = !lookup->running;
        lookup->running = true;
    }
    lock_drop(&cloud->lock);
    if (start)
        cloud_submit_as(cloud, &lookup->call, role);
    return rc;
}

static void lookup_failed_locked(struct cloud_lookup *lookup, const struct err *err)
{
    lookup->running = false;
    lookup->failure = *err;
    lookup->failure.cls = ERR_FATAL;
    if (lookup->failure.eno == -EAGAIN)
        lookup->failure.eno = -EIO; /* would mean: not yet */
    lookup->failed_ns = clock_ns();
}

/* --- the token --- */

/* Takes the token out of the answer to a login. */
static int take_token_locked(struct cloud *cloud, const struct cloud_state *st,
                             const struct token_answer *answer, struct err *err)
{
    const char *token = http_fields_get(&st->http.response.fields, "X-Subject-Token");
    size_t n = token ? strlen(token) : 0;
    ASSERT_HELD(&cloud->lock);
    if (n == 0 || n >= CLOUD_TOKEN_MAX)
        return err_set(err, -EIO, "the answer to the login has no usable token");

    int64_t now = clock_real().tv_sec;
    int64_t begin = answer->issued ? answer->issued : now;
    int64_t early = (answer->expires - begin) / TOKEN_EARLY_PART;
    /* Measured from here: the clocks may differ. */
    int64_t lasts = answer->expires - begin;
    memcpy(cloud->token, token, n + 1);
    cloud->token_renew = now + lasts - (early < TOKEN_EARLY_S ? early : TOKEN_EARLY_S);
    cloud->token_no++;
    if (!cloud->project_id[0] && iam_check_project_id(answer->project.id, NULL) == 0)
        memcpy(cloud->project_id, answer->project.id, sizeof(cloud->project_id));
    return 0;
}

static void login_done(struct cloud_call *call)
{
    struct cloud *cloud = call->arg;
    const struct cloud_state *st = call->state;
    struct token_answer answer;
    struct err err = call->err;

    int rc = err.eno;
    if (rc == 0)
        rc = json_parse_token(call->text ? call->text : "", call->n_text, &answer, &err);
    lock_take(&cloud->lock);
    if (rc == 0)
        rc = take_token_locked(cloud, st, &answer, &err);
    cloud_call_clear(call); /* from the unlock on it may be in use again */
    if (rc < 0) {
        err_prefix(&err, "logging in to IAM");
        lookup_failed_locked(&cloud->login, &err);
    } else {
        cloud->login.running = false;
    }
    lock_drop(&cloud->lock);
}

/* The body of a login, with the password as it stands in the file now. */
static int prepare_login(struct cloud_state *st)
{
    struct cloud *cloud = st->cloud;
    char password[IAM_PASSWORD_MAX];
    char project[IAM_PROJECT_ID_MAX + 1];

    int rc = iam_read_password(cloud->password_file, password, &st->http.err);
    if (rc < 0)
        return rc;
    lock_take(&cloud->lock);
    memcpy(project, cloud->project_id, sizeof(project));
    lock_drop(&cloud->lock);
    struct iam_login login = {.user = cloud->user,
                              .domain = cloud->domain,
                              .password = password,
                              .project_id = project,
                              .project = cloud->region};
    st->login_body = BUF_INIT(16384);
    rc = iam_login_body(&st->login_body, &login, &st->http.err);
    const char *parts[] = {cloud->user, cloud->domain ? cloud->domain : "", password};
    if (rc == 0 && make_print(st->print, parts, 3) < 0)
        rc = err_set(&st->http.err, -ENOMEM, "out of memory");
    explicit_bzero(password, sizeof(password));
    if (rc < 0)
        return rc;
    st->http.body.size = st->login_body.n;

    lock_take(&cloud->lock);
    rc = guard_enter_locked(&cloud->login_guard, st);
    lock_drop(&cloud->lock);
    return rc;
}

static int prepare_token(struct cloud_state *st)
{
    struct cloud *cloud = st->cloud;

    lock_take(&cloud->lock);
    if (cloud->token[0] && clock_real().tv_sec < cloud->token_renew) {
        st->token = strdup(cloud->token);
        st->token_no = cloud->token_no;
        lock_drop(&cloud->lock);
        return st->token ? 0 : err_set(&st->http.err, -ENOMEM, "out of memory");
    }
    if (!cloud->login.running)
        cloud->login.call = (struct cloud_call){.service = CLOUD_IAM,
                                                .method = "POST",
                                                .path = "/v3/auth/tokens",
                                                .done = login_done,
                                                .arg = cloud};
    return look_up_unlock(st, &cloud->login, CLOUD_LOGIN);
}

/* --- the keys --- */

static int prepare_keys(struct cloud_state *st)
{
    struct cloud *cloud = st->cloud;
    struct err *err = &st->http.err;

    int rc = cred_get(cloud->cred, &st->cred, err);
    if (rc < 0)
        return rc;
    const char *parts[] = {st->cred.ak, st->cred.sk, st->cred.token};
    if (make_print(st->print, parts, 3) < 0)
        return err_set(err, -ENOMEM, "out of memory");

    /* New ones are on their way, and only those may be sent. */
    int64_t now = clock_ms();
    bool ended = st->cred.expires && st->cred.expires <= clock_real().tv_sec;
    bool same = st->refused && same_print(st->refused_print, st->print);
    if (ended || same) {
        if (!st->renew_until)
            st->renew_until = now + RENEW_WAIT_MS;
        if (now < st->renew_until)
            return -EAGAIN;
        if (!same)
            return err_set(err, -EACCES, "the temporary keys have ended, no new ones have come");
        *err = st->refusal;
        return err->eno;
    }
    lock_take(&cloud->lock);
    rc = guard_enter_locked(&cloud->keys_guard, st);
    lock_drop(&cloud->lock);
    return rc;
}

/* --- the project --- */

static void project_found(struct cloud *cloud, const char *id, const struct err *err)
{
    lock_take(&cloud->lock);
    if (id)
        (void)snprintf(cloud->project_id, sizeof(cloud->project_id), "%s", id);
    cloud->project.running = false;
    if (!id) {
        struct err failure = *err;
        err_prefix(&failure, "finding the project");
        lookup_failed_locked(&cloud->project, &failure);
    }
    lock_drop(&cloud->lock);
}

static void project_done(struct cloud_call *call)
{
    struct cloud *cloud = call->arg;
    const struct cloud_state *st = call->state;
    struct project *list = NULL;
    size_t n = 0;
    char id[IAM_PROJECT_ID_MAX + 1];
    struct err err = call->err;
    bool refused = err.http == 403 && st->role == CLOUD_PROJECT;

    if (err.eno == 0)
        (void)json_parse_projects(call->text ? call->text : "", call->n_text, &list, &n, &err);
    if (err.eno == 0)
        (void)iam_pick_project(list, n, cloud->region, id, &err);
    free(list);
    cloud_call_clear(call);
    if (refused) { /* this one needs no right, and knows no filter */
        call->n_query = 0;
        (void)snprintf(call->path, sizeof(call->path), "/v3/auth/projects");
        cloud_submit_as(cloud, call, CLOUD_OWN_PROJECTS);
        return;
    }
    project_found(cloud, err.eno ? NULL : id, &err);
}

static int prepare_project(struct cloud_state *st)
{
    struct cloud *cloud = st->cloud;

    lock_take(&cloud->lock);
    memcpy(st->project_id, cloud->project_id, sizeof(st->project_id));
    if (st->project_id[0]) {
        lock_drop(&cloud->lock);
        return 0;
    }
    if (!cloud->region) {
        lock_drop(&cloud->lock);
        return err_set(&st->http.err, -EINVAL, "which project? Set project_id or region");
    }
    if (!cloud->project.running)
        cloud->project.call = (struct cloud_call){.service = CLOUD_IAM,
                                                  .method = "GET",
                                                  .path = "/v3/projects",
                                                  .query = {{"name", cloud->region}},
                                                  .n_query = 1,
                                                  .right = "iam:projects:listProjects",
                                                  .done = project_done,
                                                  .arg = cloud};
    return look_up_unlock(st, &cloud->project, CLOUD_PROJECT);
}

/* --- all together --- */

int cloud_authorise(struct cloud_state *st)
{
    int rc = 0;
    if (!st->start_ns)
        st->start_ns = clock_ns();
    if (st->role == CLOUD_LOGIN)
        return prepare_login(st);
    /* The token first: it may bring the project along. Keys last: they may stand in line. */
    if (st->cloud->user)
        rc = prepare_token(st);
    if (rc == 0 && st->call->service != CLOUD_IAM)
        rc = prepare_project(st);
    if (rc == 0 && !st->cloud->user)
        rc = prepare_keys(st);
    if (rc < 0)
        cloud_auth_wipe(st);
    return rc;
}

/* The token is gone for everybody, unless another has come meanwhile. */
static bool token_refused(struct cloud_state *st)
{
    struct cloud *cloud = st->cloud;
    bool again = !st->refused;

    lock_take(&cloud->lock);
    if (cloud->token_no == st->token_no)
        explicit_bzero(cloud->token, CLOUD_TOKEN_MAX);
    lock_drop(&cloud->lock);
    st->refused = true;
    return again;
}

static bool keys_refused(struct cloud_state *st)
{
    struct err why;
    if (st->refused)
        return false;
    st->refused = true;
    memcpy(st->refused_print, st->print, sizeof(st->refused_print));
    st->refusal = st->http.err;
    st->refusal.cls = ERR_DENIED;
    int rc = cred_reload(st->cloud->cred, &st->cred, &why);
    return rc == 1 || rc == -EAGAIN;
}

bool cloud_auth_refused(struct cloud_state *st)
{
    struct cloud_guard *guard = st->entered;
    if (guard) {
        lock_take(&st->cloud->lock);
        guard_refuse_locked(guard, st);
        lock_drop(&st->cloud->lock);
    }
    cloud_auth_leave(st, false);
    if (st->role == CLOUD_LOGIN)
        return false;
    return st->token ? token_refused(st) : keys_refused(st);
}
