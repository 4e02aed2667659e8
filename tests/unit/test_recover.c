// SPDX-License-Identifier: Apache-2.0
// The recovery plan: what it decides case by case, and what it must never decide.
#include "checkpoint/recover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <errno.h>

#define MIB ((uint64_t)1 << 20)
enum { PARTS = 4, PART_SIZE = 1 << 20 };

// One upload of four parts of 1 MiB, and all that is asked about it.
struct world {
    struct journal_state s;
    struct journal_report report;
    struct recover_facts f;
    struct recover_listed_part listed[PARTS];
    enum recover_hash hashes[PARTS];
    struct recover_plan plan;
};

static void fold(struct world *w, struct record r)
{
    assert_int_equal(state_fold(&w->s, &r), 0);
}

static void part(struct world *w, uint32_t no, uint32_t generation)
{
    static const char *const etags[] = {"e1", "e2", "e3", "e4"};
    fold(w, (struct record){.type = RECORD_PART,
                            .part = {.part_no = no,
                                     .generation = generation,
                                     .offset = (no - 1) * MIB,
                                     .size = MIB,
                                     .has_md5 = true,
                                     .md5 = {(uint8_t)no},
                                     .etag = etags[no - 1]}});
}

static void init(struct world *w, enum durability durability)
{
    memset(w, 0, sizeof(*w));
    w->f = (struct recover_facts){
        .state = &w->s,
        .staging = {.exists = true, .size = PARTS * MIB},
        .list = {.v = w->listed},
        .head = {.upload_id = "", .nonce = "", .etag = ""},
        .server_s = 2000,
        .boot_id = "boot",
        .opt = {.keep_interrupted_s = 604800, .expire = true, .part_min = 102400},
    };
    fold(w, (struct record){.type = RECORD_OPEN,
                            .open = {.id = 1,
                                     .key = "f",
                                     .durability = durability,
                                     .server_s = 1000,
                                     .boot_id = "boot"}});
}

static void initiate(struct world *w)
{
    fold(w, (struct record){.type = RECORD_INITIATED,
                            .initiated = {.key = "f",
                                          .upload_id = "U",
                                          .nonce = "N",
                                          .part_size = PART_SIZE,
                                          .server_s = 1001}});
}

static void seal(struct world *w)
{
    fold(w, (struct record){.type = RECORD_SEALED,
                            .sealed = {.size = PARTS * MIB, .synced = true, .server_s = 1100}});
}

static void completing(struct world *w)
{
    fold(w, (struct record){.type = RECORD_COMPLETING,
                            .completing = {.key = "f",
                                           .etag = "whole-4",
                                           .n_parts = PARTS,
                                           .server_s = 1200,
                                           .attrs = {(const uint8_t *)"mtime", 5}}});
}

static void sealed_upload(struct world *w, uint32_t n_parts)
{
    init(w, DURABILITY_STAGE);
    initiate(w);
    for (uint32_t i = 1; i <= n_parts; i++)
        part(w, i, 1);
    seal(w);
}

static void lists(struct world *w, size_t n)
{
    static const char *const etags[] = {"E1", "E2", "E3", "E4"};
    for (uint32_t i = 0; i < n; i++)
        w->listed[i] = (struct recover_listed_part){i + 1, MIB, etags[i], 0};
    w->f.list.answer = ANSWER_FOUND;
    w->f.list.n = n;
}

static void head_ours(struct world *w)
{
    w->f.head = (struct recover_head){ANSWER_FOUND, "U", "N", "whole-4", PARTS * MIB, 1300};
}

static void head_other(struct world *w, int64_t modified_s)
{
    w->f.head = (struct recover_head){ANSWER_FOUND, "X", "", "other", 5, modified_s};
}

static void done(struct world *w)
{
    recover_plan_done(&w->plan);
    state_done(&w->s);
}

static void decide(struct world *w)
{
    recover_plan_done(&w->plan);
    assert_int_equal(recover_plan(&w->f, &w->plan), 0);
}

static void expect(struct world *w, enum recover_action action, enum recover_why why)
{
    decide(w);
    if (w->plan.action != action || w->plan.why != why)
        fail_msg("%s (%s) instead of %s (%s)", recover_action_name(w->plan.action),
                 recover_why_text(w->plan.why), recover_action_name(action), recover_why_text(why));
}

static void asks_first(void **state)
{
    struct world w;
    sealed_upload(&w, PARTS);
    expect(&w, RECOVER_WAIT, WHY_NONE);
    assert_int_equal(w.plan.need, NEED_HEAD | NEED_LISTPARTS);
    w.f.head.answer = ANSWER_GONE;
    expect(&w, RECOVER_WAIT, WHY_NONE);
    assert_int_equal(w.plan.need, NEED_LISTPARTS);
    w.f.list.answer = ANSWER_ERROR;
    expect(&w, RECOVER_WAIT, WHY_UNANSWERED);
    assert_int_equal(w.plan.need, 0);
    done(&w);
}

static void all_parts_there(void **state)
{
    struct world w;
    sealed_upload(&w, PARTS);
    w.f.head.answer = ANSWER_GONE;
    lists(&w, PARTS);
    expect(&w, RECOVER_COMPLETE, WHY_NONE);
    assert_int_equal(w.plan.n_parts, PARTS);
    assert_string_equal(w.plan.parts[3].etag, "E4");
    w.f.staging.exists = false; // not needed any more
    expect(&w, RECOVER_COMPLETE, WHY_NONE);
    done(&w);
}

// Bytes that are another object's are not in staging: nothing of such a file can be used.
static void ranges_of_other_objects(void **state)
{
    struct world w;
    sealed_upload(&w, PARTS);
    fold(&w, (struct record){.type = RECORD_CLONED, .cloned = {true}});
    w.f.head.answer = ANSWER_GONE;
    lists(&w, PARTS);
    expect(&w, RECOVER_ABORT, WHY_CLONED);
    fold(&w, (struct record){.type = RECORD_REOPENED});
    expect(&w, RECOVER_ABORT, WHY_CLONED);
    fold(&w, (struct record){.type = RECORD_CLONED, .cloned = {false}});
    expect(&w, RECOVER_KEEP, WHY_INTERRUPTED);
    done(&w);
}

static void some_parts_missing(void **state)
{
    struct world w;
    sealed_upload(&w, 2);
    w.f.head.answer = ANSWER_GONE;
    lists(&w, 2);
    expect(&w, RECOVER_RESUME, WHY_NONE);
    assert_false(w.plan.restart);
    assert_int_equal(w.plan.n_parts, 4);
    assert_int_equal(w.plan.parts[1].source, SOURCE_SERVER);
    assert_int_equal(w.plan.parts[2].source, SOURCE_STAGING);
    assert_int_equal(w.plan.parts[3].part_no, 4);
    assert_int_equal(w.plan.parts[3].offset + w.plan.parts[3].size, PARTS * MIB);

    w.f.staging.exists = false;
    expect(&w, RECOVER_KEEP, WHY_NO_DATA);
    assert_int_equal(w.plan.eno, EIO);
    done(&w);
}

static void a_gap_in_the_middle(void **state)
{
    struct world w;
    init(&w, DURABILITY_STAGE);
    initiate(&w);
    part(&w, 1, 1);
    part(&w, 4, 1);
    seal(&w);
    w.f.head.answer = ANSWER_GONE;
    lists(&w, 4);
    expect(&w, RECOVER_RESUME, WHY_NONE);
    assert_int_equal(w.plan.n_parts, 4);
    assert_int_equal(w.plan.parts[1].source, SOURCE_STAGING);
    assert_int_equal(w.plan.parts[2].source, SOURCE_STAGING);
    assert_int_equal(w.plan.parts[2].offset, 2 * MIB);
    assert_int_equal(w.plan.parts[3].source, SOURCE_SERVER);
    done(&w);
}

static void the_server_is_believed(void **state)
{
    struct world w;
    sealed_upload(&w, PARTS);
    w.f.head.answer = ANSWER_GONE;
    lists(&w, PARTS);
    w.listed[1].etag = "changed";
    w.listed[2].size = 5;
    expect(&w, RECOVER_WAIT, WHY_NONE); // their staging has a known digest
    assert_int_equal(w.plan.need, NEED_REHASH);
    assert_true(w.plan.parts[1].rehash && w.plan.parts[2].rehash);
    assert_false(w.plan.parts[0].rehash || w.plan.parts[3].rehash);

    w.f.staging.hashes = w.hashes;
    w.f.staging.n_hashes = PARTS;
    w.hashes[1] = w.hashes[2] = HASH_MATCH;
    expect(&w, RECOVER_RESUME, WHY_NONE);
    w.hashes[2] = HASH_MISMATCH;
    expect(&w, RECOVER_KEEP, WHY_DAMAGED);
    w.hashes[2] = HASH_UNREADABLE;
    expect(&w, RECOVER_KEEP, WHY_DAMAGED);
    done(&w);
}

static void a_rewritten_part_is_sent_again(void **state)
{
    struct world w;
    init(&w, DURABILITY_STAGE);
    initiate(&w);
    for (uint32_t i = 1; i <= PARTS; i++)
        part(&w, i, 1);
    fold(&w, (struct record){.type = RECORD_REWRITTEN, .rewritten = {2, 2}});
    seal(&w);
    w.f.head.answer = ANSWER_GONE;
    lists(&w, PARTS);
    expect(&w, RECOVER_RESUME, WHY_NONE);
    assert_int_equal(w.plan.parts[1].source, SOURCE_STAGING);
    assert_false(w.plan.parts[1].has_md5);
    done(&w);
}

static void lost_answer_of_complete(void **state)
{
    struct world w;
    sealed_upload(&w, PARTS);
    completing(&w);
    head_ours(&w);
    w.f.list.answer = ANSWER_GONE;
    expect(&w, RECOVER_ALREADY_COMPLETE, WHY_NONE);
    assert_true(w.plan.send_attrs); // Initiate carried others
    w.f.head.upload_id = "";        // a service that does not tell: the mark in the metadata
    expect(&w, RECOVER_ALREADY_COMPLETE, WHY_NONE);
    w.f.head.size = 1;
    expect(&w, RECOVER_KEEP, WHY_DAMAGED);

    w.f.head.answer = ANSWER_ERROR;
    expect(&w, RECOVER_WAIT, WHY_UNANSWERED);
    w.f.head.answer = ANSWER_GONE;
    lists(&w, PARTS);
    expect(&w, RECOVER_COMPLETE, WHY_NONE);
    done(&w);
}

static void upload_gone_means_start_over(void **state)
{
    struct world w;
    sealed_upload(&w, 0);
    w.f.head.answer = ANSWER_GONE;
    w.f.list.answer = ANSWER_GONE;
    expect(&w, RECOVER_RESUME, WHY_NONE);
    assert_true(w.plan.restart);
    assert_int_equal(w.plan.n_aborts, 0);
    fold(&w, (struct record){.type = RECORD_PUNCHED, .punched = {MIB, MIB}});
    expect(&w, RECOVER_KEEP, WHY_NO_DATA);
    done(&w);
}

static void a_single_put(void **state)
{
    struct world w;
    init(&w, DURABILITY_STAGE);
    seal(&w);
    w.f.head.answer = ANSWER_GONE;
    expect(&w, RECOVER_RESUME, WHY_NONE);
    assert_true(w.plan.restart);
    fold(&w,
         (struct record){.type = RECORD_COMPLETING,
                         .completing = {.key = "f", .etag = "md5", .nonce = "P", .server_s = 9}});
    w.f.head = (struct recover_head){ANSWER_FOUND, "", "P", "md5", PARTS * MIB, 1300};
    expect(&w, RECOVER_ALREADY_COMPLETE, WHY_NONE);
    assert_false(w.plan.send_attrs);
    w.f.head.nonce = ""; // the same content under no mark
    expect(&w, RECOVER_ALREADY_COMPLETE, WHY_NONE);
    assert_true(w.plan.send_attrs);
    done(&w);
}

static void a_newer_object(void **state)
{
    struct world w;
    sealed_upload(&w, PARTS);
    lists(&w, PARTS);
    head_other(&w, 1001);
    expect(&w, RECOVER_COMPLETE, WHY_NONE); // not newer than our Initiate
    head_other(&w, 1002);
    expect(&w, RECOVER_CONFLICT, WHY_OTHER_OBJECT);
    assert_int_equal(w.plan.eno, ESTALE);
    w.f.opt.on_conflict = ON_CONFLICT_KEEP_THEIRS;
    expect(&w, RECOVER_ABORT, WHY_THEIRS);
    assert_string_equal(w.plan.aborts[0].upload_id, "U");

    w.f.opt.on_conflict = ON_CONFLICT_KEEP_MINE;
    expect(&w, RECOVER_WAIT, WHY_NONE); // staging is sent again: compare it first
    assert_int_equal(w.plan.need, NEED_REHASH);
    w.f.staging.hashes = w.hashes;
    w.f.staging.n_hashes = PARTS;
    for (int i = 0; i < PARTS; i++)
        w.hashes[i] = HASH_MATCH;
    expect(&w, RECOVER_RESUME, WHY_NONE);
    assert_true(w.plan.restart);
    assert_int_equal(w.plan.n_aborts, 1);
    fold(&w, (struct record){.type = RECORD_PUNCHED, .punched = {0, MIB}});
    expect(&w, RECOVER_CONFLICT, WHY_NO_DATA);
    assert_int_equal(w.plan.eno, ESTALE);
    w.f.opt.last_complete_wins = true;
    expect(&w, RECOVER_COMPLETE, WHY_NONE);
    done(&w);
}

// Complete was sent and the upload is gone: an object of the same second may be what it lost against.
static void a_spent_upload(void **state)
{
    struct world w;
    sealed_upload(&w, PARTS);
    w.f.list.answer = ANSWER_GONE;
    head_other(&w, 1001);
    expect(&w, RECOVER_WAIT, WHY_NONE); // gone before Complete: sent again
    completing(&w);
    expect(&w, RECOVER_CONFLICT, WHY_OTHER_OBJECT);
    head_other(&w, 1000);
    expect(&w, RECOVER_WAIT, WHY_NONE);
    // A service that gives no upload id: the ETag tells.
    w.f.head = (struct recover_head){ANSWER_FOUND, "", "", "whole-4", PARTS * MIB, 1300};
    expect(&w, RECOVER_ALREADY_COMPLETE, WHY_NONE);
    w.f.head.etag = "other-4";
    expect(&w, RECOVER_CONFLICT, WHY_OTHER_OBJECT);
    w.f.head.nonce = "N"; // our mark, after the copy onto itself that set its attributes
    expect(&w, RECOVER_ALREADY_COMPLETE, WHY_NONE);
    done(&w);
}

static void a_dead_writer(void **state)
{
    struct world w;
    init(&w, DURABILITY_STORE);
    initiate(&w);
    part(&w, 1, 1);
    expect(&w, RECOVER_KEEP, WHY_INTERRUPTED);
    fold(&w,
         (struct record){.type = RECORD_INTERRUPTED, .interrupted = {INTERRUPT_CRASH, 0, 1500}});
    w.f.server_s = 1500 + 604800;
    expect(&w, RECOVER_KEEP, WHY_INTERRUPTED);
    w.f.server_s++;
    w.f.opt.expire = false; // the clock jumped
    expect(&w, RECOVER_KEEP, WHY_INTERRUPTED);
    w.f.opt.expire = true;
    expect(&w, RECOVER_ABORT, WHY_EXPIRED);
    assert_string_equal(w.plan.aborts[0].upload_id, "U");
    w.f.server_s = 0;
    expect(&w, RECOVER_KEEP, WHY_INTERRUPTED);
    done(&w);
}

static void nothing_written(void **state)
{
    struct world w;
    init(&w, DURABILITY_STORE);
    w.f.staging.size = 0;
    expect(&w, RECOVER_DISCARD, WHY_EMPTY);
    state_done(&w.s);
    expect(&w, RECOVER_DISCARD, WHY_EMPTY);
    w.f.report = &w.report;
    w.report.damaged = true;
    expect(&w, RECOVER_DISCARD, WHY_EMPTY);
    w.f.staging.size = 1;
    expect(&w, RECOVER_KEEP, WHY_DAMAGED);
    done(&w);
}

static void held_failed_paused(void **state)
{
    struct world w;
    sealed_upload(&w, PARTS);
    fold(&w, (struct record){.type = RECORD_HELD});
    expect(&w, RECOVER_KEEP, WHY_HELD);
    fold(&w, (struct record){.type = RECORD_KEY, .key = {"g", false}});
    fold(&w, (struct record){.type = RECORD_PAUSED});
    expect(&w, RECOVER_KEEP, WHY_PAUSED);
    fold(&w, (struct record){.type = RECORD_RESUMED});
    fold(&w, (struct record){.type = RECORD_FAILED, .failed = {.eno = ENOSPC}});
    expect(&w, RECOVER_WAIT, WHY_NONE); // acknowledged: tried again
    done(&w);

    init(&w, DURABILITY_STORE);
    seal(&w);
    fold(&w, (struct record){.type = RECORD_FAILED, .failed = {.eno = ENOSPC}});
    expect(&w, RECOVER_KEEP, WHY_FAILED);
    assert_int_equal(w.plan.eno, ENOSPC);
    done(&w);
}

static void abandoned_and_done(void **state)
{
    struct world w;
    sealed_upload(&w, 1);
    fold(&w, (struct record){.type = RECORD_ABANDONED, .abandoned = {"unlinked"}});
    expect(&w, RECOVER_ABORT, WHY_ABANDONED);
    fold(&w, (struct record){.type = RECORD_ABORTED, .aborted = {"f", "U"}});
    expect(&w, RECOVER_DISCARD, WHY_ABANDONED);
    done(&w);

    sealed_upload(&w, PARTS);
    completing(&w);
    fold(&w, (struct record){.type = RECORD_STALE, .stale = {"g", "OLD"}});
    fold(&w, (struct record){.type = RECORD_DONE, .done = {"whole-4", "U"}});
    expect(&w, RECOVER_ABORT, WHY_STORED);
    assert_int_equal(w.plan.n_aborts, 1);
    assert_string_equal(w.plan.aborts[0].upload_id, "OLD");
    done(&w);
}

// durability=store after a power cut: staging was never synced, and nothing was promised.
static void staging_after_a_power_cut(void **state)
{
    struct world w;
    init(&w, DURABILITY_STORE);
    initiate(&w);
    part(&w, 1, 1);
    fold(&w, (struct record){.type = RECORD_SEALED,
                             .sealed = {.size = PARTS * MIB, .synced = false, .server_s = 1100}});
    w.f.head.answer = ANSWER_GONE;
    lists(&w, 1);
    expect(&w, RECOVER_RESUME, WHY_NONE); // same boot: the page cache is still there
    w.f.boot_id = "another";
    expect(&w, RECOVER_KEEP, WHY_INTERRUPTED);
    done(&w);
}

static void a_modified_object(void **state)
{
    struct world w;
    static const struct range written = {MIB, MIB + 10};
    init(&w, DURABILITY_STAGE);
    state_done(&w.s);
    fold(&w, (struct record){.type = RECORD_OPEN,
                             .open = {.id = 1,
                                      .key = "f",
                                      .durability = DURABILITY_STAGE,
                                      .base_key = "f",
                                      .base_etag = "other",
                                      .base_size = PARTS * MIB}});
    initiate(&w);
    part(&w, 1, 1);
    fold(&w, (struct record){.type = RECORD_MAP,
                             .map = {.reset = true, .ranges = {.v = &written, .n = 1}}});
    seal(&w);
    lists(&w, 1);
    head_other(&w, 1500);
    w.f.head.etag = "other"; // the base object itself
    expect(&w, RECOVER_RESUME, WHY_NONE);
    assert_int_equal(w.plan.parts[0].source, SOURCE_SERVER);
    assert_int_equal(w.plan.parts[1].source, SOURCE_MIXED);
    assert_int_equal(w.plan.parts[2].source, SOURCE_BASE);

    w.f.head.etag = "changed";
    w.f.head.modified_s = 900; // not newer, yet not what is to be copied from
    expect(&w, RECOVER_CONFLICT, WHY_OTHER_OBJECT);
    w.f.head.answer = ANSWER_GONE;
    expect(&w, RECOVER_CONFLICT, WHY_OTHER_OBJECT);
    done(&w);
}

static void uploads_of_lost_answers(void **state)
{
    struct world w;
    init(&w, DURABILITY_STORE);
    initiate(&w);
    part(&w, 1, 1);
    fold(&w, (struct record){.type = RECORD_INITIATING, .initiating = {"f", 1000, 60}});
    decide(&w);
    assert_true(w.plan.need & NEED_LISTUPLOADS);
    struct recover_upload u = {"f", "LOST", 1030, ANSWER_FOUND, 0};
    assert_true(recover_unknown_upload(&w.s, &u));
    u.n_parts = 1;
    assert_false(recover_unknown_upload(&w.s, &u));
    u.n_parts = 0;
    u.parts_answer = ANSWER_ERROR;
    assert_false(recover_unknown_upload(&w.s, &u));
    u.parts_answer = ANSWER_FOUND;
    u.key = "f2";
    assert_false(recover_unknown_upload(&w.s, &u));
    u.key = "f";
    u.initiated_s = 1062;
    assert_false(recover_unknown_upload(&w.s, &u));
    u.initiated_s = 998;
    assert_false(recover_unknown_upload(&w.s, &u));
    u.initiated_s = 1030;
    u.upload_id = "U";
    assert_false(recover_unknown_upload(&w.s, &u));
    done(&w);
}

static void content_match(void **state)
{
    struct world w;
    init(&w, DURABILITY_STORE);
    initiate(&w);
    part(&w, 1, 1);
    part(&w, 2, 1);
    w.f.head.answer = ANSWER_GONE;
    assert_int_equal(recover_match_upload(&w.s, &w.f.head, &w.f.list), MATCH_WAIT);
    lists(&w, 2);
    assert_int_equal(recover_match_upload(&w.s, &w.f.head, &w.f.list), MATCH_REUSE);
    head_other(&w, 1000);
    assert_int_equal(recover_match_upload(&w.s, &w.f.head, &w.f.list), MATCH_REUSE);
    head_other(&w, 1001);
    assert_int_equal(recover_match_upload(&w.s, &w.f.head, &w.f.list), MATCH_ABORT);
    w.f.head.answer = ANSWER_ERROR;
    assert_int_equal(recover_match_upload(&w.s, &w.f.head, &w.f.list), MATCH_WAIT);

    uint8_t md5[16] = {2};
    uint32_t no = 0;
    uint64_t size = 0;
    assert_true(recover_match_boundary(&w.s, MIB, &no, &size));
    assert_int_equal(no, 2);
    assert_int_equal(size, MIB);
    assert_false(recover_match_boundary(&w.s, 5, &no, &size));
    assert_ptr_equal(recover_match_part(&w.s, &w.f.list, MIB, MIB, md5), &w.s.parts[1]);
    assert_null(recover_match_part(&w.s, &w.f.list, MIB, MIB - 1, md5));
    assert_null(recover_match_part(&w.s, &w.f.list, 0, MIB, md5));
    md5[15] = 1;
    assert_null(recover_match_part(&w.s, &w.f.list, MIB, MIB, md5));
    md5[15] = 0;
    w.listed[1].etag = "changed";
    assert_null(recover_match_part(&w.s, &w.f.list, MIB, MIB, md5));

    uint64_t offsets[PARTS];
    assert_true(recover_listed_offsets(&w.f.list, offsets));
    assert_int_equal(offsets[1], MIB);
    w.listed[1].part_no = 3;
    assert_false(recover_listed_offsets(&w.f.list, offsets));
    done(&w);
}

static void expiry(void **state)
{
    struct recover_kept v[] = {{1, 10, 100, false, false},
                               {2, 10, 300, false, false},
                               {3, 10, 200, false, false},
                               {4, 10, 50, true, false}};
    recover_choose_expired(v, 4, 1000, 850, 0, true);
    assert_true(v[0].expire);
    assert_false(v[1].expire || v[2].expire || v[3].expire);
    recover_choose_expired(v, 4, 1000, 5000, 15, true);
    assert_true(v[0].expire && v[2].expire);
    assert_false(v[1].expire || v[3].expire);
    recover_choose_expired(v, 4, 1000, 0, 1, false);
    for (int i = 0; i < 4; i++)
        assert_false(v[i].expire);

    assert_false(recover_clock_jumped(0, 0, 5000, 5000));
    assert_false(recover_clock_jumped(1000, 1010, 90000, 90000));
    assert_true(recover_clock_jumped(1000, 1000, 90000, 1100));
    assert_true(recover_clock_jumped(90000, 1000, 1000, 1100));
}

static unsigned below(unsigned n)
{
    return (unsigned)rand() % n;
}

// A world made of chance: any records that may follow each other, any answers.
static void random_world(struct world *w)
{
    init(w, below(2) ? DURABILITY_STAGE : DURABILITY_STORE);
    unsigned n = below(14);
    if (below(2)) { // not only by luck a whole one
        initiate(w);
        for (uint32_t no = 1; no <= PARTS; no++)
            part(w, no, 1);
        seal(w);
        n = below(4);
    }
    for (unsigned i = 0; i < n; i++) {
        uint32_t no = 1 + below(PARTS);
        switch (below(16)) {
        case 0:
            initiate(w);
            break;
        case 1:
        case 2:
        case 3:
        case 4:
            part(w, no, 1 + below(2));
            break;
        case 5:
            fold(w, (struct record){.type = RECORD_REWRITTEN, .rewritten = {no, 2}});
            break;
        case 6:
        case 7:
            seal(w);
            break;
        case 8:
            completing(w);
            break;
        case 9:
            fold(w, (struct record){.type = RECORD_PUNCHED, .punched = {(no - 1) * MIB, MIB}});
            break;
        case 10:
            fold(w, (struct record){.type = below(2) ? RECORD_HELD : RECORD_REOPENED});
            break;
        case 11:
            fold(w, (struct record){.type = below(2) ? RECORD_PAUSED : RECORD_RESUMED});
            break;
        case 12:
            fold(w, (struct record){.type = RECORD_FAILED, .failed = {.eno = EIO}});
            break;
        case 13:
            fold(w, (struct record){.type = RECORD_INTERRUPTED, .interrupted = {0, 9, 1400}});
            break;
        case 14:
            fold(w, (struct record){.type = RECORD_SIZE, .size = {below(5) * MIB / 2}});
            break;
        case 15:
            fold(w, (struct record){.type = RECORD_KEY, .key = {"f", below(2)}});
            break;
        }
    }
    lists(w, below(PARTS + 1));
    for (unsigned i = 0; i < w->f.list.n; i++)
        if (below(6) == 0)
            w->listed[i].etag = "changed";
    w->f.list.answer = (enum recover_answer)below(4);
    if (below(2))
        head_ours(w);
    else
        head_other(w, 990 + below(30));
    w->f.head.answer = (enum recover_answer)below(4);
    w->f.staging.exists = below(4) != 0;
    w->f.staging.hashes = w->hashes;
    w->f.staging.n_hashes = below(PARTS + 1);
    for (int i = 0; i < PARTS; i++)
        w->hashes[i] = (enum recover_hash)below(4);
    w->f.server_s = below(3) ? 2000 + below(2) * 1000000 : 0;
    w->f.boot_id = below(4) ? "boot" : "another";
    w->f.opt.on_conflict = (enum on_conflict)below(3);
    w->f.opt.last_complete_wins = below(2);
    w->f.opt.expire = below(2);
    w->f.report = below(10) ? NULL : &w->report;
    w->report.damaged = true;
}

static bool covers(const struct world *w, bool kept_only)
{
    uint64_t at = 0;
    uint32_t no = 0;
    for (uint32_t i = 0; i < w->plan.n_parts; i++) {
        const struct recover_part *p = &w->plan.parts[i];
        if (p->offset != at || p->part_no <= no || p->size == 0)
            return false;
        if (p->source == SOURCE_SERVER) {
            const struct state_part *known = &w->s.parts[p->part_no - 1];
            const struct recover_listed_part *l = &w->listed[p->part_no - 1];
            if (!state_part_stored(known) || p->part_no > w->f.list.n || l->size != p->size ||
                l->etag[0] != 'E' || known->offset != p->offset || known->size != p->size)
                return false;
        } else if (kept_only) {
            return false;
        }
        at += p->size;
        no = p->part_no;
    }
    return at == w->s.size;
}

static bool is_sealed(const struct world *w)
{
    return w->s.phase == PHASE_SEALED || w->s.phase == PHASE_COMPLETING;
}

static void check_invariants(const struct world *w)
{
    enum recover_action a = w->plan.action;
    bool drops = a == RECOVER_ABORT || a == RECOVER_DISCARD;
    bool damaged = w->f.report != NULL;
    bool publishes = a == RECOVER_RESUME || a == RECOVER_COMPLETE || a == RECOVER_ALREADY_COMPLETE;

    if (is_sealed(w) && w->f.head.answer != ANSWER_FOUND && w->f.head.answer != ANSWER_GONE)
        assert_true(!publishes && (!drops || w->plan.why == WHY_EXPIRED));
    if (is_sealed(w) && w->s.upload_id && w->f.list.answer == ANSWER_ERROR)
        assert_true(a != RECOVER_COMPLETE && a != RECOVER_RESUME &&
                    (!drops || w->plan.why == WHY_EXPIRED));
    if (a == RECOVER_ALREADY_COMPLETE)
        assert_int_equal(w->f.head.answer, ANSWER_FOUND);
    if (a == RECOVER_COMPLETE)
        assert_true(w->plan.n_parts > 0 && covers(w, true));
    if (a == RECOVER_RESUME && !w->plan.restart)
        assert_true(covers(w, false));
    if (a == RECOVER_RESUME)
        for (uint32_t i = 0; i < w->plan.n_parts; i++)
            assert_false(w->plan.parts[i].rehash);
    if (state_acknowledged(&w->s) && drops)
        assert_true(w->plan.why == WHY_THEIRS);
    if (!is_sealed(w) || damaged)
        assert_false(publishes);
    if (damaged)
        assert_int_equal(a, RECOVER_KEEP);
    for (uint32_t i = 0; i < w->plan.n_aborts; i++)
        assert_string_equal(w->plan.aborts[i].upload_id, "U");
    if (a == RECOVER_DISCARD)
        assert_int_equal(w->plan.n_aborts, 0);
    if (a == RECOVER_KEEP || a == RECOVER_CONFLICT)
        assert_int_equal(w->plan.n_aborts, 0);
}

static void never_the_wrong_thing(void **state)
{
    unsigned seed = (unsigned)time(NULL);
    unsigned seen[RECOVER_CONFLICT + 1] = {0};
    print_message("seed %u\n", seed);
    srand(seed);
    for (int i = 0; i < 200000; i++) {
        struct world w;
        random_world(&w);
        decide(&w);
        seen[w.plan.action]++;
        check_invariants(&w);
        done(&w);
    }
    for (unsigned a = 0; a <= RECOVER_CONFLICT; a++) {
        print_message("%s: %u\n", recover_action_name(a), seen[a]);
        assert_true(seen[a] > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_first),
        cmocka_unit_test(all_parts_there),
        cmocka_unit_test(ranges_of_other_objects),
        cmocka_unit_test(some_parts_missing),
        cmocka_unit_test(a_gap_in_the_middle),
        cmocka_unit_test(the_server_is_believed),
        cmocka_unit_test(a_rewritten_part_is_sent_again),
        cmocka_unit_test(lost_answer_of_complete),
        cmocka_unit_test(upload_gone_means_start_over),
        cmocka_unit_test(a_single_put),
        cmocka_unit_test(a_newer_object),
        cmocka_unit_test(a_spent_upload),
        cmocka_unit_test(a_dead_writer),
        cmocka_unit_test(nothing_written),
        cmocka_unit_test(held_failed_paused),
        cmocka_unit_test(abandoned_and_done),
        cmocka_unit_test(staging_after_a_power_cut),
        cmocka_unit_test(a_modified_object),
        cmocka_unit_test(uploads_of_lost_answers),
        cmocka_unit_test(content_match),
        cmocka_unit_test(expiry),
        cmocka_unit_test(never_the_wrong_thing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
