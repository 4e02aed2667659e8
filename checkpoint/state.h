// SPDX-License-Identifier: Apache-2.0
/* state - what the records of a journal add up to
 *
 * Role        A fold: the state after record n is a pure function of the state before and of the
 *             record. Recovery, compaction and the tests all look at the same struct.
 *
 * States      OPEN -> SEALED -> COMPLETING -> DONE; each of the first three -> ABANDONED.
 *             SEALED -> OPEN by REOPENED. Held, paused, interrupted, failed and conflict are
 *             marks beside the phase: RESUMED clears the last four.
 *
 * Parts       parts[i] is part number i + 1. A part is stored if its stored generation is the
 *             current one: state_part_stored(). Parts belong to an upload: INITIATED with another
 *             upload id than before forgets them all (their plan too), and the upload before it
 *             goes to `stale` until ABORTED names it. The first INITIATED keeps what was PLANNED.
 *             ABORTED or STALE of the current upload: none is stored, the plan stays.
 *             SIZE and SEALED below a part's end: parts wholly beyond are forgotten, the one that
 *             was cut has a new generation.
 *
 * Invariants  phase != PHASE_NONE once a record was folded; n_parts <= RECORD_PART_MAX; every
 *             part has offset + size <= RECORD_OFFSET_MAX.
 *
 * Ownership   The struct owns its strings; state_done() frees. A zeroed struct is the state
 *             before the first record. Strings are NULL until known.
 *
 * Errors      -EPROTO: a record that makes no sense there (the first is not OPEN, or another
 *             OPEN). -E2BIG: over a bound. -ENOMEM. The state is then not usable further.
 */
#ifndef OBSM_CHECKPOINT_STATE_H
#define OBSM_CHECKPOINT_STATE_H

#include "checkpoint/ranges.h"
#include "checkpoint/record.h"

enum { STATE_STALE_MAX = 16, STATE_WINDOWS_MAX = 16 };

enum journal_phase {
    PHASE_NONE = 0,
    PHASE_OPEN,
    PHASE_SEALED,
    PHASE_COMPLETING,
    PHASE_DONE,
    PHASE_ABANDONED
};

struct state_part {
    uint64_t offset;
    uint64_t size;
    uint32_t generation; /* of the content; 0: nothing known of this number */
    uint32_t stored_gen; /* of what the server has; 0: nothing */
    bool has_md5;        /* md5 is that of the current generation */
    bool copied;
    bool has_crc64; /* crc64 is that of the stored generation */
    uint8_t md5[16];
    uint64_t crc64;
    char *etag; /* of the stored generation, NULL if none */
};

/* An upload that is not the current one any more and may still be on the server. */
struct state_stale {
    char *key;
    char *upload_id;
};

/* An Initiate whose answer is not known. */
struct state_window {
    char *key;
    int64_t server_s;
    uint32_t window_s;
};

struct state_attrs {
    uint8_t *p;
    uint32_t n;
};

struct journal_state {
    enum journal_phase phase;
    uint64_t id;
    char *key;
    char *temp_name;
    bool predicted;
    enum durability durability;
    int64_t created_server_s;
    int64_t created_real_s;
    int64_t last_server_s; /* highest server time in any record */
    char *boot_id;
    uint32_t writer_pid;
    uint64_t writer_time;
    uint32_t writer_uid;
    char *base_key; /* "" if the file is new */
    char *base_etag;
    uint64_t base_size;

    struct state_attrs attrs; /* as the file has them now */

    /* the upload, upload_id NULL if none */
    char *upload_key;
    char *upload_id;
    char *nonce; /* of the upload, or of the single PUT */
    uint64_t part_size;
    int64_t initiated_s;
    struct state_attrs sent; /* the attributes that Initiate carried */
    bool adopted;            /* those are not known */
    struct state_part *parts;
    uint32_t n_parts;
    uint32_t parts_cap;
    struct state_window windows[STATE_WINDOWS_MAX];
    uint32_t n_windows;
    struct state_stale stale[STATE_STALE_MAX];
    uint32_t n_stale;

    /* staging */
    uint64_t size;
    bool has_map;          /* a MAP was seen; without one all of a new file is in staging */
    struct ranges map;     /* bytes that were written to staging */
    struct ranges punched; /* bytes that were released again, only the server has them */

    bool cloned; /* ranges are another object's: no recovery can put the file together */

    /* SEALED */
    bool sealed_once; /* also after REOPENED */
    enum seal_reason seal_reason;
    bool seal_synced;
    int64_t sealed_s;

    /* COMPLETING; forgotten by SEALED and REOPENED */
    char *final_key;
    char *final_etag;
    uint32_t final_parts; /* 0: a single PUT */
    uint64_t final_digest;
    int64_t completing_s;
    struct state_attrs final_attrs;

    /* DONE */
    char *done_etag;

    /* marks */
    bool held;
    bool paused;
    bool interrupted;
    enum interrupt_cause interrupt_cause;
    uint32_t interrupt_signal;
    int64_t interrupted_s;
    bool failed;
    int failed_eno; /* positive errno */
    char *failed_code;
    char *failed_message;
    char *failed_request_id;
    int64_t failed_s;
    bool conflict;
    char *conflict_etag;
    char *conflict_upload_id;
    int64_t conflict_s; /* Last-Modified of the other object */
    char *abandon_reason;
};

void state_done(struct journal_state *s);

/* Whether `r` may follow: 0, -EPROTO, -EINVAL, -E2BIG. Changes nothing. */
int state_check(const struct journal_state *s, const struct record *r);

/* Folds one record into the state. */
int state_fold(struct journal_state *s, const struct record *r);

/* Calls `emit` with records which, folded into an empty state, give this one. Strings belong to
 * the state. Stops at the first emit that does not return 0, and returns that. */
typedef int state_emit_fn(void *arg, const struct record *r);
int state_snapshot(const struct journal_state *s, state_emit_fn *emit, void *arg);

/* Replaces *to by a copy of *from. -ENOMEM. */
int state_copy(struct journal_state *to, const struct journal_state *from);

/* The server has the current content of this part. */
bool state_part_stored(const struct state_part *p);

/* The user was told that this file is safe (sealed at durability=stage and not held for a rename):
 * it is never dropped. */
bool state_acknowledged(const struct journal_state *s);

/* All of [off, end) can be read from staging: written there, or a hole of a new file, and not
 * punched. */
bool state_staged(const struct journal_state *s, uint64_t off, uint64_t end);

/* Bytes of the stored parts (`keep_interrupted_max` counts them). */
uint64_t state_stored_bytes(const struct journal_state *s);

/* A number for the list of stored parts (number, size, ETag): Complete was meant for these. */
uint64_t state_parts_digest(const struct journal_state *s);

/* The name of a phase: "open", "sealed", .. */
const char *state_phase_name(enum journal_phase phase);

#endif
