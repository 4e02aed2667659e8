// SPDX-License-Identifier: Apache-2.0
// Keys from the metadata service: its versions, its refusals, what it sends and what not.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/agency.h"
#include "net/base/clock.h"
#include "net/cred.h"
#include "net/engine.h"
#include "tests/lib/webserver.h"

static const char keys[] =
    "{\"credential\":{\"access\":\"HSTAK\",\"secret\":\"sk\",\"securitytoken\":\"tok\","
    "\"expires_at\":\"2126-01-01T00:00:00.000000Z\"}}";

/* What the service does. */
struct script {
    int put_status;
    const char *put_body;
    int get_status; /* of the first; 401 turns into 200 at the second */
    const char *get_body;
    atomic_uint puts, gets;
    bool wrong; /* a request was not as it should be */
};

static void serve(void *arg, struct web_conn *conn, const struct web_request *r)
{
    struct script *s = arg;
    char value[128];
    if (strcmp(r->method, "PUT") == 0) {
        const char *ttl = web_field(r, "X-Metadata-Token-Ttl-Seconds", value, sizeof(value));
        s->wrong = s->wrong || strcmp(r->target, "/meta-data/latest/api/token") != 0 || !ttl ||
                   strcmp(ttl, "21600") != 0;
        atomic_fetch_add(&s->puts, 1);
        web_reply_text(conn, s->put_status, NULL, s->put_body);
        return;
    }
    const char *token = web_field(r, "X-Metadata-Token", value, sizeof(value));
    bool with = s->put_status == 200;
    s->wrong = s->wrong || strcmp(r->target, "/openstack/latest/securitykey") != 0 ||
               (token != NULL) != with || (with && strcmp(token, "session") != 0);
    bool first = atomic_fetch_add(&s->gets, 1) == 0;
    bool renewed = !first && s->get_status == 401;
    web_reply_text(conn, renewed ? 200 : s->get_status, NULL, renewed ? keys : s->get_body);
}

struct outcome {
    int rc; /* of cred_get() */
    struct cred cred;
    bool failed;
    struct err err;
};

static struct outcome ask(struct script *s)
{
    struct outcome o = {0};
    struct engine_config ec = {.threads = 1, .backoff_ms = 10};
    struct engine *engine;
    struct agency *agency;
    struct cred_source *source;
    char endpoint[64];

    struct web *web = web_new(serve, s);
    assert_non_null(web);
    (void)snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%u", web_port(web));
    assert_int_equal(engine_new(&ec, &engine, NULL), 0);
    assert_int_equal(agency_new(endpoint, NULL, &agency, NULL), 0);
    struct cred_config cc = {.refresh = agency_refresh, .refresh_arg = agency};
    assert_int_equal(cred_source_new(&cc, &source, NULL), 0);
    agency_refresh(agency); /* nothing, it has not been started */
    agency_start(agency, engine, source);
    int64_t until = clock_ms() + 20000;
    do {
        o.rc = cred_get(source, &o.cred, NULL);
        o.failed = agency_failure(agency, &o.err);
        usleep(2000);
    } while (o.rc == -EAGAIN && !o.failed && clock_ms() < until);
    engine_free(engine);
    agency_free(agency);
    cred_source_free(source);
    web_free(web);
    assert_false(s->wrong);
    return o;
}

static void test_with_session(void **state)
{
    struct script s = {200, "session\n", 200, keys, 0, 0, false};
    struct outcome o = ask(&s);
    assert_int_equal(o.rc, 0);
    assert_string_equal(o.cred.ak, "HSTAK");
    assert_string_equal(o.cred.sk, "sk");
    assert_string_equal(o.cred.token, "tok");
    assert_true(o.cred.expires > 4000000000);
    assert_int_equal(s.puts, 1);
    assert_int_equal(s.gets, 1);
}

static void test_without_session(void **state)
{
    static const int statuses[] = {404, 405, 503};
    for (size_t i = 0; i < 3; i++) {
        struct script s = {statuses[i], "no", 200, keys, 0, 0, false};
        assert_int_equal(ask(&s).rc, 0);
        assert_int_equal(s.puts, 1);
        assert_int_equal(s.gets, 1);
    }
}

static void test_session_ended(void **state)
{
    struct script s = {200, "session", 401, "{}", 0, 0, false};
    assert_int_equal(ask(&s).rc, 0);
    assert_int_equal(s.puts, 2);
    assert_int_equal(s.gets, 2);
}

static void test_no_agency(void **state)
{
    struct script missing = {200, "session", 404, "{\"message\":\"x\"}", 0, 0, false};
    struct outcome o = ask(&missing);
    assert_int_equal(o.rc, -EAGAIN);
    assert_true(o.failed);
    assert_int_equal(o.err.eno, -ENOENT);
    assert_non_null(strstr(o.err.msg, "agency"));
    assert_int_equal(missing.gets, 1);

    struct script said = {200, "session", 401,  "Please configure Cloud Service Agency first.",
                          0,   0,         false};
    o = ask(&said);
    assert_int_equal(o.err.eno, -ENOENT);
    assert_int_equal(said.gets, 1);
}

static void test_bad_answers(void **state)
{
    static const char *const bodies[] = {
        "", "{}", "<html>", "{\"credential\":{\"access\":\"HSTAK\",\"secret\":\"geheim\"}}"};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
        struct script s = {200, "session", 200, bodies[i], 0, 0, false};
        struct outcome o = ask(&s);
        assert_true(o.failed);
        assert_int_equal(o.err.eno, -EBADMSG);
        assert_null(strstr(o.err.msg, "geheim"));
    }
    struct script empty = {200, "", 200, keys, 0, 0, false};
    struct outcome o = ask(&empty);
    assert_int_equal(o.err.eno, -EBADMSG);
    assert_int_equal(empty.gets, 0);
}

static void test_endpoint(void **state)
{
    struct agency *agency;
    assert_int_equal(agency_new("http://host/path", NULL, &agency, NULL), -EINVAL);
    assert_int_equal(agency_new(NULL, NULL, &agency, NULL), 0);
    agency_free(agency);
    agency_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_with_session),  cmocka_unit_test(test_without_session),
        cmocka_unit_test(test_session_ended), cmocka_unit_test(test_no_agency),
        cmocka_unit_test(test_bad_answers),   cmocka_unit_test(test_endpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
