// SPDX-License-Identifier: Apache-2.0
/* server - one HTTP request, from its first line to its answer
 *
 * Role        Glue between libmicrohttpd and the operations. A request is parsed, routed to an
 *             operation (route.c), authorised (auth.c), its body streamed into a blob or collected,
 *             and then op->finish() fills in the answer.
 * Threads     One thread for each connection, so an operation may block (latency, faults, files).
 * Ownership   Everything in `mem` lives as long as the request. The store and the tables of the
 *             server are shared; each has its own lock.
 */
#ifndef OBSLOCAL_SERVER_H
#define OBSLOCAL_SERVER_H

#include <microhttpd.h>
#include <openssl/evp.h>

#include "tests/obs-local/fault.h"
#include "tests/obs-local/stats.h"
#include "tests/obs-local/store.h"
#include "tests/obs-local/text.h"

struct auth;
struct cloud;
struct request;

struct server_config {
    const char *host; /* IPv4 address */
    uint16_t port;
    const char *tls_cert, *tls_key; /* file names, or NULL */
    unsigned latency_ms;
    uint64_t rate; /* body bytes per second and connection; 0: no limit */
    const char *domain;
    const char *default_encryption; /* of what asks for none: "kms", "AES256"; NULL: none */
};

struct server {
    struct server_config config;
    struct store *store;
    struct auth *auth;
    struct stats *stats;
    struct faults *faults;
    struct cloud *cloud;
    struct MHD_Daemon *daemon;
    uint16_t port;
    struct lock lock;
    pthread_cond_t cond;
    bool stopping; /* under lock */
};

enum dialect { DIALECT_OBS, DIALECT_AWS };

enum sign_kind { SIGN_NONE, SIGN_OBS, SIGN_V2, SIGN_V4, SIGN_SDK, SIGN_TOKEN, SIGN_KIND_COUNT };

/* How the errors of a service look. */
enum error_form {
    ERROR_XML,  /* OBS */
    ERROR_JSON, /* error_code and error_msg */
    ERROR_V1,   /* the same with is_success */
    ERROR_IAM,  /* {"error": {"code", "message", "title"}} */
};

enum body_kind {
    BODY_NONE,  /* read and dropped */
    BODY_BLOB,  /* into the store */
    BODY_MEMORY /* at most REQUEST_BODY_MAX */
};

enum { REQUEST_BODY_MAX = 4 << 20 };
#define OBJECT_MAX (5ULL << 30)

struct op {
    const char *name; /* as the OBS API calls it */
    enum body_kind body;
    bool writes;                      /* needs more than a read-only right */
    bool open;                        /* no signature needed */
    void (*finish)(struct request *); /* fills the answer */
    void (*begin)(struct request *);  /* before the body, may fail the request; NULL: nothing */
};

/* What the answer's body is, besides `out`. */
struct payload {
    struct object *object; /* a reference, or NULL */
    uint64_t off, len;
};

struct request {
    struct server *srv;
    struct MHD_Connection *conn;
    struct arena mem;

    /* --- as it arrived --- */
    char *uri; /* raw */
    const char *method;
    const char *path; /* raw, without query */
    struct pairs headers;
    struct pairs query;        /* '+' is a space */
    struct pairs signed_query; /* '+' is a plus */
    const char *host;
    bool head;
    bool tls;
    const char *bucket; /* NULL: none */
    const char *vhost;  /* the bucket, if the Host named it */
    const char *key;    /* NULL: none */
    bool has_length;
    uint64_t length;
    bool cloud;          /* not the object service: cloud.h */
    const char *args[2]; /* of the path of a cloud service */
    enum error_form error_form;

    /* --- who asks, and for what --- */
    enum sign_kind sign;
    enum dialect dialect;
    const char *ak; /* NULL: anonymous */
    bool read_only; /* what the credential may do */
    const struct op *op;
    bool started;
    int64_t t0_ns;

    /* --- the body --- */
    uint64_t received;
    struct blob_writer writer;
    bool writing;
    EVP_MD_CTX *md5;
    EVP_MD_CTX *sha256;       /* only if its value was promised */
    bool has_crc64;           /* the same */
    uint64_t crc64;           /* the value that was promised */
    uint64_t crc64_body;      /* of the body so far */
    unsigned char digest[16]; /* MD5, in op->finish() */
    struct segs segs;         /* the body, in op->finish(); what is left is dropped */
    struct buf body;
    int64_t paced_ns; /* when the next body byte is due */

    /* --- the answer --- */
    bool failed;
    int status;
    struct pairs out_headers;
    struct buf out;
    struct payload payload;
    char request_id[33];
    struct fault_hit fault;
    bool logged;
    uint64_t answered; /* body bytes of the answer */
};

int server_start(struct server *srv, struct err *err);
/* Ends the waits of all requests, then the daemon. */
void server_stop(struct server *srv);

/* Sleeps; ends early (false) when the server stops or, with `gen`, faults were changed since. */
bool server_sleep(struct server *srv, int64_t ms, const uint64_t *gen);
/* Wakes those who sleep with `gen`. */
void server_wake(struct server *srv);

/* --- for operations --- */

/* The request's header without its prefix: "acl" is x-obs-acl or x-amz-acl, as the signature's
 * dialect says. The OBS-only names are found as x-obs- in both. */
const char *req_header(const struct request *r, const char *base);
const char *req_plain_header(const struct request *r, const char *name); /* lower case */
const char *req_query(const struct request *r, const char *name);        /* NULL: not there */

void ans_header(struct request *r, const char *name, const char *value);
/* With the dialect's prefix. */
void ans_service_header(struct request *r, const char *base, const char *value);
void ans_status(struct request *r, int status);
void ans_etag(struct request *r, const char *etag);
void ans_crc64(struct request *r, uint64_t crc);

/* Answers with an error of the service: status by the code (error.c). `message` NULL: its usual
 * one. The first failure counts. */
void ans_error(struct request *r, const char *code, const char *message);
void ans_error_status(struct request *r, int status, const char *code, const char *message);
/* For an errno of the store, about the key or the bucket. */
void ans_errno(struct request *r, int rc);

/* Begins an XML answer of status 200: the declaration and <root xmlns=..>. */
void ans_xml(struct request *r, const char *root);
void xml_text(struct buf *b, const char *tag, const char *text);
void xml_key(struct request *r, const char *tag, const char *text); /* url-encoded if asked for */
void xml_number(struct buf *b, const char *tag, uint64_t n);
void ans_json(struct request *r, int status, const char *text);

/* error.c */
int error_status(const char *code);
const char *error_message(const char *code);

/* route.c: fills bucket, key, op (never NULL). */
void route(struct request *r);
extern const struct op op_unknown;

/* admin.c: requests below /-/; false: not one. */
bool admin_route(struct request *r);

/* auth.c, see auth.h */
#endif
