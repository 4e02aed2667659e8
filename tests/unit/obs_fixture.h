// SPDX-License-Identifier: Apache-2.0
/* obs_fixture - an OBS client with two servers to try it on
 *
 * Role        Shared by the programs that test the client. Every failure is a failed assertion.
 * Ownership   A test keeps the fixture on its stack; obs_fixture_stop() last.
 */
#ifndef OBSM_TEST_OBS_FIXTURE_H
#define OBSM_TEST_OBS_FIXTURE_H

#include <stdatomic.h>
#include <stddef.h>

#include "net/cred.h"
#include "net/engine.h"
#include "net/obs.h"
#include "tests/lib/webserver.h"

/* What put_call() sends. */
#define DATA "0123456789abcdefghij"

struct obs_fixture {
    struct web *web;
    struct web *other; /* a second host */
    struct engine *engine;
    struct cred_source *cred;
    struct obs *obs;
    atomic_uint refreshed;
    /* what the handler saw, by request number (1 ..); handlers run one at a time in these tests */
    char seen[8][256];
};

/* Keys AK:sk, and NEWAK:newsk after they were refused; `extra`: header lines for every object. */
void obs_fixture_start_with(struct obs_fixture *f, web_handler_fn *handler,
                            enum obs_dialect dialect, const char *const *extra);
void obs_fixture_start(struct obs_fixture *f, web_handler_fn *handler);
void obs_fixture_stop(struct obs_fixture *f);

/* For handlers: the field `name` of the request, or "-", goes to f->seen. */
void obs_fixture_note(struct obs_fixture *f, const struct web_request *r, const char *name);
/* A PUT of DATA; `key` has to outlive the call. */
struct obs_call put_call(const char *key);
/* The header line of an ETag as the service makes it. */
void etag_line(char *out, size_t size, const void *p, size_t n);

#endif
