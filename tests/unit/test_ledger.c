// SPDX-License-Identifier: Apache-2.0
// A ledger: what was appended is read again, a torn tail is not, a replacement takes its place.
#include "checkpoint/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/obsm-ledger-XXXXXX";
static char path[sizeof(dir) + 16];

static int make_dir(void **state)
{
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/things", dir);
    return 0;
}

static int remove_dir(void **state)
{
    return rmdir(dir);
}

struct seen {
    char text[512];
    int stop;
};

static int see(void *arg, const struct record *r)
{
    struct seen *s = arg;
    size_t n = strlen(s->text);
    if (r->type == RECORD_CHANGED)
        (void)snprintf(s->text + n, sizeof(s->text) - n, "+%s", r->changed.key);
    else if (r->type == RECORD_SETTLED)
        (void)snprintf(s->text + n, sizeof(s->text) - n, "-%s", r->settled.key);
    return s->stop;
}

static struct record changed(const char *key)
{
    return (struct record){.type = RECORD_CHANGED,
                           .changed = {.key = key, .etag = "e", .attrs = {(uint8_t *)"x", 1}}};
}

static struct record settled(const char *key)
{
    return (struct record){.type = RECORD_SETTLED, .settled = {.key = key}};
}

/* Opens it, with what it has in *text. */
static struct ledger *open_ledger(struct seen *s, struct ledger_report *report)
{
    struct ledger *l = NULL;
    struct err e = {0};
    *s = (struct seen){0};
    assert_int_equal(ledger_open(&io_real, dir, "things", see, s, report, &l, &e), 0);
    return l;
}

static void what_was_appended_is_read_again(void **state)
{
    struct seen s;
    struct ledger_report report;
    struct stat st;
    struct ledger *l = open_ledger(&s, &report);
    assert_string_equal(s.text, "");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    const struct record recs[] = {changed("a"), changed("b")};
    const struct record one = settled("a");
    assert_int_equal(ledger_append(l, recs, 2), 0);
    assert_int_equal(ledger_sync(l), 0);
    assert_int_equal(ledger_append(l, &one, 1), 0);
    ledger_close(l, false);

    l = open_ledger(&s, &report);
    assert_string_equal(s.text, "+a+b-a");
    assert_int_equal(report.n_records, 3);
    assert_int_equal(report.lost, 0);
    ledger_close(l, true);
    assert_int_equal(access(path, F_OK), -1);
}

static void a_torn_tail_is_cut_off(void **state)
{
    struct seen s;
    struct ledger_report report;
    struct ledger *l = open_ledger(&s, &report);
    const struct record a = changed("a"), b = changed("b"), c = changed("c");
    assert_int_equal(ledger_append(l, &a, 1), 0);
    uint64_t good = ledger_bytes(l);
    assert_int_equal(ledger_append(l, &b, 1), 0);
    uint64_t end = ledger_bytes(l);
    ledger_close(l, false);

    for (uint64_t cut = end - 1; cut >= good; cut--) {
        assert_int_equal(truncate(path, (off_t)cut), 0);
        l = open_ledger(&s, &report);
        assert_string_equal(s.text, "+a");
        assert_int_equal(report.lost, cut - good);
        assert_int_equal(ledger_bytes(l), good);
        assert_int_equal(ledger_append(l, &c, 1), 0);
        ledger_close(l, false);
        l = open_ledger(&s, &report);
        assert_string_equal(s.text, "+a+c");
        ledger_close(l, false);
        assert_int_equal(truncate(path, (off_t)good), 0);
        l = open_ledger(&s, &report);
        assert_int_equal(ledger_append(l, &b, 1), 0);
        ledger_close(l, false);
    }
    assert_int_equal(unlink(path), 0);
}

static void a_replacement_has_what_it_was_given(void **state)
{
    struct seen s;
    struct ledger_report report;
    struct ledger *l = open_ledger(&s, &report);
    const struct record a = changed("a"), b = changed("b"), c = changed("c");
    for (int i = 0; i < 100; i++)
        assert_int_equal(ledger_append(l, &a, 1), 0);
    uint64_t long_one = ledger_bytes(l);
    assert_int_equal(ledger_replace(l, &b, 1), 0);
    assert_true(ledger_bytes(l) < long_one / 50);
    assert_int_equal(ledger_append(l, &c, 1), 0);
    assert_int_equal(ledger_sync(l), 0);
    ledger_close(l, false);
    l = open_ledger(&s, &report);
    assert_string_equal(s.text, "+b+c");
    ledger_close(l, true);
}

static void what_is_no_ledger_is_refused_and_left(void **state)
{
    struct seen s = {0};
    struct err e = {0};
    struct ledger *l = NULL;
    struct stat st;
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    char text[100];
    memset(text, 'x', sizeof(text));
    assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
    close(fd);
    assert_int_equal(ledger_open(&io_real, dir, "things", see, &s, NULL, &l, &e), -EBADMSG);
    assert_non_null(strstr(e.msg, "things"));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, sizeof(text));
    assert_int_equal(truncate(path, 7), 0); /* its creation was interrupted */
    l = open_ledger(&s, NULL);
    ledger_close(l, true);
}

static void the_reader_may_stop(void **state)
{
    struct seen s;
    struct err e = {0};
    struct ledger *l = open_ledger(&s, NULL);
    const struct record a = changed("a");
    assert_int_equal(ledger_append(l, &a, 1), 0);
    ledger_close(l, false);
    s.stop = -ENOMEM;
    assert_int_equal(ledger_open(&io_real, dir, "things", see, &s, NULL, &l, &e), -ENOMEM);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_appended_is_read_again),
        cmocka_unit_test(a_torn_tail_is_cut_off),
        cmocka_unit_test(a_replacement_has_what_it_was_given),
        cmocka_unit_test(what_is_no_ledger_is_refused_and_left),
        cmocka_unit_test(the_reader_may_stop),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
