// SPDX-License-Identifier: Apache-2.0
// What a failed request means; see error.h.
#include "net/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/base/clock.h"

/* By the service's error code (OBS API: error codes; S3's own names where they differ). A name that
 * ends in '*' stands for all that begin so. */
static const struct error_row code_rows[] = {
    {"BadDigest", 0, ERR_RETRY, -EIO, "the data were damaged on their way"},
    {"IncompleteBody", 0, ERR_RETRY, -EIO, "the service received fewer bytes than announced"},
    {"RequestTimeout", 0, ERR_RETRY, -ETIMEDOUT, "the service waited too long for the request"},
    {"InternalError", 0, ERR_RETRY, -EIO, "the service has an internal error"},
    {"ServiceUnavailable", 0, ERR_THROTTLED, -EIO, "the service is overloaded"},
    {"SlowDown", 0, ERR_THROTTLED, -EIO, "the service asks for fewer requests"},
    {"TooManyRequests", 0, ERR_THROTTLED, -EIO, "the service asks for fewer requests"},
    {"GetQosTokenException", 0, ERR_THROTTLED, -EIO, "the service asks for fewer requests"},
    {"TooManyWrongSignature", 0, ERR_THROTTLED, -EACCES,
     "the access key is locked after wrong signatures: check the secret key, wait some minutes"},
    {"OperationAborted", 0, ERR_RETRY, -EBUSY, "another operation on the same name is under way"},
    {"FsRenameConflict", 0, ERR_RETRY, -EBUSY, "another operation on the same name is under way"},

    {"ExpiredToken", 0, ERR_REAUTH, -EACCES, "the temporary keys have expired: renew them"},
    {"InvalidToken", 0, ERR_REAUTH, -EACCES, "the security token is not valid: renew the keys"},
    {"TokenRefreshRequired", 0, ERR_REAUTH, -EACCES, "the temporary keys must be renewed"},
    {"InvalidAccessKeyId", 0, ERR_REAUTH, -EACCES,
     "the service does not know this access key: check the credential file"},
    {"RequestTimeTooSkewed", 0, ERR_CLOCK_SKEW, -EACCES,
     "this machine's clock differs from the service's by more than 15 minutes: set it"},
    {"RequestExpired", 0, ERR_CLOCK_SKEW, -EACCES, "the request arrived too late: check the clock"},
    {"SignatureDoesNotMatch", 0, ERR_DENIED, -EACCES,
     "the secret key does not belong to the access key, or the endpoint is another dialect's"},
    {"AuthorizationHeaderMalformed", 0, ERR_DENIED, -EACCES,
     "the service expects another region: set the option region"},
    {"AccessDenied", 0, ERR_DENIED, -EACCES, NULL},
    {"AllAccessDisabled", 0, ERR_DENIED, -EACCES, "all access to this bucket is disabled"},
    {"AccountProblem", 0, ERR_DENIED, -EACCES,
     "there is a problem with the account: ask its owner"},
    {"InArrearOrInsufficientBalance", 0, ERR_DENIED, -EACCES,
     "the account is in arrears: top it up"},
    {"NotSignedUp", 0, ERR_DENIED, -EACCES, "the account has not subscribed to the service"},
    {"KMS.*", 0, ERR_DENIED, -EACCES, "the encryption key cannot be used: check it in the KMS"},
    {"InvalidEncryptionAlgorithmError", 0, ERR_DENIED, -EACCES,
     "the customer key does not fit the object"},
    {"InvalidObjectState", 0, ERR_DENIED, -ENODATA,
     "the object is archived: restore it before it is read"},
    {"VirtualHostDomainRequired", 0, ERR_FATAL, -EINVAL,
     "the service does not take path style requests: use the endpoint's name"},
    {"InsufficientStorageSpace", 0, ERR_FATAL, -EDQUOT, "the quota of the bucket is used up"},
    {"QuotaExceeded", 0, ERR_FATAL, -EDQUOT, "the quota is used up"},

    {"NoSuchBucket", 0, ERR_GONE, -ENOENT, "there is no such bucket at this endpoint"},
    {"NoSuchKey", 0, ERR_GONE, -ENOENT, "there is no such object"},
    {"NoSuchUpload", 0, ERR_GONE, -ENOENT, "the multipart upload was completed or aborted"},
    {"NoSuchVersion", 0, ERR_GONE, -ENOENT, "there is no such version"},

    {"PreconditionFailed", 0, ERR_CONFLICT, -ESTALE, "the object was changed by somebody else"},
    {"FsObjectConflict", 0, ERR_CONFLICT, -EEXIST, "the name is in use"},
    {"DirectoryNotEmpty", 0, ERR_CONFLICT, -ENOTEMPTY, "the directory is not empty"},
    {"BucketNotEmpty", 0, ERR_CONFLICT, -ENOTEMPTY, "the bucket is not empty"},
    {"ObjectNotAppendable", 0, ERR_CONFLICT, -EINVAL, "the object cannot be appended to"},
    {"InvalidRange", 0, ERR_CONFLICT, -ERANGE, "the object is shorter than expected"},

    {"EntityTooLarge", 0, ERR_FATAL, -EFBIG, "the object is larger than the service allows"},
    {"EntityTooSmall", 0, ERR_FATAL, -EIO, "a part is smaller than the service allows"},
    {"InvalidPart", 0, ERR_FATAL, -EIO, "the service lacks a part of the upload"},
    {"InvalidPartOrder", 0, ERR_FATAL, -EIO, "the service refuses the order of the parts"},
    {"MalformedXML", 0, ERR_FATAL, -EIO, "the service refuses the request's body"},
    {"InvalidArgument", 0, ERR_FATAL, -EINVAL, "the service refuses a value of the request"},
    {"InvalidRequest", 0, ERR_FATAL, -EINVAL, "the service refuses the request"},
    {"InvalidStorageClass", 0, ERR_FATAL, -EINVAL, "there is no such storage class"},
    {"InvalidBucketName", 0, ERR_FATAL, -EINVAL, "the bucket's name is not valid"},
    {"KeyTooLong*", 0, ERR_FATAL, -ENAMETOOLONG, "the name is longer than 1024 bytes"},
    {"MetadataTooLarge", 0, ERR_FATAL, -E2BIG, "the metadata are larger than 8 KiB"},
    {"MethodNotAllowed", 0, ERR_FATAL, -EOPNOTSUPP, "this bucket does not support the operation"},
    {"FsNotSupport", 0, ERR_FATAL, -EOPNOTSUPP, "this bucket does not support the operation"},
    {"NotImplemented", 0, ERR_FATAL, -EOPNOTSUPP, "the service does not support the operation"},
    {"ServiceNotImplemented", 0, ERR_FATAL, -EOPNOTSUPP,
     "the service does not support the operation"},
    {"MissingContentLength", 0, ERR_FATAL, -EIO, "the service misses the length of the body"},

    {"TemporaryRedirect", 0, ERR_REDIRECT, -EREMCHG, "another endpoint serves the bucket for now"},
    {"PermanentRedirect", 0, ERR_REDIRECT, -EREMCHG,
     "the bucket is in another region: set its endpoint"},
};

/* By HTTP status, where the code says nothing. */
static const struct error_row status_rows[] = {
    {NULL, 301, ERR_REDIRECT, -EREMCHG, "the bucket is in another region: set its endpoint"},
    {NULL, 302, ERR_REDIRECT, -EREMCHG, "another endpoint serves the bucket"},
    {NULL, 304, ERR_CONFLICT, -ESTALE, "the object has not changed"},
    {NULL, 307, ERR_REDIRECT, -EREMCHG, "another endpoint serves the bucket for now"},
    {NULL, 308, ERR_REDIRECT, -EREMCHG, "the bucket is in another region: set its endpoint"},
    {NULL, 400, ERR_FATAL, -EINVAL, "the service refuses the request"},
    {NULL, 401, ERR_REAUTH, -EACCES, "the service does not accept the keys: check them"},
    {NULL, 403, ERR_DENIED, -EACCES, NULL},
    {NULL, 404, ERR_GONE, -ENOENT, "there is no such object"},
    {NULL, 405, ERR_FATAL, -EOPNOTSUPP, "this bucket does not support the operation"},
    {NULL, 407, ERR_FATAL, -EACCES, "the proxy asks for a password"},
    {NULL, 408, ERR_RETRY, -ETIMEDOUT, "the service waited too long for the request"},
    {NULL, 409, ERR_CONFLICT, -EBUSY, "the operation clashes with another one"},
    {NULL, 411, ERR_FATAL, -EIO, "the service misses the length of the body"},
    {NULL, 412, ERR_CONFLICT, -ESTALE, "the object was changed by somebody else"},
    {NULL, 413, ERR_FATAL, -EFBIG, "the object is larger than the service allows"},
    {NULL, 414, ERR_FATAL, -ENAMETOOLONG, "the name is too long for the service"},
    {NULL, 416, ERR_CONFLICT, -ERANGE, "the object is shorter than expected"},
    {NULL, 429, ERR_THROTTLED, -EIO, "the service asks for fewer requests"},
    {NULL, 501, ERR_FATAL, -EOPNOTSUPP, "the service does not support the operation"},
    {NULL, 503, ERR_THROTTLED, -EIO, "the service is overloaded"},
    {NULL, 504, ERR_RETRY, -ETIMEDOUT, "a gateway waited too long for the service"},
};

static const struct error_row transport_rows[NET_FAILURE_COUNT] = {
    [NET_DNS] = {NULL, 0, ERR_RETRY, -EHOSTUNREACH,
                 "the endpoint's name has no address: check the endpoint and the name server"},
    [NET_CONNECT] = {NULL, 0, ERR_RETRY, -EHOSTUNREACH,
                     "no connection to the endpoint: check the network and the endpoint"},
    [NET_TIMEOUT] = {NULL, 0, ERR_RETRY, -ETIMEDOUT, "the service did not answer in time"},
    [NET_STALL] = {NULL, 0, ERR_RETRY, -ETIMEDOUT, "the transfer came to a standstill"},
    [NET_RESET] = {NULL, 0, ERR_RETRY, -EIO, "the connection broke"},
    [NET_TLS] = {NULL, 0, ERR_RETRY, -EIO, "no secure connection could be made"},
    [NET_CERT] = {NULL, 0, ERR_FATAL, -EACCES,
                  "the certificate of the endpoint is not trusted: check endpoint and CA file"},
    [NET_PROTOCOL] = {NULL, 0, ERR_RETRY, -EIO, "the answer is not what the service sends"},
    [NET_LOCAL] = {NULL, 0, ERR_FATAL, -ENOMEM, "the request could not be made"},
};

enum {
    N_CODES = sizeof(code_rows) / sizeof(*code_rows),
    N_STATUS = sizeof(status_rows) / sizeof(*status_rows),
};

static const struct error_row row_no_bucket = {NULL, 404, ERR_GONE, -ENOENT,
                                               "there is no such bucket at this endpoint"};
static const struct error_row row_server = {NULL, 0, ERR_RETRY, -EIO, "the service has an error"};
static const struct error_row row_client = {NULL, 0, ERR_FATAL, -EIO,
                                            "the service refuses the request"};
static const struct error_row row_bad_answer = {NULL, 0, ERR_RETRY, -EIO,
                                                "the answer is not what the service sends"};

bool error_row(size_t i, struct error_row *ret)
{
    if (i < N_CODES)
        *ret = code_rows[i];
    else if (i < N_CODES + N_STATUS)
        *ret = status_rows[i - N_CODES];
    return i < N_CODES + N_STATUS;
}

static bool code_matches(const char *pattern, const char *code)
{
    size_t n = strlen(pattern);
    if (pattern[n - 1] == '*')
        return strncmp(pattern, code, n - 1) == 0;
    return strcmp(pattern, code) == 0;
}

static const struct error_row *find_row(const struct error_answer *a)
{
    if (a->failure != NET_OK)
        return (unsigned)a->failure < NET_FAILURE_COUNT ? &transport_rows[a->failure]
                                                        : &transport_rows[NET_LOCAL];
    for (size_t i = 0; a->code && a->code[0] && i < N_CODES; i++) {
        if (code_matches(code_rows[i].code, a->code))
            return &code_rows[i];
    }
    /* The answer to a HEAD has no body to say so. */
    bool of_bucket = a->op == OBS_HEAD_BUCKET || a->op == OBS_LIST || a->op == OBS_MP_LIST_UPLOADS;
    if (a->status == 404 && of_bucket)
        return &row_no_bucket;
    for (size_t i = 0; i < N_STATUS; i++) {
        if (status_rows[i].status == a->status)
            return &status_rows[i];
    }
    if (a->status >= 500)
        return &row_server;
    return a->status >= 400 ? &row_client : &row_bad_answer;
}

/* OBS and S3 have the same names for the rights, with few exceptions. */
static const struct {
    const char *obs;
    const char *s3;
} rights[OBS_OP_COUNT] = {
    [OBS_HEAD_BUCKET] = {"obs:bucket:HeadBucket", "s3:ListBucket"},
    [OBS_LIST] = {"obs:bucket:ListBucket", "s3:ListBucket"},
    [OBS_HEAD] = {"obs:object:GetObject", "s3:GetObject"},
    [OBS_GET] = {"obs:object:GetObject", "s3:GetObject"},
    [OBS_PUT] = {"obs:object:PutObject", "s3:PutObject"},
    [OBS_DELETE] = {"obs:object:DeleteObject", "s3:DeleteObject"},
    [OBS_DELETE_BATCH] = {"obs:object:DeleteObject", "s3:DeleteObject"},
    [OBS_COPY] = {"obs:object:PutObject and obs:object:GetObject", "s3:PutObject and s3:GetObject"},
    [OBS_SET_META] = {"obs:object:ModifyObjectMetaData", "s3:PutObject"},
    [OBS_GET_ACL] = {"obs:object:GetObjectAcl", "s3:GetObjectAcl"},
    [OBS_GET_BUCKET_ACL] = {"obs:bucket:GetBucketAcl", "s3:GetBucketAcl"},
    [OBS_SET_ACL] = {"obs:object:PutObjectAcl", "s3:PutObjectAcl"},
    [OBS_MP_INITIATE] = {"obs:object:PutObject", "s3:PutObject"},
    [OBS_MP_PART] = {"obs:object:PutObject", "s3:PutObject"},
    [OBS_MP_COPY_PART] = {"obs:object:PutObject and obs:object:GetObject",
                          "s3:PutObject and s3:GetObject"},
    [OBS_MP_LIST_PARTS] = {"obs:object:ListMultipartUploadParts", "s3:ListMultipartUploadParts"},
    [OBS_MP_COMPLETE] = {"obs:object:PutObject", "s3:PutObject"},
    [OBS_MP_ABORT] = {"obs:object:AbortMultipartUpload", "s3:AbortMultipartUpload"},
    [OBS_MP_LIST_UPLOADS] = {"obs:bucket:ListBucketMultipartUploads",
                             "s3:ListBucketMultipartUploads"},
};

const char *error_right(enum obs_op op, enum obs_dialect dialect)
{
    const char *right = NULL;
    if ((unsigned)op < OBS_OP_COUNT)
        right = dialect == OBS_DIALECT_S3 ? rights[op].s3 : rights[op].obs;
    return right ? right : "";
}

/* Copies text of the service: one line, printable. */
static void copy_clean(char *out, size_t size, const char *text)
{
    (void)snprintf(out, size, "%s", text ? text : "");
    for (char *p = out; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    }
}

/* The sentence for the user: what to do first, then the service's own words. */
static void describe(const struct error_answer *a, const struct error_row *row, struct err *ret)
{
    const char *right = a->op >= 0 ? error_right((enum obs_op)a->op, a->dialect) : a->right;
    const char *own = a->failure != NET_OK ? a->detail : a->message;
    char advice[160];
    char words[160];

    if (row->advice)
        (void)snprintf(advice, sizeof(advice), "%s", row->advice);
    else if (right && *right)
        (void)snprintf(advice, sizeof(advice), "access denied: the right %s is missing", right);
    else
        (void)snprintf(advice, sizeof(advice), "access denied: a right is missing");
    copy_clean(words, sizeof(words), own);
    size_t n = strlen(words);
    while (n && (words[n - 1] == '.' || words[n - 1] == ' '))
        words[--n] = 0;
    if (n)
        (void)snprintf(ret->msg, sizeof(ret->msg), "%.150s (%.100s)", advice, words);
    else
        (void)snprintf(ret->msg, sizeof(ret->msg), "%s", advice);
}

int error_from_answer(const struct error_answer *a, struct err *ret)
{
    bool has_code = a->code && a->code[0];
    err_clear(ret);
    ret->http = a->status;
    copy_clean(ret->request_id, sizeof(ret->request_id), a->request_id);
    if (a->failure == NET_OK && !has_code && a->status >= 200 && a->status < 300)
        return 0;

    const struct error_row *row = find_row(a);
    ret->cls = row->cls;
    ret->eno = row->eno;
    copy_clean(ret->code, sizeof(ret->code), a->code);
    describe(a, row, ret);
    return ret->eno;
}

bool error_may_repeat(enum err_class cls)
{
    return cls == ERR_RETRY || cls == ERR_THROTTLED || cls == ERR_REAUTH || cls == ERR_CLOCK_SKEW ||
           cls == ERR_REDIRECT || cls == ERR_REKEY;
}

enum {
    RETRY_BASE_MS = 200,
    RETRY_MAX_MS = 30000,
    THROTTLED_BASE_MS = 1000,
    THROTTLED_MAX_MS = 60000,
    SERVER_MAX_MS = 300000,
};

int64_t error_backoff_ms(unsigned attempt, enum err_class cls, uint64_t random, int64_t server_ms)
{
    if (server_ms > SERVER_MAX_MS)
        server_ms = SERVER_MAX_MS;
    if (server_ms < 0)
        server_ms = 0;
    /* What is put right between two attempts needs no pause. */
    if (cls != ERR_RETRY && cls != ERR_THROTTLED)
        return server_ms;

    bool throttled = cls == ERR_THROTTLED;
    int64_t base = throttled ? THROTTLED_BASE_MS : RETRY_BASE_MS;
    int64_t max = throttled ? THROTTLED_MAX_MS : RETRY_MAX_MS;
    int64_t step = attempt > 0 ? attempt - 1 : 0;
    int64_t wait = step < 16 ? base << step : max;
    if (wait > max)
        wait = max;
    wait = wait / 2 + (int64_t)(random % (uint64_t)(wait / 2 + 1));
    /* Everybody was told the same time: not all at once. */
    if (server_ms > 0 && wait < server_ms)
        wait = server_ms + (int64_t)(random % (uint64_t)(server_ms / 4 + 1));
    return wait;
}

int64_t error_retry_after_ms(const char *value, time_t now)
{
    time_t when;
    int64_t ms = 0;

    if (!value)
        return 0;
    size_t digits = strspn(value, "0123456789");
    if (digits > 0 && value[digits] == 0)
        ms = digits > 6 ? SERVER_MAX_MS : strtol(value, NULL, 10) * 1000;
    else if (digits == 0 && clock_parse_http_date(value, &when) == 0 && when > now)
        ms = when - now > SERVER_MAX_MS / 1000 ? SERVER_MAX_MS : (int64_t)(when - now) * 1000;
    return ms > SERVER_MAX_MS ? SERVER_MAX_MS : ms;
}
