// SPDX-License-Identifier: Apache-2.0
#include "fs/control_input.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct pieces {
    struct control_input in;
    struct buf text;
    uint64_t off;
};

static struct pieces begin(bool append)
{
    struct pieces p = {.text = BUF_INIT(1 << 20)};
    control_input_init(&p.in, append);
    return p;
}

static void end(struct pieces *p)
{
    control_input_done(&p->in);
    buf_done(&p->text);
}

/* Writes at the next offset; what is to be executed is in p->text. */
static int put(struct pieces *p, const char *bytes, size_t n)
{
    buf_reset(&p->text);
    int rc = control_input_take(&p->in, p->off, bytes, n, &p->text, NULL);
    if (rc == 1)
        control_input_result(&p->in, p->off, bytes, n, 0);
    if (rc >= 0)
        p->off += n;
    return rc;
}

static void expect(struct pieces *p, const char *bytes, const char *text)
{
    assert_int_equal(put(p, bytes, strlen(bytes)), text ? 1 : 0);
    assert_string_equal(buf_str(&p->text), text ? text : "");
}

static void test_lines(void **state)
{
    struct pieces p = begin(false);
    assert_int_equal(put(&p, "", 0), 0);
    expect(&p, "\n \n", NULL);
    expect(&p, "a\nb\n", "a\nb\n");
    expect(&p, "sync", "sync"); /* short: whole without its newline */
    assert_false(control_input_incomplete(&p.in));
    end(&p);
}

static void test_long_pieces_are_joined(void **state)
{
    char piece[CONTROL_PIECE_MIN];
    struct pieces p = begin(false);
    memset(piece, 'x', sizeof(piece));
    piece[10] = '\n';
    assert_int_equal(put(&p, piece, sizeof(piece)), 1);
    assert_int_equal(p.text.n, 11);
    assert_true(control_input_incomplete(&p.in));
    assert_int_equal(put(&p, "end\nnext\n", 9), 1);
    assert_int_equal(p.text.n, sizeof(piece) - 11 + 9);
    assert_false(control_input_incomplete(&p.in));
    end(&p);
}

static void test_another_offset_drops(void **state)
{
    char piece[CONTROL_PIECE_MIN];
    bool dropped;
    struct pieces p = begin(false);
    memset(piece, 'x', sizeof(piece));
    assert_int_equal(put(&p, piece, sizeof(piece)), 0);
    assert_int_equal(control_input_take(&p.in, 5, "a\n", 2, &p.text, &dropped), 1);
    assert_true(dropped);
    assert_string_equal(buf_str(&p.text), "a\n");
    end(&p);
    p = begin(true); /* an append handle has no offsets */
    assert_int_equal(put(&p, piece, sizeof(piece)), 0);
    assert_int_equal(control_input_take(&p.in, 0, "a\n", 2, &p.text, &dropped), 1);
    assert_false(dropped);
    assert_int_equal(p.text.n, sizeof(piece) + 2);
    end(&p);
}

static void test_json(void **state)
{
    struct pieces p = begin(false);
    expect(&p, "{\n", NULL);
    expect(&p, "\"a}\\\"\": [1, {\"b\": 2}],\n", NULL);
    assert_true(control_input_incomplete(&p.in));
    expect(&p, "\"c\": 3}\n", "{\n\"a}\\\"\": [1, {\"b\": 2}],\n\"c\": 3}");
    expect(&p, " {}", "{}");
    assert_int_equal(put(&p, "{} x", 4), -EINVAL);
    assert_false(control_input_incomplete(&p.in));
    end(&p);
}

static void test_repeat_of_a_failure(void **state)
{
    struct pieces p = begin(false);
    assert_int_equal(control_input_take(&p.in, 0, "a\n", 2, &p.text, NULL), 1);
    control_input_result(&p.in, 0, "a\n", 2, -EBUSY);
    assert_int_equal(control_input_take(&p.in, 0, "a\n", 2, &p.text, NULL), -EBUSY);
    assert_int_equal(control_input_take(&p.in, 0, "a\n", 2, &p.text, NULL), -EBUSY);
    buf_reset(&p.text);
    assert_int_equal(control_input_take(&p.in, 2, "a\n", 2, &p.text, NULL), 1);
    control_input_result(&p.in, 2, "a\n", 2, 0);
    buf_reset(&p.text); /* after a success the same bytes are a new command */
    assert_int_equal(control_input_take(&p.in, 2, "a\n", 2, &p.text, NULL), 1);
    end(&p);
}

static void test_limits(void **state)
{
    static char big[CONTROL_TEXT_MAX + 1];
    struct pieces p = begin(false);
    memset(big, 'x', sizeof(big));
    assert_int_equal(put(&p, big, sizeof(big)), -E2BIG);
    assert_int_equal(put(&p, big, sizeof(big) - 1), 0);
    assert_int_equal(put(&p, big, 2000), -E2BIG);
    assert_false(control_input_incomplete(&p.in));
    expect(&p, "a", "a");
    end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_long_pieces_are_joined),
        cmocka_unit_test(test_another_offset_drops),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_repeat_of_a_failure),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
