// SPDX-License-Identifier: Apache-2.0
// When an Initiate may have opened an upload that nobody knows.
#include "fs/transfer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <errno.h>

static bool unclear(unsigned sent, int eno, int http)
{
    struct obs_call call = {.sent = sent, .err = {.eno = eno, .http = http}};
    return transfer_initiate_unclear(&call);
}

static void an_initiate(void **state)
{
    assert_false(unclear(1, 0, 0));         // answered at once
    assert_true(unclear(2, 0, 0));          // answered the second time
    assert_false(unclear(1, -EACCES, 403)); // refused
    assert_true(unclear(2, -EACCES, 403));  // .. after one that was not answered
    assert_true(unclear(1, -EIO, 500));     // perhaps executed
    assert_true(unclear(1, -ETIMEDOUT, 0)); // no answer
    assert_true(unclear(1, -ECANCELED, 0));
    assert_true(unclear(1, -EIO, 200));         // an answer that nobody understands
    assert_false(unclear(0, -ECONNREFUSED, 0)); // it never went out
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_initiate)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
