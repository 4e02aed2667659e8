// SPDX-License-Identifier: Apache-2.0
// Server-side encryption of one call: its fields, and which key fits; see obs_impl.h and sse.h.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "net/base/cleanup.h"
#include "net/obs_impl.h"
#include "net/props.h"
#include "net/sse.h"

/* What a request of each kind says (OBS API: server-side encryption): all about the object that is
 * made; of a part only the customer's key again; the customer's key of what is read. */
enum { SAYS_ALL = 1, SAYS_KEY = 2, READS = 4, READS_SOURCE = 8 };

static unsigned says(enum obs_op op)
{
    switch (op) {
    case OBS_PUT:
    case OBS_MP_INITIATE:
        return SAYS_ALL | SAYS_KEY;
    case OBS_COPY:
        return SAYS_ALL | SAYS_KEY | READS_SOURCE;
    case OBS_MP_PART:
        return SAYS_KEY;
    case OBS_MP_COPY_PART:
        return SAYS_KEY | READS_SOURCE;
    case OBS_HEAD:
    case OBS_GET:
        return READS;
    default:
        return 0;
    }
}

bool obs_sse_asked(const struct obs_state *st)
{
    return st->call->props && sse_encrypted(st->call->props);
}

/* The three fields of a customer's key. `prefix`: "" or "copy-source-". */
static int add_key(struct obs_state *st, struct http_request *req, const char *prefix, int key)
{
    char name[80], secret[SSE_KEY_TEXT];
    if (!st->endpoint.tls)
        return err_set(&st->http.err, -EACCES,
                       "a customer's key is sent over https only, and the endpoint is http");

    (void)snprintf(name, sizeof(name), "%sserver-side-encryption-customer-algorithm", prefix);
    int rc = obs_add_prefixed(st, req, name, "AES256");
    sse_keys_secret(st->obs->sse_keys, key, secret);
    (void)snprintf(name, sizeof(name), "%sserver-side-encryption-customer-key", prefix);
    if (rc == 0)
        rc = obs_add_prefixed(st, req, name, secret);
    explicit_bzero(secret, sizeof(secret));
    (void)snprintf(name, sizeof(name), "%sserver-side-encryption-customer-key-MD5", prefix);
    if (rc == 0)
        rc = obs_add_prefixed(st, req, name, sse_keys_md5(st->obs->sse_keys, key));
    return rc;
}

static int find_key(struct obs_state *st, const char *md5)
{
    int key = sse_keys_by_md5(st->obs->sse_keys, md5);
    return key >= 0 ? key
                    : err_set(&st->http.err, -EACCES,
                              "the customer's key with the MD5 %.32s is not in sse_c_keys", md5);
}

/* What the object is to be encrypted with. */
static int add_target(struct obs_state *st, struct http_request *req, bool all)
{
    const struct obs_props *props = st->call->props;
    const char *md5 = props ? sse_customer_md5(props) : NULL;
    CLEANUP_BUF struct buf name = BUF_INIT(1024);
    CLEANUP_BUF struct buf value = BUF_INIT(HTTP_FIELDS_MAX);
    int rc = 0;

    if (md5) {
        int key = find_key(st, md5);
        return key < 0 ? key : add_key(st, req, "", key);
    }
    for (size_t i = 0; all && props && rc == 0 && i < props->n; i++) {
        if (!sse_is_prop(&props->v[i]))
            continue;
        buf_reset(&name);
        buf_reset(&value);
        rc = props_to_header(&props->v[i], st->obs->dialect, &name, &value);
        if (rc == 0)
            rc = http_fields_add(&req->fields, buf_str(&name), buf_str(&value));
    }
    return rc;
}

/* The key with which the object is read first: what the caller knows, else what was right the last
 * time. */
static int choose(struct obs_state *st)
{
    const char *known = st->call->read_key;
    if (st->key_chosen)
        return 0;
    int key = known && known[0] ? find_key(st, known) : -1;
    if (known && known[0] && key < 0) {
        st->call->object.key_missing = true;
        return key;
    }
    st->key_first = st->key_at = known ? key : atomic_load(&st->obs->sse_first);
    st->key_chosen = true;
    return 0;
}

int obs_sse_add(struct obs_state *st, struct http_request *req)
{
    unsigned what = says(st->call->op);
    int rc = what & SAYS_KEY ? add_target(st, req, what & SAYS_ALL) : 0;
    if (rc < 0 || !(what & (READS | READS_SOURCE)))
        return rc;
    rc = choose(st);
    if (rc == 0 && st->key_at >= 0)
        rc = add_key(st, req, what & READS_SOURCE ? "copy-source-" : "", st->key_at);
    return rc;
}

/* A refusal that a missing or wrong key explains. Which one the service answers is not documented:
 * 400 or 403, InvalidRequest, InvalidEncryptionAlgorithmError, or nothing at all (HEAD). */
static bool is_about_key(const struct obs_state *st)
{
    const struct err *err = &st->http.err;
    const char *code = err->code;
    if (err->http == 400)
        return !code[0] || strcmp(code, "InvalidRequest") == 0 ||
               strcmp(code, "InvalidArgument") == 0 ||
               strncmp(code, "InvalidEncryption", strlen("InvalidEncryption")) == 0;
    return err->http == 403 && st->key_at >= 0 && (!code[0] || strcmp(code, "AccessDenied") == 0);
}

/* Key number `step` in the order: the first choice, without a key, then all others. */
static int key_of_step(const struct obs_state *st, int step)
{
    if (step == 0)
        return st->key_first;
    int key = step - 2; /* -1, 0, 1, .. without the first choice */
    return key >= st->key_first ? key + 1 : key;
}

void obs_sse_refused(struct obs_state *st)
{
    struct err *err = &st->http.err;
    int n = sse_keys_count(st->obs->sse_keys);

    if (!(says(st->call->op) & (READS | READS_SOURCE)) || !is_about_key(st))
        return;
    if (st->key_step < n) {
        st->key_at = key_of_step(st, ++st->key_step);
        err->cls = ERR_REKEY;
        return;
    }
    if (!(says(st->call->op) & READS)) /* of a copy it may be something else */
        return;
    st->call->object.key_missing = true;
    err->eno = -EACCES;
    err->cls = ERR_DENIED;
    (void)snprintf(err->msg, sizeof(err->msg), "%s",
                   n ? "the object is encrypted with a customer's key that is not in sse_c_keys"
                     : "the object is encrypted with a customer's key (SSE-C): mount with "
                       "sse_c_keys");
}

int obs_sse_accepted(struct obs_state *st)
{
    struct obs_call *call = st->call;
    struct obs *obs = st->obs;
    unsigned what = says(call->op);

    if (call->object.encrypted && (what & SAYS_KEY) && !(what & READS_SOURCE) && !obs_sse_asked(st))
        atomic_store(&obs->opaque, true);
    if (!(what & READS) || !obs->sse_keys)
        return 0;
    /* A service need not say whose key it was that has fitted. */
    if (st->key_at >= 0 && call->object.encrypted && !sse_customer_md5(&call->object.props) &&
        obs_props_set(&call->object.props, OBS_PROP_HEADER,
                      "server-side-encryption-customer-key-md5",
                      sse_keys_md5(obs->sse_keys, st->key_at)) < 0)
        return err_set(&st->http.err, -ENOMEM, "out of memory");
    if (!call->read_key)
        atomic_store(&obs->sse_first, sse_customer_md5(&call->object.props) ? st->key_at : -1);
    return 0;
}
