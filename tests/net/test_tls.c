// SPDX-License-Identifier: Apache-2.0
// https: the service's certificate has to be trusted, and there is no way around it.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/engine.h"
#include "net/obs.h"
#include "tests/lib/service.h"

/* A certificate for one bucket at localhost, by the openssl program. */
static bool make_certificate(const char *dir)
{
    char command[512];
    (void)snprintf(command, sizeof(command),
                   "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
                   "-addext subjectAltName=DNS:localhost,DNS:test-bucket.localhost "
                   "-keyout %s/key.pem -out %s/cert.pem >%s/log 2>&1",
                   dir, dir, dir);
    return system(command) == 0;
}

static int head(const char *ca_file, const char *host, uint16_t port, struct obs_call *call)
{
    struct engine_config ec = {.ca_file = ca_file, .backoff_ms = 5};
    struct engine *engine;
    struct obs *obs;
    struct err err;
    char endpoint[64];

    (void)snprintf(endpoint, sizeof(endpoint), "https://%s:%u", host, port);
    struct obs_config oc = {.endpoint = endpoint, .bucket = "test-bucket", .retry_ms = 10000};
    assert_int_equal(engine_new(&ec, &engine, &err), 0);
    assert_int_equal(obs_new(&oc, engine, NULL, NULL, &obs, &err), 0);
    *call = (struct obs_call){.op = OBS_HEAD, .key = "k"};
    int rc = obs_run(obs, call, NULL);
    engine_free(engine);
    obs_free(obs);
    return rc;
}

static void test_certificate(void **state)
{
    char dir[] = "/tmp/obsm-tls-XXXXXX";
    assert_non_null(mkdtemp(dir));
    if (!make_certificate(dir)) {
        print_message("no openssl program, nothing tested\n");
        rmdir(dir);
        skip();
    }
    char cert[64];
    char key[64];
    (void)snprintf(cert, sizeof(cert), "%s/cert.pem", dir);
    (void)snprintf(key, sizeof(key), "%s/key.pem", dir);
    const char *more[] = {"--credential", "AK:sk", "--bucket", "test-bucket",
                          "--tls",        cert,    key,        NULL};
    struct service service;
    assert_int_equal(service_start(&service, OBS_LOCAL, more), 0);
    struct obs_call call;

    /* not signed: a refusal, but an answer */
    assert_int_equal(head(cert, "localhost", service.port, &call), -EACCES);
    if (call.err.http != 403)
        print_error("%s\n", call.err.msg);
    assert_int_equal(call.err.http, 403);
    obs_call_clear(&call);

    /* an unknown authority; a name that the certificate does not have */
    assert_int_equal(head(NULL, "localhost", service.port, &call), -EACCES);
    assert_int_equal(call.err.http, 0);
    assert_int_equal(call.attempts, 1);
    assert_non_null(strstr(call.err.msg, "certificate"));
    obs_call_clear(&call);
    assert_int_equal(head(cert, "127.0.0.1", service.port, &call), -EACCES);
    assert_int_equal(call.err.http, 0);
    assert_int_equal(call.attempts, 1);
    obs_call_clear(&call);

    service_stop(&service);
    static const char *const files[] = {"cert.pem", "key.pem", "log"};
    for (int i = 0; i < 3; i++) {
        char path[64];
        (void)snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        unlink(path);
    }
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_certificate)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
