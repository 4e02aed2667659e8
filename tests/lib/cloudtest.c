// SPDX-License-Identifier: Apache-2.0
// obs-local with a client of its cloud services; see cloudtest.h.
#include "tests/lib/cloudtest.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/base/cleanup.h"
#include "net/base/log.h"

enum { ARGS_MAX = 32, ANSWER_MAX = 16 << 20, POLL_MS = 20, BACKOFF_MS = 20 };

void cloudtest_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

struct cloud *cloudtest_client(struct cloudtest *t, struct cloud_config config,
                               struct cred_source *cred)
{
    struct cloud *cloud = NULL;
    struct err err = {0};
    for (int i = 0; i < CLOUD_SERVICES; i++)
        config.endpoint[i] = t->endpoint;
    config.poll_ms = POLL_MS;
    if (cloud_new(&config, t->engine, cred ? cred : t->cred, t->log, &cloud, &err) < 0)
        fail_msg("%s", err.msg);
    return cloud;
}

static int start_client(struct cloudtest *t)
{
    struct engine_config ec = {.backoff_ms = BACKOFF_MS, .log = t->log, .trace = true};
    struct cred_config cc = {.file = t->keys};
    struct err err = {0};
    if (log_to_file(t->log, t->log_path) < 0 || engine_new(&ec, &t->engine, &err) < 0 ||
        cred_source_new(&cc, &t->cred, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return -1;
    }
    return 0;
}

struct cloudtest *cloudtest_start(const char *program, const char *const *more,
                                  const struct cloud_config *config)
{
    const char *args[ARGS_MAX] = {"--credential", CLOUDTEST_KEYS, "--bucket", "test-bucket"};
    int n = 4;
    while (more && *more && n < ARGS_MAX - 1)
        args[n++] = *more++;
    struct cloudtest *t = calloc(1, sizeof(*t));
    if (!t || service_start(&t->service, program, args) < 0)
        return NULL;
    (void)snprintf(t->endpoint, sizeof(t->endpoint), "http://127.0.0.1:%u", t->service.port);
    (void)snprintf(t->keys, sizeof(t->keys), "%s/keys", t->service.dir);
    (void)snprintf(t->password, sizeof(t->password), "%s/password", t->service.dir);
    (void)snprintf(t->log_path, sizeof(t->log_path), "%s/log", t->service.dir);
    cloudtest_write(t->keys, CLOUDTEST_KEYS "\n");
    cloudtest_write(t->password, CLOUDTEST_PASSWORD "\n");
    t->log = log_new(LOG_LEVEL_DEBUG);
    if (start_client(t) < 0)
        return NULL;
    t->cloud =
        cloudtest_client(t, config ? *config : (struct cloud_config){.region = "local"}, NULL);
    return t;
}

/* Of keys, passwords, tokens and session tokens. */
static int scan_log(const char *path)
{
    static const char *const secrets[] = {"geheim", "MII", "imds-", "Signature="};
    char line[4096];
    CLEANUP_FCLOSE FILE *file = fopen(path, "r");
    size_t lines = 0;
    while (file && fgets(line, sizeof(line), file)) {
        lines++;
        for (size_t i = 0; i < sizeof(secrets) / sizeof(*secrets); i++) {
            if (strstr(line, secrets[i])) {
                fprintf(stderr, "a secret is in the log: %s", line);
                return -1;
            }
        }
    }
    return lines ? 0 : -1;
}

int cloudtest_stop(struct cloudtest *t)
{
    engine_free(t->engine);
    cloud_free(t->cloud);
    cred_source_free(t->cred);
    log_free(t->log);
    int rc = scan_log(t->log_path);
    service_stop(&t->service);
    free(t);
    return rc;
}

/* Sends a request and reads until the end. The caller frees the answer. */
static char *request(struct cloudtest *t, const char *method, const char *page, const char *json)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(t->service.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);
    struct buf in = BUF_INIT(ANSWER_MAX);
    char part[4096];
    ssize_t n;

    buf_addf(&out, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n", method, page);
    buf_addf(&out, "Content-Length: %zu\r\n\r\n%s", strlen(json), json);
    CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(send(fd, out.p, out.n, MSG_NOSIGNAL), (ssize_t)out.n);
    while ((n = recv(fd, part, sizeof(part), 0)) > 0)
        buf_add(&in, part, (size_t)n);
    assert_int_equal(in.eno, 0);
    return buf_steal(&in);
}

void cloudtest_post(struct cloudtest *t, const char *page, const char *json)
{
    CLEANUP_FREE char *answer = request(t, "POST", page, json);
    if (strncmp(answer, "HTTP/1.1 2", 10) != 0)
        fail_msg("POST %s %s: %.200s", page, json, answer);
}

unsigned cloudtest_count(struct cloudtest *t, const char *op)
{
    char page[96];
    unsigned n = 0;
    (void)snprintf(page, sizeof(page), "/-/log?tail=1000&op=%s", op);
    CLEANUP_FREE char *answer = request(t, "GET", page, "");
    for (const char *p = answer; (p = strstr(p, "\"n\":")); p++)
        n++;
    return n;
}
