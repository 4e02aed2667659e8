// SPDX-License-Identifier: Apache-2.0
// Which uploads are adopted that only the server knows, and what their journal would say.
#include "checkpoint/recover.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MD5_A "0123456789abcdef0123456789abcdef"
#define MD5_B "FEDCBA9876543210fedcba9876543210"

struct world {
    struct recover_adopt a;
    struct recover_head head;
    struct recover_listed_part parts[2];
    struct recover_listparts list;
};

static void init(struct world *w)
{
    *w = (struct world){.a = {.key = "d/f",
                              .upload_id = "U1",
                              .initiator = "me",
                              .storage_class = "STANDARD",
                              .initiated_s = 1000,
                              .own_upload_id = "U2",
                              .own_initiator = "me",
                              .own_storage_class = "STANDARD",
                              .server_s = 10000},
                        .head = {.answer = ANSWER_GONE},
                        .parts = {{1, 100, MD5_A, 2000}, {2, 50, MD5_B, 6399}}};
    w->list = (struct recover_listparts){ANSWER_FOUND, w->parts, 2};
}

static bool may(const struct world *w)
{
    return recover_may_adopt(&w->a, &w->head, &w->list);
}

static void who_and_when(void **state)
{
    struct world w;
    init(&w);
    assert_true(may(&w));
    w.a.initiator = "somebody else";
    assert_false(may(&w));
    w.a.initiator = w.a.own_initiator = ""; // nobody says who
    assert_false(may(&w));
    init(&w);
    w.a.known = true;
    assert_false(may(&w));
    init(&w);
    w.a.upload_id = "U2"; // the one that was begun a moment ago
    assert_false(may(&w));
    init(&w);
    w.parts[1].modified_s = 6400; // an hour ago, not longer
    assert_false(may(&w));
    w.parts[1].modified_s = 0;
    assert_false(may(&w));
    init(&w);
    w.a.initiated_s = 6400;
    assert_false(may(&w));
    init(&w);
    w.a.server_s = 0;
    assert_false(may(&w));
}

static void against_what_stands_there(void **state)
{
    struct world w;
    init(&w);
    w.head = (struct recover_head){.answer = ANSWER_FOUND, .modified_s = 999};
    assert_true(may(&w));
    w.head.modified_s = 1000;
    assert_false(may(&w));
    w.head.answer = ANSWER_ERROR;
    assert_false(may(&w));
    init(&w);
    w.a.storage_class = "COLD";
    assert_false(may(&w));
}

static void parts_with_checksums(void **state)
{
    struct world w;
    init(&w);
    w.parts[1].part_no = 3;
    assert_false(may(&w));
    init(&w);
    w.parts[0].etag = "0123456789abcdef0123456789abcdeg";
    assert_false(may(&w));
    w.parts[0].etag = MD5_A "-2";
    assert_false(may(&w));
    init(&w);
    w.list.n = 0;
    assert_false(may(&w));
    init(&w);
    w.list.answer = ANSWER_GONE;
    assert_false(may(&w));
}

static void state_of_it(void **state)
{
    struct world w;
    struct journal_state s;
    const uint8_t md5[16] = {0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10,
                             0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10};
    init(&w);
    assert_int_equal(recover_adopted_state(&w.a, &w.list, &s), 0);
    assert_string_equal(s.upload_id, "U1");
    assert_int_equal(s.initiated_s, 1000);
    assert_int_equal(state_stored_bytes(&s), 150);
    assert_false(s.parts[0].has_crc64);
    const struct state_part *p = recover_match_part(&s, &w.list, 100, 50, md5);
    assert_ptr_equal(p, &s.parts[1]);
    assert_null(recover_match_part(&s, &w.list, 0, 50, md5));
    state_done(&s);
    w.parts[0].size = RECORD_OFFSET_MAX;
    assert_int_equal(recover_adopted_state(&w.a, &w.list, &s), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_and_when),
        cmocka_unit_test(against_what_stands_there),
        cmocka_unit_test(parts_with_checksums),
        cmocka_unit_test(state_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
