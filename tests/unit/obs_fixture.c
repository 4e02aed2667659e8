// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/obs_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "net/digest.h"

static void refresh(void *arg)
{
    struct obs_fixture *f = arg;
    struct cred fresh = {.ak = "NEWAK", .sk = "newsk"};
    atomic_fetch_add(&f->refreshed, 1);
    cred_put(f->cred, &fresh);
}

void obs_fixture_start_with(struct obs_fixture *f, web_handler_fn *handler,
                            enum obs_dialect dialect, const char *const *extra)
{
    memset(f, 0, sizeof(*f));
    f->web = web_new(handler, f);
    f->other = web_new(handler, f);
    assert_non_null(f->web);
    struct engine_config engine = {.backoff_ms = 2};
    assert_int_equal(engine_new(&engine, &f->engine, NULL), 0);
    struct cred_config cc = {.refresh = refresh, .refresh_arg = f};
    struct cred cred = {.ak = "AK", .sk = "sk"};
    assert_int_equal(cred_source_new(&cc, &f->cred, NULL), 0);
    cred_put(f->cred, &cred);
    char endpoint[64];
    (void)snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%u", web_port(f->web));
    struct obs_config config = {.endpoint = endpoint,
                                .bucket = "bucket",
                                .dialect = dialect,
                                .retry_ms = 20000,
                                .extra_headers = extra};
    struct err err;
    assert_int_equal(obs_new(&config, f->engine, f->cred, NULL, &f->obs, &err), 0);
}

void obs_fixture_start(struct obs_fixture *f, web_handler_fn *handler)
{
    obs_fixture_start_with(f, handler, OBS_DIALECT_OBS, NULL);
}

void obs_fixture_stop(struct obs_fixture *f)
{
    engine_free(f->engine);
    obs_free(f->obs);
    cred_source_free(f->cred);
    web_free(f->web);
    web_free(f->other);
}

void obs_fixture_note(struct obs_fixture *f, const struct web_request *r, const char *name)
{
    char value[256] = "";
    if (r->no < 8)
        (void)snprintf(f->seen[r->no], sizeof(f->seen[0]), "%s",
                       web_field(r, name, value, sizeof(value)) ? value : "-");
}

static ssize_t read_data(void *arg, uint64_t off, void *p, size_t n)
{
    memcpy(p, (const char *)arg + off, n);
    return (ssize_t)n;
}

struct obs_call put_call(const char *key)
{
    return (struct obs_call){
        .op = OBS_PUT,
        .key = key,
        .body = {.size = strlen(DATA), .read = read_data, .arg = (void *)(uintptr_t)DATA},
    };
}

void etag_line(char *out, size_t size, const void *p, size_t n)
{
    unsigned char md5[DIGEST_SIZE_MAX];
    char hex[33];
    digest_once(DIGEST_MD5, p, n, md5);
    hex_encode(md5, 16, hex);
    (void)snprintf(out, size, "ETag: \"%s\"\r\n", hex);
}
