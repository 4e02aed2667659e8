// SPDX-License-Identifier: Apache-2.0
// Log lines: one event, one line, nothing forged.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/base/log.h"

struct fixture {
    char dir[64];
    char path[80];
    struct log *log;
    char text[8192];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    strcpy(f->dir, "/tmp/obsm-test-log-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    (void)snprintf(f->path, sizeof(f->path), "%s/log", f->dir);
    f->log = log_new(LOG_LEVEL_INFO);
    *state = f;
    return f->log && log_to_file(f->log, f->path) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    log_free(f->log);
    (void)unlink(f->path);
    int rc = rmdir(f->dir);
    free(f);
    return rc;
}

static const char *content(struct fixture *f)
{
    FILE *file = fopen(f->path, "r");
    assert_non_null(file);
    size_t n = fread(f->text, 1, sizeof(f->text) - 1, file);
    f->text[n] = 0;
    fclose(file);
    return f->text;
}

static size_t lines(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void test_line(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    log_warning(f->log, "upload", "store '%s': %s", "a/b", "no space");
    const char *text = content(f);
    assert_non_null(strstr(text, " warning upload: store 'a/b': no space\n"));
    assert_int_equal(lines(text), 1);
    assert_int_equal(text[10], 'T');
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_control_characters(void **state)
{
    struct fixture *f = *state;
    log_info(f->log, "x", "name 'a\nerror x: forged\r\t\x1b[31m\x7f'");
    const char *text = content(f);
    assert_int_equal(lines(text), 1);
    assert_null(strpbrk(text, "\r\t\x1b\x7f"));
    assert_non_null(strstr(text, "'a?error x: forged???[31m?'"));
}

static void test_long_line(void **state)
{
    struct fixture *f = *state;
    char text[5000];
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    log_info(f->log, "x", "%s", text);
    log_info(f->log, "x", "next");
    assert_int_equal(lines(content(f)), 2);
    assert_non_null(strstr(f->text, " info x: next\n"));
}

static void test_levels(void **state)
{
    struct fixture *f = *state;
    enum log_level level;
    log_debug(f->log, "x", "not shown");
    assert_int_equal(strlen(content(f)), 0);
    assert_false(log_on(f->log, LOG_LEVEL_DEBUG));
    log_set_level(f->log, LOG_LEVEL_DEBUG);
    assert_int_equal(log_get_level(f->log), LOG_LEVEL_DEBUG);
    log_debug(f->log, "x", "shown");
    assert_int_equal(lines(content(f)), 1);
    log_set_level(f->log, LOG_LEVEL_ERROR);
    log_warning(f->log, "x", "not shown");
    assert_int_equal(lines(content(f)), 1);

    assert_int_equal(log_level_parse("Warning", &level), 0);
    assert_int_equal(level, LOG_LEVEL_WARNING);
    assert_int_equal(log_level_parse("loud", &level), -EINVAL);
    assert_string_equal(log_level_name(LOG_LEVEL_NOTICE), "notice");
    assert_false(log_on(NULL, LOG_LEVEL_ERROR));
    log_error(NULL, "x", "nowhere");
}

static void test_err(void **state)
{
    struct fixture *f = *state;
    struct err e;
    err_set(&e, -EACCES, "the right is missing");
    strcpy(e.code, "AccessDenied");
    strcpy(e.request_id, "r-1");
    e.http = 403;
    log_err(f->log, LOG_LEVEL_ERROR, "upload", &e, "store '%s'", "k");
    assert_non_null(strstr(content(f),
                           " error upload: store 'k': the right is missing "
                           "(errno=EACCES code=AccessDenied http=403 request_id=r-1)\n"));
}

static void test_reopen(void **state)
{
    struct fixture *f = *state;
    char old[90];
    (void)snprintf(old, sizeof(old), "%s.1", f->path);
    log_info(f->log, "x", "before");
    assert_int_equal(rename(f->path, old), 0);
    assert_int_equal(log_reopen(f->log), 0);
    log_info(f->log, "x", "after");
    assert_null(strstr(content(f), "before"));
    assert_non_null(strstr(f->text, "after"));
    assert_int_equal(unlink(old), 0);

    assert_int_equal(log_to_file(f->log, "/nonexistent/dir/log"), -ENOENT);
    log_info(f->log, "x", "still here");
    assert_non_null(strstr(content(f), "still here"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_control_characters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_err, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reopen, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
