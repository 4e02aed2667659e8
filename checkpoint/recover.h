// SPDX-License-Identifier: Apache-2.0
/* recover - what to do with an upload that a crash left behind
 *
 * Role        A pure function from what is known (journal, staging, the server's answers) to a
 *             plan. It sends nothing: the caller asks what `need` names, fills in the answer and
 *             calls again. At most three rounds.
 *
 * Plans       RESUME            send the parts of the list that are not kept (none stored, or no
 *                               usable upload: `restart`, all under a new one); complete
 *             COMPLETE          every part is on the server: send Complete with the kept list
 *             ALREADY_COMPLETE  our object stands there: send the final attributes if
 *                               `send_attrs`, write DONE, drop
 *             KEEP              not published; parts and staging stay, for content match, for
 *                               `publish` or `retry`; `why` says which kind
 *             ABORT             abort `aborts` on the server, then drop journal and staging
 *             DISCARD           nothing on the server: drop journal and staging
 *             WAIT              ask what `need` names, or, if need is 0, ask again later: the
 *                               server's answer decides nothing
 *             CONFLICT          somebody else's newer object stands there; data stay, `eno`
 *
 * Invariants  (each has a property test)
 *             1. An answer that is an error (401, 403, 408, 429, 5xx, no answer) decides nothing
 *                about a sealed file: WAIT, or KEEP and CONFLICT as the journal says. (What was
 *                abandoned, or has expired, goes without asking.)
 *             2. COMPLETE only if the kept parts cover [0, size) without gap or overlap, each on
 *                the server with the journalled size and ETag.
 *             3. What was acknowledged at durability=stage is never aborted or discarded unless
 *                it was stored, abandoned by its user, or lost to `keep-theirs`.
 *             4. A file that was not sealed is never published.
 *             5. Only uploads in the journal are aborted, and those that
 *                recover_unknown_upload() allows.
 *             6. A damaged journal leads to KEEP.
 *
 * Ownership   The facts are borrowed. recover_plan_done() frees what the plan holds; strings in
 *             it point into the facts.
 */
#ifndef OBSM_CHECKPOINT_RECOVER_H
#define OBSM_CHECKPOINT_RECOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "checkpoint/journal.h"
#include "checkpoint/state.h"

enum recover_answer {
    ANSWER_NONE = 0, /* not asked yet */
    ANSWER_FOUND,
    ANSWER_GONE, /* 404 NoSuchUpload, NoSuchKey. NoSuchBucket is an error. */
    ANSWER_ERROR /* anything else, or no answer */
};

struct recover_listed_part {
    uint32_t part_no;
    uint64_t size;
    const char *etag;   /* without quotes */
    int64_t modified_s; /* its Last-Modified, 0 if not said */
};

/* All pages of ListParts of state->upload_id. */
struct recover_listparts {
    enum recover_answer answer;
    const struct recover_listed_part *v;
    size_t n;
};

/* HEAD of the final key. */
struct recover_head {
    enum recover_answer answer;
    const char *upload_id; /* x-obs-uploadId, "" if none */
    const char *nonce;     /* our mark in the user metadata, "" if none */
    const char *etag;
    uint64_t size;
    int64_t modified_s; /* Last-Modified */
};

enum recover_hash { HASH_UNKNOWN = 0, HASH_MATCH, HASH_MISMATCH, HASH_UNREADABLE };

struct recover_staging {
    bool exists;
    uint64_t size; /* its owner keeps it at least as long as the sealed file, or as its map */
    /* Result of re-hashing by part number - 1; shorter or NULL: not hashed. */
    const enum recover_hash *hashes;
    size_t n_hashes;
};

enum on_conflict { ON_CONFLICT_ERROR = 0, ON_CONFLICT_KEEP_MINE, ON_CONFLICT_KEEP_THEIRS };

struct recover_options {
    int64_t keep_interrupted_s; /* 0: nothing is kept */
    enum on_conflict on_conflict;
    bool last_complete_wins; /* dialect=s3: the Initiate time does not matter */
    bool expire;             /* false on the first mount after a clock jump, or clock unknown */
    uint64_t part_min;       /* of the dialect, for all but the last */
    uint64_t part_max;
};

struct recover_facts {
    const struct journal_state *state;
    const struct journal_report *report; /* NULL: undamaged */
    struct recover_staging staging;
    struct recover_listparts list;
    struct recover_head head;
    int64_t server_s;    /* now, by the server's clock; 0 if unknown */
    const char *boot_id; /* of the running kernel, "" if unknown */
    struct recover_options opt;
};

enum recover_action {
    RECOVER_WAIT = 0,
    RECOVER_RESUME,
    RECOVER_COMPLETE,
    RECOVER_ALREADY_COMPLETE,
    RECOVER_KEEP,
    RECOVER_ABORT,
    RECOVER_DISCARD,
    RECOVER_CONFLICT
};

enum recover_need {
    NEED_LISTPARTS = 1 << 0,
    NEED_HEAD = 1 << 1,
    NEED_REHASH = 1 << 2,     /* of the plan's parts that have `rehash` set */
    NEED_LISTUPLOADS = 1 << 3 /* beside any action: an Initiate's answer was lost */
};

enum recover_why {
    WHY_NONE = 0,
    WHY_INTERRUPTED, /* the writer died */
    WHY_HELD,        /* a temp name that was never renamed */
    WHY_FAILED,      /* given up before */
    WHY_PAUSED,
    WHY_DAMAGED,      /* the journal or the staging file is not what was written */
    WHY_EXPIRED,      /* kept for keep_interrupted */
    WHY_ABANDONED,    /* the user dropped it */
    WHY_STORED,       /* DONE stands in the journal */
    WHY_EMPTY,        /* nothing was ever written */
    WHY_THEIRS,       /* keep-theirs */
    WHY_NO_DATA,      /* staging is missing or was punched, the parts are gone from the server */
    WHY_UNANSWERED,   /* an error came instead of an answer */
    WHY_OTHER_OBJECT, /* a newer object, or a changed base object */
    WHY_CLONED        /* ranges of it were another object's */
};

/* Where the bytes of a part come from. */
enum recover_source {
    SOURCE_SERVER,  /* kept: it is there already */
    SOURCE_STAGING, /* all of it in staging (or a hole of a new file) */
    SOURCE_BASE,    /* none in staging: UploadPartCopy of the same range of the base object */
    SOURCE_MIXED    /* some in staging, the rest from the base object */
};

struct recover_part {
    uint32_t part_no;
    uint64_t offset;
    uint64_t size;
    enum recover_source source;
    bool rehash;  /* staging must be compared with md5 first */
    bool has_md5; /* md5 is what the part must have */
    uint8_t md5[16];
    const char *etag; /* SOURCE_SERVER: for Complete */
};

struct recover_plan {
    enum recover_action action;
    enum recover_why why;
    unsigned need;   /* enum recover_need */
    int eno;         /* positive errno for the user where the plan is bad news, else 0 */
    bool restart;    /* RESUME: a new upload, nothing kept; the old one is in `aborts` */
    bool send_attrs; /* the final attributes did not go with Initiate */
    /* Ascending, covering [0, size). If restart: only those whose staging is to be compared. */
    struct recover_part *parts;
    uint32_t n_parts;
    /* Beside any action: uploads of the journal that are of no use any more. Pointers into the
     * state: do not free. */
    struct state_stale aborts[STATE_STALE_MAX + 1];
    uint32_t n_aborts;
};

/* Fills *ret. 0, or -ENOMEM. */
int recover_plan(const struct recover_facts *f, struct recover_plan *ret);
void recover_plan_done(struct recover_plan *plan);

const char *recover_action_name(enum recover_action action);
const char *recover_why_text(enum recover_why why);

/* One entry of ListMultipartUploads beside what is known of it. */
struct recover_upload {
    const char *key;
    const char *upload_id;
    int64_t initiated_s;
    enum recover_answer parts_answer; /* of ListParts */
    size_t n_parts;
};

/* Decision 5: an upload that is not in any journal may be aborted only if it has exactly the key of
 * an Initiate of ours whose answer was lost, was initiated within its window, has no parts, and is
 * none of the uploads that the state knows. The caller makes sure that no other journal knows it.
 */
bool recover_unknown_upload(const struct journal_state *s, const struct recover_upload *u);

/* Decision 7, whether the parts of a kept upload may be used again. */
enum recover_match { MATCH_WAIT = 0, MATCH_REUSE, MATCH_ABORT };
enum recover_match recover_match_upload(const struct journal_state *s,
                                        const struct recover_head *head,
                                        const struct recover_listparts *list);

/* The boundaries that the kept upload has at `offset`: where the new writer must cut to match.
 * False if no stored part begins there. */
bool recover_match_boundary(const struct journal_state *s, uint64_t offset, uint32_t *ret_part_no,
                            uint64_t *ret_size);

/* The kept part (of the journal) with exactly this place, size and MD5 that `list` confirms, or
 * NULL: send it. Pointer into the state. */
const struct state_part *recover_match_part(const struct journal_state *s,
                                            const struct recover_listparts *list, uint64_t offset,
                                            uint64_t size, const uint8_t md5[16]);

/* Adoption without a journal: part numbers from ListParts give the places if they are 1, 2, 3 ..
 * without a gap. Writes the offset of each of the n parts. False: they do not. */
bool recover_listed_offsets(const struct recover_listparts *list, uint64_t *ret_offsets);

/* An upload that no journal here knows, beside one of ours that was begun a moment ago. */
struct recover_adopt {
    const char *key;
    const char *upload_id;
    const char *initiator; /* "" if the service does not say it */
    const char *storage_class;
    int64_t initiated_s;
    const char *own_upload_id;
    const char *own_initiator;
    const char *own_storage_class;
    int64_t server_s; /* now */
    bool known;       /* a journal here has it */
};

enum { RECOVER_ADOPT_IDLE_S = 3600 };

/* Decision 8: whether its parts may be used. Only if we have begun it ourselves, nothing happened to
 * it for an hour of the server's time, it would win against what stands there (decision 7), it was
 * begun for the same storage class, its parts have no gap, and each has an MD5 for its ETag: those of
 * an encrypted upload have not. */
bool recover_may_adopt(const struct recover_adopt *a, const struct recover_head *head,
                       const struct recover_listparts *list);

/* The state that its journal would have; *ret is zeroed before. -ENOMEM, -EINVAL. */
int recover_adopted_state(const struct recover_adopt *a, const struct recover_listparts *list,
                          struct journal_state *ret);

/* What is kept of dead writers. */
struct recover_kept {
    uint64_t id;
    uint64_t bytes;        /* stored on the server */
    int64_t interrupted_s; /* server time */
    bool acknowledged;     /* never expires */
    bool expire;           /* out */
};

/* Marks what has been kept longer than keep_s and, of the rest, the oldest until at most max_bytes
 * remain (0: no limit). Nothing is marked if `expire` is false or server_s is 0. */
void recover_choose_expired(struct recover_kept *v, size_t n, int64_t server_s, int64_t keep_s,
                            uint64_t max_bytes, bool expire);

/* True if between two observations the server's clock and ours did not advance by the same, within
 * an hour: then nothing expires on this mount. Unknown (0) earlier times: false. */
bool recover_clock_jumped(int64_t then_server_s, int64_t then_real_s, int64_t now_server_s,
                          int64_t now_real_s);

#endif
