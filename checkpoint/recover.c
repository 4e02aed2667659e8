// SPDX-License-Identifier: Apache-2.0
// The plan of recovery; see recover.h. Putting together the parts is in recover_parts.c.
#include "checkpoint/recover.h"

#include "checkpoint/recover_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int decide(struct recover_plan *plan, enum recover_action action, enum recover_why why,
                  int eno)
{
    plan->action = action;
    plan->why = why;
    plan->eno = eno;
    return 0;
}

static void also_abort(struct recover_plan *plan, char *key, char *upload_id)
{
    plan->aborts[plan->n_aborts++] = (struct state_stale){key, upload_id};
}

static void abort_current(const struct recover_facts *f, struct recover_plan *plan)
{
    const struct journal_state *s = f->state;
    if (s->upload_id && f->list.answer != ANSWER_GONE)
        also_abort(plan, s->upload_key, s->upload_id);
}

// Nothing of it is wanted any more.
static int drop(const struct recover_facts *f, struct recover_plan *plan, enum recover_why why)
{
    abort_current(f, plan);
    return decide(plan, plan->n_aborts > 0 ? RECOVER_ABORT : RECOVER_DISCARD, why, 0);
}

static bool same_text(const char *a, const char *b)
{
    return a && b && *a && strcmp(a, b) == 0;
}

static bool expired(const struct recover_facts *f)
{
    const struct journal_state *s = f->state;
    if (state_acknowledged(s))
        return false;
    if (f->opt.keep_interrupted_s <= 0)
        return true;
    int64_t since = s->interrupted ? s->interrupted_s : s->last_server_s;
    if (!f->opt.expire || f->server_s <= 0 || since <= 0)
        return false;
    return f->server_s - since > f->opt.keep_interrupted_s;
}

// Kept for its writer to come back, as long as that is to be waited for.
static int keep(const struct recover_facts *f, struct recover_plan *plan, enum recover_why why)
{
    if (expired(f))
        return drop(f, plan, WHY_EXPIRED);
    return decide(plan, RECOVER_KEEP, why, 0);
}

static int plan_open(const struct recover_facts *f, struct recover_plan *plan)
{
    const struct journal_state *s = f->state;
    bool nothing = s->size == 0 && s->n_parts == 0 && s->map.n == 0 &&
                   (!f->staging.exists || f->staging.size == 0);
    if (nothing && !state_acknowledged(s))
        return drop(f, plan, WHY_EMPTY);
    return keep(f, plan, s->paused ? WHY_PAUSED : WHY_INTERRUPTED);
}

enum whose { NOT_OURS, OURS, OURS_BUT_WRONG };

// Whether the object that stands there is the one that this journal was to store.
static enum whose whose_object(const struct recover_facts *f)
{
    const struct journal_state *s = f->state;
    const struct recover_head *h = &f->head;
    if (h->answer != ANSWER_FOUND)
        return NOT_OURS;

    bool etag_known = s->final_etag && *s->final_etag && h->etag && *h->etag;
    bool same = h->size == s->size && (!etag_known || strcmp(h->etag, s->final_etag) == 0);
    if (same_text(s->upload_id, h->upload_id))
        return same ? OURS : OURS_BUT_WRONG;
    /* The copy onto itself that gave it its attributes has given it another ETag too. */
    if (same_text(s->nonce, h->nonce))
        return h->size == s->size ? OURS : OURS_BUT_WRONG;

    /* A single PUT that carried no mark, or a service that gives no upload id: the same content is as
     * good as ours. */
    bool unmarked =
        s->phase == PHASE_COMPLETING && (s->final_parts == 0 || !h->upload_id || !*h->upload_id);
    return unmarked && same && etag_known ? OURS : NOT_OURS;
}

static bool same_attrs(const struct state_attrs *a, const struct state_attrs *b)
{
    return a->n == b->n && (a->n == 0 || memcmp(a->p, b->p, a->n) == 0);
}

static int already_complete(const struct recover_facts *f, struct recover_plan *plan)
{
    const struct journal_state *s = f->state;
    bool completing = s->phase == PHASE_COMPLETING;
    if (completing && s->final_parts == 0)
        plan->send_attrs = !same_text(s->nonce, f->head.nonce);
    else
        plan->send_attrs = !same_attrs(completing ? &s->final_attrs : &s->attrs, &s->sent);
    return decide(plan, RECOVER_ALREADY_COMPLETE, WHY_NONE, 0);
}

/* An object of somebody else stands there that is newer than what we began with. On OBS the
 * Initiate time decides who wins (OBS API, completing a multipart upload). */
static bool newer_object(const struct recover_facts *f)
{
    const struct journal_state *s = f->state;
    if (f->head.answer != ANSWER_FOUND)
        return false;
    if (same_text(s->base_key, s->key) && same_text(s->base_etag, f->head.etag))
        return false; // the very object that is being modified
    int64_t ours = s->upload_id                   ? s->initiated_s
                   : s->phase == PHASE_COMPLETING ? s->completing_s
                                                  : s->sealed_s;
    if (ours <= 0)
        ours = s->created_server_s;
    /* An upload that is not there any more may have been completed, and have lost: then an object of
     * the same second is no older one. */
    bool spent = s->upload_id && s->phase == PHASE_COMPLETING && f->list.answer == ANSWER_GONE;
    return ours > 0 && f->head.modified_s > ours - spent;
}

static int plan_restart(const struct recover_facts *f, struct recover_plan *plan)
{
    int rc = recover_restart_parts(f, plan);
    if (rc < 0)
        return rc;
    if (plan->action == RECOVER_RESUME)
        abort_current(f, plan);
    return 0;
}

/* Returns true if that settles it: *ret_rc is the result. */
static bool settle_conflict(const struct recover_facts *f, struct recover_plan *plan, int *ret_rc)
{
    if (!newer_object(f) && !f->state->conflict)
        return false;
    switch (f->opt.on_conflict) {
    case ON_CONFLICT_KEEP_THEIRS:
        // A conflict of an earlier mount may be over.
        if (!newer_object(f))
            return false;
        *ret_rc = drop(f, plan, WHY_THEIRS);
        return true;
    case ON_CONFLICT_KEEP_MINE:
        if (f->opt.last_complete_wins || !f->state->upload_id || !newer_object(f))
            return false;
        *ret_rc = plan_restart(f, plan);
        if (*ret_rc == 0 && plan->action == RECOVER_KEEP)
            *ret_rc = decide(plan, RECOVER_CONFLICT, WHY_NO_DATA, ESTALE);
        return true;
    case ON_CONFLICT_ERROR:
        break;
    }
    *ret_rc = decide(plan, RECOVER_CONFLICT, WHY_OTHER_OBJECT, ESTALE);
    return true;
}

// The answers that everything else depends on. True if one is missing or says nothing.
static bool must_wait(const struct recover_facts *f, struct recover_plan *plan)
{
    if (f->head.answer == ANSWER_NONE)
        plan->need |= NEED_HEAD;
    if (f->state->upload_id && f->list.answer == ANSWER_NONE)
        plan->need |= NEED_LISTPARTS;
    bool error =
        f->head.answer == ANSWER_ERROR || (f->state->upload_id && f->list.answer == ANSWER_ERROR);
    if (plan->need || error)
        (void)decide(plan, RECOVER_WAIT, plan->need ? WHY_NONE : WHY_UNANSWERED, 0);
    return plan->need || error;
}

static int plan_sealed(const struct recover_facts *f, struct recover_plan *plan)
{
    const struct journal_state *s = f->state;
    bool given_up = s->failed && s->durability == DURABILITY_STORE;
    if (s->phase == PHASE_SEALED) {
        if (s->paused)
            return decide(plan, RECOVER_KEEP, WHY_PAUSED, 0);
        if (given_up)
            return decide(plan, RECOVER_KEEP, WHY_FAILED, s->failed_eno);
        if (s->held)
            return keep(f, plan, WHY_HELD);
    }
    switch (whose_object(f)) {
    case OURS:
        return already_complete(f, plan);
    case OURS_BUT_WRONG:
        return decide(plan, RECOVER_KEEP, WHY_DAMAGED, EIO);
    case NOT_OURS:
        break;
    }
    if (must_wait(f, plan))
        return 0;

    int rc;
    if (settle_conflict(f, plan, &rc))
        return rc;
    if (s->paused)
        return decide(plan, RECOVER_KEEP, WHY_PAUSED, 0);
    if (given_up)
        return decide(plan, RECOVER_KEEP, WHY_FAILED, s->failed_eno);
    if (!s->upload_id || f->list.answer == ANSWER_GONE)
        return plan_restart(f, plan);
    rc = recover_resume_parts(f, plan);
    return rc == -EAGAIN ? plan_restart(f, plan) : rc;
}

static int plan_damaged(const struct recover_facts *f, struct recover_plan *plan)
{
    bool nothing = f->state->phase == PHASE_NONE && !f->report->unsupported &&
                   (!f->staging.exists || f->staging.size == 0);
    if (nothing)
        return decide(plan, RECOVER_DISCARD, WHY_EMPTY, 0);
    plan->n_aborts = 0; // what it names may be old
    return decide(plan, RECOVER_KEEP, WHY_DAMAGED, EIO);
}

int recover_plan(const struct recover_facts *f, struct recover_plan *ret)
{
    const struct journal_state *s = f->state;
    *ret = (struct recover_plan){0};
    for (uint32_t i = 0; i < s->n_stale; i++)
        also_abort(ret, s->stale[i].key, s->stale[i].upload_id);
    if (f->report && (f->report->damaged || f->report->unsupported))
        return plan_damaged(f, ret);

    int rc = 0;
    switch (s->phase) {
    case PHASE_NONE:
        rc = drop(f, ret, WHY_EMPTY);
        break;
    case PHASE_OPEN:
        rc = s->cloned ? drop(f, ret, WHY_CLONED) : plan_open(f, ret);
        break;
    case PHASE_SEALED:
    case PHASE_COMPLETING:
        rc = s->cloned ? drop(f, ret, WHY_CLONED) : plan_sealed(f, ret);
        break;
    case PHASE_DONE:
        // The upload was completed: only what came before it can be left.
        rc = decide(ret, ret->n_aborts > 0 ? RECOVER_ABORT : RECOVER_DISCARD, WHY_STORED, 0);
        break;
    case PHASE_ABANDONED:
        rc = drop(f, ret, WHY_ABANDONED);
        break;
    }
    if (rc < 0)
        recover_plan_done(ret);
    else if (s->n_windows > 0)
        ret->need |= NEED_LISTUPLOADS;
    return rc;
}

void recover_plan_done(struct recover_plan *plan)
{
    free(plan->parts);
    plan->parts = NULL;
    plan->n_parts = 0;
}

const char *recover_action_name(enum recover_action action)
{
    static const char *const names[] = {
        [RECOVER_WAIT] = "wait",         [RECOVER_RESUME] = "resume",
        [RECOVER_COMPLETE] = "complete", [RECOVER_ALREADY_COMPLETE] = "already complete",
        [RECOVER_KEEP] = "keep",         [RECOVER_ABORT] = "abort",
        [RECOVER_DISCARD] = "discard",   [RECOVER_CONFLICT] = "conflict",
    };
    return action <= RECOVER_CONFLICT ? names[action] : "?";
}

const char *recover_why_text(enum recover_why why)
{
    static const char *const texts[] = {
        [WHY_NONE] = "",
        [WHY_INTERRUPTED] = "its writer died before it closed the file",
        [WHY_HELD] = "it was never renamed to its final name",
        [WHY_FAILED] = "its upload had failed",
        [WHY_PAUSED] = "it is paused",
        [WHY_DAMAGED] = "its journal or its local data are damaged",
        [WHY_EXPIRED] = "it was kept for as long as keep_interrupted says",
        [WHY_ABANDONED] = "it was given up by its user",
        [WHY_STORED] = "it is stored",
        [WHY_EMPTY] = "nothing was written",
        [WHY_THEIRS] = "a newer object stands there and on_conflict=keep-theirs",
        [WHY_NO_DATA] = "a part of its data is neither on the server nor on the local disk",
        [WHY_UNANSWERED] = "the server did not say what it has",
        [WHY_OTHER_OBJECT] = "a newer object of somebody else stands there",
        [WHY_CLONED] = "ranges of it were copies of another object, and it was not stored yet",
    };
    return why <= WHY_CLONED ? texts[why] : "?";
}
