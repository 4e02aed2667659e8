// SPDX-License-Identifier: Apache-2.0
/* obs-local: a Huawei OBS service of one process, for tests and for trying things out.
 * README.md describes it. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <libxml/parser.h>

#include "net/base/cleanup.h"
#include "tests/obs-local/auth.h"
#include "tests/obs-local/cloud.h"
#include "tests/obs-local/server.h"

static const char usage[] =
    "usage: obs-local --data DIR [option]...\n"
    "  --data DIR               keep buckets and objects in DIR\n"
    "  --listen ADDRESS:PORT    default 127.0.0.1:0 (any port)\n"
    "  --credential AK:SK[:TOKEN]      may read and write; may be repeated\n"
    "  --credential-ro AK:SK[:TOKEN]   may only read\n"
    "  --credential-file FILE   one AK:SK[:TOKEN] a line, \"ro \" in front: may only read\n"
    "  --bucket NAME            make this bucket; may be repeated\n"
    "  --domain NAME            Host BUCKET.NAME is a virtual host (localhost)\n"
    "  --latency MS             delay every answer\n"
    "  --rate N                 body bytes per second and connection, each direction\n"
    "  --tls CERT KEY           serve https with these PEM files\n"
    "  --faults FILE            start with the faults of this JSON file\n"
    "  --cloud FILE             configure the cloud services from this JSON file\n"
    "  --null-store             keep sizes and checksums but no bytes; a GET gives zeros\n"
    "  --complete-wins initiate|last   which of two uploads stays (initiate)\n"
    "  --metadata-touches-mtime        PUT ?metadata sets Last-Modified\n"
    "  --default-encryption kms|AES256 what asks for no encryption gets this\n"
    "  --clock-offset SECONDS   the service's clock is so much ahead\n";

enum { LIST_MAX = 64 };

struct options {
    struct store_config store;
    struct server_config server;
    char *host;
    const char *credentials[LIST_MAX];
    bool read_only[LIST_MAX];
    size_t n_credentials;
    const char *credential_file;
    const char *buckets[LIST_MAX];
    size_t n_buckets;
    const char *faults;
    const char *cloud;
};

enum {
    OPT_DATA = 256,
    OPT_LISTEN,
    OPT_CREDENTIAL,
    OPT_CREDENTIAL_RO,
    OPT_CREDENTIAL_FILE,
    OPT_BUCKET,
    OPT_DOMAIN,
    OPT_LATENCY,
    OPT_RATE,
    OPT_TLS,
    OPT_FAULTS,
    OPT_CLOUD,
    OPT_NULL_STORE,
    OPT_COMPLETE_WINS,
    OPT_METADATA_MTIME,
    OPT_DEFAULT_ENCRYPTION,
    OPT_CLOCK_OFFSET,
    OPT_HELP,
};

static const struct option long_options[] = {
    {"data", required_argument, NULL, OPT_DATA},
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"credential", required_argument, NULL, OPT_CREDENTIAL},
    {"credential-ro", required_argument, NULL, OPT_CREDENTIAL_RO},
    {"credential-file", required_argument, NULL, OPT_CREDENTIAL_FILE},
    {"bucket", required_argument, NULL, OPT_BUCKET},
    {"domain", required_argument, NULL, OPT_DOMAIN},
    {"latency", required_argument, NULL, OPT_LATENCY},
    {"rate", required_argument, NULL, OPT_RATE},
    {"tls", required_argument, NULL, OPT_TLS},
    {"faults", required_argument, NULL, OPT_FAULTS},
    {"cloud", required_argument, NULL, OPT_CLOUD},
    {"null-store", no_argument, NULL, OPT_NULL_STORE},
    {"complete-wins", required_argument, NULL, OPT_COMPLETE_WINS},
    {"metadata-touches-mtime", no_argument, NULL, OPT_METADATA_MTIME},
    {"default-encryption", required_argument, NULL, OPT_DEFAULT_ENCRYPTION},
    {"clock-offset", required_argument, NULL, OPT_CLOCK_OFFSET},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static int bad(const char *what, const char *value)
{
    fprintf(stderr, "obs-local: '%s' is not %s\n", value, what);
    return -EINVAL;
}

static int parse_listen(struct options *o, const char *text)
{
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (!colon || !text_u64(colon + 1, 65535, &port))
        return bad("ADDRESS:PORT", text);
    free(o->host);
    o->host = strndup(text, (size_t)(colon - text));
    o->server.host = o->host && strcmp(o->host, "localhost") != 0 ? o->host : "127.0.0.1";
    o->server.port = (uint16_t)port;
    return 0;
}

static int parse_number(const char *text, uint64_t max, uint64_t *ret)
{
    return text_u64(text, max, ret) ? 0 : bad("a number that fits", text);
}

static int parse_lists(struct options *o, int opt, const char *arg)
{
    if (opt == OPT_BUCKET) {
        if (o->n_buckets == LIST_MAX || !store_bucket_valid(arg))
            return bad("a bucket name", arg);
        o->buckets[o->n_buckets++] = arg;
        return 0;
    }
    if (o->n_credentials == LIST_MAX)
        return bad("one of at most 64 credentials", "--credential");
    o->read_only[o->n_credentials] = opt == OPT_CREDENTIAL_RO;
    o->credentials[o->n_credentials++] = arg;
    return 0;
}

static int parse_one(struct options *o, int opt, char *arg, int argc, char **argv)
{
    uint64_t v;
    int rc = 0;
    switch (opt) {
    case OPT_DATA:
        o->store.dir = arg;
        return 0;
    case OPT_LISTEN:
        return parse_listen(o, arg);
    case OPT_CREDENTIAL:
    case OPT_CREDENTIAL_RO:
    case OPT_BUCKET:
        return parse_lists(o, opt, arg);
    case OPT_CREDENTIAL_FILE:
        o->credential_file = arg;
        return 0;
    case OPT_DOMAIN:
        o->server.domain = arg;
        return 0;
    case OPT_LATENCY:
        rc = parse_number(arg, 3600000, &v);
        o->server.latency_ms = (unsigned)v;
        return rc;
    case OPT_RATE:
        return parse_number(arg, INT64_MAX, &o->server.rate);
    case OPT_TLS:
        if (optind >= argc)
            return bad("followed by a key file", arg);
        o->server.tls_cert = arg;
        o->server.tls_key = argv[optind++];
        return 0;
    case OPT_FAULTS:
        o->faults = arg;
        return 0;
    case OPT_CLOUD:
        o->cloud = arg;
        return 0;
    case OPT_NULL_STORE:
        o->store.null_store = true;
        return 0;
    case OPT_COMPLETE_WINS:
        o->store.complete_last = strcmp(arg, "last") == 0;
        return o->store.complete_last || strcmp(arg, "initiate") == 0
                   ? 0
                   : bad("'initiate' or 'last'", arg);
    case OPT_METADATA_MTIME:
        o->store.metadata_mtime = true;
        return 0;
    case OPT_DEFAULT_ENCRYPTION:
        o->server.default_encryption = arg;
        return strcmp(arg, "kms") == 0 || strcmp(arg, "AES256") == 0 ? 0
                                                                     : bad("kms or AES256", arg);
    case OPT_CLOCK_OFFSET:
        o->store.clock_offset_s = strtol(arg, NULL, 10);
        return 0;
    default:
        return -EINVAL;
    }
}

/* 0, 1: help was given, or -EINVAL with a message. */
static int parse(int argc, char **argv, struct options *o)
{
    int opt;
    while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (opt == OPT_HELP) {
            fputs(usage, stdout);
            return 1;
        }
        if (opt == '?' || parse_one(o, opt, optarg, argc, argv) != 0)
            return -EINVAL;
    }
    if (optind < argc)
        return bad("an option", argv[optind]);
    if (!o->store.dir) {
        fputs("obs-local: --data DIR is missing\n", stderr);
        return -EINVAL;
    }
    return 0;
}

/* Reads a file of at most 1 MiB and hands it to `set`. */
static int load(const char *path, struct err *err,
                int (*set)(struct server *, const char *, size_t, struct err *), struct server *srv)
{
    CLEANUP_FCLOSE FILE *f = fopen(path, "re");
    if (!f)
        return err_set(err, -errno, "cannot read '%s': %s", path, err_text(errno));
    CLEANUP_FREE char *text = mem_alloc(1 << 20);
    size_t n = fread(text, 1, 1 << 20, f);
    int rc = set(srv, text, n, err);
    if (rc != 0)
        err_prefix(err, "'%s'", path);
    return rc;
}

static int set_faults(struct server *srv, const char *text, size_t n, struct err *err)
{
    return faults_set(srv->faults, text, n, err);
}

static int set_cloud(struct server *srv, const char *text, size_t n, struct err *err)
{
    return cloud_set(srv->cloud, text, n, err);
}

static int set_up(struct server *srv, const struct options *o, struct err *err)
{
    for (size_t i = 0; i < o->n_credentials; i++) {
        if (auth_add(srv->auth, o->credentials[i], o->read_only[i], 0) != 0)
            return err_set(err, -EINVAL, "a credential is not AK:SK[:TOKEN]");
    }
    if (o->credential_file && auth_add_file(srv->auth, o->credential_file, err) != 0)
        return err->eno;
    if (o->faults && load(o->faults, err, set_faults, srv) != 0)
        return err->eno;
    int rc = store_open(&o->store, &srv->store, err);
    for (size_t i = 0; rc == 0 && i < o->n_buckets; i++)
        store_bucket_create(srv->store, o->buckets[i], NULL); /* there already: fine */
    if (rc == 0)
        srv->cloud = cloud_new(srv->store, srv->auth);
    if (rc == 0 && o->cloud)
        rc = load(o->cloud, err, set_cloud, srv);
    return rc == 0 ? server_start(srv, err) : rc;
}

static void wait_for_signal(void)
{
    sigset_t set;
    int sig = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    while (sigwait(&set, &sig) != 0)
        ;
}

/* A connection is a descriptor, and a body another one. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
    struct options o = {.server = {.host = "127.0.0.1", .domain = "localhost"}};
    struct err err = {0};
    int rc = parse(argc, argv, &o);
    if (rc != 0) {
        free(o.host);
        return rc > 0 ? 0 : 2;
    }
    block_signals();
    raise_file_limit();
    xmlInitParser();
    struct server srv = {
        .config = o.server, .auth = auth_new(), .stats = stats_new(), .faults = faults_new()};
    lock_init(&srv.lock);
    lock_cond_init(&srv.cond);
    rc = set_up(&srv, &o, &err);
    if (rc == 0) {
        printf("obs-local: listening on %s://%s:%u\n", o.server.tls_cert ? "https" : "http",
               o.server.host, srv.port);
        fflush(stdout);
        wait_for_signal();
    } else {
        fprintf(stderr, "obs-local: %s\n", err.msg);
    }
    server_stop(&srv);
    cloud_free(srv.cloud);
    store_close(srv.store);
    auth_free(srv.auth);
    stats_free(srv.stats);
    faults_free(srv.faults);
    pthread_cond_destroy(&srv.cond);
    lock_done(&srv.lock);
    free(o.host);
    xmlCleanupParser();
    return rc == 0 ? 0 : 1;
}
