// SPDX-License-Identifier: Apache-2.0
// One line for each thing that a mount needs; see check.h.
#include "fs/check.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "fs/helper.h"
#include "fs/keys.h"
#include "fs/options.h"
#include "net/base/cleanup.h"
#include "net/base/log.h"
#include "net/cred.h"
#include "net/engine.h"
#include "net/error.h"
#include "net/obs.h"
#include "net/sse.h"
#include "net/url.h"

/* OBS API, signing: a request whose date is off by more is refused. */
enum { SKEW_MAX_S = 15 * 60, GIVE_UP_MS = 10000 };

struct check {
    const struct options *opt;
    struct url_endpoint endpoint;
    struct keys keys;
    struct engine *engine;
    struct obs *obs;
    struct log *log;
};

static __attribute__((format(printf, 2, 3))) void say_ok(const char *step, const char *fmt, ...)
{
    printf("ok    %-9s ", step);
    va_list ap;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

static int say_fail(const char *step, const struct err *err, const char *advice)
{
    printf("FAIL  %-9s %s", step, err->msg[0] ? err->msg : err_text(err->eno));
    if (err->code[0])
        printf(" (%s)", err->code);
    putchar('\n');
    if (advice)
        printf("      %-9s %s\n", "", advice);
    return err->eno < 0 ? err->eno : -EIO;
}

static int check_keys(struct check *c)
{
    const struct engine_config engine = {.threads = 1,
                                         .ca_file = c->opt->ca_file,
                                         .connect_ms = c->opt->connect_timeout,
                                         .stall_ms = c->opt->stall_timeout,
                                         .give_up_ms = GIVE_UP_MS,
                                         .log = c->log};
    struct err err = {0};
    if (keys_open(c->opt, c->log, &c->keys, &err) < 0)
        return say_fail("keys", &err,
                        "give -o credential_file=FILE (mode 0600, one line AK:SK), or set "
                        "OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY");
    if (engine_new(&engine, &c->engine, &err) < 0)
        return say_fail("client", &err, NULL);
    if (keys_start(&c->keys, c->engine, &err) < 0)
        return say_fail("keys", &err,
                        "is this a cloud server, and does it have an agency with rights on OBS?");
    say_ok("keys", "found in %s", cred_source_name(c->keys.source));
    return 0;
}

/* The customer's keys: can all of them be read, and is the one of the option `sse` among them? */
static int check_encryption(const struct check *c)
{
    struct sse_spec spec = {.kind = SSE_NONE};
    struct obs_props props = {0};
    struct sse_keys *keys = NULL;
    struct err err = {0};
    if (!c->opt->sse_c_keys)
        return 0;
    int rc = sse_keys_load(c->opt->sse_c_keys, &keys, &err);
    if (rc == 0 && c->opt->sse)
        rc = sse_spec_parse(c->opt->sse, &spec, &err);
    if (rc == 0)
        rc = sse_to_props(&spec, keys, &props, &err);
    if (rc < 0)
        rc = say_fail("sse keys", &err,
                      "sse_c_keys is a directory that others cannot write; each file in it has "
                      "mode 0600 and one key of 32 bytes, or those in base64");
    else
        say_ok("sse keys", "%d in '%s'", sse_keys_count(keys), c->opt->sse_c_keys);
    obs_props_clear(&props);
    sse_keys_free(keys);
    return rc;
}

/* Opens and closes a connection. 0 or -errno. */
static int try_connect(const struct addrinfo *to, int64_t limit_ms)
{
    CLEANUP_CLOSE int fd =
        socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, to->ai_protocol);
    if (fd < 0)
        return -errno;
    if (connect(fd, to->ai_addr, to->ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return -errno;

    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int n = poll(&p, 1, (int)limit_ms);
    if (n <= 0)
        return n < 0 ? -errno : -ETIMEDOUT;
    int failure = 0;
    socklen_t len = sizeof(failure);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &len) < 0)
        return -errno;
    return -failure;
}

static int check_address(struct check *c)
{
    struct err err = {0};
    if (url_endpoint_parse(c->opt->endpoint, &c->endpoint, &err) < 0)
        return say_fail("address", &err, NULL);

    char port[8];
    snprintf(port, sizeof(port), "%u", c->endpoint.port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(c->endpoint.host, port, &hints, &list);
    if (rc != 0) {
        err_set(&err, -EHOSTUNREACH, "'%s' has no address: %s", c->endpoint.host, gai_strerror(rc));
        return say_fail("address", &err, "check the endpoint's name and the name server");
    }
    rc = -EHOSTUNREACH;
    for (const struct addrinfo *a = list; a && rc < 0; a = a->ai_next)
        rc = try_connect(a, c->opt->connect_timeout);
    freeaddrinfo(list);
    if (rc < 0) {
        err_set(&err, rc, "no connection to '%s' port %s: %s", c->endpoint.host, port,
                err_text(rc));
        return say_fail("address", &err, "check endpoint and port, routes, firewalls and proxies");
    }
    say_ok("address", "'%s' port %s takes connections", c->endpoint.host, port);
    return 0;
}

static int make_client(struct check *c)
{
    const struct obs_config client = {.endpoint = c->opt->endpoint,
                                      .bucket = c->opt->bucket,
                                      .region = c->opt->region,
                                      .dialect = (enum obs_dialect)c->opt->dialect,
                                      .path_style = c->opt->path_style,
                                      .connect_ms = c->opt->connect_timeout,
                                      .stall_ms = c->opt->stall_timeout,
                                      .retry_ms = GIVE_UP_MS};
    struct err err = {0};
    if (obs_new(&client, c->engine, c->keys.source, c->log, &c->obs, &err) < 0)
        return say_fail("client", &err, NULL);
    return 0;
}

static void check_clock(const struct obs_call *call)
{
    int64_t off = call->server_time ? (int64_t)time(NULL) - call->server_time : 0;
    if (!call->server_time)
        say_ok("clock", "the service does not tell its time");
    else if (off > SKEW_MAX_S || off < -SKEW_MAX_S)
        printf(
            "FAIL  %-9s %lld s off the service's; requests are dated by the service's clock, but "
            "set yours\n",
            "clock", (long long)off);
    else
        say_ok("clock", "%lld s off the service's", (long long)off);
}

static bool code_in(const char *code, const char *const *codes)
{
    for (; *codes; codes++) {
        if (strcmp(code, *codes) == 0)
            return true;
    }
    return false;
}

/* Which step the refusal of a listing belongs to. */
static int judge_list(const struct check *c, const struct err *err)
{
    static const char *const key_codes[] = {"InvalidAccessKeyId",
                                            "SignatureDoesNotMatch",
                                            "ExpiredToken",
                                            "InvalidToken",
                                            "AuthorizationHeaderMalformed",
                                            "InvalidSecurity",
                                            "AccountProblem",
                                            "NotSignedUp",
                                            "TooManyWrongSignature",
                                            NULL};
    const char *right = error_right(OBS_LIST, (enum obs_dialect)c->opt->dialect);
    if (err->http == 0)
        return say_fail("answer", err, "is this the port of the service, and is it http or https?");
    if (code_in(err->code, key_codes))
        return say_fail("keys", err,
                        "the keys were sent and refused: check both halves, no blanks");
    if (err->cls == ERR_GONE || err->cls == ERR_REDIRECT)
        return say_fail("bucket", err, "check the bucket's name, the region and the endpoint");
    if (err->cls == ERR_DENIED) {
        char advice[128];
        snprintf(advice, sizeof(advice), "the keys need the right %s", right);
        return say_fail("list", err, advice);
    }
    return say_fail("list", err, NULL);
}

static int check_bucket(struct check *c)
{
    struct obs_call call = {
        .op = OBS_LIST, .prefix = c->opt->prefix, .delimiter = "/", .max_keys = 1, .urgent = true};
    int rc = obs_run(c->obs, &call, NULL);
    if (call.status)
        check_clock(&call);
    if (rc < 0) {
        rc = judge_list(c, &call.err);
    } else {
        say_ok("bucket", "'%s' is there and the keys are accepted", c->opt->bucket);
        say_ok("list", "'%s' can be listed%s", c->opt->source,
               call.list.n ? "" : "; it is empty so far");
    }
    obs_call_clear(&call);
    return rc;
}

int check_run(const struct options *opt, struct log *log)
{
    struct check c = {.opt = opt, .log = log};
    int rc = check_keys(&c);
    if (rc == 0)
        rc = check_encryption(&c);
    if (rc == 0)
        rc = check_address(&c);
    if (rc == 0)
        rc = make_client(&c);
    if (rc == 0)
        rc = check_bucket(&c);
    if (rc == 0)
        say_ok("not tried", "writing: that would leave an object behind (%s)",
               error_right(OBS_PUT, (enum obs_dialect)opt->dialect));
    obs_free(c.obs);
    engine_free(c.engine);
    keys_done(&c.keys);
    return rc == 0 ? COMMAND_OK : COMMAND_FAILED;
}
