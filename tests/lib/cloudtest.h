// SPDX-License-Identifier: Apache-2.0
/* cloudtest - obs-local with a client of its cloud services
 *
 * Role        What the tests of the cloud clients share: the service as a child, an engine, a file
 *             with keys, a client, the pages that configure the service and count its requests.
 *             Everything is logged, and cloudtest_stop() fails if the log holds a secret.
 */
#ifndef OBSM_TEST_CLOUDTEST_H
#define OBSM_TEST_CLOUDTEST_H

#include "net/base/buf.h"
#include "net/cloud.h"
#include "net/cred.h"
#include "net/engine.h"
#include "tests/lib/service.h"

/* Keys that obs-local knows; also the bucket "test-bucket" and the project CLOUDTEST_PROJECT. */
#define CLOUDTEST_KEYS "AK0:sk0-geheim"
#define CLOUDTEST_PROJECT "0123456789abcdef0123456789abcdef"
#define CLOUDTEST_PASSWORD "passwort-geheim"

struct cloudtest {
    struct service service;
    struct log *log;
    struct engine *engine;
    struct cred_source *cred;
    struct cloud *cloud;
    char endpoint[64];
    char keys[96];     /* path of the file with the keys */
    char password[96]; /* path of one with a password */
    char log_path[96];
};

/* Starts the service with `more` arguments (NULL-terminated, or NULL) and makes a client for it
 * with the known keys. `config` (or NULL) is completed by the endpoints and a short poll_ms.
 * Returns a new fixture, or NULL. */
struct cloudtest *cloudtest_start(const char *program, const char *const *more,
                                  const struct cloud_config *config);
/* Another client with the same service; `cred` NULL: the fixture's. Asserts. */
struct cloud *cloudtest_client(struct cloudtest *t, struct cloud_config config,
                               struct cred_source *cred);
/* Ends everything; -1 if the log holds a secret. */
int cloudtest_stop(struct cloudtest *t);

/* Writes a file of mode 0600. */
void cloudtest_write(const char *path, const char *text);

/* POST of a JSON text to one of the service's own pages: "/-/faults", "/-/cloud", .. Asserts that
 * it is taken. */
void cloudtest_post(struct cloudtest *t, const char *page, const char *json);
/* How many requests of this operation have come since the last POST to "/-/reset". */
unsigned cloudtest_count(struct cloudtest *t, const char *op);

#endif
