// SPDX-License-Identifier: Apache-2.0
// Interruptible waits.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/base/clock.h"
#include "net/base/intr.h"

static void test_states(void **state)
{
    struct intr w;
    intr_init(&w);
    assert_int_equal(intr_wait(&w, clock_ms(), false), -ETIMEDOUT);
    intr_interrupt(&w);
    assert_true(intr_interrupted(&w));
    assert_int_equal(intr_wait(&w, -1, false), -EINTR);
    assert_int_equal(intr_wait(&w, clock_ms() + 1, true), -ETIMEDOUT);
    intr_finish(&w);
    assert_int_equal(intr_wait(&w, -1, false), 0); /* finished wins */
    intr_rearm(&w);
    assert_int_equal(intr_wait(&w, -1, false), -EINTR); /* the interrupt sticks */
    intr_done(&w);
}

static void *finish_later(void *arg)
{
    usleep(20000);
    intr_finish(arg);
    return NULL;
}

static void *interrupt_later(void *arg)
{
    usleep(20000);
    intr_interrupt(arg);
    return NULL;
}

static int wait_with(void *(*other)(void *), int64_t deadline)
{
    struct intr w;
    pthread_t thread;
    intr_init(&w);
    assert_int_equal(pthread_create(&thread, NULL, other, &w), 0);
    int rc = intr_wait(&w, deadline, false);
    assert_int_equal(pthread_join(thread, NULL), 0);
    intr_done(&w);
    return rc;
}

static void test_woken(void **state)
{
    assert_int_equal(wait_with(finish_later, -1), 0);
    assert_int_equal(wait_with(finish_later, clock_ms() + 60000), 0);
    assert_int_equal(wait_with(interrupt_later, -1), -EINTR);
}

static void *finish_now(void *arg)
{
    intr_finish(arg);
    return NULL;
}

/* Waits and wake-ups that meet at the same moment lose nothing. */
static void test_race(void **state)
{
    for (int i = 0; i < 200; i++)
        assert_int_equal(wait_with(finish_now, -1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_woken),
        cmocka_unit_test(test_race),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
