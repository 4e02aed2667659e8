// SPDX-License-Identifier: Apache-2.0
/* webserver - an HTTP server inside a test, which can misbehave
 *
 * Role        Listens on a free port of 127.0.0.1. Every request is read whole and given to the
 *             test's handler, which answers well, badly or not at all. One thread a connection.
 * Threads     The handler runs on connection threads, several at once.
 * Bounds      Requests have at most 64 KiB of header and 64 MiB of body.
 */
#ifndef OBSM_TEST_WEBSERVER_H
#define OBSM_TEST_WEBSERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct web;
struct web_conn;

struct web_request {
    unsigned no;      /* 1, 2, .. over all connections */
    unsigned conn_no; /* which connection */
    const char *method;
    const char *target; /* path and query as sent */
    const char *head;   /* all of the head as it came, NUL-terminated */
    const unsigned char *body;
    size_t n_body;
};

typedef void web_handler_fn(void *arg, struct web_conn *conn, const struct web_request *r);

/* NULL: no socket or no memory. */
struct web *web_new(web_handler_fn *handler, void *arg);
/* Closes everything, waits for the threads. */
void web_free(struct web *web);
uint16_t web_port(const struct web *web);
unsigned web_requests(struct web *web);
unsigned web_connections(struct web *web);

/* The value of a header field of the request, or NULL; lies in `out`. */
const char *web_field(const struct web_request *r, const char *name, char *out, size_t size);

/* A whole answer. `fields`: further lines, each with CR LF, or NULL. `body` may be NULL. A HEAD
 * request gets no body, but its length. */
void web_reply(struct web_conn *conn, int status, const char *fields, const void *body, size_t n);
void web_reply_text(struct web_conn *conn, int status, const char *fields, const char *body);

/* Bytes as they are. */
void web_raw(struct web_conn *conn, const void *p, size_t n);
void web_raw_text(struct web_conn *conn, const char *text);

/* The connection ends after the handler: orderly, or with a reset. */
void web_close(struct web_conn *conn);
void web_reset(struct web_conn *conn);

/* Waits until the other side closes or the server is freed; at most 60 s. */
void web_stall(struct web_conn *conn);

#endif
