// SPDX-License-Identifier: Apache-2.0
// A server for tests; see webserver.h.
#include "tests/lib/webserver.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/base/cleanup.h"

enum { HEAD_MAX = 64 * 1024, BODY_MAX = 64 << 20, CONNS_MAX = 512, STALL_MS = 60 * 1000 };

struct web_conn {
    struct web *web;
    pthread_t id;
    unsigned no;
    int fd;
    bool close, head_only;
    char head[HEAD_MAX + 1];
    size_t n; /* bytes in head: a head and what came behind it */
};

struct web {
    int listen_fd;
    uint16_t port;
    web_handler_fn *handler;
    void *arg;
    pthread_t acceptor;
    int stop_pipe[2];
    atomic_uint requests;
    pthread_mutex_t lock;
    struct web_conn *conns[CONNS_MAX]; /* under lock */
    unsigned n_conns;
};

void web_raw(struct web_conn *conn, const void *p, size_t n)
{
    const char *at = p;
    while (n && !conn->close) {
        ssize_t sent = send(conn->fd, at, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0) {
            conn->close = true;
            return;
        }
        at += sent;
        n -= (size_t)sent;
    }
}

void web_raw_text(struct web_conn *conn, const char *text)
{
    web_raw(conn, text, strlen(text));
}

void web_reply(struct web_conn *conn, int status, const char *fields, const void *body, size_t n)
{
    char head[4096];
    int len = snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\n%s", status, fields ? fields : "");
    if (status != 204 && status != 304)
        len += snprintf(head + len, sizeof(head) - (size_t)len, "Content-Length: %zu\r\n", n);
    len += snprintf(head + len, sizeof(head) - (size_t)len, "\r\n");
    web_raw(conn, head, (size_t)len);
    if (n && !conn->head_only)
        web_raw(conn, body, n);
}

void web_reply_text(struct web_conn *conn, int status, const char *fields, const char *body)
{
    web_reply(conn, status, fields, body, strlen(body));
}

void web_close(struct web_conn *conn)
{
    conn->close = true;
}

void web_reset(struct web_conn *conn)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    conn->close = true;
}

void web_stall(struct web_conn *conn)
{
    struct pollfd fds[2] = {{.fd = conn->fd, .events = POLLRDHUP},
                            {.fd = conn->web->stop_pipe[0], .events = POLLIN}};
    (void)poll(fds, 2, STALL_MS);
    conn->close = true;
}

const char *web_field(const struct web_request *r, const char *name, char *out, size_t size)
{
    size_t n = strlen(name);
    for (const char *line = strstr(r->head, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, n) != 0 || line[n] != ':')
            continue;
        const char *value = line + n + 1;
        value += strspn(value, " ");
        size_t len = strcspn(value, "\r");
        if (len >= size)
            return NULL;
        memcpy(out, value, len);
        out[len] = 0;
        return out;
    }
    return NULL;
}

/* More bytes into head. False: the end. */
static bool receive(struct web_conn *conn, void *p, size_t size, size_t *ret_n)
{
    struct pollfd fds[2] = {{.fd = conn->fd, .events = POLLIN},
                            {.fd = conn->web->stop_pipe[0], .events = POLLIN}};
    if (poll(fds, 2, -1) < 0 || fds[1].revents)
        return false;
    ssize_t got = recv(conn->fd, p, size, 0);
    if (got <= 0)
        return false;
    *ret_n = (size_t)got;
    return true;
}

static bool read_body(struct web_conn *conn, struct web_request *r, size_t n_head,
                      unsigned char **ret)
{
    char text[32];
    const char *length = web_field(r, "Content-Length", text, sizeof(text));
    size_t want = length ? strtoul(length, NULL, 10) : 0;
    if (want > BODY_MAX)
        return false;
    unsigned char *body = malloc(want + 1);
    if (!body)
        return false;
    *ret = body;

    size_t have = conn->n - n_head;
    if (have > want)
        have = want;
    memcpy(body, conn->head + n_head, have);
    memmove(conn->head, conn->head + n_head + have, conn->n - n_head - have);
    conn->n -= n_head + have;
    while (have < want) {
        size_t got;
        if (!receive(conn, body + have, want - have, &got))
            return false;
        have += got;
    }
    r->body = body;
    r->n_body = want;
    return true;
}

static bool serve_one(struct web_conn *conn)
{
    char *end;
    conn->head[conn->n] = 0;
    while (!(end = memmem(conn->head, conn->n, "\r\n\r\n", 4))) {
        size_t got;
        if (conn->n == HEAD_MAX || !receive(conn, conn->head + conn->n, HEAD_MAX - conn->n, &got))
            return false;
        conn->n += got;
        conn->head[conn->n] = 0;
    }

    size_t n_head = (size_t)(end + 4 - conn->head);
    CLEANUP_FREE char *head = strndup(conn->head, n_head);
    CLEANUP_FREE char *line = strndup(conn->head, strcspn(conn->head, "\r"));
    CLEANUP_FREE unsigned char *body = NULL;
    if (!head || !line)
        return false;
    char *save = NULL;
    struct web_request r = {.head = head, .conn_no = conn->no};
    r.method = strtok_r(line, " ", &save);
    r.target = strtok_r(NULL, " ", &save);
    if (!r.method || !r.target || !read_body(conn, &r, n_head, &body))
        return false;
    r.no = atomic_fetch_add(&conn->web->requests, 1) + 1;
    conn->head_only = strcmp(r.method, "HEAD") == 0;
    conn->web->handler(conn->web->arg, conn, &r);
    return !conn->close;
}

static void *conn_main(void *arg)
{
    struct web_conn *conn = arg;
    while (serve_one(conn))
        ;
    pthread_mutex_lock(&conn->web->lock);
    close(conn->fd);
    conn->fd = -1;
    pthread_mutex_unlock(&conn->web->lock);
    return NULL;
}

static void add_conn(struct web *web, int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    struct web_conn *conn = calloc(1, sizeof(*conn));
    pthread_mutex_lock(&web->lock);
    bool ok = conn && web->n_conns < CONNS_MAX;
    if (ok) {
        conn->web = web;
        conn->fd = fd;
        conn->no = web->n_conns + 1;
        ok = pthread_create(&conn->id, NULL, conn_main, conn) == 0;
    }
    if (ok)
        web->conns[web->n_conns++] = conn;
    pthread_mutex_unlock(&web->lock);
    if (!ok) {
        close(fd);
        free(conn);
    }
}

static void *accept_main(void *arg)
{
    struct web *web = arg;
    struct pollfd fds[2] = {{.fd = web->listen_fd, .events = POLLIN},
                            {.fd = web->stop_pipe[0], .events = POLLIN}};
    for (;;) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return NULL;
        if (fds[1].revents)
            return NULL;
        int fd = accept4(web->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            add_conn(web, fd);
    }
}

static bool open_port(struct web *web)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(address);
    web->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (web->listen_fd < 0 ||
        bind(web->listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(web->listen_fd, 256) < 0 ||
        getsockname(web->listen_fd, (struct sockaddr *)&address, &n) < 0)
        return false;
    web->port = ntohs(address.sin_port);
    return true;
}

struct web *web_new(web_handler_fn *handler, void *arg)
{
    struct web *web = calloc(1, sizeof(*web));
    if (!web)
        return NULL;
    web->listen_fd = -1;
    web->handler = handler;
    web->arg = arg;
    pthread_mutex_init(&web->lock, NULL);
    if (pipe(web->stop_pipe) < 0)
        goto fail;
    if (!open_port(web) || pthread_create(&web->acceptor, NULL, accept_main, web) != 0) {
        close(web->stop_pipe[0]);
        close(web->stop_pipe[1]);
        goto fail;
    }
    return web;

fail:
    if (web->listen_fd >= 0)
        close(web->listen_fd);
    free(web);
    return NULL;
}

void web_free(struct web *web)
{
    if (!web)
        return;
    close(web->stop_pipe[1]); /* readable for everybody */
    pthread_join(web->acceptor, NULL);
    for (unsigned i = 0; i < web->n_conns; i++) {
        pthread_mutex_lock(&web->lock);
        if (web->conns[i]->fd >= 0)
            shutdown(web->conns[i]->fd, SHUT_RDWR);
        pthread_mutex_unlock(&web->lock);
        pthread_join(web->conns[i]->id, NULL);
        free(web->conns[i]);
    }
    close(web->stop_pipe[0]);
    close(web->listen_fd);
    pthread_mutex_destroy(&web->lock);
    free(web);
}

uint16_t web_port(const struct web *web)
{
    return web->port;
}

unsigned web_requests(struct web *web)
{
    return atomic_load(&web->requests);
}

unsigned web_connections(struct web *web)
{
    pthread_mutex_lock(&web->lock);
    unsigned n = web->n_conns;
    pthread_mutex_unlock(&web->lock);
    return n;
}
